"""Chains in the objects of GetDist, emcee and ArviZ, which are recognized by what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.chains.raw import RawChain
from pushforward.errors import InputError

OF_SAMPLER = (
    "The lp of samplers such as Stan and PyMC is the log-density of unconstrained parameters: where a parameter has "
    "bounds it is not that of the samples, and an evidence needs a log-posterior of the parameters themselves."
)


def of_object(source: Any) -> RawChain | None:
    """The chain in an object, or None if it is of none of these packages."""
    if hasattr(source, "paramNames") and hasattr(source, "loglikes"):
        return _of_getdist(source)
    if hasattr(source, "get_chain") and hasattr(source, "get_log_prob"):
        try:
            chain, density = source.get_chain(), source.get_log_prob()
        except AttributeError as error:
            raise InputError("The sampler of emcee has no samples: call its run_mcmc first.") from error
        return of_steps(chain, density, "the sampler")
    groups = getattr(source, "posterior", None)
    if groups is None or not hasattr(groups, "data_vars"):
        return None
    stats = getattr(source, "sample_stats", None)
    density = None if stats is None or "lp" not in stats else _over_draws(stats["lp"])
    variables = {str(name): _over_draws(groups[name]) for name in groups.data_vars}
    return of_groups(variables, density, "the posterior")


def of_steps(chain: np.ndarray, log_prob: np.ndarray, source: str) -> RawChain:
    """The chain of emcee: steps of walkers, (steps, walkers, D), each walker a Markov chain."""
    steps, walkers, features = chain.shape
    names = [str(number) for number in range(features)]
    rows = np.swapaxes(chain, 0, 1).reshape(-1, features)
    walks = np.repeat(np.arange(walkers), steps)
    return RawChain(source, names, rows, names, None, np.swapaxes(log_prob, 0, 1).reshape(-1), walks)


def of_groups(variables: Mapping[str, np.ndarray], log_density: np.ndarray | None, source: str) -> RawChain:
    """The chain of ArviZ: {variable: (chains, draws, ...)}; numbers of an array are called name[0], name[1,2], ...."""
    columns: dict[str, np.ndarray] = {}
    for name, values in variables.items():
        shape = values.shape[2:]
        for place in np.ndindex(shape):
            label = f"{name}[{','.join(map(str, place))}]" if shape else name
            columns[label] = values[(slice(None), slice(None), *place)].reshape(-1)
    if not columns:
        raise InputError(f"{source} has no variables over chains and draws.")
    names = list(columns)
    chains, draws = next(iter(variables.values())).shape[:2]
    walks = np.repeat(np.arange(chains), draws)
    density = None if log_density is None else log_density.reshape(-1)
    notes = () if density is None else (OF_SAMPLER,)
    return RawChain(source, names, np.column_stack(list(columns.values())), names, None, density, walks, {}, notes)


def _over_draws(values: Any) -> np.ndarray:
    return np.asarray(values.transpose("chain", "draw", ...).values)


def _of_getdist(samples: Any) -> RawChain:
    names = [one.name for one in samples.paramNames.names]
    sampled = [one.name for one in samples.paramNames.names if not one.isDerived]
    bounds = {}
    for name in names:
        low, high = (getattr(samples.ranges, side)(name) for side in ("getLower", "getUpper"))
        bounds[name] = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    offsets = getattr(samples, "chain_offsets", None)
    walks = None if offsets is None else np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    density = None if samples.loglikes is None else -np.asarray(samples.loglikes)
    return RawChain("the samples", names, np.asarray(samples.samples), sampled, samples.weights, density, walks, bounds)
