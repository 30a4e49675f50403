"""Read a chain, from files of GetDist, emcee and ArviZ, from tables, and from the objects of these packages."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from pushforward.chains.chain import Chain
from pushforward.chains.getdist import find_root, read_root, root_of
from pushforward.chains.hdf5 import OF_HDF5, is_hdf5, read_hdf5
from pushforward.chains.objects import of_object
from pushforward.chains.raw import RawChain
from pushforward.chains.tables import read_chain_table
from pushforward.errors import InputError
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted, option, percent
from pushforward.tables.files.formats import has_format


class ChainOptions(TypedDict, total=False):
    """How a chain is read, as keyword arguments of `pushforward.read_chain`, `evidence` and others.

    Arguments:
        columns: the parameters; default all that are sampled, without derived ones where a source tells them apart.
        weight: the column of the weights of a table; default "weight" or "weights" where there is one, else all equal.
        log_posterior: the column of the logarithm of prior times likelihood; default "log_posterior", "log_post",
            "log_prob", "lp" or "minuslogpost" (of which the sign is changed) where there is one.
        log_likelihood: the column of the log-likelihood, to which the log-prior is added; default "log_likelihood",
            "loglikelihood" or "log_like".
        log_prior: the column of the logarithm of the normalized prior; default "log_prior".
        walk: the column with the number of the Markov chain of each row; default "chain"; without one the rows are one.
        bounds: {parameter: (low, high)}, None for no bound, where its prior ends, beside those that the source gives.
        burn_in: the share of the first rows of each Markov chain that is dropped; default 0.
        independent: whether the rows are independent of each other, as those of nested samplers; default False.
    """

    columns: Sequence[str] | None
    weight: str | None
    log_posterior: str | None
    log_likelihood: str | None
    log_prior: str | None
    walk: str | None
    bounds: Mapping[str, tuple[float | None, float | None]] | None
    burn_in: float
    independent: bool


# Shorter Markov chains do not show their autocorrelation; it is told where they have more than this share of the rows.
FEWEST_STEPS, LARGE_SHARE = 20, 0.1
OF_TABLES = ("weight", "log_posterior", "log_likelihood", "log_prior", "walk")


def read_chain(source: Any, **options: Unpack[ChainOptions]) -> Chain:
    """Samples of a posterior with weights, log-densities and bounds, as far as the source has them.

    Arguments:
        source: a path: chains of GetDist, CosmoMC or Cobaya (the root of their names, or their folder), a file of
            emcee's `HDFBackend` (.h5), of ArviZ (.nc), or a table (.csv, .parquet, ...). Or an object: `MCSamples` of
            GetDist, `EnsembleSampler` or a backend of emcee, `InferenceData` or a tree of ArviZ, a data frame, or an
            array, (n, D).
        options: `ChainOptions`.

    Returns:
        The chain; rows of weight 0 are left out.

    Raises:
        InputError: a source that cannot be read, a column that it has not, a value that is not a finite number, a
            negative weight, Markov chains of one row each that are not called independent; one sentence names the
            file, the column and the row.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"a": [0.1, 0.2], "weight": [1.0, 3.0], "log_posterior": [-1.0, -2.0]})
        >>> chain = read_chain(table)
        >>> chain.names, chain.weights, chain.log_posterior
        (['a'], array([1., 3.]), array([-1., -2.]))
    """
    burn_in = options.get("burn_in", 0.0)
    if not 0 <= burn_in < 1:
        raise InputError(f"burn_in is a share from 0 to below 1; it is {burn_in}.")
    if isinstance(source, Chain):
        chain = source
    else:
        raw = _raw(source, options)
        columns = options.get("columns")
        # Only what is asked for is looked at: derived parameters may have values that are not numbers.
        chain = (raw if columns is None else raw.with_columns(columns)).checked()
    bounds = options.get("bounds")
    if bounds:
        chain = chain.within(bounds)
    if options.get("independent"):
        chain = dataclasses.replace(chain, independent=True)
    if burn_in:
        chain = _after(chain, burn_in)
    if not chain.independent:
        chain = _with_seen_walks(chain)
    columns = options.get("columns")
    return chain if columns is None else chain.only(columns)


def both_alike(a: Any, b: Any, **options: Unpack[ChainOptions]) -> tuple[Chain, Chain]:
    """Two chains of the same parameters, in one order.

    Raises:
        InputError: one has parameters that the other has not, and nobody chose columns; both are named.
    """
    first, second = (read_chain(one, **options) for one in (a, b))
    lacking = [[name for name in x.names if name not in y.names] for x, y in ((first, second), (second, first))]
    if any(lacking):
        said = [
            f"only {who} has {', '.join(quoted(name) for name in few[:5])}{', ...' if len(few) > 5 else ''}"
            for who, few in zip("AB", lacking, strict=True)
            if few
        ]
        raise InputError(
            f"The chains differ in their parameters: {'; '.join(said)}; choose shared ones with "
            "--columns (columns= in Python)."
        )
    return first, second.only(first.names)


def _raw(source: Any, options: ChainOptions) -> RawChain:
    of_table = {name: options[name] for name in OF_TABLES if options.get(name) is not None}  # type: ignore[literal-required]
    if isinstance(source, list | tuple) and any(isinstance(one, str | os.PathLike) for one in source):
        raise InputError(
            "A chain is one file or folder, not a list of them: give the root of their names, or put their "
            'rows into one table with a column "chain".'
        )
    if not isinstance(source, str | os.PathLike):
        found = of_object(source)
        return read_chain_table(source, **of_table) if found is None else _without(found, of_table)
    if not os.fspath(source):
        raise InputError("The name of the chain is empty: give a file, or a folder or root of files.")
    path = Path(source)
    root = find_root(path)
    if root is not None:
        return _without(read_root(root), of_table)
    if path.is_dir():
        raise InputError(
            f"The folder {path} has no chains of GetDist, CosmoMC or Cobaya, root.1.txt or root_1.txt: name a file."
        )
    if is_hdf5(path):
        return _without(read_hdf5(path), of_table)
    if path.is_file() and not has_format(os.fspath(source)):
        raise InputError(_unknown(path))
    return read_chain_table(source, **of_table)


def _unknown(path: Path) -> str:
    """Why a file that is neither of HDF5 nor a table is not read."""
    root = root_of(path)
    if root is not None:
        return f"{path} is a part of the chains of {root}: give this root of their names, {root}."
    if path.suffix.lower() in OF_HDF5:
        return f"{path} is not a file of HDF5, as emcee (.h5) and netCDF 4 (.nc, of ArviZ) are: write it again."
    return (
        f"{path} is none of the files that are read: chains of GetDist or Cobaya with a line or a file of names, "
        "emcee's .h5, ArviZ's .nc, or a table that ends in .csv, .tsv, .jsonl, .parquet, .feather or .arrow."
    )


def _without(raw: RawChain, of_table: dict[str, Any]) -> RawChain:
    """A chain that says itself what its columns are."""
    if of_table:
        name = next(iter(of_table))
        spelled = option("chain", "walk") if name == "walk" else option(name)
        raise InputError(f"{raw.source} says itself what its columns are; leave out {spelled}.")
    return raw


def _with_seen_walks(chain: Chain) -> Chain:
    """The chain, with a doubt where its Markov chains are too short to show their autocorrelation.

    Raises:
        InputError: each row is a Markov chain of its own.
    """
    _, sizes = np.unique(chain.walks, return_counts=True)
    if len(sizes) > 1 and sizes.max() == 1:
        raise InputError(
            f"Each of the {len(sizes):,} rows is a Markov chain of its own, so that their autocorrelation is not seen: "
            f"number the rows of one chain alike, or say {option('independent')} of independent rows."
        )
    short = sizes[sizes < FEWEST_STEPS]
    share = float(short.sum() / len(chain))
    if len(sizes) == 1 or share <= LARGE_SHARE:
        return chain
    doubt = (
        f"{percent(share)} of the rows are in {counted(len(short), 'Markov chain')} of fewer than {FEWEST_STEPS} rows, "
        "too short to show their autocorrelation: errors may be too small."
    )
    return dataclasses.replace(chain, doubts=tuple(dict.fromkeys((*chain.doubts, doubt))))


def _after(chain: Chain, burn_in: float) -> Chain:
    """The chain without the first rows of each Markov chain."""
    _, firsts, sizes = np.unique(chain.walks, return_index=True, return_counts=True)
    place = np.arange(len(chain)) - np.repeat(firsts, sizes)
    return chain.rows(place >= burn_in * np.repeat(sizes, sizes))
