"""A mixture of flows against the closed form of a mixture of normal distributions."""

import numpy as np
import pytest
import torch
from scipy import stats
from significance import follows

import pushforward as pf
from pushforward.networks.regression_trees import RegressionTrees
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.layers import linear_layer, set_linear
from pushforward.zoo.registry import build

WEIGHTS, MEANS, DEVIATIONS = np.array([0.2, 0.5, 0.3]), np.array([-4.0, 0.0, 1.0]), np.array([0.1, 1.0, 3.0])


def normal(mean, deviation, slope=0.0):
    layer = linear_layer(1, 1).double()
    set_linear(layer, torch.tensor([[slope]]), torch.tensor([mean]), torch.tensor([[deviation**2]]))
    return pf.Flow(layer, pf.nsf(features=1).base.double())


def mixture(slope=0.5):
    return FlowMixture([normal(m, s, slope) for m, s in zip(MEANS, DEVIATIONS, strict=True)], 7 * WEIGHTS)


def distribution_function(x):
    return stats.norm(MEANS, DEVIATIONS).cdf(np.asarray(x)[..., None]) @ WEIGHTS


def test_log_prob_is_that_of_a_mixture_of_normal_distributions():
    x, context = torch.linspace(-10, 10, 50, dtype=torch.float64)[:, None], torch.randn(50, 1, dtype=torch.float64)
    expected = np.log(stats.norm(MEANS + 0.5 * context.numpy(), DEVIATIONS).pdf(x.numpy()) @ WEIGHTS)
    np.testing.assert_allclose(mixture().log_prob(x, context).detach(), expected, atol=1e-9)


def test_latent_and_data_are_quantiles_of_the_mixture():
    one = mixture(0.0)
    context = torch.zeros(1, 1, dtype=torch.float64)
    x = torch.linspace(-5, 8, 60, dtype=torch.float64)[:, None]
    z = one.to_latent(x, context)
    np.testing.assert_allclose(stats.norm.cdf(z[:, 0]), distribution_function(x[:, 0]), rtol=1e-9)
    np.testing.assert_allclose(one.to_data(z, context), x, atol=1e-6)
    # Many values of each row, and far into the tails.
    z = torch.linspace(-8, 8, 9, dtype=torch.float64)[:, None, None].expand(9, 4, 1)
    context = torch.tensor([[0.0], [1.0], [-1.0], [2.0]], dtype=torch.float64)
    found = mixture().to_data(z, context)
    np.testing.assert_allclose(mixture().to_latent(found, context), z, atol=1e-6)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], np.full((9, 1), 0.5), atol=1e-6)


def test_draws_are_those_of_the_mixture_and_a_seed_repeats_them():
    torch.manual_seed(0)
    draws = mixture(0.0).sample((3000,), torch.zeros(2, 1, dtype=torch.float64))
    assert draws.shape == (3000, 2, 1)
    assert all(follows(distribution_function(draws[:, row, 0].numpy()), "uniform") for row in range(2))
    assert mixture().sample((0,), torch.zeros(2, 1, dtype=torch.float64)).shape == (0, 2, 1)


def test_it_is_saved_and_loaded(tmp_path):
    whole = FlowMixture([pf.nsf(features=2, context=1), pf.maf(features=2, context=1)], [0.25, 0.75])
    pf.save(whole, tmp_path / "mixture.safetensors")
    again = pf.load(tmp_path / "mixture.safetensors")
    x, context = torch.randn(9, 2), torch.randn(9, 1)
    assert torch.equal(again.log_prob(x, context), whole.log_prob(x, context))
    assert [weight for weight, _ in again.parts] == pytest.approx([0.25, 0.75])
    with pytest.raises(pf.InputError, match="several features"):
        whole.to_latent(x, context)
    with pytest.raises(ValueError, match="same features"):
        FlowMixture([pf.nsf(features=2), pf.nsf(features=1)])


def test_flows_are_given_what_trees_say_of_the_context(tmp_path):
    trees = RegressionTrees(features=2, trees=1, nodes=3, depth=1)
    trees.feature[0], trees.right[0] = 1, 2
    trees.number[1:] = torch.tensor([-1.0, 2.0])
    flows = [pf.nsf(features=1, context=3), pf.maf(features=1, context=3)]
    whole = FlowMixture(flows, [0.25, 0.75], [trees])
    x, context = torch.randn(9, 1), torch.randn(9, 2)
    shown = torch.cat([context, torch.where(context[:, 1:] > 0, 2.0, -1.0)], 1)
    plain = FlowMixture(flows, [0.25, 0.75])
    assert whole.context_features == 2
    assert torch.equal(whole.log_prob(x, context), plain.log_prob(x, shown))
    assert torch.equal(whole.log_prob_of_each(x, context), plain.log_prob_of_each(x, shown))
    z = whole.to_latent(x, context)
    assert torch.equal(z, plain.to_latent(x, shown))
    torch.testing.assert_close(whole.to_data(z, context), x, atol=1e-4, rtol=1e-4)
    noise = whole.noise(9)
    assert torch.equal(whole.draws_of(noise, context), plain.draws_of(noise, shown))
    assert whole.sample((4,), context).shape == (4, 9, 1)
    assert whole.beyond_range(context).shape == (9, 2)
    parts = torch.stack([np.log(weight) + flow.log_prob(x, context) for weight, flow in whole.parts])
    torch.testing.assert_close(parts.logsumexp(0), whole.log_prob(x, context))
    pf.save(whole, tmp_path / "mixture.safetensors")
    again = pf.load(tmp_path / "mixture.safetensors")
    assert torch.equal(again.log_prob(x, context), whole.log_prob(x, context))


@pytest.mark.parametrize("sizes", [{"features": 2}, {"features": 2, "trees": 1, "nodes": 10**12, "depth": 4}])
def test_a_file_cannot_ask_for_trees_of_any_size(sizes):
    config = {"architecture": "flow_mixture", "flows": [pf.nsf(features=1, context=3).config]}
    config["regressions"] = [{"kind": "trees", **sizes}]
    with pytest.raises(pf.InputError, match="trees"):
        build(config)
