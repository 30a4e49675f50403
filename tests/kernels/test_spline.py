"""The spline's kernels, with every set of instructions of this processor, against operations of torch in float64."""

import math

import pytest
import torch
import torch.utils._pytree as pytree
from instruction_sets import SETS, count_calls, use

from pushforward.bijections import RationalQuadraticSpline
from pushforward.kernels import native
from pushforward.kernels import spline as kernel

TAILS = ("identity", "linear", "circular")
DIRECTIONS = pytest.mark.parametrize("direction", ["forward", "inverse"])

pytestmark = pytest.mark.skipif(native is None, reason="the kernels are not built")


@pytest.fixture(autouse=True, params=SETS)
def instructions(request, monkeypatch):
    use(kernel, ("_apply", "_apply_float64", "_gradients"), request.param, monkeypatch)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def in_torch(spline, direction):
    """The same map in operations of torch, whatever the dtype; value (n, F), parameters (n, F, P)."""

    def apply(value, parameters):
        results = spline._with_torch(value.movedim(0, -1), parameters.movedim(0, -1), direction == "inverse")
        return tuple(result.movedim(-1, 0) for result in results)

    return apply


def with_gradients(apply, value, parameters, dtype=torch.float32):
    """Both results, and the gradients of a random sum of them."""
    inputs = [tensor.to(dtype).detach().requires_grad_() for tensor in (value, parameters)]
    results = apply(*inputs)
    loss = sum((normal(*value.shape, seed=seed) * result).sum() for seed, result in enumerate(results))
    return [tensor.detach().double() for tensor in (*results, *torch.autograd.grad(loss, inputs))]


@DIRECTIONS
@pytest.mark.parametrize("bins", [1, 2, 8, 33, 64])
@pytest.mark.parametrize("tails", TAILS)
def test_values_and_gradients_are_as_near_the_truth_as_float32_can_be(tails, bins, direction, monkeypatch):
    seen = count_calls(kernel, monkeypatch, "_apply", "_gradients")
    for rows, spread, bound in ((1, 1.0, 40.0), (7, 5.0, 5.0), (16, 0.3, 5.0), (100, 5.0, 40.0)):
        spline = RationalQuadraticSpline(bins, bound, tails)
        features = 400 // rows
        inputs = 0.7 * bound * normal(rows, features), spread * normal(rows, features, spline.parameter_count, seed=1)
        found = with_gradients(getattr(spline, direction), *inputs)
        plain = with_gradients(in_torch(spline, direction), *inputs)
        truth = with_gradients(in_torch(spline, direction), *inputs, dtype=torch.float64)
        # Numbers rounded at random to float32: how torch rounds depends on the processor.
        rounded = [
            part.double() * (1 + torch.finfo(torch.float32).eps * normal(*part.shape, seed=2)) for part in inputs
        ]
        nearby = with_gradients(in_torch(spline, direction), *rounded, dtype=torch.float64)
        assert seen == ["_apply", "_gradients"]
        seen.clear()
        for one, others, exact in zip(found, zip(plain, nearby, strict=True), truth, strict=True):
            # At a knot derivatives jump, and a rounding decides on which side a value lies: so not of every number.
            size = 1 + exact.abs()
            error, *yardsticks = (((got - exact).abs() / size).quantile(0.99) for got in (one, *others))
            assert float(error) < 10 * max(map(float, yardsticks)) + 2 * torch.finfo(torch.float32).eps


@DIRECTIONS
@pytest.mark.parametrize("tails", TAILS)
def test_what_is_not_finite_stays_in_its_own_entry(tails, direction):
    spline = RationalQuadraticSpline(5, 2.0, tails)
    value, parameters = normal(20, 2), normal(20, 2, spline.parameter_count, seed=1)
    bad_value, bad_parameters = value.clone(), parameters.clone()
    bad_value[3, 0], bad_value[17, 1], bad_value[18, 1] = math.nan, math.inf, -math.inf
    bad_parameters[5, 1] = math.nan
    apply = getattr(spline, direction)
    x, log_derivative = apply(bad_value, bad_parameters)
    assert math.isnan(x[3, 0]) and math.isnan(x[5, 1]) and math.isnan(log_derivative[5, 1])
    assert not bool(x[17:19, 1].isfinite().any())
    if tails != "circular":
        assert x[17:19, 1].tolist() == [math.inf, -math.inf]
    untouched = torch.ones(20, 2, dtype=torch.bool)
    untouched[[3, 5, 17, 18], [0, 1, 1, 1]] = False
    found, expected = (with_gradients(apply, *inputs) for inputs in ((bad_value, bad_parameters), (value, parameters)))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one[untouched], other[untouched])


@DIRECTIONS
@pytest.mark.parametrize("bound", [1.0, 32.0, 100.0])
@pytest.mark.parametrize("tails", TAILS)
def test_on_the_bound_and_beyond(tails, bound, direction):
    spline = RationalQuadraticSpline(8, bound, tails)
    value = bound * torch.tensor([-1.0, 1.0, -1 - 1e-6, 1 + 1e-6, -1.5, 1.5, -7.3, 7.3])[:, None]
    parameters = 2 * normal(8, 1, spline.parameter_count)
    # Where the spline and what is outside meet, the derivative of a circular one may be that of either side.
    inputs = (value[4:], parameters[4:]) if tails == "circular" else (value, parameters)
    found = with_gradients(getattr(spline, direction), *inputs)
    exact = with_gradients(in_torch(spline, direction), *inputs, dtype=torch.float64)
    # A slope that is steep, or that bends at the bound, makes much of a rounding of the inputs.
    eps = torch.finfo(torch.float32).eps
    nearby = [
        with_gradients(
            in_torch(spline, direction),
            *(part.double() * (1 + eps * normal(*part.shape, seed=seed)) for part in inputs),
            dtype=torch.float64,
        )
        for seed in range(8)
    ]
    for one, other, *others in zip(found, exact, *nearby, strict=True):
        moved = torch.stack(others).sub(other).abs().amax(0)
        assert bool(((one - other).abs() <= 1e-4 + 1e-3 * other.abs() + 10 * moved).all())
    edge = getattr(spline, direction)(value[:2], parameters[:2])[0]
    if tails != "circular":
        assert torch.equal(edge, value[:2])


@DIRECTIONS
def test_layouts_do_not_matter(direction, monkeypatch):
    seen = count_calls(kernel, monkeypatch, "_apply", "_gradients")
    spline = RationalQuadraticSpline(4)
    value, parameters = normal(6, 21, 3), normal(6, 21, 3, spline.parameter_count, seed=1)
    expected = with_gradients(getattr(spline, direction), value, parameters)
    layouts = [
        (value.permute(2, 0, 1).contiguous().permute(1, 2, 0), parameters.permute(3, 1, 2, 0).contiguous()),
        (value.repeat_interleave(2, 1)[:, ::2], parameters.repeat_interleave(2, 3)[..., ::2]),
        (value.flip(0).flip(0), parameters.transpose(0, 3).contiguous().transpose(0, 3)),
    ]
    layouts[0] = layouts[0][0], layouts[0][1].permute(3, 1, 2, 0)
    for inputs in layouts:
        found = with_gradients(getattr(spline, direction), *inputs)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    one_set = with_gradients(getattr(spline, direction), value, parameters[:1, :1].expand_as(parameters))
    broadcast = getattr(spline, direction)(value, parameters[0, 0])
    assert all(torch.equal(one.double(), other) for one, other in zip(broadcast, one_set[:2], strict=True))
    assert set(seen) == {"_apply", "_gradients"}


def transforms(value, parameters, tangents):
    """Derivatives of second order and transforms, each a function of a map."""

    def penalty(function):
        inputs = [value.clone().requires_grad_(), parameters.clone().requires_grad_()]
        x, log_derivative = function(*inputs)
        gradients = torch.autograd.grad(x.square().sum() + log_derivative.sin().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), inputs)

    def loss(function):
        return lambda v: sum((result**2).sum() for result in function(v, parameters[0]))

    return (
        penalty,
        lambda function: torch.func.jvp(function, (value, parameters), tangents)[1],
        lambda function: torch.func.vmap(function)(value[:, None], parameters[:, None]),
        lambda function: torch.func.jacrev(function, (0, 1))(value, parameters),
        lambda function: torch.func.hessian(loss(lambda v, p: function(v[None], p[None])))(value[0]),
        lambda function: torch.func.jacrev(torch.func.grad(loss(lambda v, p: function(v[None], p[None]))))(value[0]),
    )


@DIRECTIONS
@pytest.mark.parametrize("tails", TAILS)
def test_higher_derivatives_and_transforms_are_those_of_torch(tails, direction):
    spline = RationalQuadraticSpline(4, 2.0, tails)
    value, parameters = normal(5, 2), normal(5, 2, spline.parameter_count, seed=1)
    tangents = normal(5, 2, seed=2), normal(5, 2, spline.parameter_count, seed=3)
    apply, plain = getattr(spline, direction), in_torch(spline, direction)
    single = transforms(value, parameters, tangents)
    double = transforms(value.double(), parameters.double(), tuple(tangent.double() for tangent in tangents))
    for in_single, in_double in zip(single, double, strict=True):
        found, other, truth = (
            pytree.tree_leaves(part) for part in (in_single(apply), in_single(plain), in_double(plain))
        )
        for one, two, exact in zip(found, other, truth, strict=True):
            # Second derivatives of narrow bins lose digits in float32, those of torch as well.
            rounding = float((two - exact).abs().max())
            torch.testing.assert_close(one.double(), exact, rtol=1e-3, atol=1e-3 + 10 * rounding)


@DIRECTIONS
def test_empty_batches(direction):
    spline = RationalQuadraticSpline(4)
    parameters = torch.empty(0, 3, spline.parameter_count, requires_grad=True)
    x, log_derivative = getattr(spline, direction)(torch.empty(0, 3), parameters)
    assert x.shape == log_derivative.shape == (0, 3)
    (gradient,) = torch.autograd.grad(x.sum() + log_derivative.sum(), [parameters])
    assert gradient.shape == parameters.shape


@pytest.mark.slow
@pytest.mark.parametrize("case", ["many bins", "float64", "compiled", "not built"])
def test_what_the_kernels_do_not_take_runs_in_torch_to_the_same_results(case, monkeypatch):
    bins = kernel.MOST_BINS + 1 if case == "many bins" else 8
    dtype = torch.float64 if case == "float64" else torch.float32
    spline = RationalQuadraticSpline(bins)
    value, parameters = normal(7, 3).to(dtype), normal(7, 3, spline.parameter_count, seed=1).to(dtype)
    with_kernel = spline.inverse(value, parameters)
    seen = count_calls(kernel, monkeypatch, "_apply", "_gradients")
    apply = spline.inverse
    if case == "compiled":
        apply = torch.compile(lambda v, p: spline.inverse(v, p), fullgraph=True, backend="aot_eager")
    if case == "not built":
        monkeypatch.setattr(kernel, "native", None)
    torch.testing.assert_close(apply(value, parameters), with_kernel, rtol=1e-4, atol=1e-5)
    assert not seen


def test_exponential_and_logarithm_over_all_their_range():
    """One bin and a slope: of the parameter r, far in the tail, x - bound is softplus(r) · (z - bound)."""
    spline = RationalQuadraticSpline(1, 1.0, "linear")
    slopes = torch.linspace(-100, 100, 4001)
    parameters = torch.zeros(4001, 1, 4)
    parameters[:, 0, 2] = slopes
    parameters[:, 0, 3] = slopes
    x, log_derivative = spline.forward(torch.full((4001, 1), 2.0), parameters)
    exact = 1e-3 + torch.nn.functional.softplus(slopes.double() + math.log(math.expm1(1 - 1e-3)), threshold=200)
    torch.testing.assert_close(x[:, 0].double() - 1, exact, rtol=2e-6, atol=2e-7)
    torch.testing.assert_close(log_derivative[:, 0].double(), exact.log(), rtol=2e-6, atol=2e-6)
