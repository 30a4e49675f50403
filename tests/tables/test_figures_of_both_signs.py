"""Significant figures of numbers of both signs: cells grow with their size, and few are alike only near 0."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import is_mean_of

from pushforward.bijections import MarginalSpline
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.figures import Figures
from pushforward.tables.columns.tally import Tally
from pushforward.tables.schema.inference import infer_schema

TRUTHS = {"normal": stats.norm(5, 10), "centered": stats.norm(0, 50), "laplace": stats.laplace(0, 3)}


def rounded(distribution, rows, figures, seed):
    drawn = distribution.rvs(rows, random_state=np.random.default_rng(seed))
    return np.array([float(f"{number:.{figures - 1}e}") for number in drawn])


def cell(numbers, figures):
    """The ends of the cells of numbers of so many figures."""
    grid = Figures(1e-12, figures)
    away, toward = grid.lengths(numbers), grid.lengths(numbers * (1 - 1e-7))
    below, above = np.where(numbers > 0, toward, away), np.where(numbers > 0, away, toward)
    return numbers - below / 2, numbers + above / 2


@pytest.mark.parametrize("figures", [1, 2])
@pytest.mark.parametrize("name", TRUTHS)
def test_the_density_is_the_mean_over_cells_of_either_sign(name, figures):
    truth, rows = TRUTHS[name], 3000
    train, fresh = (rounded(truth, rows, figures, seed) for seed in (0, 1))
    column = infer_schema(pa.table({"x": train}), source="t")["x"]
    assert column.figures == figures and column.step > 0
    columns, generator = Columns({"x": column}, ["x"]), torch.Generator().manual_seed(0)
    noise = torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    spline = MarginalSpline.from_data(columns.encode(torch.from_numpy(train)[:, None], noise)[0])
    density = []
    for part in torch.linspace(0.03, 0.97, 16, dtype=torch.float64):
        y, term = columns.encode(torch.from_numpy(fresh)[:, None], part)
        z, slope = spline.each_inverse(y)
        density.append((term + slope - 0.5 * z.square() - 0.5 * math.log(2 * math.pi))[:, 0])
    found = torch.stack(density).logsumexp(0).numpy() - math.log(16)
    low, high = cell(fresh, figures)
    right = np.log(truth.cdf(high) - truth.cdf(low)) - np.log(high - low)
    assert is_mean_of(found - right, 0.0, allowance=0.02)
    drawn = columns.decode(torch.randn(1000, 1, generator=generator, dtype=torch.float64))[:, 0].numpy()
    assert Figures(column.step, figures).has(drawn).all() and (drawn < 0).any() and (drawn > 0).any()


@pytest.mark.parametrize("figures", [2, 3, 4])
@pytest.mark.parametrize("name", TRUTHS)
def test_larger_numbers_repeat_and_are_no_atoms(name, figures):
    # One cell more than a power of ten is ten times as long as the one before it.
    assert not any(Tally(rounded(TRUTHS[name], rows, figures, seed)).atoms for rows in (300, 600) for seed in range(8))


@pytest.mark.parametrize("seed", range(3))
def test_atoms_among_them_are_found(seed):
    for atom, count in ((0.0, 30), (11.5, 30), (-999.0, 3)):
        numbers = rounded(TRUTHS["normal"], 600, 3, seed)
        numbers[:count] = atom
        assert Tally(numbers).atoms == [atom]
