"""Kernel regression by a Gaussian process, and what it says of each row without that row."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from pushforward.networks.kernel_regression import KernelRegression, kernel
from pushforward.zoo.cross_fitted import CrossFitted

# Rows that have a kernel, at most, and those by whose likelihood lengths and variances are chosen.
MOST_POINTS, MOST_ROWS = 2_000, 600
# Steps of this choice, and their size in logarithms.
STEPS, STEP = 80, 0.1
# Every column has a length of its own where so many rows choose each; otherwise all have one.
ROWS_OF_LENGTH = 10
# The least variance of noise, in that of the targets: kernels of equal rows have no inverse without any.
LEAST_NOISE = 1e-5
# The largest deviation of a logarithm from its start: beyond, likelihoods are flat.
FURTHEST = 8.0


def kernel_regression(
    y: np.ndarray,
    context: np.ndarray,
    together: np.ndarray | None,
    seed: int,
    *,
    points: int = MOST_POINTS,
    steps: int = STEPS,
    seconds: float = math.inf,
) -> CrossFitted | None:
    """Fit the mean of a Gaussian process to rows; None where its kernels have no inverse.

    The lengths in which the function varies with each column, its variance, that of a straight line and that of the
    noise have most likelihood of some of the rows. What is said of a row without it, and without those that stand
    together with it, is in closed form; of many rows only some have kernels, and what is said of the others is plain.

    scikit-learn's process predicts as well in about the same time (benchmarks/regression_choices.md). Ours ends when
    the time is over, needs memory for pairs of rows and not for each column of these, and predicts rows without
    themselves.

    Arguments:
        y: (n,) targets.
        context: (n, C), of which every column varies.
        together: (n,) labels of rows that stand together, or None.
        seed: of the rows that are chosen.
        points: most rows that have a kernel, default 2,000; the time grows with the cube of their number.
        steps: most steps of the choice, default 80.
        seconds: after which no step is begun.

    Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapter 5, for both.

    Example:
        >>> c = np.random.default_rng(0).uniform(-2, 2, size=(200, 2))
        >>> found = kernel_regression(np.sin(2 * c[:, 0]), c, None, seed=0)
        >>> found.explained > 0.99
        True
    """
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(y)))
    chosen = order[:points]
    rows = torch.from_numpy(context.astype(np.float64))
    middle, deviation = float(y.mean()), float(y.std()) or 1.0
    targets = torch.from_numpy((y - middle) / deviation)
    model = KernelRegression(context.shape[1], len(chosen))
    model.shift.copy_(rows.mean(0))
    model.scale.copy_(1 / rows.std(0, correction=0))
    model.low.copy_(rows.amin(0))
    model.high.copy_(rows.amax(0))
    try:
        some = order[:MOST_ROWS]
        lengths, variances = _most_likely(model.units(rows[some]), targets[some], steps, time.monotonic() + seconds)
        model.scale /= lengths
        model.points.copy_(model.units(rows[chosen]))
        amplitude, slope, noise = variances
        covariance = kernel(model.points, model.points, amplitude, slope) + noise * torch.eye(len(chosen)).double()
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    except torch.linalg.LinAlgError:
        return None
    weights = inverse @ targets[chosen]
    model.weights.copy_(deviation * weights)
    model.numbers.copy_(torch.stack([torch.tensor(middle).double(), amplitude, slope]))
    unseen = model(rows)[:, 0]
    left = deviation * _left_out(inverse, weights, None if together is None else together[chosen.numpy()])
    unseen[chosen] = torch.from_numpy(y).double()[chosen] - left
    return CrossFitted.of("a Gaussian process", model, unseen.numpy(), y)


def _most_likely(u: Tensor, y: Tensor, steps: int, until: float) -> tuple[Tensor, Tensor]:
    """Lengths, (C,) or (1,), and the variances of the function, of the line and of the noise, (3,)."""
    each = u.shape[1] if ROWS_OF_LENGTH * u.shape[1] <= len(u) else 1
    start = torch.cat([torch.full((each,), 0.5 * math.log(u.shape[1])), torch.tensor([0.0, -2.0, -2.0])]).double()
    moved = torch.zeros_like(start, requires_grad=True)
    optimizer = torch.optim.Adam([moved], lr=STEP)
    same = torch.eye(len(u)).double()
    for _ in range(steps):
        if time.monotonic() >= until:
            break
        optimizer.zero_grad()
        lengths, variances = _numbers(start + moved, each)
        covariance = kernel(u / lengths, u / lengths, variances[0], variances[1]) + variances[2] * same
        root = torch.linalg.cholesky(covariance)
        loss = 0.5 * y @ torch.cholesky_solve(y[:, None], root)[:, 0] + root.diagonal().log().sum()
        (loss / len(u)).backward()
        optimizer.step()
        with torch.no_grad():
            moved.clamp_(-FURTHEST, FURTHEST)
    return _numbers((start + moved).detach(), each)


def _numbers(logarithms: Tensor, lengths: int) -> tuple[Tensor, Tensor]:
    """Lengths and variances of their logarithms."""
    found = logarithms.exp()
    return found[:lengths], found[lengths:] + torch.tensor([0.0, 0.0, LEAST_NOISE]).double()


def _left_out(inverse: Tensor, weights: Tensor, together: np.ndarray | None) -> Tensor:
    """What is left of each row when it is predicted without itself and those together with it, (m,)."""
    found = weights / inverse.diagonal()
    if together is not None:
        labels, sizes = np.unique(together, return_counts=True)
        for label in labels[sizes > 1]:
            own = torch.from_numpy(np.flatnonzero(together == label))
            found[own] = torch.linalg.solve(inverse[own[:, None], own], weights[own])
    return found
