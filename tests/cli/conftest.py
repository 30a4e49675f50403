"""Models fitted once, and a way to run the command line.

Here a fit without a time limit takes a fixed number of steps of a small flow, so that a result depends on no clock.
"""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet
import pytest
from known import make_kinds, make_rows, write
from shared_folder import shared_folder
from small_fits import default_steps, small_flows
from typer.testing import CliRunner

from pushforward.cli.app import app
from pushforward.training import steps


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Fits that only have to come to an end."""
    small_flows(monkeypatch)
    default_steps(monkeypatch, 10)


@pytest.fixture
def many_steps(monkeypatch, few_steps):
    """Fits that have to learn the tables of known.py."""
    default_steps(monkeypatch, 300)


def fit(data, model, *options, steps):
    """Fit in so many steps, outside of a test."""
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        default_steps(patch, steps)
        result = CliRunner().invoke(app, ["fit", str(data), "-o", str(model), *options])
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command line in an empty folder; result.json is what it printed for machines."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        out = result.stdout
        return SimpleNamespace(
            status=result.exit_code,
            out=out,
            err=result.stderr,
            json=lambda: json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")),
        )

    return invoke


@pytest.fixture
def at_step(monkeypatch):
    """Let the training meet an exception once it has taken so many steps."""
    take = steps.Stepper.take
    meets = {}

    def step(stepper, *arguments):
        if stepper.step in meets:
            raise meets.pop(stepper.step)
        return take(stepper, *arguments)

    monkeypatch.setattr(steps.Stepper, "take", step)
    return meets


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """A folder with data.csv, model.safetensors of p(all) and given.safetensors of p(radius, flux | mass)."""

    def fill(folder):
        write(folder / "data.csv", make_rows(2000))
        fit(folder / "data.csv", folder / "model.safetensors", steps=100)
        fit(folder / "data.csv", folder / "given.safetensors", "--given", "mass", steps=100)

    return shared_folder(tmp_path_factory, "fitted", fill)


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    """A folder with data.parquet, columns of every kind, and model.safetensors of all of them."""

    def fill(folder):
        pyarrow.parquet.write_table(make_kinds(1500), folder / "data.parquet")
        fit(folder / "data.parquet", folder / "model.safetensors", steps=40)

    return shared_folder(tmp_path_factory, "kinds", fill)


@pytest.fixture(scope="session")
def gappy(tmp_path_factory):
    """A folder with data.csv, of which a fifth of the cells is empty, and model.safetensors of any given any."""

    def fill(folder):
        rows = make_rows(1000)
        rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
        write(folder / "data.csv", rows, note=[f"row {n}" for n in range(1000)])
        fit(folder / "data.csv", folder / "model.safetensors", "--columns", "mass,radius,flux", steps=60)

    return shared_folder(tmp_path_factory, "gappy", fill)
