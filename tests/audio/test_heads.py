"""The distributions of one sample: against scipy, far into the tails, and with gradients that live there."""

import math

import numpy as np
import pytest
import torch
from audio.random_models import normal
from scipy import integrate, stats

from pushforward.audio import GaussianHead, Logistic, LogisticMixtureHead
from pushforward.audio.models.heads import LOG_SCALE_BOUND, REACH, SCALE
from pushforward.bijections import soft_bound

FAR = [0.0, 0.3, -2.0, 40.0, -1e3, 1e6, -1e12]


def mixture_by_scipy(parameters, x):
    """log Σ_k π_k logistic(x; μ_k, s_k), each density by scipy, summed in numpy's longest floats."""
    count = len(parameters) // 3
    logits, displacements, log_scales = parameters.numpy().reshape(3, count)
    starts = REACH * ((2 * np.arange(count) + 1) / count - 1)
    scales = SCALE * np.exp(2 / math.pi * LOG_SCALE_BOUND * np.arctan(math.pi / 2 * log_scales / LOG_SCALE_BOUND))
    weights = np.exp(logits - logits.max())
    parts = np.log(weights / weights.sum())[:, None] + stats.logistic.logpdf(
        x[None], (starts + displacements)[:, None], scales[:, None]
    )
    return np.logaddexp.reduce(parts.astype(np.longdouble), 0).astype(float)


def test_the_mixture_is_that_of_scipy_however_far_out():
    head, parameters = LogisticMixtureHead(4), normal(12)
    x = torch.tensor(FAR, dtype=torch.float64)
    found = head.distribution(parameters).log_prob(x)
    np.testing.assert_allclose(found.numpy(), mixture_by_scipy(parameters, x.numpy()), rtol=1e-12)


def test_the_mixture_integrates_to_one_and_its_moments_are_those_it_states():
    law = LogisticMixtureHead(3).distribution(normal(9, seed=1))

    def moment(power):
        def integrand(x):
            return x**power * float(law.log_prob(torch.tensor(x, dtype=torch.float64)).exp())

        return integrate.quad(integrand, -np.inf, np.inf)[0]

    assert abs(moment(0) - 1) < 1e-7
    assert abs(moment(1) - float(law.mean)) < 1e-6
    assert abs(moment(2) - moment(1) ** 2 - float(law.variance)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("head", [GaussianHead(), LogisticMixtureHead(10)], ids=["gaussian", "mixture"])
def test_a_narrow_distribution_pulls_from_any_distance(head, dtype):
    """Where a difference of distribution functions is 0 in float32, and its gradient with it, this has its slope."""
    parameters = torch.zeros(head.parameter_count, dtype=dtype)
    parameters[-head.parameter_count // (2 if isinstance(head, GaussianHead) else 3) :] = -7.0
    for distance in (0.016, 1.0, 100.0):
        x = torch.tensor(REACH + distance, dtype=dtype, requires_grad=True)
        log_prob = head.distribution(parameters).log_prob(x)
        (gradient,) = torch.autograd.grad(log_prob, x)
        assert bool(log_prob.isfinite()) and bool(gradient.isfinite())
        if isinstance(head, LogisticMixtureHead):
            # A logistic tail falls by 1 / scale for each unit, at any distance.
            scale = SCALE * float(soft_bound(torch.tensor(-7.0, dtype=torch.float64), LOG_SCALE_BOUND).exp())
            assert abs(float(gradient) * scale + 1) < 1e-3
        else:
            assert float(gradient) < -1e3


def test_a_step_of_16_bits_has_the_density_times_its_width():
    """The papers' discrete mass against this density: -log P is larger by -log(2/65536) = 10.397 nats a sample."""
    head, step = LogisticMixtureHead(5), 2 / 65536
    law = head.distribution(normal(15))
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    mass = law.cdf(x + step / 2) - law.cdf(x - step / 2)
    offset = law.log_prob(x) - mass.log()
    assert abs(float(offset.mean()) - 10.397) < 1e-3
    torch.testing.assert_close(offset, torch.full_like(offset, -math.log(step)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("head", [GaussianHead(), LogisticMixtureHead(3)], ids=["gaussian", "mixture"])
def test_draws_of_a_head_have_its_distribution_function(head):
    parameters = normal(head.parameter_count, seed=2)
    noise = head.noise(torch.empty(20_000, dtype=torch.float64), torch.Generator().manual_seed(1))
    assert noise.shape == (20_000, head.noise_count)
    x = head.draw(parameters.expand(20_000, -1), noise)
    found = stats.kstest(x.numpy(), lambda x: head.distribution(parameters).cdf(torch.as_tensor(x)).numpy())
    assert found.pvalue > 5.7e-7  # that of five standard deviations


def test_the_last_component_takes_what_rounding_leaves():
    head = LogisticMixtureHead(3)
    parameters = torch.zeros(9, dtype=torch.float64)
    parameters[3:6] = torch.tensor([-50.0, 0.0, 50.0])
    for selector, center in ((0.0, -50), (0.34, 0), (1.0, 50)):
        x = head.draw(parameters, torch.tensor([selector, 0.0], dtype=torch.float64))
        assert abs(float(x) - center) <= REACH


def test_the_logistic_distribution_is_that_of_scipy():
    loc, scale = normal(5), normal(5, seed=1).exp()
    law, truth = Logistic(loc, scale), stats.logistic(loc.numpy(), scale.numpy())
    for x in FAR:
        value = torch.full((5,), x, dtype=torch.float64)
        np.testing.assert_allclose(law.log_prob(value).numpy(), truth.logpdf(x), rtol=1e-12)
        np.testing.assert_allclose(law.cdf(value).numpy(), truth.cdf(x), rtol=1e-12)
    np.testing.assert_allclose(law.mean.numpy(), truth.mean())
    np.testing.assert_allclose(law.variance.numpy(), truth.var())
    np.testing.assert_allclose(law.entropy().numpy(), truth.entropy(), rtol=1e-6)
    u = torch.linspace(0.01, 0.99, 5, dtype=torch.float64)
    np.testing.assert_allclose(law.icdf(u).numpy(), truth.ppf(u.numpy()))
    assert law.expand((3, 5)).batch_shape == (3, 5)


def test_draws_of_the_logistic_distribution_are_its_own_and_differentiable():
    torch.manual_seed(0)
    loc, scale = torch.tensor(0.5, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    x = Logistic(loc, scale).rsample((20_000,))
    found = stats.kstest(x.detach().numpy(), stats.logistic(0.5, 2.0).cdf)
    assert found.pvalue > 5.7e-7  # that of five standard deviations
    x.sum().backward()
    assert float(loc.grad) == 20_000
    torch.testing.assert_close(scale.grad, ((x - loc) / scale).sum().detach(), rtol=1e-3, atol=1e-2)


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one component"):
        LogisticMixtureHead(0)
