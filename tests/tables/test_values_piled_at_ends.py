"""Columns whose density grows without end toward an end of their interval: the logarithm of the distance is modeled."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.tables import parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.detection import bounds_of
from pushforward.tables.columns.maps.end_logarithms import EndLogarithms
from pushforward.tables.columns.marginal import OfEnds
from pushforward.tables.columns.piled_ends import PiledEnds, piled_ends
from pushforward.tables.schema.inference import infer_schema

ROWS = 3000


class Kumaraswamy:
    """Density a b x^(a - 1) (1 - x^a)^(b - 1)."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def rvs(self, size, random_state):
        return (1 - (1 - random_state.random(size)) ** (1 / self.b)) ** (1 / self.a)

    def logpdf(self, x):
        return math.log(self.a * self.b) + (self.a - 1) * np.log(x) + (self.b - 1) * np.log1p(-(x**self.a))


# The ends at which each piles up.
PILED = {
    "beta(0.1, 0.5)": (stats.beta(0.1, 0.5), ("low", "high")),
    "beta(5, 0.3)": (stats.beta(5, 0.3), ("high",)),
    "beta(1, 0.3)": (stats.beta(1, 0.3), ("high",)),
    "arcsine": (stats.beta(0.5, 0.5), ("low", "high")),
    "cosine of an angle": (stats.beta(0.5, 0.5, loc=-1, scale=2), ("low", "high")),
    "percent": (stats.beta(0.2, 0.4, scale=100), ("low", "high")),
    "Kumaraswamy(0.2, 0.3)": (Kumaraswamy(0.2, 0.3), ("low", "high")),
    "Kumaraswamy(3, 0.3)": (Kumaraswamy(3, 0.3), ("high",)),
}


def column_of(values, declared=None):
    schema = parse_schema({"x": declared}) if declared else {}
    return infer_schema(pa.table({"x": values}), schema, source="t")["x"]


def log_density(column, rows, asked):
    """log p of the column's own map: a normal number behind a spline through the quantiles."""
    columns, half = Columns({"x": column}, ["x"]), torch.tensor(0.5)
    y, _ = columns.encode(torch.from_numpy(rows)[:, None], half)
    spline = MarginalSpline.from_data(y, low=columns.low, high=columns.high, normal=columns.normal)
    y, term = columns.encode(torch.from_numpy(asked)[:, None], half)
    z, slope = spline.each_inverse(y)
    return (term + slope - 0.5 * z.square() - 0.5 * math.log(2 * math.pi))[:, 0].numpy()


@pytest.mark.parametrize("case", PILED)
@pytest.mark.parametrize("seed", [0, 1000])
def test_the_density_is_right_up_to_the_end(case, seed):
    truth, ends = PILED[case]
    rows, fresh = (truth.rvs(ROWS, random_state=np.random.default_rng(seed + part)) for part in (0, 1))
    column = column_of(rows)
    assert {end for end in ("low", "high") if getattr(column.piled, end) is not None} == set(ends)
    assert parse_schema({"x": column.as_json()})["x"] == column
    fresh = fresh[np.isfinite(truth.logpdf(fresh))]
    # Splines of the numbers themselves lose 0.05 to 4.8 nats.
    assert is_mean_of(log_density(column, rows, fresh) - truth.logpdf(fresh), 0.0, allowance=0.03)


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_ends_where_nothing_piles_up_are_as_they_were(seed):
    generator = np.random.default_rng(seed)
    for distribution in (stats.uniform(), stats.beta(2, 2), stats.beta(1, 3), stats.beta(0.9, 0.9)):
        rows = distribution.rvs(ROWS, random_state=generator)
        assert not piled_ends(rows, 0.0, 1.0) and getattr(column_of(rows), "piled", None) is None
    # The largest of many rows may be near 1 by chance.
    normal = generator.normal(0.5, 0.15, ROWS)
    normal = np.sort(normal[(normal > 0) & (normal < 1)])
    assert bounds_of(normal, np.ones(len(normal), dtype=int))[1] is None


def test_float64_rounds_many_rows_to_one():
    truth, generator = stats.beta(0.05, 0.05), np.random.default_rng(3)
    rows, fresh = truth.rvs(ROWS, random_state=generator), truth.rvs(ROWS, random_state=generator)
    column = column_of(rows)
    assert column.kind == "mixed" and column.atoms == [1.0]
    density = log_density(column, rows, fresh)
    on_one = fresh == 1.0
    # An atom has the share of its rows; beside it the density is the truth's.
    assert is_mean_of(on_one.astype(float), column.shares[0], allowance=0.03)
    assert is_mean_of(density[~on_one] - truth.logpdf(fresh[~on_one]), 0.0, allowance=0.05)
    drawn = Columns({"x": column}, ["x"]).decode(torch.randn(ROWS, 1, dtype=torch.float64))[:, 0].numpy()
    for end in (1e-200, 1e-50, 1e-3):
        assert is_mean_of((drawn < end).astype(float), float(truth.cdf(end)), allowance=0.03)


def test_zeros_beside_amounts_that_pile_up():
    truth, generator = stats.gamma(0.2), np.random.default_rng(4)
    rows, fresh = (np.where(generator.random(ROWS) < 0.3, 0.0, truth.rvs(ROWS, random_state=generator)) for _ in "12")
    column = column_of(rows)
    assert column.kind == "mixed" and column.marginal.piled.low > 0
    beside = fresh[fresh > 0]
    right = np.log(0.7) + truth.logpdf(beside)
    assert is_mean_of(log_density(column, rows, beside) - right, 0.0, allowance=0.06)
    assert column.far_codes == []


def test_the_map_is_exact_in_both_directions():
    for bounds, piled in (
        ((0.0, 1.0), PiledEnds(low=1e-9)), ((0.0, 1.0), PiledEnds(high=1e-9)),
        ((-2.0, 3.0), PiledEnds(low=1e-9, high=1e-9)),
        ((1.0, math.inf), PiledEnds(low=1e-9)), ((-math.inf, 0.0), PiledEnds(high=1e-9)),
    ):  # fmt: skip
        made = EndLogarithms([OfEnds(bounds, piled)])
        low, high = max(bounds[0], -4.0), min(bounds[1], 4.0)
        x = torch.linspace(low, high, 41, dtype=torch.float64)[1:-1, None].requires_grad_()
        y, term = made.encode(x, torch.zeros_like(x))
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert torch.allclose(made.decode(y), x, rtol=1e-13, atol=1e-13)
        assert torch.allclose(slope.log(), term, atol=1e-12)
        assert np.allclose([piled.value(float(one), *bounds) for one in y.detach()], x.detach()[:, 0], atol=1e-12)
        # Both ends have finite densities.
        ends = torch.tensor([[end] for end in bounds if math.isfinite(end)], dtype=torch.float64)
        assert made.encode(ends, torch.zeros_like(ends))[1].isfinite().all()


def test_few_rows_that_pile_up_at_declared_bounds():
    truth = stats.beta(0.2, 0.3, loc=2, scale=3)
    rows, fresh = (truth.rvs(size, random_state=5) for size in (150, ROWS))
    column = column_of(rows, {"kind": "bounded", "low": 2, "high": 5})
    modeled = "the logarithm of the distance from 2 and 5 is modeled"
    assert column.describe() == f"bounded, 2 to 5, {modeled}"
    gain = log_density(column, rows, fresh) - stats.norm(rows.mean(), rows.std()).logpdf(fresh)
    assert gain.mean() > 1.0


def test_rounded_numbers_and_a_row_on_the_end():
    generator = np.random.default_rng(6)
    rows = np.round(stats.beta(0.3, 0.3).rvs(ROWS, random_state=generator), 3)
    for declared in (None, {"kind": "bounded", "low": 0, "high": 1, "step": 0.001}):
        column = column_of(rows, declared)
        assert np.isfinite(log_density(column, rows, rows)).all()
    exact = stats.beta(0.3, 0.3).rvs(ROWS, random_state=generator)
    exact[0] = 0.0
    column = column_of(exact)
    density = log_density(column, exact, np.array([0.0, column.piled.low / 2]))
    assert density[0] == pytest.approx(density[1])


def test_a_fit_has_the_density_and_the_draws_of_both_ends():
    truth = stats.beta(0.1, 0.5)
    rows, fresh = (truth.rvs(ROWS, random_state=7 + part) for part in (0, 1))
    model = pf.fit_table(pa.table({"x": rows}), max_steps=20, progress=False).model
    values = model.log_prob(model.encode(pa.table({"x": fresh})))
    assert is_mean_of(values - truth.logpdf(fresh), 0.0, allowance=0.05)
    drawn = np.asarray(model.decode(model.draw(ROWS))["x"])
    for end in (1e-20, 1e-6, 0.5, 0.999):
        assert is_mean_of((drawn < end).astype(float), float(truth.cdf(end)), allowance=0.05)
