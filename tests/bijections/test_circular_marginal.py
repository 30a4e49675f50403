"""Circular splines through the quantiles of angles: uniform on a circle, smooth all around, with a density."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from significance import follows, is_mean_of

from pushforward.bijections.circular_marginal import MOST_ANYWHERE, CircularMarginal

ROWS = 2000
SECTOR, ANOTHER = stats.norm(0, math.radians(4)), stats.norm(2.5, 0.1)


def angles(case, rows=ROWS, seed=0):
    random = np.random.default_rng(seed)
    if case == "two sectors":
        first = random.random(rows) < 0.5
        return np.where(first, SECTOR.rvs(rows, random), ANOTHER.rvs(rows, random))
    if case == "a sector":
        return SECTOR.rvs(rows, random)
    return stats.vonmises(0.5 if case == "all around" else 0.0).rvs(rows, random)


def log_density(case, x):
    if case == "two sectors":
        return np.logaddexp(SECTOR.logpdf(x), ANOTHER.logpdf(x)) - math.log(2)
    return SECTOR.logpdf(x) if case == "a sector" else stats.vonmises(0.5).logpdf(x)


def spline_of(x, knots=16, **options):
    return CircularMarginal.from_data(torch.from_numpy(x)[:, None], knots, **options)


def of_model(spline, x):
    """log p of angles, z uniform."""
    return spline.each_inverse(torch.from_numpy(x)[:, None])[1][:, 0].numpy() - math.log(2 * math.pi)


CASES = pytest.mark.parametrize("case", ["a sector", "two sectors", "all around"])


@CASES
def test_fresh_angles_are_uniform_and_their_density_is_near_the_truth(case):
    spline, fresh = spline_of(angles(case)), angles(case, seed=1)
    # Of 2,000 rows and 16 knots a quantile is known to about a hundredth.
    z = spline.each_inverse(torch.from_numpy(fresh[:500])[:, None])[0][:, 0].numpy()
    assert follows(z, stats.uniform(-math.pi, 2 * math.pi).cdf)
    loss = log_density(case, fresh) - of_model(spline, fresh)
    assert is_mean_of(loss, 0.0, allowance=0.05)


@CASES
def test_the_density_is_one_in_all_smooth_at_the_cut_and_nowhere_zero(case):
    spline = spline_of(angles(case))
    knots = spline.x_knots[0].numpy()

    nodes, weights = np.polynomial.legendre.leggauss(16)
    middle, half = 0.5 * (knots[1:] + knots[:-1]), 0.5 * np.diff(knots)
    density = np.exp(of_model(spline, (middle[:, None] + half[:, None] * nodes).ravel())).reshape(-1, 16)
    pieces = half * (density @ weights)
    assert pieces.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(pieces, np.diff(spline.z_knots[0]) / (2 * math.pi), atol=1e-5)
    at_cut = of_model(spline, np.array([-math.pi, -math.pi + 1e-9, math.pi - 1e-9, math.pi, 3 * math.pi]))
    np.testing.assert_allclose(at_cut, at_cut[0], atol=1e-3)
    everywhere = np.exp(of_model(spline, np.linspace(-math.pi, math.pi, 10_001)))
    assert everywhere.min() > 0.1 * MOST_ANYWHERE / (2 * math.pi)


def test_hardly_anything_lies_outside_of_sectors():
    z = torch.linspace(-math.pi, math.pi, 200_001, dtype=torch.float64)[:-1, None]
    # As much beyond the outermost rows as a next row would have, and what is spread over the turn.
    for case, ends in (("a sector", 2), ("two sectors", 4)):
        x = spline_of(angles(case)).each_forward(z)[0][:, 0].numpy()
        outside = (np.abs(x) > math.radians(20)) & (np.abs(x - 2.5) > 0.5)
        assert outside.mean() < ends / (ROWS + 1) + MOST_ANYWHERE
        if case == "two sectors":
            assert np.mean(x > 1) == pytest.approx(np.mean(angles(case) > 1), abs=1e-3)


def test_a_circle_without_a_pattern_stays_as_it_is():
    x = angles("uniform", 100)
    spline = spline_of(x)
    assert torch.equal(spline.z_knots, spline.x_knots) and torch.equal(spline.slopes, torch.ones_like(spline.slopes))
    assert np.allclose(of_model(spline_of(np.full(50, 0.3)), x), -math.log(2 * math.pi))


def test_whole_turns_stay_and_features_have_as_many_knots():
    x = torch.from_numpy(np.column_stack([angles("a sector"), angles("two sectors"), angles("uniform")]))
    spline = CircularMarginal.from_data(x, 16)
    z = spline.each_inverse(x)[0]
    torch.testing.assert_close(spline.each_inverse(x + 6 * math.pi)[0], z + 6 * math.pi, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(spline.each_forward(z - 2 * math.pi)[0], x - 2 * math.pi, rtol=1e-9, atol=1e-9)
    # Each is what it is without the others.
    for feature in range(3):
        alone = CircularMarginal.from_data(x[:, [feature]], 16).each_inverse(x[:, [feature]])[0][:, 0]
        assert float((alone - z[:, feature]).abs().max()) < 0.02


def test_weights_are_those_of_sectors():
    x = angles("two sectors")
    weights = torch.from_numpy(np.where(x > 1, 3.0, 1.0))
    spline = spline_of(x, weights=[weights])
    upper = 3 * np.sum(x > 1) / (3 * np.sum(x > 1) + np.sum(x <= 1))
    cut = spline.each_inverse(torch.tensor([[1.2]], dtype=torch.float64))[0]
    assert float(cut) == pytest.approx(math.pi - 2 * math.pi * upper, abs=0.02)


def test_no_knot_is_refused():
    with pytest.raises(ValueError, match="at least one knot"):
        CircularMarginal(2, 0)
