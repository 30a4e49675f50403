"""A report on a fitted density: all sections, from one pass over the rows of a table."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.evaluation.report import dependence, tests
from pushforward.evaluation.report.calibration import calibration_of, column_tests
from pushforward.evaluation.report.contents import (
    Estimate,
    ModelReport,
    Points,
    ReportColumn,
    Verdict,
    WorstRegions,
)
from pushforward.evaluation.report.coverage import coverage, coverage_test, crps, density_ranks
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.marginals import marginals, texts_of
from pushforward.evaluation.report.memorization import memorization, with_verdict
from pushforward.evaluation.report.numerics import numerics
from pushforward.evaluation.report.oddest import OddestOfTable
from pushforward.evaluation.report.provenance import learning_curve, provenance
from pushforward.evaluation.report.references import References, references
from pushforward.evaluation.report.regions import worst_regions
from pushforward.evaluation.report.sampled_rows import SampledRows, sample_rows
from pushforward.evaluation.report.sentences import sentences
from pushforward.evaluation.report.trained_on import CopiesOfTrainingRows, RowsTrainedOn, trained_on, without
from pushforward.evaluation.report.transforms import transforms
from pushforward.evaluation.report.two_sample import two_sample_test
from pushforward.evaluation.report.unseen import sentence_of, unseen_values
from pushforward.support.arguments import check_seed
from pushforward.support.progress import progress as progress_bar
from pushforward.support.seeding import stream
from pushforward.support.wording import counted
from pushforward.table_models.model import TableModel

ROWS, MOST_LEVELS = 5000, 60
# Rows and draws that are kept for pictures, and how many numbers of each at most.
MOST_POINTS, FEWEST_POINTS, MOST_NUMBERS = 2000, 200, 100_000
# Rows of a training table that are looked at.
TRAINING_ROWS = 50_000
NONE_NEW = "The rows of the report were trained on: there are no new ones that draws could be compared with."
# Points of an axis of dates, and how they are written where so many days lie between the outermost.
AXIS_POINTS = 65
AXIS_FORMS = ((3000, "%Y"), (120, "%Y-%m"), (4, "%m-%d"))


def report(
    model: TableModel | str | os.PathLike[str],
    data: Any,
    *,
    train: Any = None,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> ModelReport:
    """Judge a fitted density by rows that it was not trained on: whether it is good, where it is wrong, and why.

    The report compares the log-densities of rows with those under simpler references, rows with draws, and each value
    with its distribution given others; every test is exact or nearly so where the model is right, and all are corrected
    together. `docs/report.md` says what each number means.

    Arguments:
        model: what `fit_table` made, or the path of its file.
        data: rows with the model's columns, not those that it was trained on: a data frame, a table of pyarrow, or what
            names a table outside memory.
        train: rows that it was trained on, in the same forms, for `memorization`, and for the references to be fitted
            to; default none.
        rows: most rows that are looked at, chosen by the seed, at least 20; default 5000.
        seed: of that choice, and of all draws; default 0.
        progress: whether to show a bar on standard error for work of more than two seconds; default True.

    Returns:
        The report: `report.verdict.sentences`, `report.to_json()`, and more in
        `pushforward.evaluation.report.contents`.

    Raises:
        InputError: a table without the model's columns or with fewer than 20 rows, a value that is not of its column's
            kind, or a file that is not the model of a table.

    Example:
        >>> import pushforward as pf
        >>> table = np.random.default_rng(0).normal(size=(400, 2))
        >>> model = pf.fit_table(table[:300], flow="nice", max_steps=20).model
        >>> found = pf.report(model, table[300:])
        >>> found.verdict.rows, found.verdict.trained_on.share
        (100, 0.0)
    """
    start = time.monotonic()
    check_seed(seed)
    if rows < 20:
        raise InputError(f"a report needs at least 20 rows, not {rows}.")
    path = None if isinstance(model, TableModel) else os.fspath(model)
    loaded = model if isinstance(model, TableModel) else TableModel.load(model)
    with progress_bar("reporting", not progress) as bar:
        parts, oddest = _Parts(bar), OddestOfTable(loaded)
        sampled, known, trained = _read(loaded, data, train, rows, seed, parts, oddest)
        made = _Builder(loaded, sampled, known, seed, parts).build()
        if train is not None and trained:
            made["memorization"] = dataclasses.replace(made["memorization"], sentence=NONE_NEW)
        made["oddest"] = oddest.explained(parts("oddest rows", 0.1))
        made["oddest_note"] = oddest.note(made["verdict"].trained_on)
    return ModelReport(
        title=f"Report on {os.path.basename(path) if path else 'a model'}",
        columns=_columns(loaded, sampled.codes),
        **made,
        provenance=provenance(loaded, path, sampled, seed, rows, round(time.monotonic() - start, 3)),
        learning_curve=learning_curve(loaded),
    )


def _read(
    model: TableModel, data: Any, train: Any, rows: int, seed: int, parts: _Parts, oddest: OddestOfTable
) -> tuple[SampledRows, np.ndarray | None, bool]:
    """The rows of a report, codes of training rows to compare with, and whether all rows were trained on."""
    own = RowsTrainedOn(model)

    def watch(first: int, batch: Any, codes: np.ndarray) -> None:
        oddest.add(first, batch, codes)
        own.add(codes)

    sampled = sample_rows(model, data, rows, seed, parts("reading", 0.3), watch=watch)
    copies, known = CopiesOfTrainingRows(model, sampled), own.codes if sampled.held_out is not None else None
    if train is not None:
        step = parts("reading", 0.05)
        found = sample_rows(model, train, TRAINING_ROWS, seed, step, watch=copies.add, held_out=False)
        copies.compare(found)
        known = found.codes[found.seen]
    if known is not None and sampled.held_out is not None:
        known = without(known, sampled.codes)
    known, sampled = None if copies.trained else known, copies.new
    if not sampled.seen.sum() >= 20:
        unseen = counted(int((~sampled.seen).sum()), "row")
        raise InputError(
            f"{unseen} of {len(sampled.codes):,} hold values that the model has never seen, and too few others are "
            f"left for a report. {sentence_of(unseen_values(model, sampled), f' in the table{sampled.file}')}"
        )
    return sampled, known, copies.trained


class _Parts:
    """Divides a progress bar among parts of the work."""

    def __init__(self, bar: Callable[[float], None]) -> None:
        self.bar, self.done = bar, 0.0

    def __call__(self, name: str, share: float) -> Callable[[float], None]:
        """A function that takes the share of the next part that is done."""
        start = self.done
        self.done += share
        self.bar(min(start, 1.0))
        return lambda part: self.bar(min(1.0, start + share * part))


class _Builder:
    """Makes the sections of a report, of rows that the model has a density for."""

    def __init__(
        self, model: TableModel, sampled: SampledRows, known: np.ndarray | None, seed: int, parts: _Parts
    ) -> None:
        self.model, self.sampled, self.seed, self.parts = model, sampled, seed, parts
        seen, of_draws = sampled.seen, self._seed("draws")
        evidence = Evidence(model, sampled.codes[seen], of_draws)
        # Rows too far away for any density count as unseen.
        finite = np.isfinite(evidence.log_prob)
        self.evidence = evidence if finite.all() else Evidence(model, sampled.codes[seen][finite], of_draws)
        self.unseen = len(sampled.codes) - len(self.evidence.codes)
        self.train = known

    def build(self) -> dict[str, Any]:
        """All sections but those about files."""
        evidence, parts = self.evidence, self.parts
        compared = references(evidence, self.train, self._seed("references"), parts("references", 0.15))
        two_samples = self._two_sample()
        parts("transforms", 0.0)
        found = transforms(evidence, parts("calibration", 0.3))
        pits, of_columns = column_tests(found, self._seed("calibration"))
        names, pairs = self._correlations()
        alone, of_marginals = marginals(evidence, self._seed("marginals"))
        kept = None if self.model.record is None else self.model.record.training_rows
        learned = memorization(evidence, self.train, kept, self._seed("memorization"))
        parts("coverage", 0.05)
        ranks, draws = density_ranks(evidence, self._seed("coverage"))
        regions = coverage(ranks, draws, evidence.alike)
        shown = {one.level: one.share.value for one in regions if one.level in (0.5, 0.95)}
        made = tests.corrected(
            [
                *tests.of_memorization(learned),
                *tests.of_two_samples(two_samples),
                *tests.of_coverage(len(ranks), *coverage_test(evidence, ranks), shown),
                *tests.of_calibration(of_columns, pits),
                *tests.of_marginals(alone, of_marginals),
                *tests.of_dependence(names, pairs),
            ]
        )
        adjusted = tests.adjusted_of(made)
        ordered = {name for name, kind in self.model.schema.items() if kind.measured and not kind.circular}
        calibration = calibration_of(found, pits, of_columns, adjusted, ordered)
        made = tests.with_calibration(made, calibration, of_columns)
        verdict = self._verdict(compared, two_samples, regions, made)
        worst = WorstRegions("", "There is no reference to compare with.", [])
        if compared.best:
            worst = worst_regions(evidence, compared.best, compared.log_prob[compared.best], self._seed("regions"))
        return {
            "verdict": verdict,
            "calibration": calibration,
            "memorization": with_verdict(learned, adjusted.get(("memorization", ""), math.nan)),
            "dependence": tests.matrices(names, pairs, tests.with_corrected(alone, adjusted), adjusted),
            "worst_regions": worst,
            "numerics": numerics(evidence),
            "points": self._points(two_samples.columns if two_samples else []),
        }

    def _seed(self, purpose: str) -> int:
        """A seed of its own for each part, which no other part and no other command draws by."""
        return stream(self.seed, f"report: {purpose}")

    def _two_sample(self) -> Any:
        evidence = self.evidence
        names = [*self.model.roles.modeled, *self.model.roles.conditioned]
        conditions = evidence.conditions
        data, draws = (np.concatenate([part, conditions], 1) for part in (evidence.features, evidence.drawn_features))
        return two_sample_test(data, draws, names, paired=not evidence.alike, seed=self._seed("classifier"))

    def _correlations(self) -> tuple[list[str], dependence.Correlations]:
        """The rank correlations of columns with an order, the modeled ones and then the given ones."""
        roles, evidence = self.model.roles, self.evidence
        every = [*roles.modeled, *roles.conditioned]
        names = [name for name in every if self.model.schema[name].measured][: dependence.MOST_COLUMNS]
        places = [self.model.names.index(name) for name in names]
        data, draws = evidence.codes[:, places], evidence.many_draws[:, :, places]
        return names, dependence.correlations(data, draws, self._seed("dependence"))

    def _verdict(self, compared: References, two_samples: Any, regions: list[Any], made: list[Any]) -> Verdict:
        evidence = self.evidence
        nats = Estimate(*mean_and_standard_error(evidence.log_prob))
        baselines = compared.scores(evidence.log_prob)
        known, rows = trained_on(self.model, self.sampled), len(evidence.codes)
        never = unseen_values(self.model, self.sampled)
        return Verdict(
            sentences=sentences(rows, self.unseen, nats, baselines, made, tests.LEVEL, known, never),
            rows=rows,
            nats=nats,
            unseen=self.unseen,
            unseen_values=never,
            meaning=self.model.meaning,
            baselines=baselines,
            baseline_note=compared.note,
            two_sample=two_samples,
            coverage=regions,
            crps=crps(evidence),
            tests=made,
            level=tests.LEVEL,
            correction=tests.correction(len(made)),
            trained_on=known,
        )

    def _points(self, worst_first: list[str]) -> Points:
        roles, evidence = self.model.roles, self.evidence
        names = [*roles.modeled, *roles.conditioned]
        places = [self.model.names.index(name) for name in names]
        count = min(MOST_POINTS, max(FEWEST_POINTS, MOST_NUMBERS // len(names)))
        both = np.stack([part[:count][:, places] for part in (evidence.codes, evidence.draws)])
        rows, draws = _shortened(both)
        log_prob = np.round(evidence.log_prob[:count], 6).tolist()
        return Points(names, _with_none(rows), _with_none(draws), log_prob, worst_first)


def _shortened(rows: np.ndarray) -> np.ndarray:
    """Rows, (2, n, columns), rounded to a millionth of the spread of their column, which no picture shows."""
    spread = np.nanstd(rows, axis=(0, 1))
    places = 6 - np.floor(np.log10(np.where(spread > 0, spread, 1.0))).astype(int)
    rounded = [np.round(column, place) for column, place in zip(np.moveaxis(rows, 2, 0), places.tolist(), strict=True)]
    return np.stack(rounded, axis=2)


def _with_none(rows: np.ndarray) -> list[list[float | None]]:
    return [[None if value != value else value for value in row] for row in rows.tolist()]


def _moments(model: TableModel, name: str, codes: np.ndarray) -> tuple[list[float], list[str]]:
    """Evenly spaced codes of dates or times, and texts as short as the time between the outermost lets them be."""
    codes = codes[np.isfinite(codes)]
    if not len(codes):
        return [], []
    low, high = np.quantile(codes, [0.001, 0.999])
    shown = np.unique(np.round(np.linspace(low, high, AXIS_POINTS)))
    values = model.decode(shown[:, None], columns=[name]).column(0).to_pylist()
    days = (values[-1] - values[0]).days
    form = next((form for least, form in AXIS_FORMS if days >= least), "%H:%M")
    return shown.tolist(), [value.strftime(form) for value in values]


def _columns(model: TableModel, rows: np.ndarray) -> list[ReportColumn]:
    roles, found = model.roles, []
    for name in [*roles.columns, *roles.given]:
        kind = model.schema[name]
        role = "given" if name in roles.given else "modeled" if kind.modeled else "constant"
        codes = kind.all_codes()
        levels: list[str] = []
        if codes is not None and len(codes) <= MOST_LEVELS:
            with contextlib.suppress(InputError):
                levels = texts_of(model, name, codes)
        shown = [] if codes is None or not levels else codes.tolist()
        if kind.modeled and kind.measured and not kind.numeric and not levels:
            shown, levels = _moments(model, name, rows[:, model.names.index(name)])
        found.append(ReportColumn(name, role, kind.kind, kind.describe(), kind.discrete, levels, shown))
    return found
