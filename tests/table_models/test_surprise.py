"""Conditional surprise against densities whose conditionals are known."""

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.table_models.surprise import conditional_surprise

LEVELS = torch.tensor([0.05, 0.95], dtype=torch.float64)


def gaussian(features=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(features, features, generator=generator, dtype=torch.float64)
    # Columns of very different units, some nearly determined by the others.
    scale = torch.logspace(-4, 5, features, dtype=torch.float64)
    covariance = (root @ root.T + 1e-3 * torch.eye(features)) * scale[:, None] * scale
    return torch.distributions.MultivariateNormal(scale * 3, covariance)


@pytest.mark.parametrize("out", [1.0, 30.0])
def test_it_is_the_closed_form_of_a_gaussian(out):
    density = gaussian()
    torch.manual_seed(0)
    x = density.mean + out * (density.sample((20,)) - density.mean)
    found = conditional_surprise(density.log_prob, x, density.sample((1000, 1)))
    precision = density.precision_matrix
    deviation = precision.diagonal().rsqrt()
    conditional = torch.distributions.Normal(
        x - (x - density.mean) @ precision / precision.diagonal(), deviation.expand(20, -1)
    )
    torch.testing.assert_close(found.nats, -conditional.log_prob(x), atol=0.02, rtol=1e-3)
    torch.testing.assert_close(found.expected, conditional.entropy(), atol=0.03, rtol=0)
    for level, bound in zip(LEVELS, (found.low, found.high), strict=True):
        assert float(((bound - conditional.icdf(level)) / deviation).abs().max()) < 0.02


def test_units_change_neither_excess_nor_share():
    density = gaussian()
    torch.manual_seed(0)
    x, draws = density.sample((10,)), density.sample((500, 1))
    scale = torch.tensor([1e3, 1e-3, 7.0, 1.0], dtype=torch.float64)
    one = conditional_surprise(density.log_prob, x, draws)
    other = conditional_surprise(
        lambda rows: density.log_prob(rows / scale) - scale.log().sum(), x * scale, draws * scale
    )
    torch.testing.assert_close(one.excess, other.excess, atol=1e-6, rtol=0)
    torch.testing.assert_close(one.share, other.share, atol=1e-6, rtol=0)
    sums = one.share.sum(1)
    assert bool((((sums - 1).abs() < 1e-12) | (sums == 0)).all()) and bool((one.share >= 0).all())


def test_two_humps_and_a_sharp_edge():
    """Half the mass at ±50 deviations, the other column exponential: nothing about them is normal."""
    humps, exponential = stats.norm(0, 1), stats.expon()

    def log_humps(x):
        return np.logaddexp(humps.logpdf(x - 50), humps.logpdf(x + 50)) - np.log(2)

    def log_prob(rows):
        x, y = rows.numpy().T
        return torch.from_numpy(log_humps(x) + exponential.logpdf(y))

    generator = np.random.default_rng(0)
    sides = 50 * generator.choice([-1, 1], 2000)
    draws = np.column_stack([generator.normal(size=2000) + sides, generator.exponential(size=2000)])
    x = np.array([[0.0, 0.5], [50.0, 10.0]])
    found = conditional_surprise(log_prob, torch.from_numpy(x), torch.from_numpy(draws)[:, None])
    truth = -np.column_stack([log_humps(x[:, 0]), exponential.logpdf(x[:, 1])])
    np.testing.assert_allclose(found.nats.numpy(), truth, atol=0.03)
    entropies = [0.5 * np.log(2 * np.pi * np.e) + np.log(2), 1.0]
    np.testing.assert_allclose(found.expected.numpy(), [entropies, entropies], atol=0.05)
    np.testing.assert_allclose(found.low[:, 1], -np.log(0.95), atol=0.02)
    np.testing.assert_allclose(found.high[:, 1], -np.log(0.05), atol=0.05)
    assert found.share.argmax(1).tolist() == [0, 1]


def test_of_a_conditional_flow_each_row_has_its_own_context():
    torch.manual_seed(0)
    flow = pf.maf(features=2, context=1, layers=2, hidden=(8,)).double().eval()
    context, x = torch.tensor([[-1.0], [2.0]], dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    draws = flow.sample((500,), context)

    def log_prob(contexts):
        return lambda rows: flow.log_prob(rows, contexts.repeat(len(rows) // len(contexts), 1)).detach()

    both = conditional_surprise(log_prob(context), x, draws)
    for row in range(2):
        alone = conditional_surprise(log_prob(context[row : row + 1]), x[row : row + 1], draws[:, row : row + 1])
        torch.testing.assert_close(both.nats[row], alone.nats[0])


def test_of_a_discrete_column_the_integral_is_a_sum():
    """A number of events, given a rate that is itself a column: p(count | rate) is Poisson, p(rate | count) gamma."""
    shape = 3.0

    def log_prob(rows):
        count, rate = rows.numpy().T
        return torch.from_numpy(stats.poisson(rate.clip(1e-300)).logpmf(count) + stats.gamma(shape).logpdf(rate))

    generator = np.random.default_rng(0)
    rate = generator.gamma(shape, size=2000)
    draws = torch.from_numpy(np.column_stack([generator.poisson(rate), rate]))[:, None]
    x = np.array([[2.0, 1.5], [30.0, 4.0], [0.0, 12.0]])
    counts = torch.arange(200)
    found = conditional_surprise(log_prob, torch.from_numpy(x), draws, levels=[counts, None])
    poisson, gamma = stats.poisson(x[:, 1]), stats.gamma(shape + x[:, 0], scale=0.5)
    truth = -np.column_stack([poisson.logpmf(x[:, 0]), gamma.logpdf(x[:, 1])])
    np.testing.assert_allclose(found.nats.numpy(), truth, atol=0.02)
    np.testing.assert_allclose(found.expected[:, 0].numpy(), poisson.entropy(), atol=1e-6)
    np.testing.assert_allclose(found.expected[:, 1].numpy(), gamma.entropy(), atol=0.03)
    np.testing.assert_array_equal(found.low[:, 0].numpy(), poisson.ppf(0.05))
    np.testing.assert_array_equal(found.high[:, 0].numpy(), poisson.ppf(0.95))
    np.testing.assert_allclose(found.high[:, 1].numpy(), gamma.ppf(0.95), rtol=0.01)


def test_a_density_without_limit_at_its_bound_has_the_right_interval():
    """p(x) = x^(-0.9) / 10 on (0, 1]: a tenth of its mass lies below 1e-10; its quantile at q is q^10."""

    def log_prob(rows):
        x = rows[:, 0]
        inside = (x > 0) & (x <= 1)
        return torch.where(inside, -0.9 * x.clamp_min(1e-300).log() - np.log(10), -torch.inf)

    draws = torch.from_numpy(np.random.default_rng(0).random((1000, 1, 1)) ** 10)
    found = conditional_surprise(log_prob, torch.tensor([[0.5]], dtype=torch.float64), draws)
    assert float(found.high) == pytest.approx(0.95**10, rel=0.1)
    assert float(found.nats) == pytest.approx(0.9 * np.log(0.5) + np.log(10), abs=0.15)


def test_the_mass_near_a_bound_is_not_overestimated():
    """An exponential density with a spike of probability 0.001 within 1e-4 of 0, as high as 1e6 at its top."""

    def log_prob(rows):
        x = rows[:, 0].clamp_min(1e-12)
        spike = np.log(1e-3) + np.log(0.1) - 0.1 * np.log(1e-4) - 0.9 * x.log()
        smooth = np.log(0.999) - x
        both = torch.where(x < 1e-4, torch.logaddexp(smooth, spike), smooth)
        return torch.where(rows[:, 0] >= 0, both, -torch.inf)

    random = np.random.default_rng(0)
    draws = torch.from_numpy(random.exponential(size=(1000, 1, 1)))
    found = conditional_surprise(log_prob, torch.tensor([[9.0]], dtype=torch.float64), draws)
    assert float(found.low) == pytest.approx(-np.log(0.95), rel=0.05)
    assert float(found.high) == pytest.approx(-np.log(0.05), rel=0.05)
    assert float(found.nats) == pytest.approx(9, abs=0.05)
