"""Conformal p-values: the ranks of scores among those of rows that the fit held out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError

# Ranks are exact for this many of the lowest log-densities, where p-values matter; of the others as many are kept.
LOWEST = 1000


@dataclass(frozen=True, eq=False)
class Ranks:
    """Log-densities of held-out rows, among which those of new rows are ranked.

    p(log_prob) = (1 + #{held-out rows whose log-density is at most log_prob}) / (n + 1), the conformal p-value: among
    new rows from the same distribution as the held-out rows, a share of at most α has a p-value of at most α, however
    well or badly the model fits. No p-value is smaller than 1 / (n + 1).

    Of more than 2000 held-out rows the 1000 lowest log-densities are kept and 1000 quantiles of the others; between
    those, p-values are rounded up, by less than 0.001.

    Attributes:
        rows: n, the number of held-out rows.
        log_prob: (m,) kept log-densities in nats, ascending.
        below: (m,) the number of held-out rows with a lower log-density than each.

    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; Bates, Candès, Lei, Romano and
    Sesia 2023, arXiv:2104.08279.

    Example:
        >>> ranks = Ranks.of(np.array([-3.0, -1.0, -2.0]))
        >>> ranks.p_values(np.array([-9.0, -2.0, 0.0]))
        array([0.25, 0.75, 1.  ])
    """

    rows: int
    log_prob: np.ndarray
    below: np.ndarray

    @classmethod
    def of(cls, log_prob: np.ndarray, weights: np.ndarray | None = None, kept: int = LOWEST) -> Ranks:
        """Keep as many of the held-out rows' log-densities, (n,) with n at least 1, as ranks need.

        The lowest are kept, as many as `kept` says, by default 1000, and as many quantiles of the others.

        Rows with weights, (n,), all above 0, count as their effective number of rows, (Σ weights)² / Σ weights², at
        evenly spaced quantiles of their weighted distribution.
        """
        # A held-out row without a finite log-density is less probable than any other.
        log_prob = np.where(np.isfinite(log_prob), log_prob, np.finfo(float).min)
        ordered = np.sort(log_prob)
        if weights is not None:
            order = np.argsort(log_prob, kind="stable")
            shares = weights[order].cumsum() / weights.sum()
            effective = effective_rows(weights)
            places = np.searchsorted(shares, (np.arange(effective) + 0.5) / effective)
            ordered = log_prob[order][np.minimum(places, len(order) - 1)]
        places = np.arange(len(ordered))
        if len(ordered) > 2 * kept:
            places = np.concatenate([places[:kept], np.linspace(kept, len(ordered) - 1, kept).round().astype(int)])
        return cls(len(ordered), ordered[places], np.searchsorted(ordered, ordered[places], side="left"))

    def p_values(self, log_prob: np.ndarray) -> np.ndarray:
        """The p-value of each log-density, (n,): the smaller, the more unusual."""
        at_most = np.append(self.below, self.rows)[np.searchsorted(self.log_prob, log_prob, side="right")]
        p_values: np.ndarray = (1 + at_most) / (self.rows + 1)
        return p_values

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads, at most 60 kB."""
        return {"rows": self.rows, "log_prob": self.log_prob.tolist(), "below": self.below.tolist()}

    @classmethod
    def parse(cls, found: Any, *, source: str) -> Ranks:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        try:
            rows, below = found["rows"], found["below"]
            log_prob = np.array([float(value) for value in found["log_prob"]])
            counts = [rows, *below]
            sound = (
                all(type(count) is int and 0 <= count <= rows for count in counts)
                and 0 < len(below) == len(log_prob) <= rows
                and all(math.isfinite(value) for value in log_prob)
                and bool((np.diff(log_prob) >= 0).all() and (np.diff(below) >= 0).all())
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise InputError(f"{source} is damaged: its held-out log-densities cannot be read.")
        return cls(rows, log_prob, np.array(below))


def effective_rows(weights: np.ndarray) -> int:
    """The number of rows of equal weights that say as much as rows with weights, (n,): at least 1.

    Source: Kish 1965, Survey Sampling.

    >>> effective_rows(np.array([1.0, 1.0, 0.5]))
    2
    """
    return max(1, int(weights.sum() ** 2 / (weights**2).sum() * (1 + 1e-9)))
