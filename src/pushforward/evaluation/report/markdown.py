"""A report as Markdown: the numbers as tables, without pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pushforward.evaluation.report.contents import ModelReport
from pushforward.evaluation.report.provenance import in_words
from pushforward.support.wording import p_value_is, percent, with_minus

MOST_TESTS = 40
NORMAL_SCORES = "Mean and deviation are of the normal scores Φ⁻¹(transform)."


def as_markdown(report: ModelReport) -> str:
    """The report as Markdown."""
    parts = [f"# {report.title}", *_verdict(report), *_tests(report), *_calibration(report), *_memorization(report)]
    parts += [*_dependence(report), *_rows(report), *_numerics(report), *_provenance(report)]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table of Markdown.

    Example:
        >>> print(table(["x", "y"], [[1, "a|b"]]))
        | x | y |
        |---|---|
        | 1 | a\|b |
    """
    lines = [head, *rows]
    shown = [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "---|" * len(head), *shown[1:]])


def _number(value: float, digits: int = 3) -> str:
    return "" if not math.isfinite(value) else with_minus(f"{value:.{digits}g}")


def _p_value(value: float) -> str:
    return "" if not math.isfinite(value) else p_value_is(value).removeprefix("p-value ")


def _verdict(report: ModelReport) -> list[str]:
    verdict = report.verdict
    parts = ["## Verdict", "\n".join(f"- {sentence}" for sentence in verdict.sentences)]
    if report.provenance.subsampled:
        parts.append(report.provenance.subsampled)
    rows: list[list[object]] = [["this model", verdict.nats, "", ""]]
    rows += [[one.name, one.nats, one.difference, one.detail] for one in verdict.baselines]
    parts.append(table(["density", "nats per row", "the model's gain", ""], rows))
    parts.append(f"Log-densities are of {verdict.meaning}. {verdict.baseline_note}.")
    if verdict.two_sample is not None:
        parts.append(
            f"Classifier two-sample test: accuracy {verdict.two_sample.accuracy} (1/2 cannot be told apart) on "
            f"{verdict.two_sample.rows:,} rows and as many draws that it was not trained on, "
            f"{p_value_is(verdict.two_sample.p_value)}."
        )
    covered = [[f"{one.level:.0%}", one.share] for one in verdict.coverage]
    parts.append(table(["region of highest density", "share of rows in it"], covered))
    if verdict.crps is not None:
        parts.append(f"Continuous ranked probability score: {verdict.crps}.")
    return parts


def _tests(report: ModelReport) -> list[str]:
    made = sorted(report.verdict.tests, key=lambda one: (one.adjusted, one.p_value))
    rows = [
        [one.name, one.subject, f"{one.rows:,}", _number(one.statistic), _p_value(one.p_value), _p_value(one.adjusted),
         one.finding]
        for one in made[:MOST_TESTS]
    ]  # fmt: skip
    more = [f"{len(made) - MOST_TESTS} further tests find nothing."] if len(made) > MOST_TESTS else []
    head = ["test", "of", "rows", "statistic", "p-value", "corrected", "finding"]
    correction = report.verdict.correction
    return ["## Tests", f"{correction[0].upper()}{correction[1:]}.", table(head, rows), *more]


def _calibration(report: ModelReport) -> list[str]:
    found = report.calibration
    rows = [
        [
            one.column,
            one.shape,
            one.rows,
            _number(one.mean),
            _number(one.spread),
            one.lower_tail,
            one.upper_tail,
            one.conditions,
        ]
        for one in found.columns
    ]
    head = ["column", "", "rows", "mean (0)", "deviation (1)", "below 2.5 %", "above 97.5 %", "given"]
    left = [f"{name}: {why}." for name, why in found.left_out.items()]
    return ["## Calibration", f"{found.method[0].upper()}{found.method[1:]}.", table(head, rows), NORMAL_SCORES, *left]


def _memorization(report: ModelReport) -> list[str]:
    return ["## Memorization", report.memorization.sentence]


def _dependence(report: ModelReport) -> list[str]:
    found = report.dependence
    pairs = [
        (i, j) for i in range(len(found.columns)) for j in range(i + 1, len(found.columns))
        if math.isfinite(found.difference[i][j])
    ]  # fmt: skip
    pairs.sort(key=lambda pair: -abs(found.difference[pair[0]][pair[1]]) / (found.error[pair[0]][pair[1]] or math.inf))
    rows = [
        [found.columns[i], found.columns[j],
         *(with_minus(f"{part[i][j]:+.3f}") for part in (found.data, found.draws)),
         with_minus(f"{found.difference[i][j]:+.3f} ± {found.error[i][j]:.3f}")]
        for i, j in pairs[:10]
    ]  # fmt: skip
    gaps = [one for one in found.marginals if one.gaps_data.value or one.gaps_draws.value]
    of_gaps = [
        table(["column", "gaps in the data", "in draws"], [[one.column, one.gaps_data, one.gaps_draws] for one in gaps])
    ]
    return [
        "## Dependence",
        f"Rank correlations of pairs, of {found.rows:,} rows and {found.drawn:,} draws, those that differ most first.",
        table(["", "", "data", "draws", "difference"], rows), *(of_gaps if gaps else []),
    ]  # fmt: skip


def _rows(report: ModelReport) -> list[str]:
    odd = "\n".join(f"{place}. {one.sentence}" for place, one in enumerate(report.oddest, 1))
    worst = report.worst_regions
    rows = [[one.rule, one.rows, one.difference, one.from_rest, _p_value(one.p_value)] for one in worst.regions[:5]]
    head = ["region", "rows", f"gain over {worst.reference}", "less elsewhere", "p-value"]
    of_regions = [table(head, rows)] if rows else []
    return ["## Oddest rows", report.oddest_note, odd, "## Worst regions", worst.note, *of_regions]


def _numerics(report: ModelReport) -> list[str]:
    found = report.numerics
    rows = [
        ["precision", found.precision],
        ["round trip, in standard deviations", _number(found.round_trip)],
        ["round trip in double precision", _number(found.round_trip_float64)],
        ["log-determinant against automatic differentiation", _number(found.log_det)],
        ["cost of a draw", found.cost_forward],
        ["cost of a density", found.cost_inverse],
        ["rows scored per second", f"{found.scored_per_second:,.0f}"],
        ["rows drawn per second", f"{found.drawn_per_second:,.0f}"],
        *([f"values outside the box of {one.layer}", percent(one.outside)] for one in found.boxes),
        *([f"condition of {one.layer}", _number(one.condition)] for one in found.conditions),
    ]
    return ["## Numerics", table(["", ""], rows), *([found.note] if found.note else [])]


def _provenance(report: ModelReport) -> list[str]:
    found = report.provenance
    rows = [
        ["model", found.model], ["SHA-256 of the model", found.model_hash], ["architecture", found.architecture],
        ["parameters", f"{found.parameters:,}"], ["written by version", found.model_version],
        ["fitted by", f"`{found.fit_command}`" if found.fit_command else ""],
        ["rows of the fit", in_words(found.fit.get("rows", ""))],
        ["files of the fit", ", ".join(found.fit.get("files", []))],
        ["SHA-256 of these", found.fit.get("data_hash", "")], ["fitted on", found.fit.get("machine", "")],
        ["at", found.fit.get("started", "")], ["data", ", ".join(found.data)], ["SHA-256 of the data", found.data_hash],
        ["rows of the report", f"{found.rows:,} of {found.data_rows:,}"], ["seed", found.seed],
        ["report by", f"`{found.command}`" if found.command else ""], ["made", found.made],
        ["seconds", found.seconds], ["machine", found.machine],
        ["versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())],
    ]  # fmt: skip
    return ["## Provenance", table(["", ""], [row for row in rows if row[1] != ""])]
