"""Numbers that were rounded to significant figures: their steps grow with them, tenfold at each power of ten."""

from typing import NamedTuple

import numpy as np

from pushforward.tables.columns.grids import decimals_of, rounded_to
from pushforward.tables.columns.recording import CELLS_OF_DEVIATION, MOST_ROWS, STEPS_OF_DEVIATION, cells_of

# Numbers have at most so many figures, all of which values use in at least so many decades; a decade counts that has so
# many different values.
MOST_FIGURES, LEAST_DECADES, LEAST_VALUES = 6, 2, 4
# A number has so many figures up to this part of the last one's unit.
ROUNDING = 1e-3
# A power of ten is one up to this part of a decade.
EDGE = 1e-9
# Of many numbers so many tell whether it is worth looking at all.
MANY, PROBE = 4096, 256
# Steps are on average so much of a number as the longest are, those after a power of ten.
MEAN_STEP = 0.9 / np.log(10)


class Figures(NamedTuple):
    """Numbers of some significant figures, and their negatives.

    Attributes:
        step: between neighbors near 0, where smaller ones were not written: a power of ten.
        figures: how many.
    """

    step: float
    figures: int

    @property
    def offset(self) -> float:
        """0, which is one of them."""
        return 0.0

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """The step from each number to the next one away from 0, (n,).

        Example:
            >>> Figures(0.1, 2).lengths(np.array([0.3, 3.0, 99.0, 100.0]))
            array([ 0.1,  0.1,  1. , 10. ])
        """
        with np.errstate(divide="ignore"):
            decade = np.floor(np.log10(np.abs(numbers) / self.step) + EDGE) - (self.figures - 1)
        return np.asarray(self.step * 10.0 ** np.maximum(decade, 0))

    def widths(self, numbers: np.ndarray) -> np.ndarray:
        """The lengths of their cells, (n,): of a power of ten half a step of either length."""
        return 0.5 * (self.lengths(numbers) + self.lengths(numbers * (1 - 1e-7)))

    def nearest(self, numbers: np.ndarray) -> np.ndarray:
        """The nearest of them.

        Example:
            >>> Figures(0.1, 2).nearest(np.array([0.26, 3.14, 1234.0, -99.6]))
            array([ 3.0e-01,  3.1e+00,  1.2e+03, -1.0e+02])
        """
        near, lengths = np.array(numbers, dtype=np.float64), self.lengths(numbers)
        for length in np.unique(lengths[np.isfinite(lengths)]):
            same = lengths == length
            decimals = decimals_of(float(f"{length:.1e}"))
            near[same] = rounded_to(near[same], decimals or 0)
        return near

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """How many of them lie between 0 and each number, (n,), negative below 0."""
        lengths = self.lengths(numbers)
        decades = np.round(np.log10(lengths / self.step))
        within = np.round(np.abs(numbers) / lengths)
        return np.asarray(np.sign(numbers) * (within + decades * 9 * 10 ** (self.figures - 1)))

    def has(self, numbers: np.ndarray) -> np.ndarray:
        """Which numbers are among them, up to rounding."""
        places = numbers / self.lengths(numbers)
        return np.asarray(np.abs(places - np.round(places)) < ROUNDING)


def figures_of(different: np.ndarray, counts: np.ndarray) -> Figures | None:
    """Return the significant figures to which most rows were rounded, or None if their steps do not grow with them.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> values = np.append(np.arange(10, 100), np.arange(10, 50) * 10)
        >>> figures_of(values / 10, np.full(130, 5))
        Figures(step=0.1, figures=2)
    """
    every = len(different) // PROBE
    if len(different) > MANY and figures_of(different[::every], counts[::every]) is None:
        return None
    present = different != 0
    # The most frequent value may be an atom, be it a mark of missing values.
    rows = np.where(np.arange(len(counts)) == counts.argmax(), 1, counts)[present]
    numbers = np.abs(different[present])
    if not len(numbers) or not _may_be_rounded(numbers):
        return None
    decades = np.floor(np.log10(numbers) + EDGE).astype(np.int64)
    found = {}
    for decade in np.unique(decades).tolist():
        some = decades == decade
        most = _most_figures(numbers[some], rows[some], decade)
        if most is None and some.sum() >= LEAST_VALUES:
            return None
        if most is not None:
            found[decade] = most, int(some.sum())
    figures = max((most for most, count in found.values() if count >= LEAST_VALUES), default=0)
    if sum(most == figures and count >= LEAST_VALUES for most, count in found.values()) < LEAST_DECADES:
        return None
    least = min(decade - most + 1 for decade, (most, _) in found.items() if most <= figures)
    answer = Figures(float(f"1e{least}"), figures)
    return answer if rows[answer.has(numbers)].sum() >= MOST_ROWS * rows.sum() else None


def figures_step(different: np.ndarray, figures: int) -> float:
    """Return the step of so many figures of the smallest of some numbers that is not 0: a power of ten.

    Example:
        >>> figures_step(np.array([-12.0, 0.0, 0.5]), 2)
        0.01
    """
    present = np.abs(different[different != 0])
    smallest = float(present.min()) if len(present) else 1.0
    return float(f"1e{int(np.floor(np.log10(smallest) + EDGE)) - figures + 1}")


def figures_matter(counts: np.ndarray) -> bool:
    """Whether the longest of steps that grow with the numbers are at least so long as steps that matter.

    Arguments:
        counts: (n,) how many rows have each of the different numbers.
    """
    return MEAN_STEP * cells_of(counts) / CELLS_OF_DEVIATION <= STEPS_OF_DEVIATION


def _may_be_rounded(numbers: np.ndarray) -> bool:
    """Whether most of some of the numbers, (n,) above 0, have few figures: most columns are soon known not to."""
    some = numbers[:: max(1, len(numbers) // PROBE)]
    unit = 10.0 ** (np.floor(np.log10(some) + EDGE) - MOST_FIGURES + 1)
    return bool(np.mean(np.abs(some / unit - np.round(some / unit)) < ROUNDING) >= 0.5)


def _most_figures(numbers: np.ndarray, counts: np.ndarray, decade: int) -> int | None:
    """The figures that most rows or most values of a decade have at most, None for more than rounded numbers have.

    Most values, because an atom with other digits may have most of the rows.
    """
    for figures in range(1, MOST_FIGURES + 1):
        unit = float(f"1e{decade - figures + 1}")
        places = numbers / unit
        rounded = np.abs(places - np.round(places)) < ROUNDING
        if max(rounded.mean(), counts[rounded].sum() / counts.sum()) >= MOST_ROWS:
            return figures
    return None
