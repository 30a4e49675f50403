"""The contracts of every map, checked on each bijection of the catalogue."""

import copy
import io
import pickle

import pytest
import torch
from catalogue import CATALOGUE, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EVERY = pytest.mark.parametrize("name", CATALOGUE)
DIRECTIONS = pytest.mark.parametrize("direction", ["forward", "inverse"])
PROPERTY = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))

FEATURES = st.integers(1, 6)
CONTEXT = st.integers(0, 3)
SEED = st.integers(0, 2**20)
BATCH = st.lists(st.integers(0, 4), max_size=2).map(tuple)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def context_for(context, *batch, seed=1):
    return normal(*batch, context, seed=seed) if context else None


def apply(bijection, direction, value, context=None):
    return bijection(value, context) if direction == "forward" else bijection.inverse(value, context)


def opposite(direction):
    return "inverse" if direction == "forward" else "forward"


@EVERY
@DIRECTIONS
@PROPERTY
@given(features=FEATURES, context=CONTEXT, batch=BATCH, seed=SEED)
def test_round_trip_and_opposite_log_dets(name, direction, features, context, batch, seed):
    bijection = make(name, features, context, seed)
    value = 2 * normal(*batch, features, seed=seed)
    conditions = context_for(context, *batch)
    there, log_det = apply(bijection, direction, value, conditions)
    back, log_det_back = apply(bijection, opposite(direction), there, conditions)
    assert there.shape == value.shape and log_det.shape == batch
    torch.testing.assert_close(back, value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-9, atol=1e-9)


@EVERY
@DIRECTIONS
@PROPERTY
@given(features=FEATURES, context=CONTEXT, seed=SEED)
def test_log_det_is_that_of_the_autograd_jacobian(name, direction, features, context, seed):
    bijection = make(name, features, context, seed)
    value, conditions = 2 * normal(features, seed=seed), context_for(context)
    jacobian = torch.func.jacrev(lambda v: apply(bijection, direction, v, conditions)[0])(value)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(apply(bijection, direction, value, conditions)[1], expected, rtol=1e-9, atol=1e-9)


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("distance", [0.0, 1e-30, 30.0, 1e3])
def test_finite_with_finite_gradients_at_the_origin_and_in_the_tails(name, direction, distance):
    bijection = make(name, features=4, context=2)
    value = (distance * normal(64, 4).sign()).requires_grad_()
    out, log_det = apply(bijection, direction, value, context_for(2))
    (out.sum() + log_det.sum()).backward()
    for tensor in (out, log_det, value.grad, *(p.grad for p in bijection.parameters() if p.grad is not None)):
        assert bool(torch.isfinite(tensor).all())


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("context", [0, 2])
def test_gradients_reach_every_parameter(name, direction, context):
    bijection = make(name, features=4, context=context)
    if not list(bijection.parameters()):
        return
    out, log_det = apply(bijection, direction, normal(256, 4), context_for(context, 256))
    # A random projection: plain sums could cancel.
    ((out * normal(4, seed=5)).sum() + log_det.sum()).backward()
    for key, parameter in bijection.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), key


@EVERY
@DIRECTIONS
def test_gradients_of_the_map_and_of_log_det_are_right(name, direction):
    bijection = make(name, features=3, context=2)
    value, context = normal(2, 3).requires_grad_(), context_for(2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, c: apply(bijection, direction, v, c), (value, context))


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(name, direction, dtype):
    bijection = make(name, features=3, context=2).to(dtype)
    out, log_det = apply(bijection, direction, normal(5, 3).to(dtype), context_for(2, 5).to(dtype))
    assert out.dtype == log_det.dtype == dtype


@EVERY
@DIRECTIONS
def test_float32_round_trip(name, direction):
    bijection = make(name, features=3, context=2).float()
    value, context = normal(1000, 3).float(), context_for(2, 1000).float()
    there, _ = apply(bijection, direction, value, context)
    back, _ = apply(bijection, opposite(direction), there, context)
    # Scales up to 1e3 a layer may magnify a rounding: compare with the size of what was rounded.
    torch.testing.assert_close(back, value, rtol=1e-4, atol=1e-4 * max(1.0, float(there.detach().abs().max()) / 100))


@EVERY
@DIRECTIONS
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_batch_equals_a_loop(name, direction, rows):
    bijection = make(name, features=3, context=2)
    value, context = normal(rows, 3), context_for(2, rows)
    out, log_det = apply(bijection, direction, value, context)
    assert out.shape == (rows, 3) and log_det.shape == (rows,)
    for row in range(rows):
        single, single_log_det = apply(bijection, direction, value[row], context[row])
        torch.testing.assert_close(out[row], single, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(log_det[row], single_log_det, rtol=1e-12, atol=1e-12)


@EVERY
@DIRECTIONS
def test_context_broadcasts_against_the_batch(name, direction):
    bijection = make(name, features=3, context=2)
    value, one, many = normal(5, 4, 3), context_for(2), context_for(2, 4)
    for context in (one, many, many[None]):
        out, log_det = apply(bijection, direction, value, context)
        full, full_log_det = apply(bijection, direction, value, context.expand(5, 4, 2))
        torch.testing.assert_close(out, full)
        torch.testing.assert_close(log_det, full_log_det)


@EVERY
@DIRECTIONS
def test_copies_give_the_same_numbers(name, direction):
    bijection = make(name, features=3, context=2)
    value, context = normal(5, 3), context_for(2, 5)
    expected = apply(bijection, direction, value, context)
    restored = CATALOGUE[name](3, 2).double().eval()
    saved = io.BytesIO()
    torch.save(bijection.state_dict(), saved)
    saved.seek(0)
    restored.load_state_dict(torch.load(saved))
    for copied in (copy.deepcopy(bijection), pickle.loads(pickle.dumps(bijection)), restored):
        for tensor, reference in zip(apply(copied, direction, value, context), expected, strict=True):
            assert torch.equal(tensor, reference)


@EVERY
@DIRECTIONS
def test_one_pass_directions_compile_in_one_graph(name, direction):
    bijection = make(name, features=3, context=2)
    if getattr(bijection.cost, direction) != "1 pass":
        pytest.skip("compiling is promised for the one-pass direction")
    value, context = normal(5, 3), context_for(2, 5)
    torch.compiler.reset()
    compiled = torch.compile(lambda v, c: apply(bijection, direction, v, c), fullgraph=True, backend="aot_eager")
    for tensor, reference in zip(compiled(value, context), apply(bijection, direction, value, context), strict=True):
        torch.testing.assert_close(tensor, reference)


@EVERY
def test_not_the_identity_by_accident(name):
    value = normal(16, 3)
    out, _ = make(name, features=3)(value)
    assert float((out - value).detach().abs().max()) > 1e-2


@EVERY
@DIRECTIONS
def test_a_wrong_number_of_features_is_refused(name, direction):
    bijection = make(name, features=3)
    with pytest.raises((ValueError, RuntimeError), match="3"):
        apply(bijection, direction, normal(5, 4))


@EVERY
def test_repr_states_the_cost_of_each_direction(name):
    bijection = make(name)
    assert f"forward: {bijection.cost.forward}, inverse: {bijection.cost.inverse}" in repr(bijection)
