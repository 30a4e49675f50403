"""What a source says of a chain, before it is checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pushforward.chains.chain import Chain
from pushforward.chains.copies import LARGEST_SHARE, copies, resampled
from pushforward.errors import InputError
from pushforward.support.suggestions import nearest, quoted
from pushforward.support.wording import counted


@dataclass(frozen=True, eq=False)
class RawChain:
    """What a source says of a chain.

    Attributes:
        source: what messages call it.
        names: of the columns.
        x: (n, columns).
        sampled: the names of the parameters; the other columns are derived from them.
        weights: (n,) or None.
        log_posterior: (n,) or None.
        walks: (n,) any numbers or texts that tell Markov chains apart; None for one.
        bounds: {parameter: its lower and upper bound}.
        notes: what is to be known, in sentences.
        density_of: the parameters whose log-posterior the source has, where the sampled ones are others.
    """

    source: str
    names: list[str]
    x: np.ndarray
    sampled: list[str]
    weights: np.ndarray | None = None
    log_posterior: np.ndarray | None = None
    walks: np.ndarray | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    density_of: tuple[str, ...] = ()

    def with_columns(self, columns: Sequence[str]) -> RawChain:
        """The chain of some columns, which may be derived ones; the log-posterior is that of all sampled ones."""
        for name in columns:
            if name not in self.names:
                raise InputError(f"{self.source} has no parameter {quoted(name)}; {nearest(name, self.names)}")
        if len(set(columns)) < len(columns) or not columns:
            raise InputError("--columns (columns= in Python) names each parameter once, and at least one.")
        known = self.log_posterior if set(columns) == set(self.sampled) else None
        of = () if known is self.log_posterior else tuple(self.sampled)
        return dataclasses.replace(self, sampled=list(columns), log_posterior=known, density_of=of)

    def checked(self) -> Chain:
        """The chain, with Markov chains one after the other, without rows of weight 0.

        Raises:
            InputError: a value that is not finite, a weight below 0, or a value beyond its bounds.
        """
        places = [self.names.index(name) for name in self.sampled]
        x = np.ascontiguousarray(self.x[:, places], dtype=np.float64)
        weights = np.ones(len(x)) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        self._check(~np.isfinite(weights) | (weights < 0), "a weight that is not a number of at least 0")
        if not (weights > 0).any():
            raise InputError(f"{self.source} has no row with a weight above 0.")
        used = weights > 0
        for name, column in zip(self.sampled, x.T, strict=True):
            self._check(used & ~np.isfinite(column), f"a value of {quoted(name)} that is not a finite number")
        log_posterior = self.log_posterior
        if log_posterior is not None:
            log_posterior = np.asarray(log_posterior, dtype=np.float64)
            self._check(used & ~np.isfinite(log_posterior), "a log-posterior that is not a finite number")
        walks = np.zeros(len(x), dtype=int)
        if self.walks is not None:
            walks = np.unique(self.walks, return_inverse=True)[1].reshape(-1)
        order = np.flatnonzero(used)
        order = order[np.argsort(walks[order], kind="stable")]
        known = None if log_posterior is None else log_posterior[order]
        none = np.full(len(self.sampled), np.inf)
        chain = Chain(
            self.sampled, x[order], weights[order], known, -none, none, walks[order], notes=self.notes,
            density_of=self.density_of,
        )  # fmt: skip
        chain = self._without_copies(chain, order)
        return chain.within({name: ends for name, ends in self.bounds.items() if name in self.sampled})

    def _without_copies(self, chain: Chain, order: np.ndarray) -> Chain:
        """The chain with the weights of copies added up, where rows were drawn again; else with a doubt of copies."""
        # By all columns: those that are asked for may be few and rounded.
        rows = self.x[order].astype(np.float64)
        if chain.log_posterior is not None:
            rows = np.column_stack([rows, chain.log_posterior])
        number, count = copies(rows)
        if count <= LARGEST_SHARE * len(rows):
            return chain
        said = f"{counted(count, 'row')} of {len(rows):,} {'is a copy' if count == 1 else 'are copies'} of others"
        if not resampled(rows, number):
            return dataclasses.replace(chain, doubts=(f"{said} elsewhere in it, so that errors may be too small.",))
        _, firsts = np.unique(number, return_index=True)
        merged = dataclasses.replace(chain, weights=np.bincount(number, chain.weights)[number]).rows(np.sort(firsts))
        note = f"{said}, as resampling leaves them: each distinct row counts once, with their weights, independent."
        return dataclasses.replace(
            merged, walks=np.zeros(len(merged), dtype=int), independent=True, notes=(*chain.notes, note)
        )

    def _check(self, bad: np.ndarray, what: str) -> None:
        if bad.any():
            more = int(bad.sum()) - 1
            rest = f" ({more:,} more such rows)" if more else ""
            raise InputError(
                f"{self.source} has {what} in row {int(bad.argmax()) + 1}{rest}; correct it or remove the row."
            )
