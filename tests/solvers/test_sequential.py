"""Incremental inversion against D full passes, and against derivatives by finite differences."""

from dataclasses import dataclass

import pytest
import torch
from catalogue import randomize
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.bijections import Additive, Affine, Autoregressive, RationalQuadraticSpline, Univariate
from pushforward.networks import MADE, Conditioner
from pushforward.solvers import solve_sequentially


@dataclass(frozen=True)
class Bent(Univariate):
    """x = shift + exp(tanh(slope)) · z + tanh(z + tilt): three parameters, and curved."""

    parameter_count = 3

    def forward(self, z, parameters):
        shift, slope, tilt = parameters.unbind(-1)
        bend = (z + tilt).tanh()
        return shift + slope.tanh().exp() * z + bend, (slope.tanh().exp() + 1 - bend**2).log()


FAMILIES = [Additive(), Affine(), Bent(), RationalQuadraticSpline(3, 2.0)]


def solve_by_passes(made, univariate, z, context=None):
    """The plain way: one pass of the whole conditioner for each feature."""
    batch = z.shape[:-1] if context is None else torch.broadcast_shapes(z.shape[:-1], context.shape[:-1])
    x, log_det = z.new_zeros(*batch, z.shape[-1]), z.new_zeros(batch)
    for feature in made.order:
        parameters = made(x, context)[..., feature, :]
        value, log_derivative = univariate.forward(z[..., feature], parameters)
        x = torch.cat([x[..., :feature], value.expand(batch)[..., None], x[..., feature + 1 :]], -1)
        log_det = log_det + log_derivative
    return x, log_det


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def conditioner(features, univariate, hidden, context=0, seed=0, **options):
    order = torch.randperm(features, generator=torch.Generator().manual_seed(seed)).tolist()
    made = MADE(features, univariate.parameter_count, Conditioner(tuple(hidden), **options), context, order).double()
    return randomize(made, seed, scale=0.5)


@pytest.mark.parametrize("recorded", [True, False])
@settings(deadline=None, max_examples=40)
@given(
    features=st.integers(1, 14),
    hidden=st.lists(st.integers(1, 30), max_size=3),
    context=st.integers(0, 2),
    batch=st.lists(st.integers(0, 3), max_size=2),
    univariate=st.sampled_from(FAMILIES),
    activation=st.sampled_from(["relu", "elu", "silu", "gelu", "tanh"]),
    block=st.none() | st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_equal_to_full_passes(recorded, features, hidden, context, batch, univariate, activation, block, seed):
    made = conditioner(features, univariate, hidden, context, seed, activation=activation)
    z, conditions = normal(*batch, features, seed=seed), normal(*batch, context) if context else None
    with torch.set_grad_enabled(recorded):
        x, log_det = solve_sequentially(univariate.forward, made, z, conditions, block)
    expected, expected_log_det = solve_by_passes(made, univariate, z, conditions)
    torch.testing.assert_close(x, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det, expected_log_det, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("hidden", [(9,), (9, 9, 9), (5,) * 5, (40,) * 7])
@pytest.mark.parametrize("context", [0, 3])
def test_residual_conditioners_are_equal_to_full_passes(recorded, hidden, context):
    made = conditioner(11, Affine(), hidden, context, residual=True, activation="gelu")
    z, conditions = normal(20, 11), normal(20, context) if context else None
    with torch.set_grad_enabled(recorded):
        x, _ = solve_sequentially(Affine().forward, made, z, conditions)
    torch.testing.assert_close(x, solve_by_passes(made, Affine(), z, conditions)[0], rtol=1e-10, atol=1e-10)


def test_a_residual_conditioner_differs_from_a_plain_one_and_needs_equal_widths():
    plain, residual = (conditioner(4, Affine(), (8, 8, 8), residual=flag) for flag in (False, True))
    x = normal(5, 4)
    assert float((plain(x) - residual(x)).detach().abs().max()) > 0.1
    for hidden in ((8, 8), (8, 9, 8), ()):
        with pytest.raises(ValueError, match="residual network"):
            Conditioner(hidden, residual=True)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_context_row_serves_a_whole_batch(recorded):
    made = conditioner(6, Affine(), (9, 9), context=2)
    z, context = normal(4, 5, 6), normal(5, 2)
    with torch.set_grad_enabled(recorded):
        for conditions in (context, context[0], context[:, None, None].expand(5, 1, 1, 2)):
            x, log_det = solve_sequentially(Affine().forward, made, z, conditions)
            expected, expected_log_det = solve_by_passes(made, Affine(), z, conditions)
            torch.testing.assert_close(x, expected)
            torch.testing.assert_close(log_det, expected_log_det)


@pytest.mark.slow
@pytest.mark.parametrize("univariate", FAMILIES)
@pytest.mark.parametrize("hidden", [(7, 5), (2,), ()])
def test_gradients_to_input_context_and_every_weight(univariate, hidden):
    layer = randomize(Autoregressive(4, univariate, Conditioner(hidden, "tanh"), context=2).double(), scale=0.5)
    z, context = normal(2, 4).requires_grad_(), normal(2, 2).requires_grad_()
    names, weights = zip(*layer.named_parameters(), strict=True)

    def solve(z, context, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (z, context))

    # Along random directions: entry by entry, the spline alone takes a minute.
    assert torch.autograd.gradcheck(solve, (z, context, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(solve, (z, context, *weights), fast_mode=True)


def test_a_row_that_is_not_finite_stays_alone():
    made = conditioner(8, Affine(), (20, 20))
    z = normal(5, 8)
    bad = z.clone()
    bad[2, 3] = torch.inf
    with torch.no_grad():
        x, spoiled = (solve_sequentially(Affine().forward, made, value)[0] for value in (z, bad))
    others = [0, 1, 3, 4]
    assert torch.equal(x[others], spoiled[others])
    assert not bool(spoiled[2].isfinite().all())


def test_round_trip_at_many_features():
    torch.manual_seed(0)
    made = MADE(200, 2, context=1).double()
    z, context = normal(50, 200), normal(50, 1)
    with torch.no_grad():
        x, log_det = solve_sequentially(Affine().forward, made, z, context)
        parameters = made(x, context)
        step, log_derivative = Affine().forward(z, parameters)
        back, _ = Affine().inverse(x, parameters)
    # Each step by itself, given the features before it.
    torch.testing.assert_close(step, x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_derivative.sum(-1), log_det, rtol=1e-10, atol=1e-10)
    # All of it, in which each feature's rounding is magnified by the scales of those after it.
    torch.testing.assert_close(back, z, rtol=1e-8, atol=1e-8)


def test_draws_without_gradients_may_be_used_where_there_are_gradients():
    made = conditioner(5, Affine(), (8,))
    with torch.no_grad():
        x, log_det = solve_sequentially(Affine().forward, made, normal(3, 5))
    assert not x.is_inference() and not log_det.is_inference()
    weight = torch.ones(5, dtype=torch.float64, requires_grad=True)
    ((x * weight).sum() + (log_det * weight[0]).sum()).backward()
    torch.testing.assert_close(weight.grad[1:], x.sum(0)[1:])


@pytest.mark.parametrize("univariate", FAMILIES, ids=["additive", "affine", "bent", "spline"])
def test_function_transforms_with_and_without_recording(univariate):
    made = conditioner(5, univariate, (9,), seed=3)
    z = normal(3, 5)
    truth = torch.func.jacrev(lambda row: solve_by_passes(made, univariate, row))(z[0])
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            found = torch.func.jacfwd(lambda row: solve_sequentially(univariate.forward, made, row))(z[0])
            torch.testing.assert_close(found, truth)
            rows = torch.func.vmap(lambda row: solve_sequentially(univariate.forward, made, row))(z)
            torch.testing.assert_close(rows, solve_by_passes(made, univariate, z))
