"""A column whose spline says less of new rows than a normal distribution is only shifted and scaled."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from pushforward.bijections import MarginalSpline
from pushforward.bijections.cross_fitting import LEAST_LOSS, straight_features
from pushforward.zoo.recipe import knots_for


def log_prob(spline, x):
    z, log_slope = spline.each_inverse(x[:, None])
    return (log_slope - 0.5 * z.square())[:, 0] - 0.5 * math.log(2 * math.pi)


def test_the_straight_line_is_the_normal_density_and_its_draws_keep_a_bound():
    x = torch.from_numpy(np.random.default_rng(0).normal(5, 2, 400))
    weights = torch.from_numpy(np.random.default_rng(1).uniform(0.5, 1.5, 400))
    for share in (None, weights):
        line = MarginalSpline.from_data(x[:, None], 8, straight=[0], weights=share)
        mean = np.average(x, weights=share)
        normal = stats.norm(mean, np.sqrt(np.average((x - mean) ** 2, weights=share)))
        np.testing.assert_allclose(log_prob(line, x), normal.logpdf(x), rtol=1e-9)
    bounded = MarginalSpline.from_data(x[:, None], 8, straight=[0], low=[-3.0], high=[20.0])
    z = torch.linspace(-4, 4, 1001, dtype=torch.float64)[:, None]
    there, log_det = bounded(z)
    assert float(there.min()) >= -3 and float(there.max()) <= 20 and bool((there.diff(dim=0) > 0).all())
    torch.testing.assert_close(bounded.inverse(there)[1], -log_det)
    inside = (x > x.min() + (x.max() - x.min()) / 8) & (x < x.max() - (x.max() - x.min()) / 8)
    np.testing.assert_allclose(
        log_prob(bounded, x)[inside], stats.norm(x.mean(), x.std(correction=0)).logpdf(x[inside]), rtol=1e-6
    )


@pytest.mark.parametrize(
    "rows", [100, pytest.param(60, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("law", ["norm", "logistic", "uniform", "expon"])
def test_no_column_loses_more_than_it_must(rows, law):
    """Over 20 tables, against the normal distribution of the same rows, on many new rows."""
    law, random, losses = getattr(stats, law), np.random.default_rng(rows), []
    fresh = torch.from_numpy(law.rvs(size=5000, random_state=random))
    for _ in range(20):
        x = torch.from_numpy(law.rvs(size=rows, random_state=random))
        straight = straight_features(x[:, None], knots_for(rows))
        spline = MarginalSpline.from_data(x[:, None], knots_for(rows), straight=straight)
        normal = torch.distributions.Normal(x.mean(), x.std(correction=0))
        losses.append(float((normal.log_prob(fresh) - log_prob(spline, fresh)).mean()))
    assert np.mean(losses) < 5 * LEAST_LOSS + 5 * np.std(losses) / np.sqrt(20)


@pytest.mark.parametrize("law", ["uniform", "expon", "arcsine", "lognorm"])
def test_few_rows_of_another_law_come_near_it(law):
    """Of 100 rows, which a normal distribution misses by 0.18 to 0.8 nats, over 20 tables."""
    law, random, losses = getattr(stats, law)(*([1.0] if law == "lognorm" else [])), np.random.default_rng(0), []
    fresh = law.ppf((np.arange(2000) + 0.5) / 2000)
    for _ in range(20):
        x = torch.from_numpy(law.rvs(size=100, random_state=random))[:, None]
        straight = straight_features(x, knots_for(100))
        spline = MarginalSpline.from_data(x, knots_for(100), straight=straight)
        losses.append(float((torch.from_numpy(law.logpdf(fresh)) - log_prob(spline, torch.from_numpy(fresh))).mean()))
    assert np.mean(losses) < 0.15 + 5 * np.std(losses) / 20**0.5


def test_few_normal_rows_have_a_straight_line():
    """In most tables: a spline that is better by a standard error is seldom so by chance."""
    random = np.random.default_rng(0)
    found = [straight_features(torch.from_numpy(random.normal(size=(60, 10))), knots_for(60)) for _ in range(8)]
    # A normal variable is above one deviation in 16 % of draws, and here its mean is below zero.
    assert sum(map(len, found)) > 80 * 0.84 - 5 * (80 * 0.84 * 0.16) ** 0.5


def test_a_column_that_a_spline_makes_normal_keeps_it():
    random = np.random.default_rng(0)
    x = np.column_stack([random.exponential(size=2000), random.uniform(size=2000), random.normal(size=2000)])
    x[:, 2] += 5 * (random.random(2000) < 0.5)
    weights = torch.from_numpy(random.uniform(0.5, 1.5, 2000))
    for share in (None, weights):
        assert straight_features(torch.from_numpy(x), 8, low=[0, 0, -np.inf], weights=share) == []
    # Gaps, constant columns and too few rows are no reason to stop.
    x[::3, 0], x[:, 1] = np.nan, 1.0
    assert straight_features(torch.from_numpy(x), 8) == []
    assert 1 not in straight_features(torch.from_numpy(x[:3]), 4)


def test_a_fit_to_few_rows_keeps_up_with_the_gaussian_from_its_start():
    """Of 100 exponential rows before the first step."""
    import pushforward as pf

    random = np.random.default_rng(3)
    frame = pd.DataFrame({"a": random.exponential(size=100), "b": random.normal(size=100)})
    model = pf.fit_table(frame, max_steps=1, progress=False).model
    fresh = np.column_stack([random.exponential(size=4000), random.normal(size=4000)])
    normal = [stats.norm(frame[name].mean(), frame[name].std(ddof=0)) for name in frame]
    reference = sum(law.logpdf(fresh[:, place]) for place, law in enumerate(normal))
    assert np.mean(model.log_prob(fresh) - reference) > -0.1
