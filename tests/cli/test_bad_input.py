"""Bad input: one sentence, exit status 2, nothing written."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from known import NAMES, make_rows, write
from safetensors.torch import save_file

import pushforward as pf
from pushforward.store.formats import FORMAT


@pytest.fixture
def refused(run, tmp_path):
    """Run a command that must fail, and return its sentence."""

    def invoke(*arguments):
        before = sorted(p for p in tmp_path.rglob("*"))
        result = run(*arguments)
        assert result.status == 2, result.err
        assert result.out == ""
        assert result.err.startswith("Error: ") and result.err.endswith(".\n") and result.err.count("\n") == 1
        assert sorted(p for p in tmp_path.rglob("*")) == before
        return result.err

    return invoke


def text(path, *lines):
    Path(path).write_text("\n".join(lines) + "\n")


GOOD = [f"{row},{row**2 % 7}" for row in range(30)]
TABLES = {
    "a text column": (["a,b", *GOOD, "31,high"], ["t.csv", '"b"', "31"]),
    "an infinite value": (["a,b", *GOOD[:4], "inf,2", *GOOD[5:]], ["t.csv", '"a"', "row 5", "infinite"]),
    "nothing that varies": (["a,b", *(["4,3"] * 30)], ["t.csv", "no column to model that varies"]),
    "names of rows": (
        ["a,b", *(f"{row * row},id {row // 2 * 2}" for row in range(119))],
        ["t.csv", '"b"', "60 different texts"],
    ),
    "a copied column": (
        ["a,b", *(f"{row * row / 7},{2 * row * row / 7}" for row in range(30))],
        ["t.csv", '"a"', '"b"'],
    ),
    "two columns of one name": (["a,a", *GOOD], ["t.csv", '2 columns named "a"']),
    "too few rows": (["a,b", *GOOD[:19]], ["t.csv", "19 rows", "at least 20"]),
    "a header only": (["a,b"], ["t.csv"]),
    "a row of another length": (["a,b", *GOOD[:8], "1,2,3", *GOOD[9:]], ["t.csv", "9"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_fit_refuses_a_table_with(refused, tmp_path, case):
    lines, words = TABLES[case]
    text(tmp_path / "t.csv", *lines)
    sentence = refused("fit", "t.csv", "-o", "m.safetensors")
    for word in words:
        assert word in sentence


def test_fit_refuses_an_empty_file(refused, tmp_path):
    (tmp_path / "t.csv").touch()
    assert "t.csv" in refused("fit", "t.csv", "-o", "m.safetensors")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--given", "masss"], ['has no column "masss"', 'did you mean "mass"']),
        (["--columns", "mass,height"], ['has no column "height"']),
        (["--columns", "mass,radius", "--given", "mass"], ['"mass" is both modeled and given']),
        (["--given", "mass,radius,flux"], ["no columns left to model"]),
        (["--flow", "realnpv"], ["'realnpv'", 'did you mean "realnvp"']),
        (["--device", "gpu"], ["device must be one of", "'gpu'"]),
        (["--precision", "16"], ["precision must be one of", "'16'"]),
        (["--max-time", "0"], ["--max-time is a number above 0; it is"]),
        (["--max-time", "nan"], ['--max-time is a number above 0; it is "nan"']),
    ],
)
def test_fit_refuses_options(refused, tmp_path, options, words):
    write(tmp_path / "t.csv", make_rows(30))
    sentence = refused("fit", "t.csv", "-o", "m.safetensors", *options)
    for word in words:
        assert word in sentence


def test_fit_refuses_gaps_for_an_architecture_that_takes_none(refused, tmp_path):
    text(tmp_path / "t.csv", "a,b", *GOOD[:17], "17,", *GOOD[18:])
    sentence = refused("fit", "t.csv", "-o", "m.safetensors", "--flow", "maf")
    assert 'column "b" of t.csv has no value in row 18' in sentence and "maf" in sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--weight", "mas"], ['has no column "mas"', 'did you mean "mass"']),
        (["--weight", "flux"], ['"flux"', "row 1", "weights"]),
        (["--weight", "mass", "--given", "mass"], ['"mass" holds weights']),
        (["--error", "mass"], ["--error", "'mass'"]),
        (["--error", "mass=flux"], ['"flux"', "row 1", "standard deviations"]),
        (["--error", "mass=e"], ['no column "e"']),
        (["--error", "m=radius"], ['no column "m"']),
        (["--error", "mass=radius", "--arbitrary-conditions"], ["Measurement errors need a complete table"]),
        (["--arbitrary-conditions", "--flow", "maf"], ["leave out maf"]),
    ],
)
def test_fit_refuses_weights_and_errors(refused, tmp_path, options, words):
    write(tmp_path / "t.csv", make_rows(60))  # flux is negative
    sentence = refused("fit", "t.csv", "-o", "m.safetensors", *options)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["impute", "complete", "t.csv"], ["--arbitrary-conditions"]),
        (["posterior", "complete", "t.csv", "--of", "mass"], ["--arbitrary-conditions"]),
        (["impute", "gappy", "t.csv", "--draws", "0"], ["at least 1"]),
        (["impute", "gappy", "less.csv"], ['no column "flux"']),
        (["posterior", "gappy", "t.csv", "--of", "mas"], ['no column "mas"', 'did you mean "mass"']),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--given", "mass"], ['"mass" cannot be given']),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--given", "fluxx"], ['no column "fluxx"']),
        (["posterior", "gappy", "less.csv", "--of", "mass", "--given", "flux"], ['less.csv has no column "flux"']),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--quantiles", "0.5,2"], ["between 0 and 1"]),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--quantiles", "half"], ["--quantiles takes numbers"]),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--grid", "0,1"], ["--grid takes three numbers"]),
        (["posterior", "gappy", "t.csv", "--of", "mass", "--grid", "1,0,9"], ["to a larger one"]),
    ],
)
def test_impute_and_posterior_refuse(refused, fitted, gappy, tmp_path, arguments, words):
    write(tmp_path / "t.csv", make_rows(30))
    write(tmp_path / "less.csv", make_rows(30)[:, :2], NAMES[:2])
    models = {"complete": fitted / "model.safetensors", "gappy": gappy / "model.safetensors"}
    name, model, *rest = arguments
    sentence = refused(name, models[model], *rest, "-o", "o.csv")
    for word in words:
        assert word in sentence


SCHEMAS = {
    "no JSON": ("{mass: 1", ["s.json is not JSON"]),
    "a list": ("[1]", ["s.json must be an object"]),
    "an unknown column": ('{"mas": "positive"}', ['"mas"', 'did you mean "mass"']),
    "an unknown kind": ('{"mass": "catgory"}', ['unknown kind "catgory"', 'did you mean "category"']),
    "an unknown option": ('{"mass": {"kind": "bounded", "lo": 0}}', ['no option "lo"', 'did you mean "low"']),
    "a wrong value": ('{"mass": {"kind": "periodic", "period": -1}}', ['"mass", periodic', "period cannot be -1"]),
    "no bounds": ('{"mass": {"kind": "bounded"}}', ["needs low, high or both"]),
    "reversed bounds": ('{"mass": {"kind": "bounded", "low": 3, "high": 2}}', ["low must be less than high"]),
    "bounds that the table breaks": ('{"mass": {"kind": "bounded", "high": 10}}', ["mass", "above its bound 10"]),
    "broken numbers as integers": ('{"mass": "integer"}', ["mass", "row 1", "not a whole number"]),
    "a category of too many": (
        '{"mass": {"kind": "category", "levels": [1.5]}}',
        ["mass", "row 1", "not one of its 1 levels"],
    ),
    "another constant": ('{"mass": {"kind": "constant", "value": 3}}', ["mass", "is 3 in every row", "row 1"]),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_fit_refuses_a_schema_with(refused, tmp_path, case):
    write(tmp_path / "t.csv", make_rows(60))
    content, words = SCHEMAS[case]
    text(tmp_path / "s.json", content)
    sentence = refused("fit", "t.csv", "-o", "m.safetensors", "--schema", "s.json")
    for word in words:
        assert word in sentence


def test_fit_refuses_a_schema_that_is_not_there(refused, tmp_path):
    write(tmp_path / "t.csv", make_rows(60))
    assert "absent.json cannot be read" in refused("fit", "t.csv", "-o", "m.safetensors", "--schema", "absent.json")


@pytest.mark.slow
def test_score_gives_values_that_were_never_seen_no_density_and_refuses_them_where_they_are_declared(
    run, refused, kinds, tmp_path
):
    model, table = kinds / "model.safetensors", pa.parquet.read_table(kinds / "data.parquet")
    loaded = pf.TableModel.load(model)
    cases = {
        "sex": ("z", ['"sex"', '"z" in row 3', "not one of its 2 levels"]),
        "stars": (9, ['"stars"', "9 in row 3", "above its bound 5"]),
        "site": ("Y", ['"site"', "is X in every row", "row 3"]),
        "mass": (-1.0, ['"mass"', "-1 in row 3", "not positive"]),
    }
    for name, (value, words) in cases.items():
        values = table[name].to_pylist()
        values[2] = value
        changed = table.set_column(table.column_names.index(name), name, pa.array(values))
        pa.parquet.write_table(changed, tmp_path / f"{name}.parquet")
        done = run("score", model, f"{name}.parquet", "-o", "s.parquet", "--strict")  # nothing was declared
        assert (
            done.status == 0
            and f'1 of 1,500 rows holds a value that the model has never seen: column "{name}" (1)' in done.err
        )
        scores = pa.parquet.read_table(tmp_path / "s.parquet")
        assert np.flatnonzero(scores["unseen"]).tolist() == [2]
        assert np.flatnonzero(np.isneginf(scores["log_prob"])).tolist() == [2]
        declared = dataclasses.replace(loaded, notes={**loaded.notes, "declared": [name]})
        declared.save(tmp_path / "declared.safetensors")
        sentence = refused("score", "declared.safetensors", f"{name}.parquet", "-o", "s.csv", "--strict")
        for word in words:
            assert word in sentence


@pytest.mark.parametrize(
    ("data", "output", "words"),
    [
        ("nowhere.csv", "m.safetensors", ["nowhere.csv"]),
        ("folder", "m.safetensors", ["folder"]),
        ("t.xlsx", "m.safetensors", ["t.xlsx", ".csv"]),
        ("t.csv", "m.pt", ["m.pt", ".safetensors"]),
        ("t.csv", "missing/m.safetensors", ["missing"]),
        ("t.csv", "folder", ["folder"]),
    ],
)
def test_fit_refuses_paths(refused, tmp_path, data, output, words):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "t.csv", make_rows(30))
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    sentence = refused("fit", data, "-o", output)
    for word in words:
        assert word in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_fit_refuses_a_folder_without_permission_before_training(refused, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    write(tmp_path / "t.csv", make_rows(30))
    assert "Permission denied" in refused("fit", "t.csv", "-o", "locked/m.safetensors")


def broken_models(path):
    """Files that are no models of this version, each with a word of its sentence."""
    pf.save(pf.nice(2), path / "whole.safetensors")
    whole = (path / "whole.safetensors").read_bytes()
    (path / "truncated.safetensors").write_bytes(whole[: len(whole) // 2])
    (path / "newer.safetensors").write_bytes(whole.replace(f'{{\\"format\\": {FORMAT}'.encode(), b'{\\"format\\": 9'))
    (path / "text.safetensors").write_text("no model")
    save_file({"weight": torch.zeros(2)}, path / "foreign.safetensors")


@pytest.mark.parametrize("command", [["info"], ["score", "t.csv", "-o", "s.csv"], ["sample", "-n", "3", "-o", "s.csv"]])
@pytest.mark.parametrize("model", ["truncated", "newer", "text", "foreign", "absent"])
def test_files_that_are_no_models_are_refused(refused, tmp_path, command, model):
    write(tmp_path / "t.csv", make_rows(30))
    broken_models(tmp_path)
    name, *rest = command
    sentence = refused(name, f"{model}.safetensors", *rest)
    assert f"{model}.safetensors" in sentence
    if model == "newer":
        assert "newer" in sentence


def test_a_flow_without_columns_is_refused(refused, tmp_path):
    write(tmp_path / "t.csv", make_rows(30))
    pf.save(pf.nice(3), tmp_path / "m.safetensors")
    assert "without column names" in refused("score", "m.safetensors", "t.csv", "-o", "s.csv")


def test_score_refuses_tables(refused, fitted, tmp_path):
    rows, model = make_rows(30), fitted / "model.safetensors"
    write(tmp_path / "less.csv", rows[:, :2], NAMES[:2])
    assert 'less.csv has no column "flux"' in refused("score", model, "less.csv", "-o", "s.csv")
    write(tmp_path / "twice.csv", np.hstack([rows, rows[:, :1]]), [*NAMES, "log_prob"])
    assert 'already has a column "log_prob"' in refused("score", model, "twice.csv", "-o", "s.csv")
    write(tmp_path / "thrice.csv", np.hstack([rows, rows[:, :1]]), [*NAMES, "p_value"])
    assert 'already has a column "p_value"' in refused("score", model, "thrice.csv", "-o", "s.csv")
    write(tmp_path / "word.csv", rows[:, :2], NAMES[:2], flux=["1"] * 20 + ["dim"] * 10)
    sentence = refused("score", model, "word.csv", "-o", "s.csv")
    assert '"flux"' in sentence and "21" in sentence
    rows[12, 1] = np.nan
    write(tmp_path / "gap.parquet", rows)
    assert '"radius" of gap.parquet has no value in row 13' in refused("score", model, "gap.parquet", "-o", "s.csv")


def test_a_row_far_beyond_all_data_is_improbable_or_named(run, fitted, tmp_path):
    rows = make_rows(30)
    rows[12, 1] = 1e20
    write(tmp_path / "far.parquet", rows)
    result = run("score", fitted / "model.safetensors", "far.parquet", "-o", "s.csv", "--json")
    assert result.status == 0 and -1e7 < result.json()["smallest"] < -1e2
    rows[12, 1] = 1e308
    write(tmp_path / "farther.parquet", rows)
    farther = run("score", fitted / "model.safetensors", "farther.parquet", "-o", "s.csv")
    assert farther.status == 0 and "1 of 30 rows lies too far from the data to have a density" in farther.err


def test_a_bad_row_late_in_a_long_file_leaves_nothing(refused, fitted, tmp_path):
    rows = make_rows(20_000)
    rows[15_000, 2] = np.inf
    write(tmp_path / "long.parquet", rows)
    sentence = refused("score", fitted / "model.safetensors", "long.parquet", "-o", "s.parquet")
    assert '"flux" of long.parquet is infinite in row 15001' in sentence


def test_score_keeps_an_older_file_when_it_fails(refused, fitted, tmp_path):
    text(tmp_path / "s.csv", "old")
    text(tmp_path / "t.csv", "mass,radius,flux", "10,20,-10", "10,20,")
    refused("score", fitted / "model.safetensors", "t.csv", "-o", "s.csv")
    assert (tmp_path / "s.csv").read_text() == "old\n"


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("model", [], ["how many rows", "-n"]),
        ("model", ["-n", "0"], ["at least 1"]),
        ("model", ["-n", "3", "--given-file", "t.csv"], ["without given columns"]),
        ("given", ["-n", "3"], ["p(radius, flux | mass)", "--given-file"]),
        ("given", ["--given-file", "t.csv", "-n", "3"], ["leave out the number of rows"]),
        ("given", ["--given-file", "absent.csv"], ["absent.csv"]),
        ("given", ["--given-file", "other.csv"], ['other.csv has no column "mass"']),
    ],
)
def test_sample_refuses_options(refused, fitted, tmp_path, model, options, words):
    write(tmp_path / "t.csv", make_rows(30))
    write(tmp_path / "other.csv", make_rows(30), ["weight", "radius", "flux"])
    sentence = refused("sample", fitted / f"{model}.safetensors", "-o", "s.csv", *options)
    for word in words:
        assert word in sentence


def test_output_of_an_unknown_ending_is_refused(refused, fitted):
    assert "s.xlsx" in refused("sample", fitted / "model.safetensors", "-n", "3", "-o", "s.xlsx")


def test_unknown_options_and_missing_arguments_end_with_status_2(run):
    for arguments in (["fit"], ["fit", "t.csv"], ["fit", "t.csv", "-o", "m.safetensors", "--flwo", "maf"], ["fitt"]):
        assert run(*arguments).status == 2


def test_verbose_shows_the_traceback_and_keeps_the_status(run):
    result = run("info", "absent.safetensors", "-v")
    assert result.status == 2 and "Traceback" in result.err and "Error: " in result.err.splitlines()[-1]


def test_an_unexpected_error_is_one_sentence(run, monkeypatch):
    monkeypatch.setattr("pushforward.store.description.describe", lambda path: 1 / 0)
    result = run("info", "m.safetensors")
    assert result.status == 1
    assert result.err == "Unexpected error: ZeroDivisionError: division by zero; run again with -v for the traceback.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample", "m", "-o", "x", "-n", "1e3"], '-n is a whole number of at least 1; it is "1e3".'),
        (["sample", "m", "-o", "x", "-n", "-3"], '-n is a whole number of at least 1; it is "-3".'),
        (
            ["sample", "m", "-o", "x", "--seed", "one"],
            '--seed is a whole number from 0 to 9223372036854775807; it is "one".',
        ),
        (
            ["fit", "t", "-o", "x", "--seed", "-1"],
            '--seed is a whole number from 0 to 9223372036854775807; it is "-1".',
        ),
        (["score", "m", "t", "-o", "x", "--explain", "-1"], '--explain is a whole number of at least 0; it is "-1".'),
        (["fit", "t", "-o", "x", "--workers", "0"], '--workers is a whole number of at least 1; it is "0".'),
        (["fit", "t", "-o", "x", "--max-time", "soon"], '--max-time is a number; it is "soon".'),
        (["distill", "m", "-o", "x", "--max-time", "-1"], '--max-time is a number above 0; it is "-1".'),
        (
            ["speech", "fit", "t", "-o", "x", "--channels", "a"],
            '--channels is a whole number from 1 to 10000; it is "a".',
        ),
    ],
)
def test_a_value_that_an_option_does_not_take_is_quoted_in_one_sentence(run, arguments, sentence):
    result = run(*arguments)
    assert (result.status, result.out, result.err) == (2, "", f"Error: {sentence}\n")
