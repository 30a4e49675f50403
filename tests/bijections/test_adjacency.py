"""Autoregressive layers with an adjacency of the user's own: what depends on what, both ways, and errors."""

import copy
import json

import numpy as np
import pytest
import torch
from catalogue import randomize
from hypothesis import given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.bijections import Affine, Autoregressive, Bernstein, RationalQuadraticSpline
from pushforward.bijections.ordering import closure
from pushforward.networks import MADE, Conditioner

# 3 → 0 → 4, 3 → 1, and 2 by itself.
GRAPH = ((0, 0, 0, 1, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (1, 0, 0, 0, 0))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_graph(features, density, seed):
    generator = torch.Generator().manual_seed(seed)
    place = torch.randperm(features, generator=generator)
    return (place[:, None] > place) & (torch.rand(features, features, generator=generator) < density)


def dependence(function, values):
    """(outputs, inputs), the largest derivative in size at any of the values."""
    jacobian = torch.func.jacrev(function)
    return torch.stack([jacobian(value) for value in values]).abs().amax(0)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    features=st.integers(1, 7),
    density=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    hidden=st.lists(st.integers(1, 12), max_size=3).map(tuple),
    context=st.integers(0, 2),
    seed=st.integers(0, 2**20),
)
def test_parameters_depend_on_what_the_adjacency_allows_and_on_nothing_else(features, density, hidden, context, seed):
    graph = random_graph(features, density, seed)
    made = MADE(features, 2, Conditioner(hidden, "elu"), context, adjacency=graph)
    made = randomize(made.double(), seed, scale=0.7)
    conditions = normal(context, seed=1) if context else None
    found = dependence(lambda x: made(x, conditions), normal(4, features, seed=seed))
    assert torch.equal(found > 0, graph[:, None].expand_as(found))
    if context:
        x = normal(features, seed=seed)
        assert bool((dependence(lambda c: made(x, c), normal(4, context, seed=2)) > 0).all())


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(16, 12), (2, 1), (), (5, 5, 5)])
@pytest.mark.parametrize("univariate", [Affine(), Bernstein(4)])
def test_both_directions_have_the_zeros_of_the_graph(hidden, univariate):
    graph = torch.tensor(GRAPH).bool()
    conditioner = Conditioner(hidden, "tanh", residual=len(hidden) == 3)
    layer = randomize(Autoregressive(5, univariate, conditioner, adjacency=GRAPH).double(), scale=0.5)
    z = normal(6, 5)
    x, log_det = layer(z)
    back, negative = layer.inverse(x)
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(negative, -log_det, rtol=1e-9, atol=1e-9)
    itself = torch.eye(5).bool()
    assert torch.equal(dependence(lambda v: layer.inverse(v)[0], x) > 0, graph | itself)
    found = dependence(lambda v: layer(v)[0], z) > 0
    assert torch.equal(found, closure(graph)) and torch.equal(layer.dependencies(), closure(graph))
    with torch.no_grad():  # the way without gradients, which fills memory in place
        torch.testing.assert_close(layer(z), (x, log_det))
    order = layer.order()
    assert all(order.index(parent) < order.index(child) for child, parent in graph.nonzero().tolist())


@pytest.mark.parametrize("hidden", [(40, 40), (2, 2)])
@pytest.mark.parametrize("univariate", [Affine(), RationalQuadraticSpline(4)])
def test_float32_with_compiled_kernels_agrees_with_float64(hidden, univariate):
    layer = randomize(Autoregressive(5, univariate, Conditioner(hidden), adjacency=GRAPH), scale=0.3)
    exact = copy.deepcopy(layer).double()
    value = normal(200, 5)
    for direction in ("forward", "inverse"):
        expected = getattr(exact, direction)(value)
        with torch.no_grad():
            found = getattr(layer, direction)(value.float())
        torch.testing.assert_close([part.double() for part in found], list(expected), rtol=1e-4, atol=1e-4)
        found = getattr(layer, direction)(value.float())
        torch.testing.assert_close([part.double() for part in found], list(expected), rtol=1e-4, atol=1e-4)
        gradients = [
            torch.autograd.grad(sum(part.double().square().sum() for part in results), list(module.parameters()))
            for module, results in ((layer, found), (exact, expected))
        ]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("context", [0, 1])
def test_a_full_adjacency_is_the_layer_without_one(context):
    full = torch.ones(6, 6).tril(-1)
    torch.manual_seed(0)
    ours = MADE(6, 2, Conditioner((9, 11, 4)), context, adjacency=full.bool())
    torch.manual_seed(0)
    usual = MADE(6, 2, Conditioner((9, 11, 4)), context)
    assert ours.order == usual.order and ours.units == usual.units
    for one, other in zip(ours.state_dict().items(), usual.state_dict().items(), strict=True):
        assert one[0] == other[0] and torch.equal(one[1], other[1])
    x, conditions = normal(5, 6).float(), torch.ones(context) if context else None
    assert torch.equal(ours(x, conditions), usual(x, conditions))


def test_a_cycle_is_named():
    cycle = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    with pytest.raises(pf.InputError, match="autoregressive: adjacency has a cycle: ") as caught:
        pf.autoregressive(4, adjacency=cycle)
    links = ["feature 0 depends on 2", "feature 2 depends on 1", "feature 1 depends on 0"]
    assert all(link in str(caught.value) for link in links) and "3" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"adjacency": [[0, 0], [1, 0]]}, "3 × 3 matrix, one row for each feature; got 2 rows of 2 entries"),
        ({"adjacency": [[0, 0, 0], [1, 0], [0, 0, 0]]}, "got 3 rows of 2, 3 entries"),
        ({"adjacency": []}, "got 0 rows of no entries"),
        ({"adjacency": [[0, 0, 0]] * 3, "order": "same"}, "an order or an adjacency, not both"),
        ({"adjacency": [[0, 0, 5]] * 3}, "option adjacency.0.2 cannot be 5"),
    ],
)
def test_what_is_no_adjacency_is_refused(options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.autoregressive(3, **options)


@pytest.mark.parametrize("kind", [tuple, np.array, torch.tensor])
def test_it_is_saved_as_json(kind, tmp_path):
    flow = pf.autoregressive(5, "spline", layers=2, hidden=(8,), bins=4, adjacency=kind(GRAPH))
    assert json.loads(json.dumps(flow.config)) == flow.config
    flow = randomize(flow)
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    x = normal(7, 5).float()
    assert loaded.config == flow.config and torch.equal(loaded.log_prob(x), flow.log_prob(x))
    # Two layers: what depends on 3 through 0 depends on it directly.
    graph = torch.tensor(GRAPH).bool()
    exact = flow.double()
    found = dependence(exact.to_latent, normal(4, 5)) > 0
    two_steps = graph | torch.eye(5).bool()
    assert torch.equal(found, two_steps.float() @ two_steps.float() > 0)
