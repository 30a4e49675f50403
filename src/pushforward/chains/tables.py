"""Chains in plain tables: columns of parameters beside those of weights and log-densities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pushforward.chains.raw import RawChain
from pushforward.errors import InputError
from pushforward.support.suggestions import nearest, quoted
from pushforward.support.wording import option
from pushforward.tables import numeric_matrix, read_columns, table_from_frame
from pushforward.tables.numbers import BadValue

# The names by which columns are known, where nobody names them; of the last one the sign is changed.
WEIGHTS = ("weight", "weights")
LOG_POSTERIORS = ("log_posterior", "log_post", "log_prob", "lp", "minuslogpost")
LOG_LIKELIHOODS = ("log_likelihood", "loglikelihood", "log_like")
LOG_PRIORS = ("log_prior",)
WALKS = ("chain",)


def read_chain_table(
    data: Any,
    *,
    weight: str | None = None,
    log_posterior: str | None = None,
    log_likelihood: str | None = None,
    log_prior: str | None = None,
    walk: str | None = None,
) -> RawChain:
    """The chain in a table, in memory or in a file.

    Arguments:
        data: a path, or a data frame, array or table of pyarrow.
        weight: the column of weights, as the next ones; default that of a known name, if there is one.
        log_posterior: of the log-posterior.
        log_likelihood: of the log-likelihood, to which the log-prior is added where there is no log-posterior.
        log_prior: of the log-prior.
        walk: of the numbers of Markov chains.

    Raises:
        InputError: no such column, a column for two purposes, two sources of the log-posterior, or a value that is not
            a number.
    """
    stored = isinstance(data, str | os.PathLike)
    table = read_columns(os.fspath(data)) if stored else table_from_frame(data)
    source = os.fspath(data) if stored else "the chain"
    names = table.column_names
    named = {"weight": weight, "log_posterior": log_posterior, "log_likelihood": log_likelihood, "log_prior": log_prior}
    _check_purposes({**named, "walk": walk})

    def place(name: str | None, known: Sequence[str], what: str) -> str | None:
        if name is None:
            return next((one for one in known if one in names), None)
        if name not in names:
            raise InputError(f"{source} has no {what} column {quoted(name)}; {nearest(name, names)}")
        return name

    weights = place(weight, WEIGHTS, "weight")
    # What is named goes before what is known by its name.
    of_sum = log_likelihood is not None or log_prior is not None
    posterior = None if of_sum else place(log_posterior, LOG_POSTERIORS, "log-posterior")
    likelihood = place(log_likelihood, LOG_LIKELIHOODS, "log-likelihood")
    prior = place(log_prior, LOG_PRIORS, "log-prior")
    for lacking, what in ((likelihood, "log_likelihood"), (prior, "log_prior")):
        if of_sum and lacking is None:
            raise InputError(f"A log-posterior is the sum of two columns: name the other one with {option(what)}.")
    walks = place(walk, WALKS, "chain")
    taken = {weights, posterior, likelihood, prior, walks} | {
        one for one in (*WEIGHTS, *LOG_POSTERIORS, *LOG_LIKELIHOODS, *LOG_PRIORS) if one in names
    }
    parameters = [name for name in names if name not in taken]
    if not parameters:
        raise InputError(f"{source} has no parameters beside its columns of weights and log-densities.")

    def numbers(name: str | None) -> np.ndarray | None:
        return None if name is None else _numbers(table, name, source)

    density = numbers(posterior)
    if density is not None and posterior == LOG_POSTERIORS[-1]:
        density = -density
    if density is None and likelihood is not None and prior is not None:
        density = _numbers(table, likelihood, source) + _numbers(table, prior, source)
    x = numeric_matrix(table, parameters, source=source)
    of_walk = None if walks is None else _walks(table, walks, source)
    return RawChain(source, parameters, x, parameters, numbers(weights), density, of_walk)


def _walks(table: pa.Table, name: str, source: str) -> np.ndarray:
    """The numbers, or the names, of the Markov chain of each row, (n,) texts.

    Raises:
        InputError: a row without one, or with a fraction.
    """
    values = table.column(name).to_pylist()
    for row, value in enumerate(values, 1):
        text = str(value).strip()
        missing = value is None or text in ("", "nan", "NaN")
        if not missing and not _has_fraction(text):
            continue
        what = "no value" if missing else f"the value {text}"
        raise InputError(
            f"The column {quoted(name)} of {source} has {what} in row {row}, but numbers the Markov chain of each row: "
            f"name the column that does with {_spelled('walk')}, and give a parameter another name."
        )
    return np.asarray(values, dtype=str)


def _has_fraction(text: str) -> bool:
    """Whether a text is a number, but not a whole one."""
    try:
        return float(text) % 1 != 0
    except ValueError:
        return False


def _check_purposes(named: dict[str, str | None]) -> None:
    """Refuse a column that is named for two purposes, and a log-posterior beside the parts of one."""
    given = {purpose: name for purpose, name in named.items() if name is not None}
    for purpose, name in given.items():
        first = next(one for one, other in given.items() if other == name)
        if first != purpose:
            raise InputError(f"The column {quoted(name)} is named by {_spelled(first)} and by {_spelled(purpose)}.")
    parts = [purpose for purpose in ("log_likelihood", "log_prior") if purpose in given]
    if parts and "log_posterior" in given:
        raise InputError(f"The log-posterior is named by {option('log_posterior')}; leave out {option(parts[0])}.")


def _spelled(purpose: str) -> str:
    return option("chain", "walk") if purpose == "walk" else option(purpose)


def _numbers(table: pa.Table, name: str, source: str) -> np.ndarray:
    """A column of weights or log-densities, (n,), which no row can do without."""
    try:
        return numeric_matrix(table, [name], source=source, gaps=True)[:, 0]
    except BadValue as error:
        raise InputError(
            f'The column "{name}" of {source} has a value that is not a finite number in row {error.row}; correct it '
            "or remove the row."
        ) from error
