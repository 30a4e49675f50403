"""The density of a chain: a flow fitted to some of its rows, in float64, within the bounds of the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import numpy as np
import torch

from pushforward.bijections import LU, Compose, ElementwiseAffine
from pushforward.chains.chain import Chain
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.support.progress import Announce, silent
from pushforward.training import fit
from pushforward.zoo.recipe import Recipe, choose_recipe, named_recipe

GAUSSIAN = "gaussian"
# Rows of which log-densities are computed at a time.
BATCH_ROWS = 8192


class FitOptions(TypedDict, total=False):
    """How the density of a chain is fitted, as keyword arguments of `pushforward.evidence` and others.

    Arguments:
        flow: a named architecture with its own defaults; "gaussian" for the Gaussian of mean and covariance, which
            takes no time; by default `pushforward.zoo.recipe` chooses by the number of rows.
        max_time: most seconds of training for each density; default none: training ends by itself.
        max_steps: most steps of training for each density; default as the recipe chooses.
        seed: of the split into blocks, the fits and all draws; default 0.
        progress: whether to show bars on standard error; default after two seconds, in a terminal.
        announce: is told what was chosen, line by line; default none.
    """

    flow: str | None
    max_time: float | None
    max_steps: int | None
    seed: int
    progress: bool | None
    announce: Announce


def fit_density(chain: Chain, rows: np.ndarray, **options: Unpack[FitOptions]) -> Flow:
    """The density of some rows of a chain.

    Arguments:
        chain: the samples; a density within their bounds is fitted.
        rows: the places of the rows to fit to; one block in five of them decides when the training ends.
        options: `FitOptions`.

    Returns:
        A flow in float64, in evaluation mode.

    Raises:
        InputError: a parameter has no density, or a Gaussian is asked for within bounds.
    """
    name, seed = options.get("flow"), options.get("seed", 0)
    chain.rows(rows).check_columns("the rows of the fit, half of the chain")
    if name == GAUSSIAN:
        return _gaussian(chain.rows(rows))
    training, held_out = (_distinct(chain, part) for part in chain.training_parts(rows, seed))
    x, weights = training
    recipe = choose_recipe(len(x), x.shape[1], max_time=options.get("max_time"))
    if name is not None:
        recipe = _named(name, len(x))
    for line in recipe.reasons:
        options.get("announce", silent)(line)
    ends = {"low": chain.low.tolist(), "high": chain.high.tolist()}
    flow = recipe.make(torch.from_numpy(x), None, seed, weights=torch.from_numpy(weights), **ends)
    given: dict[str, Any] = dict(options)
    limits = {key: given[key] for key in ("max_time", "max_steps") if given.get(key) is not None}
    chosen = {key: value for key, value in recipe.training.items() if not (limits and key == "max_steps")}
    history = fit(
        flow, x, weights=weights, validation=held_out[0], validation_weights=held_out[1], objective=recipe.objective,
        **{**chosen, **limits, "seed": seed, "progress": options.get("progress")},
    )  # fmt: skip
    if history.shortage:
        options.get("announce", silent)(history.shortage)
    return flow.double().eval()


def log_prob(flow: Flow, x: np.ndarray) -> np.ndarray:
    """log q(x) in nats, (n,), of rows, (n, D)."""
    return _in_batches(lambda part: flow.log_prob(part), x)


def latent_and_log_det(flow: Flow, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z, (n, D), and log|det ∂z/∂x|, (n,), of rows, (n, D)."""
    found = _in_batches(lambda part: torch.column_stack(flow.bijection.inverse(part)), x)
    return found[:, :-1], found[:, -1]


def draws(flow: Flow, count: int, seed: int, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn, (count, D), and their log-density, (count,), of the flow with the variance of its base scaled."""
    generator = torch.Generator().manual_seed(seed)
    found, density = [], []
    for start in range(0, count, BATCH_ROWS):
        size = (min(BATCH_ROWS, count - start), flow.features)
        z = math.sqrt(temperature) * torch.randn(size, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            x, log_det = flow.bijection(z)
        found.append(x.numpy())
        density.append(log_normal(z.numpy(), temperature) - log_det.numpy())
    return np.concatenate(found), np.concatenate(density)


def log_normal(z: np.ndarray, variance: float = 1.0) -> np.ndarray:
    """The log-density of independent normal numbers of one variance, (n,), of rows, (n, D)."""
    found: np.ndarray = -0.5 * ((z**2).sum(-1) / variance + z.shape[-1] * math.log(2 * math.pi * variance))
    return found


def _in_batches(function: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([function(part).numpy() for part in torch.from_numpy(x).split(BATCH_ROWS)])


def _distinct(chain: Chain, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different rows with the sums of their weights, which are 1 on average: a chain stays where it rejects."""
    x, inverse = np.unique(chain.x[rows], axis=0, return_inverse=True)
    weights = np.bincount(inverse.reshape(-1), chain.weights[rows])
    return x, weights / weights.mean()


def _named(name: str, rows: int) -> Recipe:
    try:
        return named_recipe(name, rows)
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}, and {GAUSSIAN}.") from None


def _gaussian(chain: Chain) -> Flow:
    """The Gaussian of the mean and covariance of all rows."""
    if np.isfinite(chain.low).any() or np.isfinite(chain.high).any():
        name = chain.names[int((np.isfinite(chain.low) | np.isfinite(chain.high)).argmax())]
        raise InputError(f'A Gaussian has no bounds, but the parameter "{name}" has: choose another flow.')
    mean = np.average(chain.x, axis=0, weights=chain.weights)
    covariance = np.atleast_2d(np.cov(chain.x, rowvar=False, aweights=chain.weights))
    deviation = np.sqrt(covariance.diagonal())
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    # Two layers, each of a root of the root: an LU layer takes no matrix that is nearly singular.
    layers = [LU(len(mean)).double() for _ in range(2)]
    for layer in layers:
        layer.start_at(torch.from_numpy((vectors * values**0.25) @ vectors.T), torch.zeros(len(mean)).double())
    units = ElementwiseAffine(torch.from_numpy(mean), torch.from_numpy(deviation))
    return Flow(Compose([*layers, units]), StandardNormal(len(mean)).double()).eval()
