"""The benchmark of flows in continuous time, each part in a few steps on small flows."""

import argparse
import math

import continuous
import pytest
import torch

import pushforward as pf
from pushforward.evaluation.targets import many_well

pytest.importorskip("torchdiffeq")
pytestmark = pytest.mark.filterwarnings("ignore")


def options(**given):
    return argparse.Namespace(**{"seconds": 60.0, "sets": None, "hidden": (8,), "draws": 80, "seed": 0, **given})


@pytest.fixture
def few_steps(monkeypatch):
    """Let fits take few steps in place of their time."""
    limits = {"max_time": None, "max_steps": 2}

    def limited(whole):
        return lambda *data, **more: whole(*data, **(more | limits))

    for name in ("fit", "distill"):
        monkeypatch.setattr(pf, name, limited(getattr(pf, name)))


def finite(row):
    return all(math.isfinite(value) for value in row.values() if isinstance(value, float))


@pytest.mark.slow
def test_a_density_in_the_plane_by_two_objectives_and_the_default(few_steps):
    rows = continuous.plane(options(sets=["moons"]))
    assert [row["by"] for row in rows] == ["flow_matching", "optimal_transport", "default"]
    assert all(finite(row) and row["gap"] > 0 for row in rows)
    assert rows[0]["mean_error"] > 0 and rows[2]["mean_error"] == 0
    page = continuous.page({"plane": {"rows": rows, "about": "Few steps"}})
    assert "## Eight densities in the plane" in page and page.count("| moons | ") == 3


@pytest.mark.slow
def test_a_chain_of_teacher_student_and_expectations(few_steps):
    (row,) = continuous.chain(options(sets=["many-well"]))
    assert finite(row) and row["set"] == "many-well" and row["times_faster"] > 0
    assert {"kl", "kl_error", "effective_share", "expectations_off", "target_means_off"} <= set(row)


@pytest.mark.slow
def test_errors_claimed_and_measured(few_steps):
    rows = continuous.errors(options(draws=400))
    assert len(rows) == 7 and all(finite(row) for row in rows)
    # Four equal steps against one; that the error bar holds is tested elsewhere.
    assert rows[2]["by"] == "steps 4" and rows[2]["claimed_mean"] < rows[0]["claimed_mean"]


def test_draws_of_the_many_wells_have_its_moments():
    x, target = continuous.many_well_draws(20_000, 4, seed=0).double(), many_well(4)
    error = target.deviation / 20_000**0.5
    assert bool(((x.mean(0) - target.mean) / error).abs().max() < 5)
    spread = (x - target.mean).square()
    assert bool(((spread.mean(0) - target.deviation**2) / (spread.std(0) / 20_000**0.5)).abs().max() < 5)
    assert torch.equal(x, continuous.many_well_draws(20_000, 4, seed=0).double())
