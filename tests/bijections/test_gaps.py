"""Clusters far apart: hardly a draw between them, the right share and density in each."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.bijections.clusters import find_clusters
from pushforward.bijections.gaps import empty_gaps, gaps_at_ends
from pushforward.distributions import StandardNormal

SEPARATIONS = [10.0, 1e3, 1e5, 1e7]


def clusters(separation, rows=4000, share=0.3, seed=0):
    random = np.random.default_rng(seed)
    second = random.random(rows) < share
    # Without the rare row that lies between the clusters.
    return torch.from_numpy(np.clip(random.normal(size=rows), -3.5, 3.5) + separation * second)


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("knots", [8, 32])
def test_between_clusters_there_is_nearly_no_probability(separation, knots):
    x = clusters(separation)
    spline = MarginalSpline.from_data(x[:, None], knots)
    flow = pf.Flow(spline, StandardNormal(1).double())
    edges = torch.tensor([[4.0], [separation - 4.0]], dtype=torch.float64)
    below, above = torch.special.ndtr(spline.inverse(edges)[0][:, 0]).tolist()
    assert 0 <= above - below < 1e-3
    # Of the rows themselves, up to the rows next to the gap; and all mass is within reach of a cluster.
    assert below == pytest.approx(float((x < separation / 2).double().mean()), abs=1e-3)
    lowest, highest = torch.special.ndtr(spline.inverse(torch.tensor([[-8.0], [separation + 8.0]]).double())[0][:, 0])
    assert float(lowest) < 1e-3 and float(highest) > 1 - 1e-3
    # The density within the clusters is the true one, on average over fresh rows.
    fresh = clusters(separation, 20_000, seed=1)
    truth = np.logaddexp(math.log(0.7) + stats.norm.logpdf(fresh), math.log(0.3) + stats.norm(separation).logpdf(fresh))
    difference = torch.from_numpy(truth) - flow.log_prob(fresh[:, None])
    lost, error = float(difference.mean()), float(difference.std()) / len(fresh) ** 0.5
    assert -0.02 < lost < (0.15 if knots == 8 else 0.06) + 5 * error


@pytest.mark.parametrize("separation", SEPARATIONS)
def test_both_directions_agree_across_a_gap(separation):
    x = clusters(separation)[:, None]
    spline = MarginalSpline.from_data(x)
    z, log_det = spline.inverse(x)
    back, log_det_back = spline(z)
    torch.testing.assert_close(back, x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(log_det, -log_det_back, rtol=1e-4, atol=1e-3)


def test_three_clusters_beside_a_column_without_gaps():
    random = np.random.default_rng(0)
    place = random.integers(0, 3, 3000)
    x = np.column_stack([random.normal(size=3000) + 1e6 * place, random.normal(size=3000)])
    spline = MarginalSpline.from_data(torch.from_numpy(x), 8)
    assert spline.z_knots.shape == (2, 16) and bool(
        (spline.z_knots.diff() > 0).all() and (spline.x_knots.diff() > 0).all()
    )
    alone = MarginalSpline.from_data(torch.from_numpy(x[:, 1:]), 8)
    inner = torch.linspace(-3, 3, 100, dtype=torch.float64)
    z = spline.inverse(torch.stack([inner, inner], 1))[0][:, 1]
    torch.testing.assert_close(z, alone.inverse(inner[:, None])[0][:, 0])


@pytest.mark.parametrize("lightest", [1.0, 1e-3, 0.0])
def test_clusters_of_many_rows_and_of_little_weight(lightest):
    random = np.random.default_rng(0)
    place = np.repeat([0, 1, 2, 3], [600_000, 12, 200, 2000])
    x = torch.from_numpy(random.normal(size=len(place)) + 1e5 * place)[:, None]
    weights = torch.from_numpy(np.where(place == 1, max(lightest, 1e-12), 1.0))
    spline = MarginalSpline.from_data(x, 8, weights=weights)
    assert bool((spline.z_knots.diff() > 0).all() and (spline.x_knots.diff() > 0).all())
    middle = torch.special.ndtr(spline.inverse(torch.tensor([[1.5e5], [2.5e5]]).double())[0][:, 0]).numpy()
    # Of the quantiles of a few rows among many.
    shares = np.cumsum([weights[place == k].sum() for k in range(4)]) / float(weights.sum())
    np.testing.assert_allclose(middle, shares[1:3], atol=2e-4)


@pytest.mark.parametrize("name", ["normal", "cauchy", "lognormal", "uniform"])
@pytest.mark.parametrize("seed", range(3))
def test_columns_without_gaps_need_no_more_knots(name, seed):
    random = np.random.default_rng(seed)
    x = {"normal": random.normal, "cauchy": random.standard_cauchy, "uniform": random.random}
    x["lognormal"] = lambda size: np.exp(5 * random.normal(size=size))
    assert MarginalSpline.from_data(torch.from_numpy(x[name](size=5000))[:, None], 16).z_knots.shape == (1, 16)


@pytest.mark.slow
@pytest.mark.parametrize("separation", [1e3, 1e5])
def test_a_fitted_table_draws_nothing_between_clusters(separation):
    random = np.random.default_rng(0)
    second = random.random(1000) < 0.3
    table = pf.tables.to_table(random.normal(size=(1000, 2)) + separation * second[:, None], ["a", "b"])
    model = pf.fit_table(table, max_steps=30, progress=False).model
    torch.manual_seed(0)
    draws = model.draw(4000)
    between = (draws > 10) & (draws < separation - 10)
    assert between.mean() < 1e-3


@pytest.mark.parametrize("width", [0.02, 0.2])
def test_a_gap_that_is_narrow_beside_both_parts_divides_nothing(width):
    part = torch.linspace(0, 1, 2000, dtype=torch.float64)
    assert empty_gaps(torch.cat([part, part + 1 + width])) == ([], [])
    assert gaps_at_ends(torch.cat([part, part[::100] + 1 + width])) == ([], [])


@pytest.mark.parametrize("width", [0.02, 0.2])
def test_a_gap_beside_a_narrow_part_divides_it_from_others(width):
    part = torch.linspace(0, 1, 2000, dtype=torch.float64)
    spike, few = 0.01 * part + 1 + width, 0.01 * part[::200] + 1 + width
    rest = part + 1.02 + 2 * width
    found, places = empty_gaps(torch.cat([part, spike, rest]))
    assert [gap[:2] for gap in found] == [(1.0, spike[0]), (spike[-1], rest[0])] and places == [1999, 3999]
    assert gaps_at_ends(torch.cat([part, few]))[1] == [1999]


def test_the_widest_of_gaps_stay_where_narrow_ones_are_closed():
    part = torch.linspace(0, 1, 1000, dtype=torch.float64)
    below, above = torch.cat([part, part + 1.1]), torch.cat([part + 100, part + 101.1])
    assert empty_gaps(torch.cat([below, above]))[1] == [1999]


def test_readings_along_a_path_are_no_clusters():
    time = torch.linspace(0, 40, 8000, dtype=torch.float64)
    walk = torch.stack([(0.37 * k * time).sin() + (0.11 * time + k).cos() for k in range(1, 7)], 1)
    assert find_clusters((walk / 0.02).round() * 0.02) is None
