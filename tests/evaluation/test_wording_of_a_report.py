"""Small things that a report says: signs, counts of one, p-values of nothing, the start of a training, commands."""

import dataclasses
import math
import re

import numpy as np
import pyarrow as pa
import pytest
from normal_models import COVARIANCE, normal_model, rows_of, table
from sample_report import report_of
from sample_report import table as moons

import pushforward as pf
from pushforward.evaluation.report import charts
from pushforward.evaluation.report.contents import Estimate, LearningCurve
from pushforward.evaluation.report.markdown import as_markdown
from pushforward.evaluation.report.page import page
from pushforward.evaluation.report.provenance import learning_curve, provenance
from pushforward.evaluation.report.sampled_rows import sample_rows

# A hyphen in front of a number, as no word, date or power of ten has one.
HYPHEN = re.compile(r"(?<![\w.-])-(?=[\d.])")


@pytest.fixture(scope="module")
def model():
    return pf.fit_table(moons(300, 4), flow="nice", max_steps=2).model


@pytest.fixture(scope="module")
def report(model):
    return report_of(model, rows=120)


@pytest.fixture(scope="module")
def faulty():
    """A report whose sentences have negative numbers of every kind."""
    turned = COVARIANCE.copy()
    turned[0, 1] = turned[1, 0] = -0.6
    return pf.report(normal_model(), table(rows_of(600, 5, turned) - [0.5, 0, 0]), progress=False)


@pytest.mark.slow
def test_sentences_have_a_minus_sign_as_cards_do(faulty):
    said = [*faulty.verdict.sentences, *(test.finding for test in faulty.verdict.tests), faulty.memorization.sentence]
    assert any("−" in sentence for sentence in said)
    assert not any(HYPHEN.search(sentence) for sentence in said)
    text = as_markdown(faulty).split("## Oddest")[0]
    assert "−" in text and not HYPHEN.search(text)
    drifted = pf.drift(normal_model(), table(rows_of(100, 6)), table(rows_of(100, 7)), progress=False)
    compared = pf.compare(normal_model(), normal_model(np.eye(3)), table(rows_of(100, 6)), progress=False)
    assert not any(HYPHEN.search(sentence) for sentence in [*drifted.sentences, *compared.sentences])
    assert str(Estimate(-0.25, math.nan)) == "−0.25"


@pytest.mark.slow
def test_no_p_value_is_zero(faulty):
    assert min(test.p_value for test in faulty.verdict.tests) < 1e-30
    tests = [dataclasses.replace(test, p_value=0.0, adjusted=0.0) for test in faulty.verdict.tests]
    verdict = dataclasses.replace(faulty.verdict, tests=tests)
    text = as_markdown(dataclasses.replace(faulty, verdict=verdict))
    assert text.count("| < 1e-300 | < 1e-300 |") == len(tests)
    far = pf.drift(normal_model(), table(rows_of(3000, 8)), table(rows_of(3000, 9) + 50), progress=False)
    assert far.p_value == 0.0 and "p-value < 1e-300" in far.sentences[0]


def test_a_training_that_never_improved_on_its_start_says_so(report):
    curve = LearningCurve(
        [0, 50, 100], [0.0, 1.0, 2.0], [math.nan, -1.0, -0.9], [-1.0, -1.1, -1.2], 0, "early stopping"
    )
    assert "kept: the start" in charts.learning_chart(curve)
    text = page(dataclasses.replace(report, learning_curve=curve))
    assert "It never improved on the start, which is the model." in text
    later = dataclasses.replace(curve, best_step=1000)
    assert "kept: step 1,000" in charts.learning_chart(later)
    assert "never improved" not in page(dataclasses.replace(report, learning_curve=later))


def test_one_row_is_one_row(report):
    numerics = dataclasses.replace(report.numerics, rows=1)
    first = report.verdict.two_sample
    verdict = dataclasses.replace(report.verdict, rows=1, two_sample=dataclasses.replace(first, rows=1))
    origin = dataclasses.replace(report.provenance, rows=1)
    text = page(dataclasses.replace(report, verdict=verdict, numerics=numerics, provenance=origin))
    assert "of 1 row:" in text and "of 1 row and as many draws" in text and "on 1 row of" in text
    assert not re.search(r"\b1 rows\b(?! of)", text)
    with pytest.raises(pf.InputError, match="has 1 row, too few"):
        sample_rows(normal_model(), table(rows_of(1, 0)), 10, 0)


def test_the_page_says_how_many_rows_each_test_saw(report):
    text = page(report)
    assert "of 60 rows and as many draws are told apart by a classifier that was trained on others" in text
    assert "The classifier was trained on 60 rows and as many draws" in text
    assert "Each column by itself, 120 rows against 120 draws, where they have a value." in text
    assert "Rank correlations (Spearman) of 120 rows and 120 draws." in text
    assert '<th scope="col">rows</th><th scope="col">statistic</th>' in text
    markdown = as_markdown(report)
    assert "| test | of | rows | statistic |" in markdown and "| two-sample |  | 60 |" in markdown


def test_provenance_names_the_file_of_the_model_and_has_no_python(model, report, tmp_path):
    record = dataclasses.replace(
        model.record,
        origin={"command": "pushforward fit moons.csv --seed 3 -o model.safetensors", "files": ["moons.csv"]},
    )
    known = dataclasses.replace(model, record=record)
    path = tmp_path / "of moons.safetensors"
    known.save(path)
    origin = provenance(known, str(path), sample_rows(known, moons(60, 4, seed=1), 60, 0), 0, 60, 1.0)
    assert origin.fit_command == "pushforward fit moons.csv --seed 3 -o 'of moons.safetensors'"
    made = dataclasses.replace(report, provenance=origin, learning_curve=learning_curve(known))
    text = as_markdown(made)
    assert (
        "of moons.safetensors'`" in text
        and "-o model.safetensors" not in text
        and "-o model.safetensors" not in page(made)
    )
    assert "| rows of the fit | training 270, held out 30 |" in text
    assert not re.search(r"\{'|': ", text)


def test_rows_that_a_model_calls_impossible_come_first_and_leave_room_for_odd_ones():
    generator = np.random.default_rng(0)
    table = {"kind": generator.choice(["a", "b"], 1500).tolist(), "x": generator.normal(size=1500).tolist()}
    model = pf.fit_table(pa.table(table), flow="nice", max_steps=20, progress=False).model
    new = pa.table({"kind": ["a"] * 160 + ["c"] * 40, "x": generator.normal(size=200).tolist()})
    found = pf.report(model, new, progress=False)
    first = found.verdict.sentences[0]
    assert first.startswith("The model can be told from the data at n = 160: 40 rows (20%) have a value that the model")
    assert '"c" in 40 rows' in found.verdict.sentences[1] and found.verdict.sentences[2].startswith("Of the others, ")
    without = [row for row in found.oddest if row.log_prob == -np.inf]
    assert (
        len(without) == 3
        and len(found.oddest) == 10
        and "37 more rows without a density are left out" in found.oddest_note
    )
