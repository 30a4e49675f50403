"""What is known of the targets, by quadrature and exact draws."""

import math

import pytest
import torch

from pushforward.evaluation.targets import (
    eight_schools,
    energies,
    funnel,
    linear_regression,
    many_well,
    two_moons,
)


def integral(log_density, low, high, points, dtype=torch.float64):
    axis = torch.linspace(low, high, points, dtype=dtype)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    cell = float(axis[1] - axis[0]) ** 2
    log_values = torch.cat([log_density(rows).flatten() for rows in grid.split(200)])
    return float(log_values.logsumexp(0)) + math.log(cell)


@pytest.mark.parametrize("target", energies(), ids=lambda target: target.name)
def test_energies_integrate_to_their_normalizer(target):
    assert integral(target.log_density, -9, 9, 1501) == pytest.approx(target.log_normalizer, abs=1e-4)


def test_formulas_of_the_energies_at_a_point():
    z1, z2 = 0.7, -0.4
    w1, w2 = math.sin(2 * math.pi * z1 / 4), 3 * math.exp(-0.5 * ((z1 - 1) / 0.6) ** 2)
    w3 = 3 / (1 + math.exp(-(z1 - 1) / 0.3))
    truth = [
        0.5 * ((math.hypot(z1, z2) - 2) / 0.4) ** 2
        - math.log(math.exp(-0.5 * ((z1 - 2) / 0.6) ** 2) + math.exp(-0.5 * ((z1 + 2) / 0.6) ** 2)),
        0.5 * ((z2 - w1) / 0.4) ** 2,
        -math.log(math.exp(-0.5 * ((z2 - w1) / 0.35) ** 2) + math.exp(-0.5 * ((z2 - w1 + w2) / 0.35) ** 2)),
        -math.log(math.exp(-0.5 * ((z2 - w1) / 0.4) ** 2) + math.exp(-0.5 * ((z2 - w1 + w3) / 0.35) ** 2)),
    ]
    point = torch.tensor([z1, z2], dtype=torch.float64)
    for target, energy in zip(energies(), truth, strict=True):
        assert float(target.log_density(point)) == pytest.approx(-energy, abs=1e-9)


def test_the_funnel_and_the_wells_are_normalized_in_two_dimensions():
    two = many_well(2)
    assert integral(two.log_density, -9, 9, 1501) == pytest.approx(two.log_normalizer, abs=1e-5)
    assert many_well(32).log_normalizer == pytest.approx(164.6957, abs=1e-4)
    v = torch.linspace(-8, 8, 9, dtype=torch.float64)
    x = torch.linspace(-3000, 3000, 2_000_001, dtype=torch.float64)
    for value in v[::4]:
        points = torch.stack([value.expand_as(x), x], -1)
        log_marginal = float(funnel(2).log_density(points).logsumexp(0)) + math.log(float(x[1] - x[0]))
        expected = float(torch.distributions.Normal(0.0, 3.0).log_prob(value))
        assert log_marginal == pytest.approx(expected, abs=1e-3)


def test_the_regression_is_its_own_posterior_times_its_evidence():
    target = linear_regression(3, rows=12)
    hessian = torch.autograd.functional.hessian(lambda w: target.log_density(w), target.mean.double())
    covariance = torch.linalg.inv(-hessian)
    torch.testing.assert_close(covariance.diagonal().sqrt().float(), target.deviation)
    gradient = torch.func.grad(target.log_density)(target.mean.double())
    torch.testing.assert_close(gradient, torch.zeros(3).double(), atol=1e-4, rtol=0)
    # p̃ at the mode is Z times the Gaussian's height.
    height = -0.5 * torch.logdet(2 * math.pi * covariance)
    assert float(target.log_density(target.mean.double()) - height) == pytest.approx(target.log_normalizer, abs=1e-5)


def test_the_moons_are_a_density_of_the_observation():
    # Over observations, at fixed θ, the likelihood times the prior 1/4 integrates to 1/4.
    theta = torch.tensor([0.3, -0.2], dtype=torch.float64)
    axis = torch.linspace(-0.7, 0.7, 1401, dtype=torch.float64)
    first, second = torch.meshgrid(axis, axis, indexing="ij")
    observations = (0.25 - 0.1 / math.sqrt(2) + first, -0.5 / math.sqrt(2) + second)
    density = two_moons(observations).log_density(theta).exp()
    assert float(density.sum()) * float(axis[1] - axis[0]) ** 2 == pytest.approx(0.25, abs=3e-3)


def test_eight_schools_against_a_direct_sum():
    x = torch.randn(10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    effect, error = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]
    tau = math.exp(float(x[9]))

    def normal(value, mean, deviation):
        return -0.5 * ((value - mean) / deviation) ** 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)

    truth = sum(normal(float(t), 0, 1) for t in x[:8]) + normal(float(x[8]), 0, 5)
    truth += math.log(2 / (math.pi * 5 * (1 + (tau / 5) ** 2))) + float(x[9])
    truth += sum(normal(y, float(x[8]) + tau * float(t), s) for y, s, t in zip(effect, error, x[:8], strict=True))
    assert float(eight_schools().log_density(x)) == pytest.approx(truth, abs=1e-6)
