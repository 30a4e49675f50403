"""Atoms, single values that more rows have than their neighbors predict."""

from collections.abc import Sequence

import numpy as np

from pushforward.support.wording import percent
from pushforward.tables.columns.figures import Figures, figures_of
from pushforward.tables.columns.grids import Grid, grid_of
from pushforward.tables.columns.outermost import far_from, far_places, few_outermost
from pushforward.tables.columns.partly_recorded import grid_of_some
from pushforward.tables.columns.recording import grid_of_rows, is_tied

# A value is an atom if it has at least so many rows, so many times as many as predicted, and if chance gives so many
# with at most this probability, for any of the values.
LEAST_ROWS, TIMES, CHANCE = 6, 3.0, 1e-4
# Its excess over what is predicted is at least this share of the rows, unless it lies far away or at an end. A rarer
# value is worth less than a hundredth of a nat a row as an atom, and no training finds so small a spike.
LEAST_SHARE = 1e-3
# Neighbors are at most so many steps away, on either side; where there are no steps, so many different values.
NEIGHBORS, NEIGHBORS_OFF_GRID = 4, 16
# The most frequent atoms are kept, after those at an end or far away.
MOST_ATOMS = 8
# For people the most frequent of them are listed.
MOST_LISTED = 3
# More than MOST_ATOMS are heaps if at least this share of them lies on a grid coarser than the column's, and fills so
# much of it.
ALIKE, FILLED = 0.8, 0.5
# Beside the atoms there are at least so many rows and different values.
LEAST_ROWS_BESIDE, LEAST_VALUES_BESIDE = 20, 10


def atoms_of(different: np.ndarray, counts: np.ndarray) -> list[float]:
    """Return the values that have a probability of their own, increasing; none if little is left beside them.

    Two equal rows alone at an end or far from all others are an atom where chance explains no tie. Where many values of
    a coarser grid have more rows than those between them, only those of them that have more than the others are atoms.
    Of measurements that were not rounded, all ties are unlikely: as many are predicted as all other values have. Of
    rounded ones, and of counts, the neighbors on the side that has more rows predict how many a value has.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> numbers = np.append(np.linspace(1, 2, 100), np.zeros(30))
        >>> atoms_of(*np.unique(numbers, return_counts=True))
        [0.0]
    """
    if len(different) <= LEAST_VALUES_BESIDE:
        return []
    different, counts = _without_strays(different, counts)
    places = _in_excess(different, counts)
    if not len(places):
        return []
    far, ends = _apart(different, places)
    heaps = _heaps(different, places[~far & ~ends])
    if len(heaps):
        # Heaps predict each other, also those that are no larger than the values between them.
        heaps = np.setdiff1d(np.union1d(heaps, places), places[far])
        places = np.union1d(places[far], heaps[_in_excess(different[heaps], counts[heaps])])
    # A mark that is rare counts as much as a frequent price.
    far, ends = _apart(different, places)
    places = places[np.lexsort((-counts[places], ~(far | ends)))][:MOST_ATOMS]
    if counts.sum() - counts[places].sum() < LEAST_ROWS_BESIDE or len(different) - len(places) < LEAST_VALUES_BESIDE:
        return []
    return sorted(different[places].tolist())


def is_heaped(different: np.ndarray, counts: np.ndarray) -> bool:
    """Whether many values of a coarser grid have more rows than those between them, such as ages that end in 0 or 5.

    Arguments:
        different: (n,) distinct numbers, increasing.
        counts: (n,) how many rows have each.

    Example:
        >>> ages = np.arange(20, 90)
        >>> is_heaped(ages, np.where(ages % 5, 20, 200)), is_heaped(ages, np.full(70, 20))
        (True, False)
    """
    if len(different) <= MOST_ATOMS:
        return False
    different, counts = _without_strays(different, counts)
    places = _in_excess(different, counts)
    far, ends = _apart(different, places)
    return len(_heaps(different, places[~far & ~ends])) > 0


def remark_of_marks(marks: Sequence[str], where: str = "far from all other values") -> str:
    """Say of values that lie apart what they likely are, and what to do if that is so.

    Arguments:
        marks: as they are written in a schema, at least one.
        where: they lie; default far from all other values.

    Example:
        >>> print(remark_of_marks(["-999"]))
        -999 lies far from all other values: if it marks missing values, declare "missing": [-999]
    """
    lies, marks_them = ("lies", "it marks") if len(marks) == 1 else ("lie", "they mark")
    listed = ", ".join(marks)
    return f'{listed} {lies} {where}: if {marks_them} missing values, declare "missing": [{listed}]'


def list_atoms(atoms: Sequence[str], shares: Sequence[float]) -> str:
    """List the most frequent atoms and their shares of the rows for people, in their order.

    Arguments:
        atoms: as they are shown.
        shares: of the rows, above 0 and below 1.

    Example:
        >>> list_atoms(["0", "1"], [0.2, 0.00004]), list_atoms(["0", "1", "2", "3"], [0.2, 0.01, 0.05, 0.1])
        ('20% 0, 0.0040% 1', '20% 0, 5.0% 2, 10% 3 and 1 more')
    """
    frequent = sorted(range(len(atoms)), key=lambda place: -shares[place])[:MOST_LISTED]
    listed = ", ".join(f"{percent(shares[place])} {atoms[place]}" for place in sorted(frequent))
    return listed + (f" and {len(atoms) - MOST_LISTED} more" if len(atoms) > MOST_LISTED else "")


def _in_excess(different: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The places of all values that have more rows than is predicted, and of these enough to matter."""
    # Only an import where it is needed keeps a schema that is merely read quick.
    from scipy.special import pdtrc

    if counts.max() == 1:
        return np.zeros(0, dtype=np.int64)
    # A mark such as 1e20 does not hide a grid.
    far = far_places(different, counts, MOST_ATOMS, LEAST_VALUES_BESIDE)
    some = grid_of_some(different[~far], counts[~far])
    if some is not None:
        # The numbers of two recordings say nothing of each other.
        apart = [np.flatnonzero(on) for on in (some.has(different), ~some.has(different))]
        return np.union1d(*(part[_in_excess(different[part], counts[part])] for part in apart))
    tied = is_tied(np.delete(counts, counts.argmax()))
    # Of significant figures only the larger numbers may occur again.
    cells = (_cells_of if tied else figures_of)(different[~far], counts[~far])
    tied |= cells is not None
    spots, lengths, step = different, np.ones(len(counts)), 0.0
    if tied:
        if isinstance(cells, Figures):
            spots, lengths = cells.places(different), cells.widths(different)
        rows, (mean, most) = counts, _by_neighbors(spots, counts, lengths, cells is not None)
    else:
        cells = grid_of(different[~far])
        step = cells.step if cells else 0.0
        rows = counts - 1
        ties = rows.sum() - rows
        mean, most = ties / len(counts), _at_most(ties) / len(counts)
    frequent = (counts >= LEAST_ROWS) & (rows >= TIMES * mean)
    frequent[frequent] = pdtrc(rows[frequent] - 1, most[frequent]) <= CHANCE / len(counts)
    places = np.flatnonzero(frequent)
    is_far, ends = _apart(different, places)
    places = places[is_far | ends | (rows[places] - mean[places] >= LEAST_SHARE * counts.sum())]
    if tied and cells is None:
        return places
    usual = np.where(frequent, 1, counts)
    if tied:
        spots = _in_cells(different, lengths) if isinstance(cells, Figures) else spots
        unit = float(np.median(np.diff(spots[~far])))
        return np.union1d(places, few_outermost(spots, counts, usual, far, unit, NEIGHBORS))
    return np.union1d(places, few_outermost(different, counts, usual, far, step, 0))


def _in_cells(different: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Values as far from each other as there are cells between them, each as long as the longer one of two neighbors.

    0 alone, if it is one of them, is 0.
    """
    spots = np.append(0.0, np.cumsum(np.diff(different) / np.maximum(lengths[1:], lengths[:-1])))
    zero = np.flatnonzero(different == 0)
    return spots - spots[zero] if len(zero) else spots + 1


def _cells_of(different: np.ndarray, counts: np.ndarray) -> Grid | Figures | None:
    """What most rows were rounded to, where most occur again."""
    figures = figures_of(different, counts)
    if figures is not None or len(different) < 2:
        return figures
    found = grid_of_rows(different, counts)
    return None if found is None else found.grid


def _without_strays(different: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values without those of few rows beside what most rows were rounded to: they predict nothing of it.

    One beside it that has more rows than the others there is left, and so is one at an end that repeats.
    """
    if not is_tied(np.delete(counts, counts.argmax())):
        return different, counts
    near = np.flatnonzero(~far_places(different, counts, MOST_ATOMS, LEAST_VALUES_BESIDE))
    cells = _cells_of(different[near], counts[near])
    beside = np.zeros(0, dtype=np.int64) if cells is None else near[~cells.has(different[near])]
    rows = counts[beside]
    frequent = (rows >= LEAST_ROWS) & (rows >= TIMES * (rows.sum() - rows) / max(len(rows), 1))
    frequent |= np.isin(beside, near[[0, -1]]) & (rows > 1)
    kept = ~np.isin(np.arange(len(counts)), beside[~frequent])
    return different[kept], counts[kept]


def _apart(different: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of some places are far from all other values, and which are the first or the last of those that are not."""
    rest = np.delete(different, places)
    far = np.zeros(len(different), dtype=bool)
    far[places] = far_from(different[places], rest) if len(rest) else False
    return far[places], np.isin(places, np.flatnonzero(~far)[[0, -1]])


def _heaps(different: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The places of a grid coarser than that of all, if values too many to be atoms fill it; otherwise none."""
    none = np.zeros(0, dtype=np.int64)
    if len(places) <= MOST_ATOMS:
        return none
    grid = grid_of(different)
    heaps = different[places]
    step = float(np.median(np.diff(heaps)))
    if grid is None or step < 1.5 * grid.step:
        return none
    # Whole numbers of steps of the finer grid, which are exact.
    ratio = max(round(step / grid.step), 1)
    apart = np.round((different - heaps[0]) / grid.step) % ratio
    which, alike = np.unique(apart[places], return_counts=True)
    if alike.max() < max(ALIKE * len(heaps), FILLED * (heaps[-1] - heaps[0]) / step):
        return none
    return np.flatnonzero(apart == which[alike.argmax()])


def _by_neighbors(
    different: np.ndarray, counts: np.ndarray, lengths: np.ndarray, on_grid: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The mean number of rows of each value's neighbors on the side that has more, and a mean that is hardly exceeded.

    A distribution that begins at a value has no rows on its other side. A cell of another length has as many rows more
    or less.
    """
    # On a grid, values that nobody has count as neighbors too.
    most = NEIGHBORS if on_grid else NEIGHBORS_OFF_GRID
    apart = (most + 0.5) * np.median(np.diff(different)) if on_grid else np.inf
    sides, factors = [], []
    for side in (-1, 1):
        total, scaled = np.zeros(len(counts)), np.zeros(len(counts))
        for steps in range(1, most + 1):
            neighbor = np.arange(len(counts)) + side * steps
            inside = (neighbor >= 0) & (neighbor < len(counts))
            neighbor = neighbor.clip(0, len(counts) - 1)
            inside &= np.abs(different[neighbor] - different) <= apart
            found = np.where(inside, counts[neighbor], 0)
            total, scaled = total + found, scaled + found * lengths / lengths[neighbor]
        sides.append(total)
        factors.append(np.divide(scaled, total, out=np.ones(len(counts)), where=total > 0))
    first = sides[0] * factors[0] >= sides[1] * factors[1]
    total, factor = np.where(first, *sides), np.where(first, *factors)
    return factor * total / most, factor * _at_most(total) / most


def _at_most(count: np.ndarray) -> np.ndarray:
    """A mean number of rows that is hardly exceeded if so many were counted."""
    return np.asarray(count + 2 * np.sqrt(count) + 3)
