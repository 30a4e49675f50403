"""Positive numbers whose density grows without end toward 0: their logarithm is modeled."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.tables import parse_schema
from pushforward.tables.columns.detection import piles_up
from pushforward.tables.schema.inference import infer_schema

ROWS = 3000


def column_of(values):
    return infer_schema(pa.table({"x": values}), source="t")["x"]


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_only_densities_that_grow_without_end_pile_up(seed):
    generator = np.random.default_rng(seed)
    for distribution in (stats.beta(0.3, 3), stats.beta(0.1, 3), stats.gamma(0.5), stats.weibull_min(0.4)):
        column = column_of(distribution.rvs(ROWS, random_state=generator))
        assert column.kind == "positive" and column.log
        assert column.describe() == "positive, its logarithm is modeled"
        assert parse_schema({"x": column.as_json()})["x"] == column
    for distribution in (stats.expon(), stats.gamma(2), stats.halfnorm(), stats.beta(1, 3), stats.weibull_min(0.9)):
        assert not piles_up(distribution.rvs(ROWS, random_state=generator))


def test_rounding_piles_nothing_up_and_few_rows_say_nothing():
    generator = np.random.default_rng(0)
    assert not piles_up(stats.beta(0.3, 3).rvs(70, random_state=generator))
    # The first cell is as wide as the others, and numbers are spread evenly over it.
    column = column_of(np.ceil(10 * stats.gamma(0.5).rvs(ROWS, random_state=generator)) / 10)
    assert not getattr(column, "log", None)


@pytest.mark.parametrize(("exponent", "seed"), [(0.3, 0), (0.1, 1000), (0.3, 2000)])
def test_the_density_and_the_draws_are_right_at_zero(exponent, seed):
    truth = stats.beta(exponent, 3)
    rows, fresh = (truth.rvs(ROWS, random_state=np.random.default_rng(place)) for place in (seed, seed + 1))
    model = pf.fit_table(pa.table({"x": rows}), max_steps=20, progress=False).model
    values = model.log_prob(model.encode(pa.table({"x": fresh})))
    # A spline of the numbers themselves loses 0.4 and 2.4 nats.
    assert is_mean_of(values - truth.logpdf(fresh), 0.0, allowance=0.05)
    drawn = np.asarray(model.decode(model.draw(ROWS))["x"])
    for end in (1e-12, 1e-6):
        share = truth.cdf(end)
        assert abs((drawn < end).mean() - share) < 10 * np.sqrt(share * (1 - share) / ROWS)
