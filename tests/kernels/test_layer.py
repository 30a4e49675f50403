"""Whole layers by kernels, with every set of instructions of this processor, against torch in float64."""

import copy

import pytest
import torch
from catalogue import randomize
from instruction_sets import SETS, count_calls, use

from pushforward.bijections import Additive, Affine, Autoregressive, Coupling, RationalQuadraticSpline
from pushforward.evaluation.contracts import randomized
from pushforward.kernels import layer as kernel
from pushforward.kernels import native
from pushforward.kernels import univariate as eligibility
from pushforward.networks import Conditioner

FAMILIES = pytest.mark.parametrize(
    "univariate",
    [
        Additive(),
        Affine(),
        Affine(0.5),
        *(RationalQuadraticSpline(5, 1.5, tails) for tails in ("identity", "linear", "circular")),
    ],
)

# How far from a knot a row of float32 may be told to lie on the wrong side of it.
SIDE = 2e-6

pytestmark = pytest.mark.skipif(native is None, reason="the kernels are not built")


@pytest.fixture(autouse=True, params=SETS)
def instructions(request, monkeypatch):
    use(kernel, ("_sizes", "_forward", "_forward_float64", "_gradients"), request.param, monkeypatch)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(features, univariate, hidden, order=None, seed=0):
    return randomized(Autoregressive(features, univariate, Conditioner(hidden), order=order), seed).float()


def with_gradients(layer, x, dtype=torch.float32, context=None, direction="inverse"):
    """Results, and the gradients of a random sum of them with respect to what is given and every parameter."""
    layer, given = copy.deepcopy(layer).to(dtype), [x.to(dtype).requires_grad_()]
    if context is not None:
        given.append(context.to(dtype).requires_grad_())
    z, log_det = getattr(layer, direction)(*given)
    loss = (normal(*z.shape, seed=3) * z).sum() + (normal(*log_det.shape, seed=4) * log_det).sum()
    return [t.detach().double() for t in (z, log_det, *torch.autograd.grad(loss, [*given, *layer.parameters()]))]


def check_against_truth(layer, x, monkeypatch, **options):
    seen = count_calls(kernel, monkeypatch, "_forward", "_gradients")
    found = with_gradients(layer, x, **options)
    assert seen == ["_forward", "_gradients"]
    truth = with_gradients(layer, x, torch.float64, **options)
    monkeypatch.setattr(eligibility, "native", None)
    plain = with_gradients(layer, x, **options)
    assert len(seen) == 2
    # A spline's derivatives jump at a knot, a rectifier's at 0: by rounding, a row may fall on the other side.
    sides = [with_gradients(layer, x + shift, torch.float64, **options) for shift in (-SIDE, SIDE)]
    for one, other, exact, *nearby in zip(found, plain, truth, *sides, strict=True):
        error, yardstick = (float((got - exact).square().mean().sqrt()) for got in (one, other))
        jump = max(float((side - exact).square().mean().sqrt()) for side in nearby)
        assert error <= 5 * yardstick + jump + 2e-5 * float(exact.abs().max())


@FAMILIES
@pytest.mark.parametrize("rows", [1, 17, 64, 200])
@pytest.mark.parametrize(
    ("features", "hidden"), [(2, (5,)), (4, ()), (5, (30, 21)), (6, (64, 64)), (23, (70, 130, 50))]
)
def test_values_and_gradients_are_as_near_the_truth_as_those_of_torch(features, hidden, rows, univariate, monkeypatch):
    order = torch.randperm(features, generator=torch.Generator().manual_seed(1)).tolist()
    layer, x = make(features, univariate, hidden, order), normal(rows, features, seed=2)
    check_against_truth(layer, x, monkeypatch)


@FAMILIES
@pytest.mark.parametrize("contexts", [0, 1, 90])
def test_residual_and_conditional_networks(univariate, contexts, monkeypatch):
    hidden = (40, 40, 40, 40, 40)
    layer = randomized(
        Autoregressive(5, univariate, Conditioner(hidden, residual=True), 3 if contexts else 0), 0
    ).float()
    context = normal(contexts, 3, seed=5) if contexts else None
    check_against_truth(layer, normal(90, 5, seed=8), monkeypatch, context=context)


@FAMILIES
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize(("contexts", "residual"), [(0, False), (1, True), (70, True)])
def test_coupling_layers(univariate, direction, contexts, residual, monkeypatch):
    moved = [True, False, False, True, False]
    layer = randomized(
        Coupling(moved, univariate, Conditioner((30, 30, 30), residual=residual), 2 if contexts else 0), 0
    ).float()
    context = normal(contexts, 2, seed=5) if contexts else None
    check_against_truth(layer, normal(70, 5, seed=2), monkeypatch, context=context, direction=direction)


@FAMILIES
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("contexts", [0, 1, 70])
@pytest.mark.parametrize("hidden", [(), (20,), (24, 24, 24)], ids=str)
def test_networks_that_see_the_context_alone(univariate, direction, contexts, hidden, monkeypatch):
    """One feature has none before it, and where all features are transformed none is left to condition on."""
    conditioner, given = Conditioner(hidden, residual=len(hidden) == 3), 4 if contexts else 0
    context = normal(contexts, 4, seed=5) if contexts else None
    layers = [] if direction == "forward" else [Autoregressive(1, univariate, conditioner, given)]
    if hidden:
        layers.append(Coupling([True, True, True], univariate, conditioner, given))
    for layer in layers:
        layer, x = randomized(layer, 0).float(), normal(70, layer.features, seed=2)
        with monkeypatch.context() as patch:
            check_against_truth(layer, x, patch, context=context, direction=direction)


def test_a_context_of_another_precision_is_refused_as_torch_refuses_it():
    layer = randomized(Autoregressive(1, Affine(), Conditioner((8,)), 2), 0).float()
    with pytest.raises(RuntimeError, match="dtype"):
        layer.inverse(normal(9, 1), normal(9, 2).double())


def test_dead_weights_stay_dead_whatever_they_hold():
    layer = make(4, Affine(), (8, 8))
    x = normal(10, 4)
    expected = with_gradients(layer, x)
    for linear in layer.conditioner.layers:
        linear.weight.data += 7 * (1 - linear.mask)
    found = with_gradients(layer, x)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    gradients = dict(zip([name for name, _ in layer.named_parameters()], found[3:], strict=True))
    for k, linear in enumerate(layer.conditioner.layers):
        assert bool((gradients[f"conditioner.layers.{k}.weight"][linear.mask == 0] == 0).all())


def test_what_is_not_finite_stays_in_its_row():
    layer = make(3, RationalQuadraticSpline(4), (16, 16))
    x = normal(70, 3)
    bad = x.clone()
    bad[5, 0], bad[66, 1] = torch.nan, torch.inf
    z, log_det = layer.inverse(x)
    z_bad, log_det_bad = layer.inverse(bad)
    others = [row for row in range(70) if row not in (5, 66)]
    assert torch.equal(z[others], z_bad[others]) and torch.equal(log_det[others], log_det_bad[others])
    assert bool(z_bad[5].isnan().all()) and not bool(z_bad[66, 1].isfinite())


@FAMILIES
def test_second_derivatives_are_those_of_torch(univariate, monkeypatch):
    layer, x = make(4, univariate, (16, 12)), normal(6, 4)

    def penalty():
        value = x.clone().requires_grad_()
        z, log_det = layer.inverse(value)
        (gradient,) = torch.autograd.grad(z.square().sum() + log_det.sin().sum(), [value], create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), [value, *layer.parameters()], allow_unused=True)

    found = penalty()
    monkeypatch.setattr(eligibility, "native", None)
    for one, other in zip(found, penalty(), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * (1 + float(other.abs().max())))


@FAMILIES
def test_transforms_are_those_of_torch(univariate, monkeypatch):
    layer, x = make(3, univariate, (9,)), normal(5, 3)

    def all_of_them():
        def inverse(value):
            return layer.inverse(value)[0]

        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, normal(5, 3, seed=1))
            tangent = torch.autograd.forward_ad.unpack_dual(inverse(dual)).tangent
        return (
            tangent,
            torch.func.jvp(inverse, (x,), (normal(5, 3, seed=1),))[1],
            torch.func.vmap(inverse)(x[:, None]),
            torch.func.jacrev(inverse)(x),
            torch.func.hessian(lambda v: layer.inverse(v)[1].sum())(x),
            torch.autograd.functional.jacobian(inverse, x, vectorize=True),
        )

    found = all_of_them()
    monkeypatch.setattr(eligibility, "native", None)
    for one, other in zip(found, all_of_them(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [{"activation": "tanh"}, {"hidden": (2, 2)}, {"dropout": 0.5}],
    ids=["not rectified", "narrow", "dropped out"],
)
def test_other_networks_run_in_torch(options, monkeypatch):
    layer = randomize(Autoregressive(4, Affine(), Conditioner(**{"hidden": (8, 8), **options}))).train()
    seen = count_calls(kernel, monkeypatch, "_forward", "_gradients")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z, log_det = layer.inverse(normal(9, 4))
        torch.manual_seed(0)
        truth = copy.deepcopy(layer).double().inverse(normal(9, 4).double())
    torch.testing.assert_close((z.double(), log_det.double()), truth, rtol=1e-4, atol=1e-4)
    assert not seen


@pytest.mark.slow
@pytest.mark.parametrize("case", ["float64", "compiled", "one row without batch", "empty"])
def test_other_values_run_in_torch(case, monkeypatch):
    layer, x = make(4, Affine(), (8, 8)), normal(9, 4)
    expected = layer.inverse(x)[0]
    seen = count_calls(kernel, monkeypatch, "_forward", "_gradients")
    if case == "float64":
        found = copy.deepcopy(layer).double().inverse(x.double())[0].float()
    elif case == "compiled":
        found = torch.compile(lambda v: layer.inverse(v)[0], fullgraph=True, backend="aot_eager")(x)
    elif case == "empty":
        found, expected = layer.inverse(x[:0])[0], expected[:0]
    else:
        found, expected = layer.inverse(x[0])[0], expected[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not seen


@pytest.mark.parametrize("shape", [(2,), (5, 1, 2), (5, 7, 2)])
@pytest.mark.parametrize("make_layer", [Autoregressive, lambda count, *rest: Coupling([True, False, True], *rest)])
def test_contexts_of_any_shape_that_broadcasts(make_layer, shape):
    layer = randomized(make_layer(3, Affine(), Conditioner((8, 8)), 2), 0).float()
    x, context = normal(7, 3, seed=2), normal(*shape, seed=5)
    z, log_det = layer.inverse(x, context)
    assert z.requires_grad and z.shape == (*torch.broadcast_shapes((7,), shape[:-1]), 3)
    truth = copy.deepcopy(layer).double().inverse(x.double(), context.double())
    torch.testing.assert_close((z.double(), log_det.double()), truth, rtol=1e-4, atol=1e-4)


def test_gradients_where_x_needs_none_and_weights_that_are_frozen():
    layer, x = make(4, Affine(), (8, 8)), normal(9, 4)
    expected = with_gradients(layer, x)[3:]
    parameters = list(layer.parameters())
    z, log_det = layer.inverse(x)
    loss = (normal(*z.shape, seed=3) * z).sum() + (normal(*log_det.shape, seed=4) * log_det).sum()
    for one, other in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        assert torch.equal(one.double(), other)
    for parameter in parameters[:-1]:
        parameter.requires_grad_(False)
    layer.inverse(x)[0].sum().backward()
    assert parameters[-1].grad is not None and all(parameter.grad is None for parameter in parameters[:-1])
