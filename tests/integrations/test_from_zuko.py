"""Flows of zuko with their weights as flows of ours."""

import copy
from functools import partial

import pytest
import torch

import pushforward as pf

zuko = pytest.importorskip("zuko", reason="pip install 'pushforward[zuko]' brings it")

from pushforward.integrations.from_zuko import from_zuko  # noqa: E402

RQS = zuko.transforms.MonotonicRQSTransform
GRAPH = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]) > 0
FLOWS = {
    "maf": lambda c: zuko.flows.MAF(5, c, transforms=3, hidden_features=(16, 20)),
    "random orders": lambda c: zuko.flows.MAF(5, c, randperm=True, hidden_features=(17,), activation=torch.nn.Tanh),
    "no hidden layer": lambda c: zuko.flows.MAF(3, c, hidden_features=()),
    "narrow": lambda c: zuko.flows.MAF(12, c, hidden_features=(5, 7)),
    "nsf": lambda c: zuko.flows.NSF(4, c, bins=6, hidden_features=(32, 32)),
    "nsf of two passes": lambda c: zuko.flows.NSF(4, c, passes=2, slope=1e-2, hidden_features=(32,)),
    "adjacency": lambda c: zuko.flows.MAF(4, c, adjacency=GRAPH, hidden_features=(30,)),
    "nice": lambda c: zuko.flows.NICE(5, c, hidden_features=(16, 16), activation=torch.nn.ELU),
    "spline coupling": lambda c: zuko.flows.NICE(
        5, c, randmask=True, univariate=partial(RQS, bound=3.0), shapes=((8,), (8,), (7,)), hidden_features=(16,)
    ),
}


def randomized(flow):
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return flow


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("name", FLOWS)
def test_the_density_is_the_same_and_draws_belong_to_it(name, context, tmp_path):
    other = randomized(FLOWS[name](context)).double()
    flow = from_zuko(other)
    features = flow.features
    assert flow.context_features == context
    x = 3 * torch.randn(200, features, dtype=torch.float64)
    c = torch.randn(200, context, dtype=torch.float64) if context else None
    truth = other(c).log_prob(x)
    torch.testing.assert_close(flow.log_prob(x, c), truth, rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(flow.to_data(flow.to_latent(x, c), c), x, rtol=1e-6, atol=1e-6)
    pf.save(flow, tmp_path / "flow.safetensors")
    torch.testing.assert_close(pf.load(tmp_path / "flow.safetensors").log_prob(x, c), truth, rtol=1e-10, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maf", "nsf", "nice"])
def test_the_contracts_of_maps_hold(name):
    flow = from_zuko(randomized(FLOWS[name](2)))
    report = pf.check_flow(flow)
    assert report.passed, report


def test_orders_stay_orders_and_layers_may_be_inverted():
    same = zuko.flows.Flow(
        [zuko.flows.MaskedAutoregressiveTransform(3, order=torch.tensor([2, 0, 1])).inv],
        zuko.flows.MAF(3).base,
    )
    flow, x = from_zuko(randomized(same).double()), torch.randn(50, 3, dtype=torch.float64)
    assert flow.order() == [1, 2, 0]
    torch.testing.assert_close(flow.log_prob(x), same().log_prob(x))


def test_single_precision_is_as_near_to_double_as_that_of_zuko():
    other = zuko.flows.NSF(4, 2)
    x, c = torch.randn(2_000, 4), torch.randn(2_000, 2)
    flow = from_zuko(other)
    truth = copy.deepcopy(other).double()(c.double()).log_prob(x.double())
    ours, theirs = ((found - truth).square().mean().sqrt() for found in (flow.log_prob(x, c), other(c).log_prob(x)))
    # Both round by about 2e-6 of values near 6, zuko in its own arithmetic, so that they differ by as much.
    assert ours < 1.5 * theirs < 1e-5
    torch.testing.assert_close(flow.double().log_prob(x.double(), c.double()), truth, rtol=1e-10, atol=1e-8)


REFUSED = {
    "ElementWiseTransform": lambda: zuko.flows.MAF(1, 2),
    "residual blocks": lambda: zuko.flows.MAF(3, residual=True, hidden_features=(8, 8)),
    "normalization": lambda: zuko.flows.NICE(3, normalize=True),
    "the maps of layer 0 are MNN.$": lambda: zuko.flows.NAF(3),
    "the maps of layer 0 are UMNN.$": lambda: zuko.flows.UNAF(3),
    "the maps of layer 0 are ShiftedSOSPTransform.$": lambda: zuko.flows.SOSPF(3),
    "the maps of layer 0 are BoundedBernsteinTransform.$": lambda: zuko.flows.BPF(3),
    "standard normal base": lambda: zuko.flows.NCSF(3),
    "is a FFJTransform": lambda: zuko.flows.CNF(3),
    "activation": lambda: zuko.flows.MAF(3, activation=torch.nn.Softplus),
    "not Linear": lambda: torch.nn.Linear(2, 2),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_ours_is_refused_by_name(message):
    with pytest.raises(pf.InputError, match=message):
        from_zuko(REFUSED[message]())
