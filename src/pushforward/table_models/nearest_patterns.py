"""p-values of rows whose pattern of gaps and atoms is rare: ranks among the rows with the nearest patterns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.table_models.patterns import DENSITY, PROBABILITY
from pushforward.table_models.ranks import effective_rows

# Held-out rows that are kept, those of rare patterns first.
MOST_ROWS = 2000
# Of a normal distribution: the distance of its quartiles in deviations, and its entropy less log deviation.
QUARTILES, ENTROPY = 1.349, 0.5 * math.log(2 * math.pi * math.e)


@dataclass(frozen=True, eq=False)
class NearestPatterns:
    """Held-out rows of all patterns, by scores that have no unit.

    The score of a row is log p plus the entropies of its columns, each by itself: about 0 on average, whatever is
    missing, and the same in every unit. The entropy of the values of a column that have a density is that of a normal
    distribution with their quartiles, and of the others that of their frequencies; to either comes −log of the share
    that such values have of the column, so that a rare atom is not odd because it is one.

    A row is ranked among the held-out rows whose patterns are nearest, by the number of columns in which they differ:
    all those at the same distance, from the nearest on, until they are enough.

    Attributes:
        rows: the number of all held-out rows; of those with weights, the effective number.
        fewest: the number of rows that are enough.
        patterns: (m,) of the rows that are kept.
        scores: (m,) theirs.
        weights: (m,) theirs.
        of_density: (features,) entropies of the values that have a density, less the logarithm of their share.
        of_probability: (features,) the same of those that have a probability.
    """

    rows: int
    fewest: int
    patterns: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    of_density: np.ndarray
    of_probability: np.ndarray

    @classmethod
    def of(
        cls,
        log_prob: np.ndarray,
        patterns: np.ndarray,
        features: np.ndarray,
        weights: np.ndarray,
        rare: np.ndarray,
        fewest: int,
    ) -> NearestPatterns:
        """Keep some held-out rows.

        Arguments:
            log_prob: (n,).
            patterns: (n,).
            features: (n, features) codes, NaN where a value is missing.
            weights: (n,), all above 0.
            rare: (n,) which rows have a pattern without ranks of its own.
            fewest: the number of rows that are enough.
        """
        letters = _letters(patterns)
        entropies = (
            np.array([entropy(features[letters[:, place] == letter, place]) for place in range(features.shape[1])])
            for letter, entropy in ((DENSITY, _entropy_of_density), (PROBABILITY, _entropy_of_frequencies))
        )
        of_density, of_probability = (
            entropy - _log_shares(letters, letter, weights)
            for entropy, letter in zip(entropies, (DENSITY, PROBABILITY), strict=True)
        )
        found = cls(effective_rows(weights), fewest, patterns, log_prob, weights, of_density, of_probability)
        scores = np.where(np.isfinite(log_prob), log_prob, np.finfo(float).min) + found._offsets(patterns)
        kept = np.argsort(~rare, kind="stable")
        others = int(rare.sum())
        if len(kept) > MOST_ROWS:
            places = [np.flatnonzero(rare)[:MOST_ROWS]]
            left = MOST_ROWS - len(places[0])
            places.append(kept[others:][np.linspace(0, len(kept) - others - 1, left).round().astype(int)])
            kept = np.concatenate(places)
        return cls(
            found.rows, fewest, patterns[kept], scores[kept], weights[kept], found.of_density, found.of_probability
        )

    def p_values(self, log_prob: np.ndarray, pattern: str) -> np.ndarray:
        """The p-value of each log-density, (n,), of rows with one pattern."""
        names, index = np.unique(self.patterns, return_inverse=True)
        apart = (_letters(names) != _letters(np.array([pattern]))).sum(1)[index]
        for distance in np.unique(apart):
            near = apart <= distance
            if effective_rows(self.weights[near]) >= self.fewest:
                break
        scores, weights = self.scores[near], self.weights[near]
        order = np.argsort(scores, kind="stable")
        shares = np.append(0.0, weights[order].cumsum()) / weights.sum()
        new = log_prob + self._offsets(np.array([pattern]))
        count = effective_rows(weights)
        at_most = shares[np.searchsorted(scores[order], new, side="right")]
        p_values: np.ndarray = (1 + count * at_most) / (count + 1)
        return p_values

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads."""
        names, index = np.unique(self.patterns, return_inverse=True)
        found = {"rows": self.rows, "fewest": self.fewest, "names": names.tolist(), "pattern": index.tolist()}
        equal = bool((self.weights == 1).all())
        for name in ("scores", "of_density", "of_probability", *(() if equal else ("weights",))):
            found[name] = getattr(self, name).tolist()
        return found

    @classmethod
    def parse(cls, found: Any, *, source: str) -> NearestPatterns:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        try:
            names = np.array(found["names"], dtype=str)
            patterns = names[np.array(found["pattern"], dtype=np.int64)]
            parts = (np.array(found[name], dtype=float) for name in ("scores", "of_density", "of_probability"))
            scores, of_density, of_probability = parts
            weights = np.array(found.get("weights", np.ones(len(scores))), dtype=float)
            sound = (
                type(found["rows"]) is int
                and type(found["fewest"]) is int
                and 0 < len(scores) == len(patterns) == len(weights)
                and len(of_density) == len(of_probability)
                and all(len(name) == len(of_density) for name in names.tolist())
                and all(bool(np.isfinite(part).all()) for part in (scores, weights, of_density, of_probability))
                and bool((weights > 0).all())
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError):
            sound = False
        if not sound:
            raise InputError(f"{source} is damaged: its held-out log-densities cannot be read.")
        return cls(found["rows"], found["fewest"], patterns, scores, weights, of_density, of_probability)

    def _offsets(self, patterns: np.ndarray) -> np.ndarray:
        letters = _letters(patterns)
        of_value = np.where(letters == DENSITY, self.of_density, 0.0)
        return np.where(letters == PROBABILITY, self.of_probability, of_value).sum(1)


def _letters(patterns: np.ndarray) -> np.ndarray:
    """The letters of patterns, (n, features)."""
    return np.ascontiguousarray(patterns.astype("S")).view("S1").reshape(len(patterns), -1)


def _log_shares(letters: np.ndarray, letter: bytes, weights: np.ndarray) -> np.ndarray:
    """log of the share of the values of each column, (features,), that have a letter; 0 where none has."""
    present = np.isin(letters, (DENSITY, PROBABILITY))
    total, own = (np.where(rows, weights[:, None], 0.0).sum(0) for rows in (present, letters == letter))
    return np.log(np.divide(own, total, out=np.ones_like(own), where=own > 0))


def _entropy_of_density(values: np.ndarray) -> float:
    """That of a normal distribution as wide as the values; 0 if they have no width."""
    if len(values) < 2:
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    width = (high - low) / QUARTILES or float(values.std())
    return math.log(width) + ENTROPY if width > 0 else 0.0


def _entropy_of_frequencies(values: np.ndarray) -> float:
    """That of the frequencies of the values."""
    shares = np.unique(values, return_counts=True)[1] / max(1, len(values))
    return float(-(shares * np.log(shares)).sum())
