"""Chains with known answers: autoregressive walks whose law is a Gaussian, and others."""

import math

import numpy as np


def walk(rows, features, generator, persistence=0.8, walks=4):
    """A standard normal series in every column, of several Markov chains, (rows, features), and their numbers."""
    steps = rows // walks
    noise = generator.normal(size=(steps, walks, features))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for step in range(1, steps):
        x[step] = persistence * x[step - 1] + math.sqrt(1 - persistence**2) * noise[step]
    return np.swapaxes(x, 0, 1).reshape(-1, features), np.repeat(np.arange(walks), steps)


def gaussian_chain(rows, mean, root, generator, **options):
    """Rows of a Gaussian with the covariance root rootᵀ, as a table with its log-density without the normalizer."""
    z, numbers = walk(rows, len(mean), generator, **options)
    x = mean + z @ root.T
    table = {f"p{place}": column for place, column in enumerate(x.T)}
    return {**table, "log_posterior": -0.5 * (z**2).sum(1), "chain": numbers}


def log_normalizer(root):
    """log Z of that log-density."""
    return 0.5 * len(root) * math.log(2 * math.pi) + np.linalg.slogdet(root)[1]
