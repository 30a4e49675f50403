"""MADE: who depends on whom, by the masks and by the Jacobian."""

import pytest
import torch
from catalogue import randomize
from hypothesis import given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.networks import MADE, Conditioner
from pushforward.networks.dependencies import spread_degrees
from pushforward.networks.made import MaskedLinear


def wanted_connectivity(order):
    """(D, D) True at [i, j] where feature i may depend on feature j: j comes before i."""
    place = torch.tensor(order).argsort()
    return place[:, None] > place


def connectivity(made):
    """(D, D) number of paths from input j to the first parameter of output i, by the masks alone."""
    features = made.features
    paths = torch.eye(features)
    for layer in made.layers:
        mask = layer.mask.float() if isinstance(layer, MaskedLinear) else torch.zeros(len(layer.bias), features)
        paths = mask @ paths
    if made.direct is not None:
        paths = paths + made.direct.mask.float()
    return paths[:: made.parameter_count]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    features=st.integers(1, 12),
    hidden=st.lists(st.integers(1, 30), max_size=3),
    context=st.integers(0, 2),
    data=st.data(),
)
def test_the_product_of_the_masks_is_the_wanted_connectivity(features, hidden, context, data):
    order = data.draw(st.permutations(range(features)))
    made = MADE(features, 2, Conditioner(hidden), context, order)
    assert torch.equal(connectivity(made) > 0, wanted_connectivity(order))


@pytest.mark.parametrize("features", [1, 2, 5, 9])
@pytest.mark.parametrize("hidden", [(), (1,), (3, 2), (16, 16), (40, 7)])
@pytest.mark.parametrize("context", [0, 2])
def test_the_jacobian_is_zero_where_it_must_be_and_alive_everywhere_else(features, hidden, context):
    order = torch.randperm(features, generator=torch.Generator().manual_seed(3)).tolist()
    made = randomize(MADE(features, 2, Conditioner(hidden, "elu"), context, order).double(), scale=0.7)
    x, conditions = torch.randn(features).double(), torch.randn(context).double() if context else None
    jacobian = torch.func.jacrev(lambda v: made(v, conditions))(x).abs()  # (D, P, D)
    allowed = wanted_connectivity(order)[:, None].expand_as(jacobian)
    assert bool((jacobian[~allowed] == 0).all())
    assert bool((jacobian[allowed] > 0).all())
    if context:
        by_context = torch.func.jacrev(lambda c: made(x, c))(conditions)
        assert bool((by_context != 0).all())


def test_no_dependency_is_lost_when_the_network_is_much_narrower_than_the_data():
    made = MADE(784, 2, Conditioner((64, 64)))
    assert torch.equal(connectivity(made) > 0, wanted_connectivity(range(784)))


def test_direct_connections_are_there_only_when_needed():
    assert MADE(8, 2, Conditioner((7, 7))).direct is None
    assert MADE(8, 2, Conditioner((6, 7))).direct is not None
    assert MADE(8, 2, Conditioner((7, 7)), context=1).direct is not None  # degree 0 needs a unit of its own
    assert MADE(8, 2, Conditioner((8, 8)), context=1).direct is None


@given(width=st.integers(1, 200), lowest=st.integers(0, 1), span=st.integers(0, 100))
def test_degrees_are_sorted_and_spread_evenly(width, lowest, span):
    highest = lowest + span
    degrees = torch.from_numpy(spread_degrees(width, lowest, highest))
    assert len(degrees) == width
    assert bool((degrees.diff() >= 0).all()) and int(degrees.min()) >= lowest and int(degrees.max()) == highest
    counts = torch.bincount(degrees - lowest, minlength=span + 1)
    if width > span:
        assert int(counts.min()) >= 1 and int(counts.max() - counts.min()) <= 1
    elif width > 1:
        gaps = degrees.diff()
        assert int(gaps.max() - gaps.min()) <= 1 and int(degrees.min()) == lowest


def test_hidden_units_are_sorted_so_masks_are_block_triangular():
    made = MADE(5, 3, Conditioner((13, 11)), context=2)
    for layer in made.layers[:-1]:
        reach = layer.mask.sum(1).long()
        assert bool((reach.diff() >= 0).all())
        assert all(bool(row[:n].all()) and not bool(row[n:].any()) for row, n in zip(layer.mask, reach, strict=True))


def test_a_bad_order_is_refused():
    with pytest.raises(ValueError, match=r"order must hold each of 0 \.\. 2 once"):
        MADE(3, 1, order=[0, 0, 2])


@pytest.mark.parametrize(("architecture", "direction"), [("maf", "inverse"), ("iaf", "forward")])
def test_a_flow_of_more_features_than_units_starts_as_tame_as_its_base(architecture, direction):
    flow = pf.build({"architecture": architecture, "features": 150, "hidden": (32, 32)})
    with torch.no_grad():
        mapped, log_det = getattr(flow.bijection, direction)(torch.randn(20, 150))
    # Of random connections both are beyond 1e8.
    assert float(mapped.abs().max()) < 1e4 and float(log_det.abs().max()) < 1e3


def test_direct_connections_start_at_zero_and_learn():
    made = MADE(features=6, parameter_count=2, conditioner=Conditioner(hidden=(2,)), context=3)
    assert not made.direct.weight.any() and not made.direct_context.weight.any()
    made(torch.randn(50, 6), torch.randn(50, 3)).square().sum().backward()
    assert (made.direct.weight.grad != 0).equal(made.direct.mask != 0) and made.direct_context.weight.grad.all()
