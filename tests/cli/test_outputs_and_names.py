"""Outputs never take the place of what is read, and names that cannot be are refused with what to do."""

import shutil

import pytest

import pushforward as pf


@pytest.mark.parametrize("command", ["score", "impute"])
@pytest.mark.parametrize("data", ["data.csv", "./data.csv", "*.csv", "."])
def test_an_output_is_not_written_over_the_table(command, data, run, gappy, tmp_path):
    for name in ("data.csv", "model.safetensors"):
        shutil.copy(gappy / name, tmp_path / name)
    before = (tmp_path / "data.csv").read_bytes()
    result = run(command, "model.safetensors", data, "-o", "data.csv")
    assert result.status == 2
    assert result.err == "Error: data.csv would be written over a file that is read; name another output.\n"
    assert (tmp_path / "data.csv").read_bytes() == before
    (tmp_path / "link.csv").symlink_to("data.csv")
    assert run(command, "model.safetensors", "data.csv", "-o", "link.csv").status == 2


def test_the_history_of_a_fit_is_not_written_over_its_table(run, gappy, tmp_path):
    table = tmp_path / "t.metrics.csv"
    shutil.copy(gappy / "data.csv", table)
    result = run("fit", table, "-o", "t.safetensors")
    assert result.status == 2 and "t.metrics.csv would be written over a file that is read" in result.err
    assert table.read_bytes() == (gappy / "data.csv").read_bytes()


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
@pytest.mark.parametrize("command", ["score", "sample", "impute", "posterior", "export", "report", "distill"])
def test_no_command_writes_over_its_model(command, link, run, gappy, tmp_path):
    endings = {"export": "json", "report": "html", "distill": "safetensors"}
    output = tmp_path / f"out.{endings.get(command, 'csv')}"
    model = output if link == "same" else tmp_path / "model.safetensors"
    shutil.copy(gappy / "model.safetensors", model)
    if link == "symbolic":
        output.symlink_to(model)
    if link == "hard":
        output.hardlink_to(model)
    given = {"sample": ["-n", 3], "posterior": [gappy / "data.csv", "--of", "mass"], "export": [], "distill": []}
    result = run(command, model, *given.get(command, [gappy / "data.csv"]), "-o", output)
    assert result.status == 2 and "would be written over a file that is read" in result.err
    assert model.read_bytes() == (gappy / "model.safetensors").read_bytes()


def test_python_does_not_either(gappy, tmp_path):
    model = tmp_path / "model.safetensors"
    shutil.copy(gappy / "model.safetensors", model)
    (tmp_path / "out.json").symlink_to(model)
    (tmp_path / "README.md").symlink_to(model)
    for write in (lambda: pf.export(model, tmp_path / "out.json"), lambda: pf.card(model, tmp_path)):
        with pytest.raises(pf.InputError, match="would be written over a file that is read"):
            write()
    assert model.read_bytes() == (gappy / "model.safetensors").read_bytes()


def test_an_older_output_is_still_written_over(run, gappy, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    assert run("score", gappy / "model.safetensors", gappy / "data.csv", "-o", "out.csv").status == 0
    assert (tmp_path / "out.csv").read_text() != "old"


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_spreadsheets_are_refused_with_what_to_do(ending, run, tmp_path):
    (tmp_path / f"stars.{ending}").write_bytes(b"PK")
    result = run("fit", f"stars.{ending}", "-o", "model.safetensors")
    assert result.status == 2 and "save its sheet as .csv" in result.err


def test_patterns_are_no_names_of_columns(run, gappy):
    result = run("fit", gappy / "data.csv", "--columns", "ma*", "-o", "model.safetensors")
    assert result.status == 2 and "named one by one, without patterns" in result.err


@pytest.mark.slow
def test_levels_have_no_range_in_explanations(run, kinds):
    result = run("score", kinds / "model.safetensors", kinds / "data.parquet", "-o", "s.csv", "--explain", 5, "--json")
    columns = [column for row in result.json()["oddest"] for column in row["columns"]]
    assert columns
    for column in columns:
        ordered = column["column"] not in ("sex", "alive")
        assert (column["low"] is not None) == (column["high"] is not None) == ordered, column
