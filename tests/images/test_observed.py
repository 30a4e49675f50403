"""The probability that noise puts a number into a step, and draws of it there, against SciPy."""

import numpy as np
import torch
from scipy import stats
from significance import follows

from pushforward.images.observed import Observed


def test_the_probability_is_that_of_normal_noise_also_far_away_and_in_narrow_steps():
    low = torch.tensor([-1.0, 0.2, 1.0, -14.0], dtype=torch.float64)
    high = torch.tensor([0.5, 0.2001, 1.0000001, -13.0], dtype=torch.float64)
    y = torch.tensor([[0.0, 0.1, 1.0, -13.5], [9.0, -8.0, 3.0, 14.0]], dtype=torch.float64, requires_grad=True)
    for sigma in (0.1, 1.0, 300.0):
        found = Observed(low, high).log_prob(y, sigma)
        (gradient,) = torch.autograd.grad(found.sum(), y)
        # By quadrature of the density over each step, from its largest value there.
        points = np.linspace(low.numpy(), high.numpy(), 20001)
        logs = stats.norm.logpdf(points[:, None], y.detach().numpy(), sigma)
        top = logs.max(0)
        expected = np.log(np.trapezoid(np.exp(logs - top), np.broadcast_to(points[:, None], logs.shape), axis=0)) + top
        np.testing.assert_allclose(found.detach(), expected.sum(1), rtol=1e-4)
        assert gradient.isfinite().all()


def test_draws_are_normal_ones_within_the_step():
    low, high = torch.tensor([0.5], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    draws = Observed(low, high).draw(torch.full((4000, 1), 0.2, dtype=torch.float64), 0.7)
    assert follows(draws[:, 0].numpy(), stats.truncnorm((0.5 - 0.2) / 0.7, (2 - 0.2) / 0.7, 0.2, 0.7).cdf)
