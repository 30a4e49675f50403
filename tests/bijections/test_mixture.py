"""Logistic mixtures as maps: the formula, the tails, the root, gradients."""

import math

import pytest
import torch

import pushforward as pf
from pushforward.bijections import LogisticMixture


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def bounded(value):
    return 2 / math.pi * math.log(1e3) * torch.atan(value * math.pi / 2 / math.log(1e3))


def by_the_formula(x, parameters, components):
    """Probabilities themselves, not their logarithms, for one number where they do not saturate."""
    shift, log_scale = parameters[:2]
    logits, displacements, log_scales = parameters[2:].split(components)
    starts = torch.tensor([2 * ((2 * k + 1) / components - 1) for k in range(components)], dtype=torch.float64)
    slope = (1 / (4 * 2 * (starts / 4).cosh() ** 2)).mean() * 4
    s = 2 * bounded(log_scales).exp()
    cdf = (logits.softmax(0) * ((x - displacements - starts) / s).sigmoid()).sum()
    return shift + bounded(log_scale).exp() / slope * (cdf / (1 - cdf)).log()


@pytest.mark.parametrize("components", [1, 2, 7])
def test_the_formula(components):
    mixture = LogisticMixture(components)
    x, parameters = 2 * normal(30), normal(30, mixture.parameter_count, seed=1)
    z, log_derivative = mixture.inverse(x, parameters)
    for row in range(30):
        expected, slope = torch.func.grad_and_value(lambda v, row=row: by_the_formula(v, parameters[row], components))(
            x[row]
        )[::-1]
        torch.testing.assert_close(z[row], expected, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(log_derivative[row], slope.log(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("components", [1, 2, 8, 50])
def test_zero_parameters_are_nearly_the_identity_and_components_differ(components):
    mixture = LogisticMixture(components)
    x = torch.linspace(-3, 2.5, 61, dtype=torch.float64)
    parameters = torch.zeros(61, mixture.parameter_count, dtype=torch.float64, requires_grad=True)
    z, log_derivative = mixture.inverse(x, parameters)
    assert float((z - x).detach().abs().max()) < 0.05 and float(log_derivative.detach().abs().max()) < 0.05
    (gradient,) = torch.autograd.grad((-0.5 * z.square() + log_derivative).sum(), parameters)
    for kind in gradient.sum(0)[2:].split(components):
        assert bool((kind.sort().values.diff() > 1e-4).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("components", [1, 8])
def test_returns_where_it_began(dtype, spread, components):
    mixture = LogisticMixture(components)
    parameters = spread * normal(4000, mixture.parameter_count, dtype=dtype)
    x = 3 * normal(4000, seed=1, dtype=dtype)
    z, log_derivative = mixture.inverse(x, parameters)
    mapped, log_derivative_back = mixture.forward(z, parameters)
    z_again, _ = mixture.inverse(mapped, parameters)
    eps = torch.finfo(dtype).eps
    # The root is exact as far as z can tell; where the map is flat, x has fewer digits than that.
    log_scale = bounded(parameters[:, 1])
    size = z.abs() + parameters[:, 0].abs() + 10 * log_scale.exp()
    steepness = log_derivative_back.neg().exp() * (x.abs() + spread)
    assert float(((z_again - z).abs() / (size + steepness)).max()) < 100 * eps
    assert float(((mapped - x).abs() / (x.abs() + spread + size / log_derivative.exp())).max()) < 100 * eps


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("far", [30.0, 1e3, 1e6, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_of_tails_alone_is_finite_with_its_gradients(direction, far, dtype):
    mixture = LogisticMixture(8)
    value = torch.tensor([far, -far], dtype=dtype, requires_grad=True)
    parameters = normal(2, mixture.parameter_count, dtype=dtype).requires_grad_()
    mapped, log_derivative = getattr(mixture, direction)(value, parameters)
    assert bool(mapped.isfinite().all() and log_derivative.isfinite().all())
    gradients = torch.autograd.grad(mapped.sum() + log_derivative.sum(), [value, parameters])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_are_straight_lines_of_the_widest_component(dtype):
    mixture = LogisticMixture(5)
    parameters = normal(1, mixture.parameter_count, dtype=dtype)
    z, log_derivative = mixture.inverse(torch.tensor([-1e4, 1e4], dtype=dtype), parameters)
    widest = 2 * bounded(parameters[0, -5:]).exp().max()
    _, at_zero = mixture.inverse(torch.zeros(1, dtype=dtype), torch.zeros(1, mixture.parameter_count, dtype=dtype))
    assert abs(float(at_zero)) < 1e-6  # so log_scale's start is that of slope 1
    starts = torch.tensor([2 * ((2 * k + 1) / 5 - 1) for k in range(5)], dtype=dtype)
    slope_at_zero = (1 / (2 * (starts / 4).cosh() ** 2)).mean()
    expected = (bounded(parameters[0, 1]).exp() / slope_at_zero / widest).log()
    torch.testing.assert_close(log_derivative, expected.expand(2), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close((z[1] - z[0]) / 2e4, expected.exp(), rtol=1e-2, atol=0)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_of_value_and_parameters(direction):
    mixture = LogisticMixture(3)
    value = torch.tensor([-40.0, -2.7, 0.0, 0.6, 55.0], dtype=torch.float64, requires_grad=True)
    parameters = normal(5, mixture.parameter_count).requires_grad_()
    apply = getattr(mixture, direction)
    assert torch.autograd.gradcheck(apply, [value, parameters])
    inner = [part[1:4].detach().requires_grad_() for part in (value, parameters)]
    assert torch.autograd.gradgradcheck(apply, inner)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gap_between_components_far_apart_is_crossed(dtype):
    mixture = LogisticMixture(2)
    parameters = torch.zeros(2001, mixture.parameter_count, dtype=dtype)
    parameters[:, 4:6] = torch.tensor([-500.0, 500.0])
    parameters[:, 6:] = -4
    # The gap holds no more than a rounding of z about the logit of the first weight, 0.
    z = torch.linspace(-20, 20, 2001, dtype=dtype)
    x, log_derivative = mixture.forward(z, parameters)
    assert bool((x.diff() >= 0).all()) and bool(log_derivative.isfinite().all())
    assert float(x[999]) < -400 and float(x[1001]) > 400
    assert float(mixture.inverse(torch.zeros(1, dtype=dtype), parameters[:1])[1]) < -1000


def test_no_component_is_refused():
    with pytest.raises(ValueError, match="at least one component, got 0"):
        LogisticMixture(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoregressive", pytest.param("coupling", marks=pytest.mark.slow)])
def test_mixture_cdf_learns_what_an_affine_flow_cannot(kind):
    torch.manual_seed(0)
    # Two clusters four deviations from their middle: a normal first feature, all that an affine layer has, is
    # log(17) / 2 - log(2) = 0.72 nats short of its density.
    x, fresh = (torch.randn(4000, 2) / 2 + 4 * torch.randint(0, 2, (4000, 1)) - 2 for _ in range(2))
    flow = pf.mixture_cdf(2, kind=kind, layers=2, hidden=(16, 16), components=4)
    pf.fit(flow, x, max_steps=300, learning_rate=1e-2)
    exact = torch.logsumexp(
        torch.stack([torch.distributions.Normal(m, 0.5).log_prob(fresh).sum(1) for m in (-2.0, 2.0)]), 0
    ) - math.log(2)
    missing = (exact - flow.log_prob(fresh)).detach()
    assert float(missing.mean()) + 5 * float(missing.std()) / 4000**0.5 < 0.36
    samples, log_prob = flow.sample_with_log_prob((500,))
    torch.testing.assert_close(flow.log_prob(samples), log_prob, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", ["autoregressive", "coupling"])
def test_costs_are_stated(kind):
    flow = pf.mixture_cdf(2, kind=kind, layers=2, hidden=(8,))
    one = "D × scalar root" if kind == "autoregressive" else "scalar root"
    assert flow.bijection.cost == (f"2 × {one}", "1 pass")
