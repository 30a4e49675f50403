"""The step of whole numbers: the greatest of which all are multiples, or nearly all."""

import numpy as np

from pushforward.tables.columns.calendar import NEARLY_ALL
from pushforward.tables.columns.recording import cells_of

# People count in products of these: tens, dozens, quarters of an hour, weeks.
PRIMES = (2, 3, 5, 7)
# So many different values, as if each had as many rows, are multiples of more than their step by chance in hardly any
# column.
LEAST_ALIKE = 8


def common_step(different: np.ndarray, anchor: int | None = None) -> tuple[int, int]:
    """Return the greatest common divisor of the differences of whole numbers, at least 1, and one of the numbers.

    Arguments:
        different: (n,) distinct whole numbers, increasing.
        anchor: another of them; default none.

    Example:
        >>> common_step(np.array([20, 40, 70])), common_step(np.array([20, 40]), anchor=5)
        ((10, 20), (5, 5))
    """
    offset = int(different[0]) if anchor is None else anchor
    return int(np.gcd.reduce((different - offset).astype(np.int64))) or 1, offset


def on_step_of_nearly_all(different: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return which whole numbers lie on the longest step that nearly all rows have, (n,) booleans.

    The most frequent value counts as one row: it may be an atom, which says nothing of the others.

    Arguments:
        different: (n,) distinct whole numbers, increasing, of less than 2^53.
        counts: (n,) how many rows have each.

    Example:
        >>> tens = np.append(np.arange(0, 500, 10), 503)
        >>> on = on_step_of_nearly_all(tens, np.append(np.full(50, 20), 1))
        >>> tens[~on]
        array([503])
    """
    whole = different.astype(np.int64)
    rows = np.where(np.arange(len(counts)) == counts.argmax(), 1, counts)
    on = np.full(len(whole), True)
    step, offset = common_step(whole)
    for prime in PRIMES:
        while True:
            places = (whole - offset) // step % prime
            of_places = np.bincount(places[on], rows[on], prime)
            alike = on & (places == of_places.argmax())
            most = of_places.max() >= NEARLY_ALL * rows.sum()
            if not most or np.count_nonzero(alike) < LEAST_ALIKE or cells_of(rows[alike]) < LEAST_ALIKE:
                break
            on, offset, step = alike, offset + int(of_places.argmax()) * step, step * prime
    return on
