"""Mixtures of Gaussians and kernel estimates as flows, against scipy and closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from significance import follows

import pushforward as pf
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.kernel_density import bandwidth_by_likelihood, fit_kernel_density
from pushforward.zoo.normal_mixture import NormalMixture, components_by_bic, fit_normal_mixture
from pushforward.zoo.registry import build
from pushforward.zoo.simple_densities import Features, simple_densities

ROWS = np.random.default_rng(0).normal(size=(80, 3)) @ np.array([[1, 0.5, 0.2], [0, 1, 0.9], [0, 0, 0.3]])
Y = torch.from_numpy(ROWS)
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
MEANS = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]], dtype=torch.float64)
FACTORS = torch.tensor([[1, 0, 0], [0.5, 2, 0], [-0.3, 0.1, 0.2]], dtype=torch.float64).repeat(2, 1, 1)
FACTORS[1] *= 0.4


def mixture():
    flow = build({"architecture": "normal_mixture", "features": 3, "components": 2})
    flow.base.set(WEIGHTS, MEANS, FACTORS)
    return flow


def expected(rows, places=(0, 1, 2)):
    """log p of some of the features, by scipy."""
    each = [
        stats.multivariate_normal(mean[list(places)], (factor @ factor.T)[np.ix_(places, places)]).pdf(rows[:, places])
        for mean, factor in zip(MEANS.numpy(), FACTORS.numpy(), strict=True)
    ]
    return np.log(WEIGHTS.numpy() @ np.array(each))


def kernels():
    return fit_kernel_density(Y, 0.4)


def test_a_mixture_has_the_density_of_scipys_gaussians():
    np.testing.assert_allclose(mixture().log_prob(Y), expected(ROWS), atol=1e-10)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_terms_of_a_mixture_are_those_of_the_chain_rule_in_any_order(order):
    terms = mixture().base.log_prob_of_each(Y, order)
    for place in range(3):
        whole = expected(ROWS, order[: place + 1]) - (expected(ROWS, order[:place]) if place else 0)
        np.testing.assert_allclose(terms[:, order[place]], whole, atol=1e-9)


def test_kernels_have_the_density_of_scipys_estimate():
    # Of as many rows the covariance is hardly shrunk, but it is: scipy is given that of the kernels.
    flow = kernels()
    covariance = (flow.base.factor @ flow.base.factor.T).numpy()
    x = ROWS[:7] + 0.3
    each = np.array([stats.multivariate_normal(row, covariance).pdf(x) for row in ROWS])
    np.testing.assert_allclose(flow.log_prob(torch.from_numpy(x)), np.log(each.mean(0)), atol=1e-9)
    terms = flow.base.log_prob_of_each(torch.from_numpy(x), (1, 2, 0))
    first = np.array([stats.norm(row[1], covariance[1, 1] ** 0.5).pdf(x[:, 1]) for row in ROWS]).mean(0)
    np.testing.assert_allclose(terms[:, 1], np.log(first), atol=1e-9)
    np.testing.assert_allclose(terms.sum(1), flow.log_prob(torch.from_numpy(x)), atol=1e-9)


@pytest.mark.parametrize("make", [mixture, kernels])
def test_draws_have_the_marginal_distributions(make):
    torch.manual_seed(0)
    flow = make()
    draws = flow.sample((4000,))[:, :1]
    alone = build({"architecture": "normal_mixture", "features": 1, "components": 1}).base
    if make is mixture:
        alone = NormalMixture(1, 2).set(WEIGHTS, MEANS[:, :1], FACTORS[:, :1, :1])
    else:
        alone = fit_kernel_density(Y[:, :1], 1.0).base
        alone.factor.copy_(flow.base.factor[:1, :1])
    assert follows(alone.distribution_function(draws)[:, 0].numpy(), "uniform")


@pytest.mark.parametrize("make", [mixture, kernels])
def test_they_are_saved_and_loaded_alone_and_in_a_mixture(make, tmp_path):
    flow = pf.standardized(make(), Y + 5)
    whole = FlowMixture([pf.standardized(pf.nsf(features=3), Y), flow], [0.4, 0.6])
    for one in (flow, whole):
        pf.save(one, tmp_path / "one.safetensors")
        found = pf.load(tmp_path / "one.safetensors")
        assert torch.equal(found.log_prob(Y), one.eval().log_prob(Y))
        assert found.sample((5,)).shape == (5, 3)


def test_batches_broadcast_and_far_points_have_their_value():
    for flow in (mixture(), kernels()):
        assert torch.equal(flow.log_prob(Y[:6].reshape(2, 3, 3)), flow.log_prob(Y[:6]).reshape(2, 3))
        assert flow.log_prob(Y[:0]).shape == (0,)
        assert flow.log_prob(torch.full((1, 3), 1e6, dtype=torch.float64)).isfinite().all()


def test_the_criterion_counts_clusters_and_the_fit_finds_them():
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.normal(size=(300, 2)) + 12 * generator.integers(3, size=(300, 1)))
    assert components_by_bic(rows) == 3
    found = fit_normal_mixture(rows, 3)
    np.testing.assert_allclose(found.base.log_weights.exp().sum(), 1)
    assert float(found.log_prob(rows).mean()) > float(fit_normal_mixture(rows, 1).log_prob(rows).mean()) + 0.5


def test_the_bandwidth_is_the_best_of_those_that_leave_rows_out():
    chosen = bandwidth_by_likelihood(Y)

    def left_out(bandwidth):
        factor = fit_kernel_density(Y, bandwidth).base.factor.numpy()
        law = stats.multivariate_normal(np.zeros(3), factor @ factor.T)
        values = law.pdf(ROWS[:, None] - ROWS)
        np.fill_diagonal(values, 0)
        return np.log(values.sum(1) / (len(ROWS) - 1)).mean()

    assert all(left_out(chosen) >= left_out(factor * chosen) - 1e-4 for factor in (0.8, 0.95, 1.05, 1.25))


def test_copies_do_not_narrow_the_kernels():
    twice, labels = torch.cat([Y, Y]), torch.arange(80).repeat(2)
    assert bandwidth_by_likelihood(twice) < 0.05
    assert bandwidth_by_likelihood(twice, labels) > 0.7 * bandwidth_by_likelihood(Y)


def test_within_bounds_all_parts_stay_there():
    rows = Y.abs()
    found = simple_densities(rows, Features([0.0] * 3, [np.inf] * 3))
    assert found and all("made normal" in one.name for one in found)
    torch.manual_seed(0)
    for one in found:
        assert bool((one.fit(rows).sample((500,)) >= 0).all())
