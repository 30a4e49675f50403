"""Any column given others beyond the range of the training rows: regression, at least as uncertain as at its end."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

import pushforward as pf
from pushforward.table_models.imputation import impute
from pushforward.table_models.linear_trend import LinearTrend, Truncated
from pushforward.table_models.posterior import posterior

ROWS = 600
DISTANT = [12.0, 20.0, 1000.0]


def line(noise, seed=0):
    generator = np.random.default_rng(seed)
    t = generator.uniform(0, 10, ROWS)
    return pa.table({"y": 2 * t + noise * generator.normal(size=ROWS), "t": t})


@pytest.fixture(scope="module")
def models():
    return {
        noise: pf.fit_table(line(noise), arbitrary_conditions=True, max_steps=10, progress=False).model
        for noise in (0.02, 1.0)
    }


def rows_of(model, column, value):
    codes = torch.full((1, 2), math.nan, dtype=torch.float64)
    codes[0, model.modeled.index(column)] = value
    return codes


@pytest.mark.parametrize("noise", [0.02, 1.0])
@pytest.mark.parametrize("t", DISTANT)
def test_the_true_value_of_a_line_is_in_the_interval_which_is_no_narrower_than_at_the_end(models, noise, t):
    model = models[noise]
    y = model.modeled.index("y")
    inside, end, beyond = (
        model.density.quantiles(rows_of(model, "t", value), y, [0.05, 0.5, 0.95])[0].numpy() for value in (9.9, 10.0, t)
    )
    assert beyond[2] - beyond[0] >= end[2] - end[0] >= 0.8 * 2 * 1.645 * noise
    assert beyond[2] - beyond[0] >= 0.8 * (inside[2] - inside[0])
    # The error of the prediction: of the mean and of the slope, of the training rows.
    deviation = noise * (1 + (1 + (t - 5) ** 2 / (100 / 12)) / (0.85 * ROWS)) ** 0.5
    assert abs(beyond[1] - 2 * t) < 5 * deviation
    if noise == 0.02:
        assert beyond[0] < 2 * t < beyond[2]


def test_its_density_draws_and_quantiles_agree_beyond_the_range(models):
    model = models[1.0]
    y = model.modeled.index("y")
    codes = rows_of(model, "t", 20.0)
    grid = torch.linspace(20, 60, 4001, dtype=torch.float64)
    density = model.density.log_prob_on_grid(codes, y, grid)[0].exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1, abs=1e-3)
    level = torch.cumulative_trapezoid(density, grid)
    for at, quantile in zip((0.1, 0.9), model.density.quantiles(codes, y, [0.1, 0.9])[0].tolist(), strict=True):
        assert float(level[torch.searchsorted(grid, quantile) - 1]) == pytest.approx(at, abs=5e-3)
        row = codes.clone()
        row[0, y] = quantile
        assert float(model.density.distribution_function(row, y)[0]) == pytest.approx(at, abs=1e-3)
        known = torch.arange(2)[None] != y
        on_grid = model.density.log_prob_on_grid(codes, y, row[0, y : y + 1])[0, 0]
        assert float(model.density.log_prob_given(row, known)[0].detach()) == pytest.approx(float(on_grid), abs=1e-5)
    generator = torch.Generator().manual_seed(0)
    draws = model.density.fill(codes.repeat(4000, 1), generator)[:, y]
    share = float((draws < model.density.quantiles(codes, y, [0.1])[0, 0]).double().mean())
    assert abs(share - 0.1) < 5 * (0.09 / 4000) ** 0.5


def test_a_bounded_column_keeps_its_bounds_and_its_width(models):
    model = models[0.02]
    y = model.modeled.index("y")
    low = float(model.density.columns.low[y])
    assert math.isinf(low) or float(model.density.quantiles(rows_of(model, "t", -50.0), y, [0.001])[0, 0]) >= low


def test_rows_with_values_beyond_the_range_are_said(models, tmp_path):
    table = pa.table({"y": [None, None, None, 3.0], "t": [5.0, 12.0, 1000.0, 20.0]})
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    said = "rows hold a given value outside the range of the training rows"
    model, lines = models[0.02], []
    impute(model, tmp_path / "rows.parquet", tmp_path / "filled.parquet", announce=lines.append)
    assert lines == [f'2 of 4 {said} (50%), where the model is at least as uncertain as at its end: column "t" (2)']
    filled = pa.parquet.read_table(tmp_path / "filled.parquet")["y"].to_pylist()
    np.testing.assert_allclose(filled[:3], [10, 24, 2000], atol=2)
    lines.clear()
    posterior(model, tmp_path / "rows.parquet", tmp_path / "p.parquet", of="y", quantiles=[0.5], announce=lines.append)
    assert lines == [f'3 of 4 {said} (75%), where the model is at least as uncertain as at its end: column "t" (3)']


def test_the_trend_and_its_range_survive_a_file(models, tmp_path):
    model = models[1.0]
    model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    codes, y = rows_of(model, "t", 20.0), model.modeled.index("y")
    torch.testing.assert_close(again.density.quantiles(codes, y, [0.3]), model.density.quantiles(codes, y, [0.3]))


def test_the_prediction_is_that_of_linear_regression():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 2, generator=generator, dtype=torch.float64) * 3 + 7
    y = x @ torch.tensor([[2.0], [-1.0]], dtype=torch.float64) + torch.randn(500, 1, generator=generator).double()
    trend = LinearTrend(3)
    trend.set(torch.cat([x, y], 1), [0, 1, 2], 500)
    asked = torch.tensor([[30.0, -20.0, math.nan]], dtype=torch.float64)
    mean, deviation = trend.moments(asked, ~asked.isnan(), 2)
    design = torch.cat([torch.ones(500, 1, dtype=torch.float64), x], 1)
    slope = torch.linalg.lstsq(design, y).solution
    residual = float((y - design @ slope).square().mean())
    row = torch.tensor([[1.0, 30.0, -20.0]], dtype=torch.float64)
    spread = residual * (1 + float(row @ torch.linalg.inv(design.t() @ design) @ row.t()))
    assert float(mean[0]) == pytest.approx(float((row @ slope)[0, 0]), rel=1e-4)
    assert float(deviation[0]) == pytest.approx(spread**0.5, rel=1e-3)


@pytest.mark.parametrize(("low", "high"), [(-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0), (-math.inf, 0.5)])
@pytest.mark.parametrize("mean", [-30.0, 0.2, 30.0])
def test_a_truncated_normal_is_a_density_within_its_interval(low, high, mean):
    normal = Truncated(torch.tensor([mean]).double(), torch.tensor([0.7]).double(), low, high)
    levels = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    y = normal.quantile(levels)
    assert low <= float(y[0]) and float(y[-1]) <= high
    torch.testing.assert_close(normal.distribution_function(y), levels, rtol=1e-6, atol=1e-9)
    slope = (levels[2:] - levels[:-2]) / (y[2:] - y[:-2])
    torch.testing.assert_close(normal.log_density(y[1:-1])[50:-50], slope.log()[50:-50], rtol=0, atol=1e-3)
    mass = normal.log_mass(y[:-1], y[1:]).exp()
    torch.testing.assert_close(mass, levels.diff(), rtol=1e-6, atol=1e-9)
    ends = torch.tensor([-math.inf]).double(), torch.tensor([math.inf]).double()
    assert float(normal.log_mass(*ends)) == pytest.approx(0, abs=1e-9)
