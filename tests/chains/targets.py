"""Exact, independent draws of targets whose evidence is known, with their log-densities."""

import math

import numpy as np
import pyarrow as pa
import torch
from scipy import stats

from pushforward.evaluation.targets import eight_schools, funnel

EFFECT = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERROR = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def table(x, log_density):
    columns = {f"p{place}": column for place, column in enumerate(x.T)}
    return pa.table({**columns, "log_posterior": log_density})


def banana_rows(rows, generator):
    """x₁ ~ N(0, 1), x₂ ~ N(x₁², 1/2²): log Z of the density without its normalizer, and the entropy."""
    first = generator.normal(size=rows)
    noise = generator.normal(size=rows)
    normalizer = math.log(2 * math.pi * 0.5)
    rows = table(np.column_stack([first, first**2 + 0.5 * noise]), -0.5 * (first**2 + noise**2))
    return rows, normalizer, normalizer + 1


def banana_log_density(x):
    return -0.5 * (x[:, 0] ** 2 + ((x[:, 1] - x[:, 0] ** 2) / 0.5) ** 2)


def funnel_rows(rows, generator, features=3):
    """Neal's funnel, log Z = 0."""
    v = 3 * generator.normal(size=rows)
    x = np.column_stack([v, np.exp(v / 2)[:, None] * generator.normal(size=(rows, features - 1))])
    target = funnel(features)
    return table(x, target.log_density(torch.from_numpy(x)).numpy()), target.log_density, 0.0


def eight_schools_rows(rows, generator):
    """The posterior of the eight schools: τ on a grid of its density, with all others integrated out; the rest exactly.

    Given τ, y_j ~ N(μ, σ_j² + τ²) and μ ~ N(0, 5²); given μ and τ, θ'_j is normal.
    """
    log_tau = np.linspace(-14, 8, 20_001)
    tau = np.exp(log_tau)
    covariance = np.eye(8) * ERROR**2 + 25.0
    log_likelihood = np.array(
        [stats.multivariate_normal.logpdf(EFFECT, np.zeros(8), covariance + one**2 * np.eye(8)) for one in tau[::20]]
    )
    log_likelihood = np.interp(log_tau, log_tau[::20], log_likelihood)
    log_weight = log_likelihood + stats.halfcauchy.logpdf(tau, scale=5.0) + log_tau
    weight = np.exp(log_weight)
    log_z = math.log(np.trapezoid(weight, log_tau))
    distribution = np.concatenate([[0.0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
    drawn = np.interp(generator.uniform(size=rows), distribution / distribution[-1], log_tau)
    spread = np.exp(drawn)[:, None]
    precision = 1 / (ERROR**2 + spread**2)
    variance = 1 / (1 / 25.0 + precision.sum(1))
    mu = variance * (precision * EFFECT).sum(1) + np.sqrt(variance) * generator.normal(size=rows)
    of_school = 1 / (1 + spread**2 / ERROR**2)
    standard = of_school * spread * (EFFECT - mu[:, None]) / ERROR**2
    standard = standard + np.sqrt(of_school) * generator.normal(size=(rows, 8))
    x = np.column_stack([standard, mu, drawn])
    target = eight_schools()
    return table(x, target.log_density(torch.from_numpy(x)).numpy()), target.log_density, log_z
