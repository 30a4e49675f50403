"""The different numbers of a column, how many rows have each, and what that says of them."""

from functools import cached_property

import numpy as np

from pushforward.support.far_ends import far_ends
from pushforward.tables.columns.atoms import LEAST_ROWS_BESIDE, LEAST_VALUES_BESIDE, MOST_ATOMS, atoms_of, is_heaped
from pushforward.tables.columns.detection import ENDS, bounds_of
from pushforward.tables.columns.figures import Figures, figures_matter, figures_of
from pushforward.tables.columns.grids import Grid
from pushforward.tables.columns.outermost import LEAST_ROWS, far_levels, far_places
from pushforward.tables.columns.partly_recorded import cells_of_some, grid_of_some
from pushforward.tables.columns.recording import is_tied, recorded_grid, spread, step_of_ties
from pushforward.tables.columns.scattered import are_scattered

# At most so many different numbers, each with so many rows on average, are levels and not measurements.
MOST_NUMERIC_LEVELS, ROWS_OF_LEVEL = 20, 10
# Numbers closer together than so many roundings of float64 are hardly told apart.
ROUNDINGS = 64
# Whole numbers beside far ones are counts if they are at least so many, take up at most so many steps, and fill this
# share of them.
LEAST_COUNTS, FEW_COUNTS, FILLED_COUNTS = 4, 32, 0.5


class Tally:
    """How many rows have each of the different numbers; each answer is found when first asked for.

    Arguments:
        numbers: (n,) finite.

    Attributes:
        different: (m,) distinct numbers, increasing.
        counts: (m,) how many rows have each.

    Example:
        >>> tally = Tally(np.append(np.linspace(1, 2, 100), np.zeros(30)))
        >>> tally.atoms, len(tally.rest[0])
        ([0.0], 100)
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.different, self.counts = np.unique(numbers, return_counts=True)

    @property
    def few(self) -> bool:
        """Whether there are so few different numbers, with so many rows each, that they may be levels."""
        count = len(self.different)
        return count <= MOST_NUMERIC_LEVELS and int(self.counts.sum()) >= ROWS_OF_LEVEL * count

    @cached_property
    def scattered(self) -> bool:
        """Whether there are more, and all the same they are levels that no grid explains."""
        return len(self.different) > MOST_NUMERIC_LEVELS and are_scattered(self.different, self.counts)

    @cached_property
    def atoms(self) -> list[float]:
        """The numbers that have a probability of their own, increasing."""
        atoms = self.far_counts or atoms_of(self.different, self.counts)
        return sorted(filter(self._is_most_frequent, [*atoms, *self._on_bounds(atoms)]))

    @cached_property
    def far_counts(self) -> list[float]:
        """The numbers far from all others, if these are few whole numbers that fill their grid; none otherwise."""
        different, counts = self.different, self.counts
        far = np.isin(different, far_levels(different, counts, LEAST_COUNTS))
        if len(different) > MOST_ATOMS + FEW_COUNTS or not far.any() or bool((different != np.floor(different)).any()):
            return []
        rest = different[~far]
        steps = (rest[-1] - rest[0]) / np.diff(rest).min() + 1
        fills = FILLED_COUNTS * steps <= len(rest) and steps <= FEW_COUNTS
        return different[far].tolist() if fills and counts[~far].sum() >= LEAST_ROWS_BESIDE else []

    @cached_property
    def rest(self) -> tuple[np.ndarray, np.ndarray]:
        """The different numbers that are no atoms, increasing, and how many rows have each."""
        others = ~np.isin(self.different, self.atoms)
        return self.different[others], self.counts[others]

    @cached_property
    def cells(self) -> Grid | None:
        """The grid to which the numbers were rounded, if that matters."""
        different, counts = self.rest
        if self.figures is not None:
            return None
        # On heaps the density would climb without end if they did not stand for cells.
        any_step = bool(np.isin(different[[0, -1]], ENDS).any()) or is_heaped(different, counts)
        return recorded_grid(different, counts, any_step)

    @cached_property
    def cells_of_some(self) -> Grid | None:
        """The grid to which some of the numbers were rounded, where the others have more digits and it matters."""
        return None if self.cells is not None or self.figures is not None else cells_of_some(*self.rest)

    @cached_property
    def figures(self) -> Figures | None:
        """The significant figures to which the numbers were rounded, if their steps grow with them."""
        return figures_of(*self.rest)

    @property
    def figures_matter(self) -> bool:
        """Whether steps that grow with the numbers matter to their density."""
        return is_tied(self.rest[1]) and figures_matter(self.rest[1])

    @cached_property
    def bounds(self) -> tuple[float | None, float | None]:
        """The natural bounds that the numbers beside the atoms fill."""
        return bounds_of(*self.rest, self.cells.step if self.cells else 0.0)

    @property
    def without_far(self) -> tuple[np.ndarray, np.ndarray]:
        """The rest without those, be it one row, that lie far from all others: they say nothing of the tails."""
        different, counts = self.rest
        near = ~far_places(different, np.full(len(counts), counts.sum()), MOST_ATOMS, LEAST_VALUES_BESIDE)
        lowest, highest = far_ends(different)
        near[:lowest] = near[len(near) - highest :] = False
        return different[near], counts[near]

    def spread_near(self, step: float) -> np.ndarray:
        """Those spread over their cells, whose length is that of rounding where no step is given, increasing."""
        different, counts = self.without_far
        if self.figures is not None:
            return spread(different, counts, self.figures.widths(different))
        return spread(different, counts, step or step_of_ties(different, counts))

    def _on_bounds(self, atoms: list[float]) -> list[float]:
        """The ends of a natural interval or half-line that rows repeat and that other numbers only come near.

        A single row on an end says nothing: any other number has one row, too.
        """
        different, counts = self.different, self.counts
        if is_tied(counts) or bool((different == np.floor(different)).all()):
            return []
        inner = ~np.isin(different, atoms)
        if grid_of_some(different[inner], counts[inner]) is not None:
            return []  # rounding put them there
        ends = bounds_of(different[inner], counts[inner])
        return [end for end in ends if end is not None and end not in atoms and self._rows(end) >= LEAST_ROWS]

    def _is_most_frequent(self, atom: float) -> bool:
        """Whether no other number that float64 hardly tells from an atom has more rows: near 1 it rounds some to 1."""
        reach = ROUNDINGS * np.finfo(np.float64).eps * abs(atom)
        first, last = np.searchsorted(self.different, [atom - reach, np.nextafter(atom + reach, np.inf)])
        return bool(self.counts[first:last].max() == self._rows(atom))

    def _rows(self, number: float) -> int:
        """How many rows have a number."""
        return int(self.counts[self.different == number].sum())
