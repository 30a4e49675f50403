"""Columns that add up to a constant, or to another column, as far as their rounding lets one tell."""

from collections.abc import Sequence

import numpy as np

from pushforward.tables.dependence import FEWEST_ROWS, steps_of

# Rounding leaves a deviation of step · √(k / 12) of a sum of k terms; so many times as much is explained by it, if it
# is at most this share of the largest deviation of a term.
TIMES_ROUNDING, LARGEST_SHARE = 1.5, 0.25
# Terms of a sum have coefficients of the same size, up to this.
ALIKE = 0.25
FEWEST_TERMS, MOST_DIRECTIONS = 3, 8


def rounded_sum(matrix: np.ndarray, names: Sequence[str]) -> str | None:
    """Return which columns add up nearly to a constant or to another column, and to what; None for none.

    Such columns have a joint density, which lies close to a plane.

    Arguments:
        matrix: (n, columns) numbers, NaN for gaps.
        names: of the columns.

    Example:
        >>> parts = np.random.default_rng(0).dirichlet([2, 3, 4], 200) * 100
        >>> rounded_sum(np.round(parts), ["sand", "silt", "clay"])
        'columns "sand", "silt", "clay" add up to 100 in every row up to rounding (99 to 101)'
    """
    steps = [steps_of(column[~np.isnan(column)]) for column in matrix.T]
    places = [place for place, step in enumerate(steps) if isinstance(step, float)]
    rows = matrix[:, places]
    rows = rows[~np.isnan(rows).any(1)]
    if len(places) < FEWEST_TERMS or len(rows) < FEWEST_ROWS:
        return None
    deviations = rows.std(0)
    varying = np.flatnonzero(deviations > 0)
    if len(varying) < FEWEST_TERMS:
        return None
    _, directions = np.linalg.eigh(np.corrcoef(rows[:, varying], rowvar=False))
    largest = {place: float(np.asarray(steps[places[place]])) for place in varying.tolist()}
    for direction in directions.T[:MOST_DIRECTIONS]:
        found = _sum_along(direction / deviations[varying], rows, varying, deviations, largest)
        if found is not None:
            terms, signs, sums = found
            positive, negative = ([names[places[t]] for t in terms[signs == sign]] for sign in (1, -1))
            return _sentence(positive, negative, sums)
    return None


def _sum_along(
    weights: np.ndarray, rows: np.ndarray, varying: np.ndarray, deviations: np.ndarray, steps: dict[int, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The terms that a direction adds, their signs, most of them positive, and their sums, if these vary little."""
    weights = weights / weights[np.abs(weights).argmax()]
    used = np.abs(weights) > ALIKE
    if used.sum() < FEWEST_TERMS or np.abs(weights[used]).min() < 1 - ALIKE:
        return None
    terms, signs = varying[used], np.sign(weights[used])
    signs = signs if signs.sum() >= 0 else -signs
    step, sums = max(steps[term] for term in terms.tolist()), rows[:, terms] @ signs
    explained = TIMES_ROUNDING * step * np.sqrt(len(terms) / 12)
    few = (signs < 0).sum() > 1 or ((signs < 0).any() and abs(np.median(sums)) > step)
    return None if few or sums.std() > min(explained, LARGEST_SHARE * deviations[terms].max()) else (terms, signs, sums)


def _sentence(positive: Sequence[str], negative: Sequence[str], sums: np.ndarray) -> str:
    quoted = ", ".join(f'"{name}"' for name in positive)
    if negative:
        return f'columns {quoted} add up to "{negative[0]}" in every row up to rounding'
    low, middle, high = (f"{sum_:.6g}" for sum_ in (sums.min(), np.median(sums), sums.max()))
    exactly = f"columns {quoted} add up to {middle} in every row"
    return exactly if low == high else f"{exactly} up to rounding ({low} to {high})"
