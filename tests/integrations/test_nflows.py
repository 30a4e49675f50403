"""Flows of nflows with their weights as flows of ours."""

import pytest
import torch
from torch.nn import functional

import pushforward as pf

nflows = pytest.importorskip("nflows", reason="pip install 'pushforward[nflows]' brings it")
from nflows import flows, transforms  # noqa: E402
from nflows.distributions import ConditionalDiagonalNormal, StandardNormal  # noqa: E402
from nflows.nn.nets import ResidualNet  # noqa: E402

from pushforward.integrations.nflows import from_nflows  # noqa: E402


def flow_of(*layers, features=4):
    return flows.Flow(transforms.CompositeTransform(list(layers)), StandardNormal([features]))


def network(inputs, outputs):
    return ResidualNet(inputs, outputs, hidden_features=12, num_blocks=1, activation=functional.silu)


def spline_coupling(mask):
    return transforms.PiecewiseRationalQuadraticCouplingTransform(
        mask, network, num_bins=5, tails="linear", tail_bound=4
    )


def masked_spline(**options):
    return transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
        4, 16, num_bins=6, tails="linear", tail_bound=3.0, **options
    )


def normalized(module):
    """In evaluation, with statistics of batches."""
    for part in module.modules():
        if isinstance(part, transforms.BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


SIZES = {"hidden_features": 13, "num_layers": 3, "num_blocks_per_layer": 2}
FLOWS = {
    "maf": lambda: flows.MaskedAutoregressiveFlow(5, **SIZES),
    "random permutations": lambda: flows.MaskedAutoregressiveFlow(
        4, use_random_permutations=True, activation=functional.gelu, **SIZES
    ),
    "realnvp": lambda: flows.SimpleRealNVP(5, **SIZES),
    "nice": lambda: flows.SimpleRealNVP(5, use_volume_preserving=True, **SIZES),
    "nsf": lambda: flow_of(transforms.RandomPermutation(4), masked_spline(), transforms.ReversePermutation(4)),
    "spline coupling": lambda: flow_of(spline_coupling([1, -1, 1, -1]), spline_coupling([-1, 1, 1, -1])),
    "batch normalization": lambda: normalized(
        flows.MaskedAutoregressiveFlow(4, batch_norm_between_layers=True, **SIZES)
    ),
    "inverse of batch normalization": lambda: flow_of(
        transforms.InverseTransform(normalized(transforms.BatchNorm(4))), transforms.RandomPermutation(4)
    ),
    "inverses": lambda: flow_of(
        transforms.InverseTransform(transforms.RandomPermutation(4)),
        transforms.InverseTransform(transforms.MaskedAffineAutoregressiveTransform(4, 8)),
        transforms.InverseTransform(spline_coupling([1, -1, 1, -1])),
    ),
}


def randomized(flow):
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return flow.double()


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_is_the_same_and_draws_belong_to_it(name, tmp_path):
    other = randomized(FLOWS[name]())
    flow = from_nflows(other)
    x = 2 * torch.randn(200, flow.features, dtype=torch.float64)
    truth = other.log_prob(x)
    torch.testing.assert_close(flow.log_prob(x), truth, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(flow.to_data(flow.to_latent(x)), x, rtol=1e-6, atol=1e-6)
    pf.save(flow, tmp_path / "flow.safetensors")
    torch.testing.assert_close(pf.load(tmp_path / "flow.safetensors").log_prob(x), truth, rtol=1e-8, atol=1e-8)


CONDITIONAL = {
    "maf": lambda: flow_of(
        *(transforms.MaskedAffineAutoregressiveTransform(4, 10, context_features=3, num_blocks=1) for _ in range(2))
    ),
    "nsf": lambda: flow_of(
        transforms.RandomPermutation(4), masked_spline(context_features=2, activation=functional.gelu)
    ),
    "two features": lambda: flow_of(
        transforms.MaskedAffineAutoregressiveTransform(2, 6, context_features=4, activation=functional.silu), features=2
    ),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_density_given_a_context_is_the_same(name, tmp_path):
    other = randomized(CONDITIONAL[name]())
    flow = from_nflows(other)
    x = 2 * torch.randn(200, flow.features, dtype=torch.float64)
    context = torch.randn(200, flow.context_features, dtype=torch.float64)
    truth = other.log_prob(x, context)
    torch.testing.assert_close(flow.log_prob(x, context), truth, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(flow.to_data(flow.to_latent(x, context), context), x, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(flow.log_prob(x, context + 1), truth)
    pf.save(flow, tmp_path / "flow.safetensors")
    read = pf.load(tmp_path / "flow.safetensors")
    torch.testing.assert_close(read.log_prob(x, context), truth, rtol=1e-8, atol=1e-8)


def gated(inputs, outputs):
    return ResidualNet(inputs, outputs, hidden_features=8, context_features=2)


REFUSED = {
    "layer 0 is a LULinear": lambda: flow_of(transforms.LULinear(4)),
    "layer 0 are gated by one": lambda: flow_of(transforms.AffineCouplingTransform([1, -1, 1, -1], gated)),
    "embeds it by a Linear": lambda: flows.Flow(
        transforms.ReversePermutation(4), StandardNormal([4]), embedding_net=torch.nn.Linear(2, 2)
    ),
    "without batch normalization": lambda: flows.SimpleRealNVP(4, batch_norm_within_layers=True, **SIZES),
    "residual networks": lambda: flows.MaskedAutoregressiveFlow(4, use_residual_blocks=False, **SIZES),
    "smallest bins and slopes": lambda: flow_of(masked_spline(min_derivative=1e-2)),
    "standard normal base": lambda: flows.Flow(transforms.ReversePermutation(4), ConditionalDiagonalNormal([4])),
    "has elu": lambda: flows.MaskedAutoregressiveFlow(4, activation=functional.elu, **SIZES),
    "not Linear": lambda: torch.nn.Linear(2, 2),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_ours_is_refused_by_name(message):
    with pytest.raises(pf.InputError, match=message):
        from_nflows(REFUSED[message]())
