"""What a report holds: plain numbers, texts and lists, section by section, which the pages and the JSON show.

Numbers that are not known, such as a standard error of one row, are NaN here and null in JSON. Shares and probabilities
are from 0 to 1; log-densities are in nats.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from pushforward.support.wording import with_minus


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error.

    Example:
        >>> str(Estimate(-1.25, 0.031))
        '−1.250 ± 0.031'
    """

    value: float
    error: float

    def __str__(self) -> str:
        if not math.isfinite(self.error) or self.error <= 0:
            return with_minus(f"{self.value:.4g}")
        digits = max(0, min(6, 1 - math.floor(math.log10(self.error))))
        return with_minus(f"{self.value:.{digits}f} ± {self.error:.{digits}f}")


@dataclass(frozen=True)
class ReportColumn:
    """A column of the table.

    Attributes:
        name: of the column.
        role: "modeled", "given" or "constant".
        kind: of the schema: "continuous", "integer", "category", ....
        description: the kind and its options in a few words.
        discrete: whether each value has a probability: shown as bars.
        levels: the texts of the codes of a discrete column with few, in the order of their codes; of dates and times
            those of some codes between the outermost, for axes; else none.
        level_codes: the codes of these.
    """

    name: str
    role: str
    kind: str
    description: str
    discrete: bool
    levels: list[str] = field(default_factory=list)
    level_codes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Test:
    """A test whose p-value is corrected together with those of all other tests of the report.

    Attributes:
        name: "two-sample", "coverage", "calibration", "spread", "tails", "marginal", "marginal spread", "dependence",
            "memorization".
        subject: a column, or a pair of columns as "a, b"; "" for the whole table.
        rows: of the table that it is made of.
        statistic: what is tested; `docs/report.md` has the formula of each.
        p_value: uniform where model and data agree.
        adjusted: after Holm's correction over all tests of the report.
        finding: what is said of it where `adjusted` is below `Verdict.level`; "" otherwise.
    """

    name: str
    subject: str
    rows: int
    statistic: float
    p_value: float
    adjusted: float
    finding: str = ""


@dataclass(frozen=True)
class BaselineScore:
    """A reference density and how the model compares with it on the same rows.

    Attributes:
        name: "full Gaussian", "Gaussian mixture", "kernel density", "independent columns", "marginal".
        nats: per row, cross-fitted on the given rows.
        difference: nats of the model less those of the reference, paired.
        detail: such as "4 components".
    """

    name: str
    nats: Estimate
    difference: Estimate
    detail: str = ""


@dataclass(frozen=True)
class TwoSample:
    """A classifier that is asked to tell rows of the table from draws.

    Attributes:
        accuracy: of rows and draws that it was not trained on; 1/2 cannot tell them apart.
        p_value: of an accuracy above 1/2.
        rows: that it judged, and as many draws.
        trained: rows that it was trained on, and as many draws.
        columns: the columns that it uses, the most used first.
        importance: for each of `columns` the accuracy lost when the column is shuffled.
    """

    accuracy: Estimate
    p_value: float
    rows: int
    trained: int
    columns: list[str]
    importance: list[float]


@dataclass(frozen=True)
class Coverage:
    """Regions of highest density that should hold a share of the rows.

    Attributes:
        level: the share that they should hold.
        share: the share that they hold.
    """

    level: float
    share: Estimate


@dataclass(frozen=True)
class TrainedOn:
    """Whether the rows of the report are those that the model was trained on.

    Attributes:
        known: whether the model file says it.
        share: of the rows that were trained on, of those chosen from another table with what is left out; NaN if it is
            not known.
        rows: how many were looked up.
        left_out: rows of the table that the fit trained on, or copies of such rows: the report is made of others. Of
            the table of the fit these are counted in all of it, of another one among the rows that were chosen.
        false_positives: the share of other rows that would be taken for them.
        sentence: the answer.
    """

    known: bool
    share: float
    rows: int
    left_out: int
    false_positives: float
    sentence: str


@dataclass(frozen=True)
class UnseenValues:
    """What a model has never seen in one column of some rows.

    Attributes:
        column: its name.
        rows: with such a value.
        values: {value as text: rows with it}, the most frequent first.
        level: whether they are levels of a category, and not numbers or dates.
        missing: whether they are taken for missing, as conditions may be; rows with others have no density.
    """

    column: str
    rows: int
    values: dict[str, int]
    level: bool
    missing: bool


@dataclass(frozen=True)
class Verdict:
    """The answer, first in words.

    Attributes:
        sentences: what was found, the most important first.
        rows: on which the numbers rest.
        nats: log-density per row.
        unseen: rows with a value that the model has never seen, or too far from the data, which have no density and are
            left out of `nats`.
        unseen_values: that the model has never seen, column by column.
        meaning: what the log-density is the logarithm of.
        baselines: references on the same rows, the best first.
        baseline_note: why there are none, or how they were fitted.
        two_sample: None with too few rows.
        coverage: by level.
        crps: continuous ranked probability score of the one modeled column, in its units; None with several.
        tests: all of them.
        level: of significance, after the correction.
        correction: what was done about so many tests.
        trained_on: whether the rows were trained on.
    """

    sentences: list[str]
    rows: int
    nats: Estimate
    unseen: int
    unseen_values: list[UnseenValues]
    meaning: str
    baselines: list[BaselineScore]
    baseline_note: str
    two_sample: TwoSample | None
    coverage: list[Coverage]
    crps: Estimate | None
    tests: list[Test]
    level: float
    correction: str
    trained_on: TrainedOn


@dataclass(frozen=True)
class ColumnCalibration:
    """Where the values of a column lie in their distributions given other columns: uniform if the model is right.

    Attributes:
        column: its name.
        conditions: "given mass, age", "given all other columns", or "".
        rows: how many have a value.
        mean: of the normal scores Φ⁻¹(PIT) of the probability integral transforms, 0 if calibrated: above 0, the model
            is too low.
        spread: standard deviation of the normal scores, 1 if calibrated: above 1, the model is too narrow.
        statistic: of Kolmogorov and Smirnov.
        p_value: of it.
        adjusted: the least of its tests (calibration, spread and tails) after Holm's correction over all tests of the
            report.
        lower_tail: share of values below the 2.5 % quantile, expected 0.025.
        upper_tail: share of values above the 97.5 % quantile, expected 0.025.
        shape: "calibrated", "too narrow", "too wide", "too low", "too high", "wrong in shape"; with "in its tails".
        counts: of the transforms in 20 bins of equal width.
        count_low: lower ends of what counts may be, simultaneously for all bins with 95 %.
        count_high: upper ends.
        grid: probabilities at which the empirical distribution function is given.
        ecdf: the empirical distribution function less the probability there.
        band_low: lower ends of the simultaneous 95 % band of `ecdf`.
        band_high: upper ends.
    """

    column: str
    conditions: str
    rows: int
    mean: float
    spread: float
    statistic: float
    p_value: float
    adjusted: float
    lower_tail: Estimate
    upper_tail: Estimate
    shape: str
    counts: list[int]
    count_low: list[float]
    count_high: list[float]
    grid: list[float]
    ecdf: list[float]
    band_low: list[float]
    band_high: list[float]


@dataclass(frozen=True)
class Calibration:
    """Calibration column by column.

    Attributes:
        method: how the transforms were computed.
        columns: in the table's order.
        left_out: columns that have none, and why.
    """

    method: str
    columns: list[ColumnCalibration]
    left_out: dict[str, str]


@dataclass(frozen=True)
class Memorization:
    """Whether the model has learned rows by heart.

    Attributes:
        sentence: the answer.
        known: whether training rows were given; without them only `copies_of_draws` may be known.
        training_nats: log-density of training rows; NaN without them.
        held_out_nats: of the rows of the report.
        gap: the difference of the two.
        closer: P(a draw is closer to its nearest training row than a row of the report is to its own), 1/2 expected.
        p_value: of draws that are closer than that.
        distance_edges: of the histograms of distances to the nearest training row, in standard deviations.
        distance_draws: shares of draws.
        distance_rows: shares of rows of the report.
        copies_of_draws: draws that are equal to a training row.
        copies_of_rows: rows of the report that are.
        draws: how many were looked up.
        rows: how many were looked up.
    """

    sentence: str
    known: bool
    training_nats: Estimate
    held_out_nats: Estimate
    gap: Estimate
    closer: Estimate
    p_value: float
    distance_edges: list[float]
    distance_draws: list[float]
    distance_rows: list[float]
    copies_of_draws: int | None
    copies_of_rows: int | None
    draws: int
    rows: int


@dataclass(frozen=True)
class Marginal:
    """The distribution of one column in the table and in draws.

    Attributes:
        column: its name.
        rows: that have a value.
        drawn: draws that they are compared with.
        discrete: whether there are bars for `labels` in place of bins between `edges`.
        edges: of the bins, one more than these; empty for a discrete column.
        labels: of the bars; empty for others.
        data: shares of the rows that have a value, bin by bin; the bins hold all of them.
        draws: shares of the draws.
        gaps_data: share of rows without a value.
        gaps_draws: share of draws without.
        statistic: of Kolmogorov and Smirnov, or the largest difference of shares.
        p_value: of the test of Kolmogorov and Smirnov, or of Pearson.
        adjusted: the least of its tests (marginal and marginal spread) after Holm's correction over all tests of the
            report; NaN where none was made.
    """

    column: str
    rows: int
    drawn: int
    discrete: bool
    edges: list[float]
    labels: list[str]
    data: list[float]
    draws: list[float]
    gaps_data: Estimate
    gaps_draws: Estimate
    statistic: float
    p_value: float
    adjusted: float


@dataclass(frozen=True)
class Dependence:
    """Spearman's rank correlations of pairs of columns, and the distribution of each column by itself.

    Attributes:
        columns: those with an order.
        rows: of the table.
        drawn: draws that they are compared with.
        data: (columns, columns) of the rows.
        draws: the same of draws.
        difference: draws less data.
        error: standard error of the difference.
        adjusted: p-value of each pair after Holm's correction over all tests of the report.
        marginals: of each column.
    """

    columns: list[str]
    rows: int
    drawn: int
    data: list[list[float]]
    draws: list[list[float]]
    difference: list[list[float]]
    error: list[list[float]]
    adjusted: list[list[float]]
    marginals: list[Marginal]


@dataclass(frozen=True)
class OddColumnOfRow:
    """A column of an odd row.

    Attributes:
        column: its name.
        share: its part of the row's surprise.
        excess: nats above the expected.
        value: as text.
        low: 5 % quantile given the row's other values, as text; "" for levels.
        high: 95 % quantile.
    """

    column: str
    share: float
    excess: float
    value: str
    low: str
    high: str


@dataclass(frozen=True)
class OddRow:
    """A row of low density.

    Attributes:
        row: its number in the table, counted from 1.
        log_prob: in nats.
        p_value: NaN if it is not known.
        columns: that explain it, the largest share first.
        values: all values of the row as text, by column.
        sentence: for people.
    """

    row: int
    log_prob: float
    p_value: float
    columns: list[OddColumnOfRow]
    values: dict[str, str]
    sentence: str


@dataclass(frozen=True)
class Region:
    """Rows in a leaf of a small decision tree on the log-density of the model less that of a reference.

    Attributes:
        rule: in words, such as "mass > 2.5 and kind is a".
        rows: in the leaf, of those that the tree did not grow on.
        share: of the rows.
        difference: nats of the model less those of the reference there, per row.
        from_rest: that less the same over all other rows.
        p_value: of a leaf that is worse than the rest, corrected for the number of leaves.
    """

    rule: str
    rows: int
    share: float
    difference: Estimate
    from_rest: Estimate
    p_value: float


@dataclass(frozen=True)
class WorstRegions:
    """Where the model is worst against a reference, the worst first.

    Attributes:
        reference: its name; "" if there is none.
        note: how to read it, or why there is none.
        regions: the leaves.
    """

    reference: str
    note: str
    regions: list[Region]


@dataclass(frozen=True)
class LayerCondition:
    """A linear layer.

    Attributes:
        layer: its place in the flow.
        condition: ratio of the largest to the smallest singular value.
    """

    layer: str
    condition: float


@dataclass(frozen=True)
class LayerBox:
    """A layer of splines.

    Attributes:
        layer: its place in the flow.
        outside: share of values of the rows that lie outside its box, where the map is linear.
    """

    layer: str
    outside: float


@dataclass(frozen=True)
class Numerics:
    """How exactly and how fast the flow computes.

    Attributes:
        precision: of its numbers, such as "float32".
        rows: that were looked at.
        round_trip: largest |f(f⁻¹(x)) - x|, in the flow's own units; NaN where a direction is not offered.
        round_trip_float64: the same in double precision.
        log_det: largest |log_det - that of the Jacobian by automatic differentiation|, in double precision.
        cost_forward: of drawing, such as "1 pass".
        cost_inverse: of the density.
        boxes: layers of splines.
        conditions: linear layers.
        scored_per_second: rows.
        drawn_per_second: rows.
        note: what could not be computed, and why.
    """

    precision: str
    rows: int
    round_trip: float
    round_trip_float64: float
    log_det: float
    cost_forward: str
    cost_inverse: str
    boxes: list[LayerBox]
    conditions: list[LayerCondition]
    scored_per_second: float
    drawn_per_second: float
    note: str


@dataclass(frozen=True)
class Provenance:
    """What was fitted to what, and what this report is made of.

    Attributes:
        model: file name; "" for a model in memory.
        model_hash: SHA-256 of the file.
        model_version: the version that wrote it.
        parameters: how many numbers the flow has.
        architecture: its name.
        config: of the flow, as JSON.
        fit: the notes of the fit: rows, split, seed, options, machine, time, file and its hash, where they are kept.
        fit_command: repeats the fit; "" where it is not known.
        data: names of the files of the report's rows; empty for a table in memory.
        data_hash: SHA-256 of their bytes; "" for a table in memory.
        data_rows: rows of the table.
        rows: rows of it that the report is made of.
        subsampled: a sentence, where these are fewer.
        seed: of the report.
        command: repeats the report.
        made: time in ISO format, UTC.
        seconds: that it took.
        versions: of Python and of the libraries.
        machine: in words.
    """

    model: str
    model_hash: str
    model_version: str
    parameters: int
    architecture: str
    config: str
    fit: dict[str, Any]
    fit_command: str
    data: list[str]
    data_hash: str
    data_rows: int
    rows: int
    subsampled: str
    seed: int
    command: str
    made: str
    seconds: float
    versions: dict[str, str]
    machine: str


@dataclass(frozen=True)
class LearningCurve:
    """The course of the training, in nats per row.

    Attributes:
        step: of each evaluation; empty where the model file does not keep it.
        seconds: since the start.
        train: mean since the evaluation before, None before the first step.
        held_out: of the weights that would be kept.
        best_step: whose weights the model has; -1 if it is not known.
        stopped: why it ended.
    """

    step: list[int]
    seconds: list[float]
    train: list[float]
    held_out: list[float]
    best_step: int
    stopped: str


@dataclass(frozen=True)
class Points:
    """Rows and draws for pictures, at most 2,000 each and fewer of wide tables, as codes; rounded.

    Attributes:
        columns: the modeled columns that vary, then the given ones.
        data: (n, columns), None for a gap.
        draws: (m, columns).
        log_prob: (n,) of the rows.
        worst_first: columns in the order in which the classifier tells rows from draws by them.
    """

    columns: list[str]
    data: list[list[float | None]]
    draws: list[list[float | None]]
    log_prob: list[float]
    worst_first: list[str]


@dataclass(frozen=True)
class ModelReport:
    """All that a report knows; `pushforward.report` makes it.

    Attributes:
        title: of the page.
        columns: of the table, the modeled ones and then the given ones.
        oddest_note: which rows the oddest are of, in words.
    """

    title: str
    columns: list[ReportColumn]
    verdict: Verdict
    calibration: Calibration
    memorization: Memorization
    dependence: Dependence
    oddest: list[OddRow]
    oddest_note: str
    worst_regions: WorstRegions
    numerics: Numerics
    provenance: Provenance
    learning_curve: LearningCurve
    points: Points

    def to_dict(self) -> dict[str, Any]:
        """The report as dictionaries and lists."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The report as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def as_json(content: Any) -> str:
    """A dataclass of this module as JSON; NaN and infinite numbers become null.

    Example:
        >>> as_json(Estimate(1.0, math.nan))
        '{"value": 1.0, "error": null}'
    """
    return json.dumps(strict(dataclasses.asdict(content)), allow_nan=False, ensure_ascii=False)


def strict(value: Any) -> Any:
    """A value with None in place of NaN and infinite numbers."""
    if isinstance(value, dict):
        return {key: strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
