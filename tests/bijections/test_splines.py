"""Rational quadratic splines: the formula, the box's edges, float32, gradients."""

import math

import pytest
import torch
from torch.nn.functional import softplus

import pushforward as pf
from pushforward.bijections import RationalQuadraticSpline

TAILS = ["identity", "linear", "circular"]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_the_formula(z, parameters, bins, bound):
    """Durkan et al. 2019, equations 4 and 5, one number at a time, with the slopes 1 at both ends."""
    smallest = min(1e-3, 0.5 / bins)
    widths, heights = (
        2 * bound * (smallest + (1 - bins * smallest) * part.softmax(0)) for part in parameters[: 2 * bins].split(bins)
    )
    x_knots, y_knots = (torch.cat([torch.tensor([-bound]).double(), -bound + s.cumsum(0)]) for s in (widths, heights))
    inner = 1e-3 + softplus(parameters[2 * bins :] + math.log(math.expm1(1 - 1e-3)))
    slopes = torch.cat([torch.ones(1).double(), inner, torch.ones(1).double()])
    k = next(k for k in range(bins) if k == bins - 1 or z < x_knots[k + 1])
    s = heights[k] / widths[k]
    t = (z - x_knots[k]) / widths[k]
    beta = s + (slopes[k + 1] + slopes[k] - 2 * s) * t * (1 - t)
    x = y_knots[k] + heights[k] * (s * t**2 + slopes[k] * t * (1 - t)) / beta
    slope = s**2 * (slopes[k + 1] * t**2 + 2 * s * t * (1 - t) + slopes[k] * (1 - t) ** 2) / beta**2
    return x, slope.log()


@pytest.mark.parametrize("bins", [1, 2, 7])
def test_the_formula(bins):
    spline = RationalQuadraticSpline(bins, 2.5)
    z, parameters = 4.9 * torch.rand(40, dtype=torch.float64) - 2.45, 2 * normal(40, spline.parameter_count)
    x, log_derivative = spline.forward(z, parameters)
    for row in range(40):
        expected = by_the_formula(z[row], parameters[row], bins, 2.5)
        torch.testing.assert_close((x[row], log_derivative[row]), expected)


@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("bins", [1, 8, 700])
def test_zero_parameters_are_the_identity(tails, bins):
    spline = RationalQuadraticSpline(bins, 3.0, tails)
    z = torch.linspace(-8, 8, 101, dtype=torch.float64)
    x, log_derivative = spline.forward(z, torch.zeros(101, spline.parameter_count, dtype=torch.float64))
    torch.testing.assert_close(x, z)
    torch.testing.assert_close(log_derivative, torch.zeros_like(z), atol=1e-12, rtol=0)


@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("bound", [1.0, 5.0, 32.0, 100.0])
@pytest.mark.parametrize("spread", [1.0, 5.0])
def test_float32_returns_where_it_began(tails, bound, spread):
    spline = RationalQuadraticSpline(8, bound, tails)
    parameters = spread * normal(10_000, spline.parameter_count, dtype=torch.float32)
    value = bound * 0.7 * normal(10_000, seed=1, dtype=torch.float32)
    value[:4] = torch.tensor([bound, -bound, 0.0, 1.5 * bound])
    # Draws come back, however steep or flat the spline is.
    x, log_derivative = spline.forward(value, parameters)
    z, log_derivative_back = spline.inverse(x, parameters)
    assert bool(log_derivative.isfinite().all() and log_derivative_back.isfinite().all())
    assert float((spline.forward(z, parameters)[0] - x).abs().max()) < 1e-4 * max(1, bound / 5)
    # Of any other value, what the rounding of what lies between allows.
    z, log_derivative = spline.inverse(value, parameters)
    off = (spline.forward(z, parameters)[0] - value).abs()
    steepest = (
        spline.forward(z[:, None] + 1e-6 * bound * torch.linspace(-1, 1, 9), parameters[:, None])[1].amax(1).exp()
    )
    allowed = 16 * torch.finfo(torch.float32).eps * (value.abs() + bound + (z.abs() + bound) * steepest)
    assert float((off / allowed).max()) < 1


@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_inside_outside_and_at_the_edge(tails, direction):
    spline = RationalQuadraticSpline(4, 2.0, tails)
    value = torch.tensor([-1e3, -2.7, -1.2, 0.1, 1.9, 2.3, 1e3], dtype=torch.float64)
    parameters = 2 * normal(7, spline.parameter_count)
    inputs = [value.requires_grad_(), parameters.requires_grad_()]
    apply = getattr(spline, direction)
    # Each row has derivatives of its own: along random directions all are seen.
    assert torch.autograd.gradcheck(apply, inputs, check_forward_ad=True, fast_mode=True)
    inner = [part[1:6].detach().requires_grad_() for part in inputs]
    assert torch.autograd.gradgradcheck(apply, inner, fast_mode=True)
    edge = torch.tensor([-2.0, 2.0], dtype=torch.float64, requires_grad=True)
    result = apply(edge, parameters[:2])
    gradients = torch.autograd.grad(sum(part.sum() for part in result), [edge, parameters])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("far", [6.0, 1e6, 1e30])
def test_a_batch_of_tails_alone_is_finite_with_its_gradients(direction, far):
    spline = RationalQuadraticSpline(8, 5.0)
    value = torch.tensor([far, -far], requires_grad=True)
    parameters = (5 * normal(2, spline.parameter_count, dtype=torch.float32)).requires_grad_()
    mapped, log_derivative = getattr(spline, direction)(value, parameters)
    assert torch.equal(mapped, value) and float(log_derivative.abs().max()) < 1e-5
    gradients = torch.autograd.grad(mapped.sum() + log_derivative.sum(), [value, parameters])
    assert torch.equal(gradients[0], torch.ones(2)) and bool(gradients[1].isfinite().all())


def test_linear_tails_go_on_with_the_slope_of_the_end():
    spline = RationalQuadraticSpline(4, 1.0, "linear")
    parameters = 2 * normal(1, spline.parameter_count)
    z = torch.tensor([1.0, 3.0, -1.0, -3.0], dtype=torch.float64)
    x, log_derivative = spline.forward(z, parameters.expand(4, -1))
    torch.testing.assert_close(x[:3:2], z[:3:2])
    torch.testing.assert_close((x[1::2] - x[::2]) / (z[1::2] - z[::2]), log_derivative[::2].exp())
    torch.testing.assert_close(log_derivative[1::2], log_derivative[::2])
    assert bool((log_derivative.abs() > 0.01).all())


def test_circular_splines_repeat_themselves_smoothly():
    spline = RationalQuadraticSpline(5, math.pi, "circular")
    parameters = 2 * normal(3, spline.parameter_count)
    z = torch.tensor([-1.0, 0.4, 3.0], dtype=torch.float64)
    x, log_derivative = spline.forward(z, parameters)
    x_next, log_derivative_next = spline.forward(z + 4 * math.pi, parameters)
    torch.testing.assert_close(x_next, x + 4 * math.pi)
    torch.testing.assert_close(log_derivative_next, log_derivative)
    below, above = (
        spline.forward(torch.full_like(z, edge), parameters)[1] for edge in (1e-12 - math.pi, math.pi - 1e-12)
    )
    torch.testing.assert_close(below, above, atol=1e-6, rtol=1e-6)


def test_values_that_are_not_finite_come_out_so():
    spline = RationalQuadraticSpline(4)
    parameters = normal(3, spline.parameter_count, dtype=torch.float32)
    value = torch.tensor([math.nan, math.inf, 1.0])
    for mapped in (spline.forward(value, parameters)[0], spline.inverse(value, parameters)[0]):
        assert math.isnan(mapped[0]) and math.isinf(mapped[1]) and math.isfinite(mapped[2])


def test_one_set_of_parameters_serves_a_batch_and_layouts_do_not_matter():
    spline = RationalQuadraticSpline(4)
    z, parameters = normal(7, 3), normal(3, spline.parameter_count)
    x, log_derivative = spline.forward(z, parameters)
    assert x.shape == log_derivative.shape == (7, 3)
    torch.testing.assert_close(x[4, 2], spline.forward(z[4, 2], parameters[2])[0])
    strided = parameters.expand(7, -1, -1).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    torch.testing.assert_close(spline.forward(z, strided)[0], x)


@pytest.mark.parametrize("options", [{"bins": 0}, {"bound": 0.0}, {"bound": math.inf}, {"tails": "none"}])
def test_what_makes_no_spline_is_refused(options):
    with pytest.raises(ValueError, match="at least one bin, a positive bound and tails out of"):
        RationalQuadraticSpline(**options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoregressive", pytest.param("coupling", marks=pytest.mark.slow)])
def test_nsf_learns_what_an_affine_flow_cannot(kind):
    torch.manual_seed(0)
    # Two clusters four deviations from their middle: a normal first feature, all that an affine layer has, is
    # log(17) / 2 - log(2) = 0.72 nats short of its density.
    x, fresh = (0.25 * torch.randn(4000, 2) + 2.0 * torch.randint(0, 2, (4000, 1)) - 1 for _ in range(2))
    flow = pf.nsf(2, kind=kind, layers=2, hidden=(16, 16))
    pf.fit(flow, x, max_steps=300, learning_rate=1e-2)
    exact = torch.logsumexp(
        torch.stack([torch.distributions.Normal(m, 0.25).log_prob(fresh).sum(1) for m in (-1.0, 1.0)]), 0
    ) - math.log(2)
    missing = (exact - flow.log_prob(fresh)).detach()
    assert float(missing.mean()) + 5 * float(missing.std()) / 4000**0.5 < 0.36
    samples, log_prob = flow.sample_with_log_prob((500,))
    torch.testing.assert_close(flow.log_prob(samples), log_prob, atol=1e-3, rtol=0)
