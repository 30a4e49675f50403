"""The contracts of every map, those of `check_bijection`, on each bijection of the catalogue and many shapes."""

import pytest
import torch
from catalogue import ARCHITECTURES, CATALOGUE, COUPLED_FAMILIES, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushforward.evaluation import contracts

# What holds for layers holds for their compositions, which are in the slow tier, and so are equations to solve.
COMPOSED = {*ARCHITECTURES, *COUPLED_FAMILIES, "continuous"}
EVERY = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in COMPOSED else []) for name in CATALOGUE]
)
# To compile takes seconds a map: two for every change, and all of them in the slow tier.
COMPILED = ("lu", "spline autoregressive")
EVERY_OR_SLOW = pytest.mark.parametrize(
    "name", [name if name in COMPILED else pytest.param(name, marks=pytest.mark.slow) for name in CATALOGUE]
)
DIRECTIONS = pytest.mark.parametrize("direction", contracts.DIRECTIONS)
PROPERTY = settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))

FEATURES = st.integers(1, 6)
CONTEXT = st.integers(0, 3)
SEED = st.integers(0, 2**20)
BATCH = st.lists(st.integers(0, 4), max_size=2).map(tuple)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def context_for(context, *batch, seed=1):
    return normal(*batch, context, seed=seed) if context else None


@EVERY
@DIRECTIONS
@PROPERTY
@given(features=FEATURES, context=CONTEXT, batch=BATCH, seed=SEED)
def test_round_trip_and_opposite_log_dets(name, direction, features, context, batch, seed):
    bijection = make(name, features, context, seed)
    value, conditions = 2 * normal(*batch, features, seed=seed), context_for(context, *batch)
    # What stretches the space by exp(log_det) stretches rounding as well.
    log_det = contracts.apply(bijection, direction, value, conditions)[1].detach().abs()
    stretch = float(log_det.max().exp()) if log_det.numel() else 1.0
    tolerance = 1e-9 + 16 * torch.finfo(torch.float64).eps * stretch
    contracts.round_trip(bijection, direction, value, conditions, tolerance)
    contracts.opposite_log_dets(bijection, direction, value, conditions, tolerance)


@EVERY
@DIRECTIONS
@PROPERTY
@given(features=FEATURES, context=CONTEXT, seed=SEED)
def test_log_det_is_that_of_the_autograd_jacobian(name, direction, features, context, seed):
    bijection = make(name, features, context, seed)
    contracts.jacobian_log_det(bijection, direction, 2 * normal(features, seed=seed), context_for(context))


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("distance", [0.0, 1e-30, 30.0, 1e3])
def test_finite_with_finite_gradients_at_the_origin_and_in_the_tails(name, direction, distance):
    bijection = make(name, features=4, context=2)
    contracts.finite(bijection, direction, distance * normal(64, 4).sign(), context_for(2))


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("context", [0, 2])
def test_gradients_reach_every_parameter(name, direction, context):
    bijection = make(name, features=4, context=context)
    contracts.gradients_reach_parameters(bijection, direction, normal(256, 4), context_for(context, 256))


@EVERY
@DIRECTIONS
def test_gradients_of_the_map_and_of_log_det_are_right(name, direction):
    contracts.gradients_are_right(make(name, features=3, context=2), direction, normal(1, 3), context_for(2, 1))


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(name, direction, dtype):
    bijection = make(name, features=3, context=2).to(dtype)
    contracts.keeps_precision(bijection, direction, normal(5, 3).to(dtype), context_for(2, 5).to(dtype))


@EVERY
@DIRECTIONS
def test_float32_round_trip(name, direction):
    exact = make(name, features=3, context=2)
    value, context = normal(1000, 3), context_for(2, 1000).float()
    # Where splines are flat, no arithmetic brings back what rounding the result to float32 has lost.
    there, _ = contracts.apply(exact, direction, value, context.double())
    lost = contracts.apply(exact, contracts.opposite(direction), there.float().double(), context.double())[0] - value
    bijection = make(name, features=3, context=2).float()
    there, _ = contracts.apply(bijection, direction, value.float(), context)
    back, _ = contracts.apply(bijection, contracts.opposite(direction), there, context)
    # Scales up to 1e3 a layer may magnify a rounding: compare with the size of what was rounded.
    allowed = 1e-4 * max(1.0, float(there.detach().abs().max()) / 100)
    allowed += 4 * float(lost.detach().abs().max())
    torch.testing.assert_close(back, value.float(), rtol=1e-4, atol=allowed)


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_batch_equals_a_loop(name, direction, rows):
    bijection = make(name, features=3, context=2)
    contracts.batch_equals_loop(bijection, direction, normal(rows, 3), context_for(2, rows))


@EVERY
@DIRECTIONS
def test_context_broadcasts_against_the_batch(name, direction):
    bijection = make(name, features=3, context=2)
    value, one, many = normal(5, 4, 3), context_for(2), context_for(2, 4)
    for context in (one, many, many[None]):
        contracts.context_broadcasts(bijection, direction, value, context)


@EVERY
@DIRECTIONS
def test_copies_give_the_same_numbers(name, direction):
    bijection = make(name, features=3, context=2)
    value, context = normal(5, 3), context_for(2, 5)
    contracts.copies_agree(bijection, direction, value, context)
    expected = contracts.apply(bijection, direction, value, context)
    rebuilt = CATALOGUE[name](3, 2).double().eval()
    rebuilt.load_state_dict(bijection.state_dict())
    for tensor, reference in zip(contracts.apply(rebuilt, direction, value, context), expected, strict=True):
        assert torch.equal(tensor, reference)


@EVERY_OR_SLOW
@DIRECTIONS
def test_one_pass_directions_compile_in_one_graph(name, direction):
    bijection = make(name, features=3, context=2)
    if getattr(bijection.cost, direction) != "1 pass":
        pytest.skip("compiling is promised for the one-pass direction")
    contracts.compiles(bijection, direction, normal(5, 3), context_for(2, 5))


@EVERY
@pytest.mark.parametrize("context", [0, 2])
def test_the_last_stage_is_x_and_the_volume_of_all_is_that_of_the_map(name, context):
    bijection, z, conditions = make(name, 3, context), normal(3, seed=3), context_for(context)
    stages = list(bijection.stages(z, conditions))
    x, log_det = bijection(z, conditions)
    torch.testing.assert_close(stages[-1], x, atol=0, rtol=0)
    # Each stage is a function of z as well: its Jacobian divided by that of the one before is that of its map.
    last = torch.func.jacrev(lambda value: list(bijection.stages(value, conditions))[-1])(z)
    torch.testing.assert_close(last.slogdet()[1], log_det, atol=1e-8, rtol=1e-8)


@EVERY
def test_not_the_identity_by_accident(name):
    contracts.is_not_the_identity(make(name, features=3), normal(16, 3))


@EVERY
@DIRECTIONS
def test_a_wrong_number_of_features_is_refused(name, direction):
    bijection = make(name, features=3)
    contracts.refuses_other_sizes(bijection, direction, normal(5, 3))
    with pytest.raises((ValueError, RuntimeError), match="3"):
        contracts.apply(bijection, direction, normal(5, 4))


@EVERY
def test_repr_states_the_cost_of_each_direction(name):
    bijection = make(name)
    assert f"forward: {bijection.cost.forward}, inverse: {bijection.cost.inverse}" in repr(bijection)
