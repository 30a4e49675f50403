"""The commands that judge a model: report, compare and drift."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from known import make_kinds, make_rows, write

import pushforward as pf


@pytest.fixture(scope="module")
def new_rows(tmp_path_factory):
    """Rows like those of data.csv, and others."""
    folder = tmp_path_factory.mktemp("new")
    write(folder / "new.csv", make_rows(2400)[2000:])
    moved = make_rows(2900)[2400:].copy()
    moved[:, 1] += 1.0
    write(folder / "moved.csv", moved)
    return folder


@pytest.mark.slow
def test_a_report_is_written_as_markdown_and_json(run, fitted, new_rows):
    result = run(
        "report", fitted / "model.safetensors", new_rows / "new.csv", "-o", "report.md", "--json", "--rows", 300
    )
    assert result.status == 0, result.err
    found = result.json()
    assert found["verdict"]["rows"] == 300
    assert "300 of 400 rows, chosen at random with seed 0" in result.err
    text = Path("report.md").read_text()
    assert text.startswith("# Report on model.safetensors")
    for sentence in found["verdict"]["sentences"]:
        assert sentence in text
        assert sentence in " ".join(result.err.split())
    run("report", fitted / "model.safetensors", new_rows / "new.csv", "-o", "again.json", "--rows", 300)
    again = json.loads(Path("again.json").read_text())
    for section in ("verdict", "calibration", "dependence", "points", "oddest", "worst_regions"):
        assert again[section] == found[section]


@pytest.mark.slow
def test_rows_that_were_trained_on_are_left_out_of_their_table_and_recognized_elsewhere(run, fitted, new_rows):
    own = run("report", fitted / "model.safetensors", fitted / "data.csv", "--json").json()["verdict"]
    held_out = pf.TableModel.load(fitted / "model.safetensors").record.held_out.rows
    assert own["rows"] == held_out and own["trained_on"]["left_out"] == len(make_rows(2000)) - held_out
    assert "are left out" in own["sentences"][-1]
    write("part.csv", make_rows(2000)[:1500])
    known = run("report", fitted / "model.safetensors", "part.csv", "--json", "--rows", 500).json()
    assert known["verdict"]["trained_on"]["share"] == pytest.approx(0.9, abs=5 * (0.09 / 500) ** 0.5)
    assert "trained on" in known["verdict"]["sentences"][-1]
    new = run("report", fitted / "model.safetensors", new_rows / "new.csv", "--json").json()
    assert new["verdict"]["trained_on"]["share"] == 0
    assert new["provenance"]["fit"]["files"] == ["data.csv"]
    assert new["provenance"]["fit_command"].startswith("pushforward fit data.csv")
    assert new["learning_curve"]["step"][0] == 0


@pytest.mark.slow
def test_a_model_of_an_earlier_version_has_a_report_without_its_training_rows(run, fitted, new_rows):
    model = pf.TableModel.load(fitted / "model.safetensors")
    object.__setattr__(model, "record", None)
    model.save("earlier.safetensors")
    found = run("report", "earlier.safetensors", new_rows / "new.csv", "--json").json()
    assert not found["verdict"]["trained_on"]["known"]
    assert "is not known" in found["verdict"]["sentences"][-1]
    assert found["learning_curve"]["step"] == []


@pytest.mark.slow
def test_a_conditional_model_has_a_report(run, fitted, new_rows):
    found = run("report", fitted / "given.safetensors", new_rows / "new.csv", "--json", "--train", fitted / "data.csv")
    assert found.status == 0, found.err
    found = found.json()
    assert {one["role"] for one in found["columns"]} == {"modeled", "given"}
    assert found["memorization"]["known"]
    assert [one["column"] for one in found["calibration"]["columns"]]


@pytest.mark.slow
def test_a_table_of_every_kind_of_column_has_a_report(run, kinds):
    pyarrow.parquet.write_table(make_kinds(1900).slice(1500), "new.parquet")
    result = run("report", kinds / "model.safetensors", "new.parquet", "--json", "-o", "report.md")
    assert result.status == 0, result.err
    found = result.json()
    assert len(found["dependence"]["marginals"]) >= 3
    discrete = [one for one in found["dependence"]["marginals"] if one["discrete"]]
    assert discrete and all(sum(one["data"]) == pytest.approx(1) for one in discrete if one["labels"])
    assert all(test["p_value"] is None or 0 <= test["p_value"] <= 1 for test in found["verdict"]["tests"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model", "few.csv"], "too few for a report"),
        (["model", "other.csv"], "no column"),
        (["model", "empty.csv"], "no rows"),
        (["few.csv", "few.csv"], "is not a model"),
        (["model", "new.csv", "-o", "report.docx"], "A report ends in"),
        (["model", "missing.csv"], "missing.csv"),
    ],
)
def test_bad_input_is_said_in_one_sentence(run, fitted, new_rows, arguments, sentence):
    header = (new_rows / "new.csv").read_text().splitlines()[0]
    Path("few.csv").write_text("\n".join((new_rows / "new.csv").read_text().splitlines()[:10]) + "\n")
    Path("other.csv").write_text("x,y\n" + "1,2\n" * 30)
    Path("empty.csv").write_text(header + "\n")
    places = {"model": fitted / "model.safetensors", "new.csv": new_rows / "new.csv"}
    result = run("report", *(places.get(one, one) for one in arguments))
    assert result.status == 2
    assert sentence in " ".join(result.err.split())
    assert result.err.count("Error:") == 1


def test_a_model_of_sound_has_no_report(run, new_rows):
    pf.save(pf.wavenet(), "sound.safetensors")
    result = run("report", "sound.safetensors", new_rows / "new.csv")
    assert result.status == 2
    assert "Error:" in result.err


@pytest.mark.slow
def test_two_models_are_compared_row_by_row(run, fitted, new_rows):
    pf.fit_table(pf.open_table(fitted / "data.csv"), flow="nice", max_steps=2).model.save("b.safetensors")
    result = run("compare", fitted / "model.safetensors", "b.safetensors", new_rows / "new.csv", "--json")
    assert result.status == 0, result.err
    found = result.json()
    a, b = (
        pf.TableModel.load(path).log_prob(make_rows(2400)[2000:])
        for path in (fitted / "model.safetensors", "b.safetensors")
    )
    assert found["difference"]["value"] == pytest.approx(np.mean(a - b), rel=1e-3)
    assert found["difference"]["error"] == pytest.approx(np.std(a - b, ddof=1) / 20, rel=1e-3)
    assert found["rows_that_decide"][0]["difference"] == pytest.approx(np.max(a - b), rel=1e-3)
    same = run("compare", fitted / "model.safetensors", fitted / "model.safetensors", new_rows / "new.csv", "--json")
    assert same.json()["difference"]["value"] == 0


def test_models_of_other_columns_are_not_compared(run, fitted, new_rows):
    result = run("compare", fitted / "model.safetensors", fitted / "given.safetensors", new_rows / "new.csv")
    assert result.status == 2
    assert "cannot be compared" in result.err


@pytest.mark.slow
def test_drift_fails_a_pipeline_when_it_is_asked_to(run, fitted, new_rows):
    model, new, moved = fitted / "model.safetensors", new_rows / "new.csv", new_rows / "moved.csv"
    found = run("drift", model, new, moved, "--json")
    assert found.status == 0, found.err
    assert found.json()["p_value"] < 1e-3
    assert found.json()["columns"][0]["adjusted"] < 1e-3
    assert run("drift", model, new, moved, "--fail-above", 0.99, "-q").status == 1
    assert run("drift", model, new, new, "--fail-above", 0.99, "-q").status == 0
    table = pa.table({"x": [1.0] * 30})
    pyarrow.parquet.write_table(table, "x.parquet")
    assert run("drift", model, new, "x.parquet", "-q").status == 2
