"""Eight schools, its evidence, and guides fitted to it."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

# This file is collected by itself, for its doctests.
pyro = pytest.importorskip("pyro", reason="pip install 'pushforward[pyro]' brings it")
from pyro import distributions as dist  # noqa: E402
from pyro.infer import SVI, Trace_ELBO  # noqa: E402

EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools():
    """The effects of coaching in eight schools, centered at one mean. Source: Rubin 1981."""
    mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
    log_spread = pyro.sample("log_spread", dist.Normal(1.0, 1.0))
    with pyro.plate("schools", 8):
        school = pyro.sample("school", dist.Normal(mean, log_spread.exp()))
        pyro.sample("observed", dist.Normal(school, ERRORS), obs=EFFECTS)


def log_evidence():
    """By a sum over a grid of the two that the schools have in common."""
    mean, log_spread = np.meshgrid(np.linspace(-25, 35, 601), np.linspace(-5, 7, 601))
    effects, errors = EFFECTS.numpy()[:, None, None], ERRORS.numpy()[:, None, None]
    variance = errors**2 + np.exp(2 * log_spread)
    terms = (-0.5 * ((effects - mean) ** 2 / variance + np.log(2 * np.pi * variance))).sum(0)
    terms += -0.5 * (mean / 5) ** 2 - np.log(5) - 0.5 * (log_spread - 1) ** 2 - np.log(2 * np.pi)
    return logsumexp(terms) + np.log(0.1 * 0.02)


def fitted(guide, steps):
    """A guide after as many steps of Adam, its rate falling to a twentieth."""
    guide()
    optimizer = pyro.optim.ClippedAdam({"lr": 5e-3, "lrd": 0.05 ** (1 / steps)})
    svi = SVI(eight_schools, guide, optimizer, Trace_ELBO(num_particles=16, vectorize_particles=True))
    for _ in range(steps):
        svi.step()
    return guide


def evidence_bounds(guide, repetitions=50):
    """Estimates of the lower bound on the log-evidence."""
    elbo = Trace_ELBO(num_particles=100, vectorize_particles=True)
    with torch.no_grad():
        return np.array([-elbo.loss(eight_schools, guide) for _ in range(repetitions)])
