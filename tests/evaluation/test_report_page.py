"""The page of a report as a file: one file that asks for nothing, safe whatever the table holds, and pictures of it."""

import dataclasses
import json
import re
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from sample_report import report_of, table

import pushforward as pf
from pushforward.evaluation.plots.style import SAMPLES
from pushforward.evaluation.report import calibration
from pushforward.evaluation.report.contents import Calibration, Dependence, LearningCurve, Points, WorstRegions
from pushforward.evaluation.report.flow_figure import flow_figure
from pushforward.evaluation.report.page import page, write_page
from pushforward.evaluation.report.printed import pictures

SMALL = {"flow": "nice", "max_steps": 2, "progress": False}


@pytest.fixture(scope="module")
def model():
    return pf.fit_table(table(300, 4), **SMALL).model


@pytest.fixture(scope="module")
def report(model):
    return report_of(model, rows=120)


def embedded(text, name):
    return json.loads(
        re.search(f'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL).group(1)
    )


def test_the_page_says_the_verdict_first_and_holds_every_section(report, model, tmp_path):
    write_page(report, tmp_path / "report.html", model)
    text = (tmp_path / "report.html").read_text()
    sections = ["calibration", "memorization", "pictures", "flow-at-work", "oddest", "regions", "numerics"]
    places = [text.index(part) for part in ("<h1>", 'class="lead"', *(f'id="{name}"' for name in sections))]
    assert places == sorted(places)
    for sentence in report.verdict.sentences:
        assert sentence.replace('"', "&#34;") in text
    assert len(text) < 6e6


def test_nothing_in_the_page_is_fetched(report, model):
    text = page(report, model)
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", text)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|https?://", text)


def test_texts_of_the_table_are_never_markup(report):
    hostile = "</script><script>alert(1)</script>"
    columns = [dataclasses.replace(report.columns[0], name=hostile), *report.columns[1:]]
    points = dataclasses.replace(report.points, columns=[hostile, *report.points.columns[1:]], worst_first=[])
    text = page(dataclasses.replace(report, columns=columns, points=points, title=hostile))
    assert "alert(1)</script>" not in text
    assert embedded(text, "points")["columns"][0]["name"] == hostile


def test_without_a_model_the_flow_is_left_out(report):
    text = page(report)
    assert 'href="#flow-at-work"' not in text and 'id="flow"' not in text


def test_a_report_of_little_is_a_page_too(report):
    verdict = dataclasses.replace(report.verdict, baselines=[], two_sample=None, coverage=[], tests=[])
    little = dataclasses.replace(
        report,
        verdict=verdict,
        calibration=Calibration("", [], {}),
        dependence=Dependence([], 0, 0, [], [], [], [], [], []),
        memorization=dataclasses.replace(report.memorization, known=False, distance_edges=[], copies_of_draws=None),
        oddest=[],
        worst_regions=WorstRegions("", "There are too few rows.", []),
        learning_curve=LearningCurve([], [], [], [], -1, ""),
        points=Points(report.points.columns, [], [], [], []),
    )
    assert "No row stands out" in page(little)


def test_the_flow_of_the_page_is_the_model_and_its_rows_are_the_table(report, model):
    figure, note = flow_figure(model, report.points)
    assert note == ""
    assert [column["name"] for column in figure["columns"]] == ["east", "north", "speed", "season"]
    assert [column["plain"] for column in figure["columns"]] == [True, True, True, False]
    assert set(figure["columns"][3]["texts"]) == {"winter", "spring", "summer"}
    assert figure["rows"][0][0] == pytest.approx(report.points.data[0][0], rel=1e-6)
    assert figure["texts"][0][3] in {"winter", "spring", "summer"}


def test_a_conditional_flow_is_shown_with_the_contexts_of_its_rows():
    rows = table(300)
    model = pf.fit_table(rows, given=["north"], **SMALL).model
    points = Points(["east", "north"], model.encode(rows)[:40].tolist(), [], [], [])
    figure, _ = flow_figure(model, points)
    assert figure["given"] == ["north"] and len(figure["contexts"]) == 40
    assert figure["contexts"][0][0] == pytest.approx(points.data[0][1], rel=1e-6)


def test_a_model_that_is_no_single_flow_says_why_it_is_not_shown():
    model = pf.fit_table(table(200), arbitrary_conditions=True, max_steps=2, progress=False).model
    figure, note = flow_figure(model, Points(["east", "north"], [[1.0, 2.0]], [], [], []))
    assert figure is None and "any columns given any others" in note


@pytest.mark.parametrize("ending", ["pdf", pytest.param("png", marks=pytest.mark.slow)])
def test_pictures_for_paper(report, tmp_path, ending):
    write_page(report, tmp_path / f"report.{ending}")
    start = (tmp_path / f"report.{ending}").read_bytes()[:5]
    assert start.startswith({"pdf": b"%PDF", "png": b"\x89PNG"}[ending])


def test_figures_on_paper_are_alike_in_width_and_name_dates(report):
    dated = dataclasses.replace(
        report.columns[0], levels=["2024-01", "2024-02", "2024-03"], level_codes=[-1.0, 0.0, 1.0]
    )
    figures = pictures(dataclasses.replace(report, columns=[dated, *report.columns[1:]]))
    assert {figure.get_size_inches()[0] for figure in figures} == {10.0}
    named = [axes for figure in figures for axes in figure.axes if axes.get_title() == dated.name]
    assert [text.get_text() for text in named[0].get_xticklabels()] == ["2024-01", "2024-02", "2024-03"]


def test_lines_of_calibration_are_colored_where_the_page_finds_a_fault(report):
    figure = pf.plots.calibration(report)
    columns = sorted(report.calibration.columns, key=lambda column: column.adjusted)
    for axes, column in zip(figure.axes, columns, strict=True):
        assert (axes.lines[-1].get_color() == SAMPLES) == (column.shape != "calibrated")


def test_layers_of_clusters_are_shown():
    centers = np.random.default_rng(0).choice([-1000.0, 1000.0], 3000)[:, None]
    rows = centers + np.random.default_rng(1).normal(size=(3000, 2))
    model = pf.fit_table(rows, flow="nice", max_steps=2, progress=False).model
    figure, _ = flow_figure(model, Points(["0", "1"], [[1000.0, 1000.0]], [], [], []))
    assert figure is not None and figure["flow"]["features"] == 2


def test_a_layer_that_no_page_knows_is_said_in_a_sentence_for_readers():
    class Turned(pf.bijections.ElementwiseAffine):
        """A user's own map."""

    rows = np.random.default_rng(1).normal(size=(200, 2))
    model = pf.fit_table(rows, flow="nice", max_steps=2, progress=False).model
    model.flow.bijection = pf.Compose([Turned(torch.zeros(2), torch.ones(2)), model.flow.bijection])
    figure, note = flow_figure(model, Points(["0", "1"], [[1.0, 1.0]], [], [], []))
    assert figure is None
    assert note.endswith("not shown here. In Python, pf.plots.layers(model.flow) draws its layers.") and ";" not in note


def test_another_ending_is_refused(report, tmp_path):
    with pytest.raises(pf.InputError, match=r"\.html, \.pdf, \.png"):
        write_page(report, tmp_path / "report.docx")


def test_a_missing_library_is_named_with_what_installs_it(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(pf.InputError) as caught:
        page(report)
    assert str(caught.value) == 'A page needs jinja2, which is not installed: pip install "pushforward[report]".'


def test_figures_for_notebooks(report, model, tmp_path):
    figure = pf.plots.calibration(report, tmp_path / "calibration.png")
    assert len(figure.axes) == 4 and (tmp_path / "calibration.png").exists()
    figure = pf.plots.layers(model.flow, tmp_path / "layers.svg", pair=(0, 2), names=model.columns)
    assert figure.axes[-1].get_xlabel() == "east" and figure.axes[-1].get_ylabel() == "speed"
    with pytest.raises(pf.InputError, match="two of the features"):
        pf.plots.layers(model.flow, pair=(1, 1))


@pytest.mark.slow
def test_axes_of_dates_show_dates_and_levels_are_not_too_high():
    generator = np.random.default_rng(0)
    days = generator.normal(size=600)
    dates = np.datetime64("2021-06-01") + np.round(150 * days).astype(int)
    made = pa.table({"day": pa.array(dates.astype("datetime64[D]")), "x": days + generator.normal(size=600)})
    model = pf.fit_table(made.slice(0, 300), flow="nice", max_steps=2).model
    text = page(pf.report(model, made.slice(300), progress=False), model)
    # In the histogram, and in the corner plot.
    assert re.search(r'<text class="tick middle"[^>]*>202[01]-\d\d</text>', text)
    assert re.search(r'"texts":\["20(19|20|21)-\d\d"', text)


def test_only_what_has_an_order_is_too_high_or_too_wide():
    tests = calibration.tests_of(np.random.default_rng(0).beta(3, 1, 500))
    found = np.array([True, True, True])
    assert calibration.shape_of(tests, found) in ("too low", "too wide", "too wide in its tails")
    assert calibration.shape_of(tests, found, ordered=False) == "wrong in shape"
