"""Equally spaced numbers, and the coarsest such grid on which numbers lie."""

import math
from typing import NamedTuple

import numpy as np

# Numbers are written with at most so many decimals, and with fewer than this many steps between them.
MOST_DECIMALS, MOST_STEPS = 9, 2.0**45
# In single precision every number is a multiple of some step; one that was chosen leaves some bits unused.
MOST_SINGLE_STEPS = 2.0**21
# The smallest difference is the step of numbers that are no decimal fractions, if others are multiples up to rounding,
# which must be a small part of a step.
ROUNDING, MOST_ROUNDING = 1e-6, 1e-3
# A step is a decimal number if it is one of so many digits, but for so small a part of it.
DIGITS, OF_DECIMALS = 9, 1e-13
# Powers of ten up to this one are float64 numbers.
LARGEST_POWER = 22


class Grid(NamedTuple):
    """Equally spaced numbers.

    Attributes:
        step: the distance between neighbors.
        offset: one of them, at least 0 and less than the step.
    """

    step: float
    offset: float

    def nearest(self, numbers: np.ndarray) -> np.ndarray:
        """The number of the grid nearest to each, free of the rounding of sums of steps.

        Example:
            >>> Grid(0.1, 0.0).nearest(np.array([0.26, 1.0000001]))
            array([0.3, 1. ])
        """
        near: np.ndarray = self.offset + np.round((numbers - self.offset) / self.step) * self.step
        # 3 * 0.1 is not 0.3, but rounded to one decimal it is.
        decimals = [decimals_of(number) for number in self if number]
        return near if None in decimals else rounded_to(near, max(count for count in decimals if count is not None))

    def has(self, numbers: np.ndarray) -> np.ndarray:
        """Which numbers lie on it, up to rounding.

        Example:
            >>> Grid(0.1, 0.0).has(np.array([0.3, 0.31]))
            array([ True, False])
        """
        places = (numbers - self.offset) / self.step
        with np.errstate(over="ignore"):  # beyond the range of float32
            single = numbers == numbers.astype(np.float32)
        bits = np.where(single, 2.0**-23, 16 * np.finfo(float).eps)
        rounding = np.minimum(ROUNDING + bits * np.abs(numbers) / self.step, MOST_ROUNDING)
        on: np.ndarray = np.abs(places - np.round(places)) <= rounding
        return on


def decimals_of(number: float) -> int | None:
    """Return with how many decimals a number is written, below 0 for zeros at its end, or None for too many digits.

    Example:
        >>> decimals_of(0.25), decimals_of(1e14), decimals_of(2.5e-12), decimals_of(1 / 3)
        (2, -14, 13, None)
    """
    mantissa, _, exponent = f"{number:.{DIGITS - 1}e}".partition("e")
    if float(f"{mantissa}e{exponent}") != number:
        return None
    return len(mantissa.rstrip("0").partition(".")[2]) - int(exponent)


def rounded_to(numbers: np.ndarray, decimals: int) -> np.ndarray:
    """Return numbers rounded to so many decimals, which may be below 0: those that Python reads of the decimals."""
    if 0 <= decimals <= MOST_DECIMALS:
        return np.round(numbers, decimals)
    if abs(decimals) > LARGEST_POWER:
        return numbers
    scale = 10.0 ** abs(decimals)
    found: np.ndarray = np.round(numbers * scale) / scale if decimals > 0 else np.round(numbers / scale) * scale
    return found


def grid_of(different: np.ndarray) -> Grid | None:
    """Return the coarsest grid on which all numbers lie, or None if they are no multiples of anything.

    Decimal fractions have the greatest common divisor of their differences; others, such as thirds or decimals in
    another unit, the smallest difference if all are multiples of it.

    Arguments:
        different: (n,) distinct numbers, increasing; fewer than 2 lie on no grid in particular.

    Example:
        >>> grid_of(np.array([0.5, 1.0, 3.5])), grid_of(np.array([0.25, 0.3, 0.4]))
        (Grid(step=0.5, offset=0.0), Grid(step=0.05, offset=0.0))
        >>> grid_of(np.array([0.0, 1.0, np.pi]))
    """
    if len(different) < 2:
        return None
    largest = np.abs(different).max()
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10.0**decimals
        if largest * scale >= MOST_STEPS:
            break
        if has_decimals(different, decimals).all():
            whole = np.round(different * scale)
            divisor = int(np.gcd.reduce(np.diff(whole).astype(np.int64)))
            return Grid(divisor / scale, (int(whole[0]) % divisor) / scale) if divisor else None
    step = float(np.diff(different).min())
    places = (different - different[0]) / step
    rounding = ROUNDING + 16 * np.finfo(float).eps * largest / step
    if not np.abs(places - np.round(places)).max() <= rounding < MOST_ROUNDING:
        return None
    # All differences together say what the step is.
    step = _decimal(float((different[-1] - different[0]) / np.round(places[-1])))
    offset = float(np.mod(different[0], step))
    # A remainder next to 0 or to the step itself is rounding.
    return Grid(step, _decimal(offset) if min(offset, step - offset) > rounding * step else 0.0)


def has_decimals(numbers: np.ndarray, decimals: int) -> np.ndarray:
    """Which numbers are decimal fractions of so many decimals, be it in single precision, (n,) booleans."""
    scale = 10.0**decimals
    written = np.round(numbers * scale) / scale
    found: np.ndarray = written == numbers
    if not found.all() and np.abs(numbers).max() * scale < MOST_SINGLE_STEPS:
        single = numbers.astype(np.float32)
        if np.array_equal(single, numbers):
            found = written.astype(np.float32) == single
    return found


def _decimal(number: float) -> float:
    """The decimal number of few digits of which a number is the rounding, or the number."""
    shown = float(f"{number:.{DIGITS}g}")
    return shown if abs(shown - number) <= OF_DECIMALS * math.fabs(number) else number
