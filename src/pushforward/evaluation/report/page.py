"""A report as one page that no request leaves, or as pictures on paper."""

from __future__ import annotations

import json
import math
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from pushforward.errors import InputError
from pushforward.evaluation.report.contents import BaselineScore, Dependence, Estimate, ModelReport, strict
from pushforward.evaluation.report.correction import LEVEL
from pushforward.evaluation.report.provenance import in_words
from pushforward.support.atomic import atomic_path
from pushforward.support.wording import counted, with_minus
from pushforward.table_models.model import TableModel

FORMATS = (".html", ".pdf", ".png")
# Columns beyond this are folded away; rows and columns of a matrix, and reasons of an odd row, are left out.
MOST_COLUMNS, MOST_IN_MATRIX, MOST_REASONS = 12, 12, 3
SCRIPTS = ("draw.js", "corner.js", "layers_view.js", "rows_view.js", "page.js")
SECTIONS = (
    ("verdict", "Verdict"),
    ("calibration", "Calibration"),
    ("memorization", "Memorization"),
    ("pictures", "Data against draws"),
    ("flow-at-work", "The flow at work"),
    ("oddest", "Oddest rows"),
    ("regions", "Worst regions"),
    ("numerics", "Numerics"),
    ("provenance", "Provenance"),
)


def write_page(
    report: ModelReport, path: str | os.PathLike[str], model: TableModel | str | os.PathLike[str] | None = None
) -> None:
    """Write a report as a page for a browser, or as pictures, by the ending of its file.

    Arguments:
        report: what `pushforward.report` found.
        path: ends in .html, .pdf or .png.
        model: or its file, whose flow the page shows at work; default none, and that section is left out.

    Raises:
        InputError: another ending, or a library that is not installed.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"A report is written to a file that ends in {', '.join(FORMATS)}, not {path.name}.")
    if ending == ".html":
        loaded = model if model is None or isinstance(model, TableModel) else TableModel.load(model)
        text = page(report, loaded)
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return
    # Imported here: matplotlib takes a second, and a page needs none of it.
    from pushforward.evaluation.report.printed import write_pictures

    write_pictures(report, path)


def page(report: ModelReport, model: TableModel | None = None) -> str:
    """The page as text; arguments as for `write_page`."""
    environment = _environment()
    # Imported after it: charts need the library that the message is about.
    from pushforward.evaluation.report.flow_figure import LATENTS, flow_figure
    from pushforward.exports.javascript import evaluator

    figure, note = (None, "") if model is None else flow_figure(model, report.points)
    assets = files("pushforward.evaluation.report").joinpath("assets")
    scripts = [evaluator(), *(assets.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)]
    hidden = set() if figure or note else {"flow-at-work"}
    return environment.get_template("page.html.j2").render(
        report=report,
        subtitle=_subtitle(report),
        sections=[section for section in SECTIONS if section[0] not in hidden],
        best=_best(report.verdict.baselines),
        charts=_charts(report),
        matrices=_matrices(report.dependence),
        most_columns=MOST_COLUMNS,
        most_reasons=MOST_REASONS,
        points=_embedded(_points(report, figure)),
        figure=None if figure is None else _embedded(figure),
        figure_note=note,
        latents=LATENTS,
        more_than_two=figure is not None and len(figure["columns"]) > 2,
        given=" and ".join(figure["given"]) if figure else "",
        row_names=[", ".join(texts) for texts in figure["texts"]] if figure else [],
        odd_columns=[column.name for column in report.columns if column.role != "constant"],
        fit_notes=[(key.replace("_", " "), in_words(value)) for key, value in report.provenance.fit.items() if value],
        style=environment.raw(assets.joinpath("page.css").read_text(encoding="utf-8")),
        scripts=[environment.raw(script) for script in scripts],
    )


def _environment() -> Any:
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise InputError('A page needs jinja2, which is not installed: pip install "pushforward[report]".') from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pushforward.evaluation.report", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = (_estimate, _signed, _percent, _p, _p_is, _sentence, _number, _count, _rows)
    environment.filters.update({one.__name__[1:]: one for one in filters})
    environment.raw = markupsafe.Markup  # type: ignore[attr-defined]
    return environment


def _charts(report: ModelReport) -> dict[str, Any]:
    from pushforward.evaluation.report import charts

    verdict, memory, curve = report.verdict, report.memorization, report.learning_curve
    axes = {column.name: (column.level_codes, column.levels) for column in report.columns if column.levels}
    differences = [(one.name, one.difference.value, one.difference.error) for one in verdict.baselines]
    sample = verdict.two_sample
    lost = [] if sample is None else list(zip(sample.columns, sample.importance, strict=True))[:MOST_COLUMNS]
    return {
        "baselines": charts.intervals(differences, "gain in nats per row, ± 2 standard errors"),
        "importance": charts.intervals([(name, value, 0.0) for name, value in lost], "accuracy lost"),
        "calibration": [
            (column, charts.calibration_curve(column), charts.calibration_bars(column))
            for column in sorted(report.calibration.columns, key=lambda column: column.adjusted)
        ],
        "distances": charts.distance_chart(memory) if memory.distance_edges else "",
        "marginals": [
            (marginal, charts.marginal_chart(marginal, axes.get(marginal.column)))
            for marginal in sorted(report.dependence.marginals, key=lambda marginal: marginal.adjusted)
        ],
        "learning": charts.learning_chart(curve) if curve.step else "",
    }


def _best(baselines: list[BaselineScore]) -> BaselineScore | None:
    return max(baselines, key=lambda one: one.nats.value, default=None)


def _subtitle(report: ModelReport) -> str:
    origin = report.provenance
    model = origin.model or "a model in memory"
    data = ", ".join(origin.data) or "a table in memory"
    return f"{model} on {_rows(origin.rows)} of {data}; {origin.made[:10]}"


def _points(report: ModelReport, figure: dict[str, Any] | None) -> dict[str, Any]:
    """The rows and draws of the corner plot, and how to read its axes."""
    points, kinds = report.points, {column.name: column for column in report.columns}
    columns = []
    for name in points.columns:
        kind = kinds[name]
        column: dict[str, Any] = {"name": name, "plain": True, "discrete": kind.discrete}
        if kind.levels:
            column |= {"plain": False, "at": kind.level_codes, "texts": kind.levels}
        columns.append(column)
    first = [points.columns.index(name) for name in points.worst_first if name in points.columns]
    first += [place for place in range(len(columns)) if place not in first]
    shortened = [[[_short(value) for value in row] for row in part] for part in (points.data, points.draws)]
    return {"columns": columns, "rows": shortened[0], "draws": shortened[1], "first": first}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")


def _embedded(content: Any) -> Any:
    """JSON within a page: no text of the data can end its element."""
    from markupsafe import Markup

    text = json.dumps(strict(content), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _matrices(dependence: Dependence) -> dict[str, Any] | None:
    """Rank correlations as three tables, of the columns with the most significant differences."""
    count = len(dependence.columns)
    if count < 2:
        return None
    least = [min((dependence.adjusted[a][b] for b in range(count) if b != a), default=1.0) for a in range(count)]
    chosen = sorted(sorted(range(count), key=lambda place: least[place])[:MOST_IN_MATRIX])
    note = "" if count <= MOST_IN_MATRIX else f"The {MOST_IN_MATRIX} of {count} columns that differ most are shown."
    parts = {"Data": dependence.data, "Model": dependence.draws, "Difference": dependence.difference}
    tables = []
    for name, values in parts.items():
        scale = 0.2 if name == "Difference" else 1.0
        rows = [[_cell(dependence, name, values, a, b, scale) for b in chosen] for a in chosen]
        tables.append((name, rows))
    return {"columns": [dependence.columns[place] for place in chosen], "note": note, "parts": tables}


def _cell(dependence: Dependence, name: str, values: list[list[float]], a: int, b: int, scale: float) -> dict[str, Any]:
    value = values[a][b]
    if a == b or not math.isfinite(value):
        return {"text": "", "style": "", "tip": "", "strong": False}
    color = "var(--data)" if value > 0 else "var(--model)"
    share = round(100 * min(1.0, abs(value) / scale) * 0.55)
    pair = f"{dependence.columns[a]}, {dependence.columns[b]}"
    tip = f"{pair}: {with_minus(f'{value:+.3f}')}"
    if name == "Difference":
        tip += f" ± {dependence.error[a][b]:.3f}, {_p_is(dependence.adjusted[a][b])}"
    return {
        "text": "0" if abs(value) < 0.005 else with_minus(f"{value:.2f}").replace("0.", ".", 1),
        "style": f"background: color-mix(in srgb, {color} {share}%, transparent)",
        "tip": tip,
        "strong": name == "Difference" and dependence.adjusted[a][b] < LEVEL,
    }


# Numbers as texts.


def _estimate(value: Estimate) -> Any:
    from markupsafe import Markup

    number, _, error = str(value).partition(" ± ")
    return Markup(f"{number} <small>± {error}</small>" if error else number)


def _signed(value: Estimate) -> Any:
    from markupsafe import Markup

    return Markup("+" if value.value > 0 else "") + _estimate(value)


def _percent(value: Estimate) -> Any:
    from markupsafe import Markup

    return _estimate(Estimate(100 * value.value, 100 * value.error)) + Markup("\u202f%")


def _p(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return "<\u202f0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def _p_is(value: float | None) -> str:
    text = _p(value)
    return "" if text == "–" else f"p {text}" if text.startswith("<") else f"p = {text}"


def _number(value: float | None) -> str:
    from pushforward.evaluation.report.charts import number

    return number(value, 3)


def _sentence(text: str) -> str:
    """A text that begins and ends as a sentence does."""
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".?!" else f"{text}."


def _count(value: float) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{round(value):,}"


def _rows(count: int) -> str:
    return counted(count, "row")
