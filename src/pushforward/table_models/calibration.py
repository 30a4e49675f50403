"""Calibrated p-values of log-densities, within each pattern of gaps and atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.table_models.nearest_patterns import NearestPatterns
from pushforward.table_models.ranks import LOWEST, Ranks, effective_rows

# A pattern of so many held-out rows has ranks of its own: its least p-value is then below 0.02.
ROWS_OF_PATTERN = 50
# So many patterns have at most, and all of them together keep so many times the lowest log-densities of one.
MOST_PATTERNS, KEPT = 100, 10
# The pattern of all rows, where all have the same.
EVERY = ""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Log-densities of held-out rows, among which those of new rows with the same pattern are ranked.

    A pattern says which values of a row are missing, and which are atoms. Log-densities of different patterns are in
    different units, so that only those of one pattern are compared: no unit of a column changes a p-value, and within
    each pattern a share of at most α of new rows has a p-value of at most α; see `Ranks`. A pattern with fewer than 50
    held-out rows is ranked among the rows with the nearest patterns; see `NearestPatterns`.

    Attributes:
        ranks: those of each pattern that has enough rows; of the pattern "" where all rows have the same.
        others: for all other patterns; None where there are none.

    Example:
        >>> calibration = Calibration.of(np.array([-3.0, -1.0, -2.0]))
        >>> calibration.p_values(np.array([-9.0, -2.0, 0.0]))
        array([0.25, 0.75, 1.  ])
    """

    ranks: Mapping[str, Ranks]
    others: NearestPatterns | None = None

    @classmethod
    def of(cls, log_prob: np.ndarray, weights: np.ndarray | None = None) -> Calibration:
        """That of held-out rows, (n,), which all have the same pattern; weights as for `Ranks.of`."""
        return cls({EVERY: Ranks.of(log_prob, weights)})

    @classmethod
    def by_pattern(
        cls, log_prob: np.ndarray, patterns: np.ndarray, features: np.ndarray, weights: np.ndarray | None = None
    ) -> Calibration:
        """That of held-out rows with different patterns.

        Arguments:
            log_prob: (n,).
            patterns: (n,) as `patterns_of` gives them.
            features: (n, features) codes, NaN where a value is missing.
            weights: (n,), all above 0, or None.
        """
        weight = np.ones(len(log_prob)) if weights is None else weights
        names, index = np.unique(patterns, return_inverse=True)
        rows = np.array([effective_rows(weight[index == place]) for place in range(len(names))])
        own = [place for place in np.argsort(-rows, kind="stable")[:MOST_PATTERNS] if rows[place] >= ROWS_OF_PATTERN]
        kept = min(LOWEST, KEPT * LOWEST // max(1, len(own)))
        ranks = {}
        for place in own:
            of_pattern = index == place
            ranks[str(names[place])] = Ranks.of(
                log_prob[of_pattern], None if weights is None else weights[of_pattern], kept
            )
        rare = ~np.isin(index, own)
        return cls(ranks, NearestPatterns.of(log_prob, patterns, features, weight, rare, ROWS_OF_PATTERN))

    @property
    def rows(self) -> int:
        """The number of held-out rows; of those with weights, the effective number."""
        return self.others.rows if self.others is not None else self.ranks[EVERY].rows

    def alone(self, patterns: np.ndarray) -> np.ndarray:
        """Which rows, (n,), have a pattern with ranks of its own."""
        return np.isin(patterns, list(self.ranks)) if self.others is not None else np.ones(len(patterns), dtype=bool)

    def p_values(self, log_prob: np.ndarray, patterns: np.ndarray | None = None) -> np.ndarray:
        """The p-value of each log-density, (n,): the smaller, the more unusual.

        Arguments:
            log_prob: (n,); -inf has the least p-value of its pattern.
            patterns: (n,) of the rows, where they are not all the same.

        Raises:
            InputError: the patterns are needed.
        """
        if self.others is None:
            return self.ranks[EVERY].p_values(log_prob)
        if patterns is None:
            raise InputError(
                "The rows of this model differ in their gaps or atoms, and are ranked among rows of the same pattern: "
                "its p-values are those of `TableModel.p_values`, which is given the rows."
            )
        found = np.empty(len(log_prob))
        for pattern in np.unique(patterns):
            rows = patterns == pattern
            ranks = self.ranks.get(str(pattern))
            found[rows] = (
                self.others.p_values(log_prob[rows], str(pattern)) if ranks is None else ranks.p_values(log_prob[rows])
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads."""
        if self.others is None:
            return self.ranks[EVERY].as_json()
        ranks = {pattern: ranks.as_json() for pattern, ranks in self.ranks.items()}
        return {"rows": self.rows, "patterns": ranks, "others": self.others.as_json()}

    @classmethod
    def parse(cls, found: Any, *, source: str) -> Calibration:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        if not isinstance(found, dict) or "patterns" not in found:
            return cls({EVERY: Ranks.parse(found, source=source)})
        patterns = found["patterns"]
        if not isinstance(patterns, dict):
            raise InputError(f"{source} is damaged: its held-out log-densities cannot be read.")
        ranks = {pattern: Ranks.parse(ranks, source=source) for pattern, ranks in patterns.items()}
        return cls(ranks, NearestPatterns.parse(found.get("others"), source=source))
