"""What the columns of a table must be: named, distinct, and such that a density exists."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import nearest
from pushforward.support.wording import counted

FRAME = "the table"  # what messages call data that came from memory, not from a file
LARGEST = 1e150  # of values: their squares, and the inverses of these, are finite
_RESOLUTION = 1e-12  # relative differences below this are rounding, not data
MOST_NAMES = 8


class ReadByModel(str):
    """What messages call a table that a fitted model reads: its options are those of the fit, and no more are given."""


def check_columns(columns: Sequence[str], names: Sequence[str], *, source: str) -> None:
    """Refuse columns that a table does not have, or that are named twice.

    Arguments:
        columns: the names wanted.
        names: the names that the table has.
        source: what messages call the table.

    Raises:
        InputError: columns are missing (all are named, and the names of the table are listed, for one column the
            closest first), or one is named twice.

    Example:
        >>> check_columns(["mas"], ["mass", "radius"], source="stars.csv")
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: stars.csv has no column "mas"; did you mean "mass"? There are mass, radius.
    """
    check_distinct(names, source=source)
    for name, count in Counter(columns).items():
        if count > 1:
            raise InputError(f'column "{name}" of {source} is asked for {count} times; name it once.')
    if not columns:
        raise InputError(f"no column of {source} is named; {nearest('', names)}")
    known = set(names)  # a table may have a hundred thousand columns
    missing = [name for name in columns if name not in known]
    if missing:
        what = f'column "{missing[0]}"' if len(missing) == 1 else f"columns {_listed(missing)}"
        word = missing[0] if len(missing) == 1 else ""
        pattern = "" if set("*?").isdisjoint("".join(missing)) else "columns are named one by one, without patterns; "
        raise InputError(f"{source} has no {what}; {_quoting(names, source)}{pattern}{nearest(word, names)}")


def _listed(names: Sequence[str]) -> str:
    """Names in quotation marks, up to some number of them."""
    listed = ", ".join(f'"{name}"' for name in names[:MOST_NAMES])
    return f"{listed} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else listed


def _quoting(names: Sequence[str], source: str) -> str:
    """How to name a column in an option of the command line, if a name has a comma."""
    name = next((name for name in names if "," in name), None)
    without_options = source == FRAME or isinstance(source, ReadByModel)
    return "" if name is None or without_options else f"in an option a name with a comma is quoted, '\"{name}\"'; "


def check_distinct(names: Sequence[str], *, source: str) -> None:
    """Refuse a table without columns, or with two columns of the same name.

    Arguments:
        names: the names of the columns.
        source: what messages call the table.

    Raises:
        InputError: a name occurs twice, or there are no columns.
    """
    if not names:
        raise InputError(f"{source} has no columns; give a table with at least one.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise InputError(f'{source} has {count} columns named "{name}"; give each column its own name.')


def check_rows(rows: int, *, source: str, minimum_rows: int) -> None:
    """Refuse too few rows."""
    needed = max(minimum_rows, 1)
    if rows < needed:
        given = counted(rows, "row")
        raise InputError(f"{source} has {given}, and at least {needed} are needed; add rows.")


def check_varying(matrix: np.ndarray, names: Sequence[str], *, source: str, minimum_rows: int) -> None:
    """Refuse a matrix that has too few rows, or a column that does not vary.

    Arguments:
        matrix: finite numbers, shape (rows, columns).
        names: the names of the columns.
        source: what messages call the table.
        minimum_rows: how many rows are needed.

    Raises:
        InputError: there are too few rows, or a column is constant or varies by no more than rounding; it is named.

    Example:
        >>> check_varying(np.array([[1.0], [1.0]]), ["x"], source="stars.csv", minimum_rows=2)
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: column "x" of stars.csv is 1.0 in every row: it has no density; leave it out
        with --columns.
    """
    check_rows(len(matrix), source=source, minimum_rows=minimum_rows)
    for index, name in enumerate(names):
        _check_varies(matrix[:, index], name, source)


def check_independent(
    matrix: np.ndarray,
    names: Sequence[str],
    *,
    source: str,
    conditions: Sequence[str] = (),
    exact: Sequence[str] = (),
) -> list[str]:
    """Refuse columns with a linear relation that holds in every row: they have no joint density.

    A relation between conditions alone does no harm.

    Arguments:
        matrix: numbers, (rows, columns), NaN for gaps; no column is constant.
        names: the names of the columns.
        source: what messages call the table.
        conditions: the columns that are only conditioned on.
        exact: columns whose relations up to rounding do not count, such as that of a date and its year.

    Returns:
        A line for each relation between conditions.

    Raises:
        InputError: there is one of other columns; they are named.
    """
    from pushforward.tables.dependence import find_relation

    left = list(range(len(names)))
    lines: list[str] = []
    while True:
        found = find_relation(matrix[:, left])
        if found is None:
            return lines
        places = [left[place] for place in found.columns]
        of_exact = [place for place in places if names[place] in exact]
        if found.rounded and of_exact:
            left.remove(of_exact[0])
            continue
        what = _relation_of(matrix, places, found.equation([names[place] for place in left]), names, found.rounded)
        if not {names[place] for place in places} <= set(conditions):
            raise InputError(
                f"{what[0]} of {source} {what[1]}: their joint density would be infinite; "
                f"{leave_out(source, 'one of them')}."
            )
        lines.append(f"given {what[0]} {what[1]}, which does no harm")
        left.remove(places[0])


def _relation_of(
    matrix: np.ndarray, places: Sequence[int], equation: str, names: Sequence[str], rounded: bool
) -> tuple[str, str]:
    """Which columns are related, and how."""
    quoted = [f'"{names[place]}"' for place in sorted(places)]
    columns = f"columns {', '.join(quoted[:MOST_NAMES])}"
    columns += f" and {len(quoted) - MOST_NAMES} more" if len(quoted) > MOST_NAMES else ""
    if len(places) > 2 or rounded:
        return columns, f"determine each other, {equation} in every row{' up to rounding' if rounded else ''}"
    first, second = (matrix[:, place] for place in places)
    columns = " and ".join(quoted)
    columns = f"columns {columns}"
    if np.array_equal(first, second, equal_nan=True):
        return columns, "are equal in every row"
    return columns, f"determine each other exactly, as linear functions: {equation}"


def check_scale(matrix: np.ndarray, names: Sequence[str], *, source: str) -> None:
    """Refuse columns whose variance float64 cannot hold.

    Arguments:
        matrix: numbers, shape (rows, columns), NaN where a value is missing.
        names: the names of the columns.
        source: what messages call the table.

    Raises:
        InputError: a column has values beyond 1e150, or a standard deviation below 1e-150 that is not 0.

    Example:
        >>> check_scale(np.array([[1e300], [-1e300]]), ["x"], source="stars.csv")
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: column "x" of stars.csv has values up to 1e+300, whose squares float64 cannot
        hold; write it in a larger unit, so that its values lie within 1e+150.
    """
    for name, column in zip(names, matrix.T, strict=True):
        present = column[~np.isnan(column)]
        largest = float(np.abs(present).max(initial=0.0))
        what = f'column "{name}" of {source}'
        if largest > LARGEST:
            raise InputError(
                f"{what} has values up to {largest:g}, whose squares float64 cannot hold; write it in a larger unit, "
                f"so that its values lie within {LARGEST:g}."
            )
        deviation = float((present / largest).std()) * largest if largest > 0 else 0.0
        if 0 < deviation < 1 / LARGEST:
            raise InputError(
                f"{what} has a standard deviation of {deviation:.3g}, whose square float64 cannot hold; write it in a "
                f"smaller unit, so that it is above {1 / LARGEST:g}."
            )


def leave_out(source: str, what: str = "it") -> str:
    """Say how a column is left out: with an option of the command line, with an argument in Python, or by a new fit."""
    if isinstance(source, ReadByModel):
        return f"fit again without {'the column' if what == 'it' else what}"
    return f"leave {what} out with {'columns=' if source == FRAME else '--columns'}"


def declare_missing(source: str, marks: str = "") -> str:
    """Say how marks are declared to stand for missing values, by the fit or in the one that a model comes from.

    Example:
        >>> declare_missing("stars.csv", "?"), declare_missing(ReadByModel("stars.csv"))
        ('with --missing "?"', 'in a new fit with --missing')
    """
    named = f'"{marks}"' if marks else ""
    option = f"missing={named}" if source == FRAME else f"--missing {named}".strip()
    return f"in a new fit with {option}" if isinstance(source, ReadByModel) else f"with {option}"


def _check_varies(column: np.ndarray, name: str, source: str) -> None:
    """Refuse a column that is constant, or varies by no more than rounding."""
    low, high = float(column.min()), float(column.max())
    what = f'column "{name}" of {source}'
    if low == high:
        raise InputError(f"{what} is {low} in every row: it has no density; {leave_out(source)}.")
    # Dividing first keeps the squares of huge numbers finite and those of tiny ones above zero.
    relative = column / max(abs(low), abs(high))
    relative -= relative.mean()
    if float(np.sqrt(np.mean(relative**2))) < _RESOLUTION:
        raise InputError(
            f"{what} is constant up to rounding (all values lie between {low} and {high}): it has no density; "
            f"{leave_out(source)}, or subtract its mean before it is rounded."
        )
