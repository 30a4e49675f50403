"""An option that a message of a command names is one that this command has, or one of the fit that it advises."""

import re

import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from known import make_kinds

from pushforward.cli.app import app

COMMANDS = typer.main.get_command(app).commands
OPTIONS = {name: {text for option in command.params for text in option.opts} for name, command in COMMANDS.items()}
# What stands in the place of some values of a CSV that a model reads.
CELLS = {
    "mass": ["inf", "1,5", "heavy", "2023-01-01", "9007199254740993", "12 kg"],
    "sex": ["?"],
    "stars": ["many", "1.5", "2;3", "12345678901234567"],
    "rain": ["-inf", "<0.5", "none at all"],
    "phase": ["north"],
    "time": ["2024-02-30", "05.01.2024", "yesterday", "2024-01-01T00:00:00Z", "20240101"],
}
COLUMNS = {
    "mass": [pa.array([[1.0]] * 8), pa.array([b"1"] * 8), pa.array([True] * 8), pa.nulls(8), pa.array(["a"] * 8)],
    "time": [pa.array([1.5] * 8), pa.array([True] * 8), pa.array(["a"] * 8)],
    "sex": [pa.array([b"m"] * 8), pa.array([1.5] * 8), pa.array([{"a": 1}] * 8)],
    "stars": [pa.array([2**60 + 1] * 8), pa.array([None] * 8, pa.float64())],
}


def invented(command, message):
    """The options that a message names, and neither the command has nor the message asks a fit for."""
    named = re.finditer(r"(?<![\w-])--[a-z][a-z-]*", message)
    has = OPTIONS[command]
    return [n.group() for n in named if n.group() not in has and not re.search(r"\bfit\b", message[: n.start()])]


@pytest.fixture
def complain(run, kinds, tmp_path):
    """What every command that reads a table with a model says of it, its status and the command."""

    def of(path):
        model = kinds / "model.safetensors"
        return [
            ("score", run("score", model, path, "-o", tmp_path / "out.csv")),
            ("impute", run("impute", model, path, "-o", tmp_path / "out.parquet")),
            ("posterior", run("posterior", model, path, "--of", "share", "-o", tmp_path / "out.csv")),
        ]

    return of


def check(results):
    for command, result in results:
        assert invented(command, result.err) == []
        if result.status:
            assert result.status == 2 and result.err.startswith("Error: ") and result.err.count("\n") == 1


@pytest.mark.parametrize(("column", "cell"), [(column, cell) for column, cells in CELLS.items() for cell in cells])
def test_cells_that_a_model_cannot_read(column, cell, complain, tmp_path):
    table = make_kinds(8)
    path = tmp_path / "bad.csv"
    names = table.column_names
    rows = [["" if value is None else str(value) for value in table.column(name).to_pylist()] for name in names]
    rows[names.index(column)][3] = cell
    lines = [",".join(f'"{value}"' for value in row) for row in zip(*rows, strict=True)]
    path.write_text(",".join(names) + "\n" + "\n".join(lines) + "\n")
    check(complain(path))


@pytest.mark.parametrize(
    ("column", "place"), [(column, place) for column, types in COLUMNS.items() for place in range(len(types))]
)
def test_types_that_a_model_cannot_read(column, place, complain, tmp_path):
    table = make_kinds(8)
    table = table.set_column(table.column_names.index(column), column, COLUMNS[column][place])
    path = tmp_path / "bad.parquet"
    pyarrow.parquet.write_table(table, path)
    check(complain(path))


def test_columns_that_a_table_lacks(complain, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text('"a,b",mass\n1,2\n')
    results = complain(path)
    assert [result.status for _, result in results] == [2, 2, 0]
    assert not any("in an option" in result.err for _, result in results)
    check(results)


def test_given_columns_of_draws(fitted, run, tmp_path):
    for cell in ("inf", "", "heavy", "1,5", "9007199254740993"):
        (tmp_path / "given.csv").write_text(f'mass\n"{cell}"\n9\n')
        for command in ("sample", "distill"):
            output = tmp_path / {"sample": "out.csv", "distill": "out.safetensors"}[command]
            options = ["--given-file", tmp_path / "given.csv", "-o", output]
            result = run(command, fitted / "given.safetensors", *options)
            assert result.status == 2, result.err
            check([(command, result)])
