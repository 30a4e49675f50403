"""Two simulators of sbibm and draws from their posteriors. Source: Lueckmann et al. 2021, arXiv:2101.04653."""

import math

import torch


def two_moons(theta):
    """x = (r cos a + 1/4, r sin a) + (-|θ1 + θ2|, θ2 - θ1) / √2."""
    a = (torch.rand(len(theta)) - 0.5) * math.pi
    r = 0.1 + 0.01 * torch.randn(len(theta))
    first, second = theta.unbind(1)
    shift = torch.stack([-(first + second).abs(), second - first], 1) / math.sqrt(2)
    return torch.stack([r * a.cos() + 0.25, r * a.sin()], 1) + shift


def two_moons_posterior(x, count):
    """Exact draws under the uniform prior on (-1, 1)²: the shift is x less a draw of the moon."""
    a = (torch.rand(4 * count) - 0.5) * math.pi
    r = 0.1 + 0.01 * torch.randn(4 * count)
    sums = (r * a.cos() + 0.25 - x[0]) * math.sqrt(2)
    signs = torch.randint(0, 2, (4 * count,)) * 2 - 1
    differences = (x[1] - r * a.sin()) * math.sqrt(2)
    theta = torch.stack([signs * sums - differences, signs * sums + differences], 1) / 2
    return theta[(theta.abs() < 1).all(1) & (sums > 0)][:count]


def slcp(theta):
    """Four draws from a Gaussian of means θ1, θ2, variances θ3⁴, θ4⁴ and correlation tanh θ5."""
    first, second = theta[:, 2, None] ** 2, theta[:, 3, None] ** 2
    rho = theta[:, 4, None].tanh()
    u, v = torch.randn(2, len(theta), 4)
    x = theta[:, 0, None] + first * u
    y = theta[:, 1, None] + second * (rho * u + (1 - rho**2).sqrt() * v)
    return torch.stack([x, y], 2).flatten(1)


def slcp_log_likelihood(theta, x):
    first, second = theta[:, 2, None] ** 2, theta[:, 3, None] ** 2
    log_rest = -2 * torch.log(torch.cosh(theta[:, 4, None]))  # 1 - tanh²
    u = (x[0::2] - theta[:, 0, None]) / first
    v = (x[1::2] - theta[:, 1, None]) / second
    square = (u**2 - 2 * theta[:, 4, None].tanh() * u * v + v**2) / log_rest.exp()
    return (-0.5 * square - first.log() - second.log() - 0.5 * log_rest).sum(1)


def slcp_posterior(x, count, steps=2_000):
    """The ends of many long chains under the uniform prior on (-3, 3)⁵, begun at weighted draws from it."""
    prior = 6 * torch.rand(1_000_000, 5, dtype=torch.float64) - 3
    x = x.double()
    log_likelihood = slcp_log_likelihood(prior, x)
    theta = prior[torch.multinomial((log_likelihood - log_likelihood.max()).exp(), count, replacement=True)]
    now = slcp_log_likelihood(theta, x)
    for step in range(steps):
        scale = (0.05, 0.3, 1.0)[step % 3]
        proposed = theta + scale * torch.randn_like(theta)
        signs = torch.randint(0, 2, (count, 2)) * 2 - 1
        proposed[:, 2:4] = proposed[:, 2:4] * signs
        then = slcp_log_likelihood(proposed, x)
        then[(proposed.abs() > 3).any(1)] = -math.inf
        taken = torch.rand(count).log() < then - now
        theta, now = torch.where(taken[:, None], proposed, theta), torch.where(taken, then, now)
    return theta.float()
