"""Numbers that a schema declares of a column: refused where no density could have them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.tables.checks import LARGEST
from pushforward.tables.columns.grids import MOST_ROUNDING

# Beyond this float64 does not tell all whole numbers apart.
WHOLE_NUMBERS = 2**53
# A bound is at most so many ranges of the values away from them.
MOST_RANGES = 1e9
REMEDY = "declare the step to which they were rounded, or none, and it is learned."


def check_declared(what: str, declared: Mapping[str, float | None], largest: float = LARGEST) -> None:
    """Refuse numbers that are too large to compute with.

    Arguments:
        what: how a message calls the column.
        declared: the options and their numbers, None for what is not declared.
        largest: of their absolute values; default 1e150, beyond which float64 cannot hold the squares.

    Raises:
        InputError: a number is larger.

    Example:
        >>> check_declared('column "x" of t.csv', {"high": 1e300})
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: The schema declares "high": 1e+300 for column "x" of t.csv, and float64 cannot
        compute with numbers beyond 1e+150; declare a smaller one, or none.
    """
    for option, number in declared.items():
        if number is not None and abs(number) > largest:
            raise InputError(
                f"{_declares(what, option, number)}, and float64 cannot compute with {_numbers(largest)}; declare a "
                "smaller one, or none."
            )


def check_step(what: str, step: float | None, range_: float, option: str = "step") -> None:
    """Refuse a step that is longer than the range of the values.

    Arguments:
        what: how a message calls the column.
        step: declared; None or 0 for none.
        range_: of the values; one value alone has none, 0.
        option: what declares the step; default "step".

    Raises:
        InputError: the step is longer.

    Example:
        >>> check_step('column "x" of t.csv', 1000.0, 200.0)
        Traceback (most recent call last):
        ...
        pushforward.errors.InputError: The schema declares "step": 1000 for column "x" of t.csv, which is longer than
        the range of its values, 200; declare the step to which they were rounded, or none, and it is learned.
    """
    if step and 0 < range_ < step:
        raise InputError(
            f"{_declares(what, option, step)}, which is longer than the range of its values, {range_:g}; {REMEDY}"
        )


def check_digits(what: str, step: float | None, largest: float, option: str = "step") -> None:
    """Refuse a step whose cells float64 does not hold: their length is to be exact to a thousandth.

    Arguments:
        what: how a message calls the column.
        step: declared; None or 0 for none.
        largest: of the absolute values of the column.
        option: what declares the step; default "step".

    Raises:
        InputError: the step is too short.
    """
    least = np.finfo(float).eps * largest / MOST_ROUNDING
    if step and step < least:
        raise InputError(
            f"{_declares(what, option, step)}, which is less than the {least:.1g} that float64 can tell apart of "
            f"values up to {largest:g}; {REMEDY}"
        )


def check_reach(what: str, bounds: Mapping[str, float | None], observed: np.ndarray) -> None:
    """Refuse bounds so far from the values that a map between them has no digits left for the values.

    Arguments:
        what: how a message calls the column.
        bounds: the options and their numbers, None for what is not declared.
        observed: (n,) the values beside atoms; one value alone has no range.

    Raises:
        InputError: a bound is more than 10^9 ranges of the values away from them.
    """
    range_ = float(np.ptp(observed)) if len(observed) else 0.0
    for option, bound in bounds.items():
        if bound is not None and range_ and abs(bound - float(observed[0])) > MOST_RANGES * range_:
            raise InputError(
                f"{_declares(what, option, bound)}, which is more than {MOST_RANGES:g} times the range of its values, "
                f"{range_:g}, away from them; declare a nearer bound, or none."
            )


def _declares(what: str, option: str, number: Any) -> str:
    return f'The schema declares "{option}": {_shown(number)} for {what}'


def _numbers(largest: float) -> str:
    return f"{'whole numbers' if isinstance(largest, int) else 'numbers'} beyond {_shown(largest)}"


def _shown(number: Any) -> str:
    """A number in few characters, whatever its size; a whole number may be too large for a float."""
    if isinstance(number, int) and abs(number) > LARGEST:
        return f"{'-' if number < 0 else ''}10^{len(str(abs(number))) - 1}" if abs(number) < 10**4000 else "a huge one"
    return f"{number:g}" if isinstance(number, float) else str(number)
