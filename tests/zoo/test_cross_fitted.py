"""Whether one regression leaves less than another, by standard errors that count copies of a row once."""

import numpy as np
import pytest

from pushforward.zoo.cross_fitted import STANDARD_ERRORS, leaves_less


def differences(errors, count=200):
    """What two regressions leave of rows, the mean of whose squares differ by so many standard errors."""
    random = np.random.default_rng(0)
    gain = random.exponential(size=count)
    gain += errors * gain.std() / np.sqrt(count) - gain.mean()
    left = np.sqrt(np.full(count, 10.0))
    return left, np.sqrt(np.square(left) + gain)


@pytest.mark.parametrize("errors", [STANDARD_ERRORS - 0.01, STANDARD_ERRORS + 0.01])
@pytest.mark.parametrize("copies", [1, 2, 7])
def test_copies_change_no_decision(errors, copies):
    left, others = differences(errors)
    expected = errors > STANDARD_ERRORS
    assert leaves_less(left, others) == expected
    label = np.tile(np.arange(len(left)), copies)
    assert leaves_less(np.tile(left, copies), np.tile(others, copies), label) == expected
    # As if they were further evidence.
    assert leaves_less(np.tile(left, 2), np.tile(others, 2))


def test_rows_that_stand_together_are_right_as_often_as_by_themselves():
    # Groups of five rows with what is left in common: noise is taken for a gain in one of 741 cases.
    random = np.random.default_rng(1)
    found = np.zeros(2)
    for _ in range(2_000):
        group = np.repeat(np.arange(40), 5)
        left, others = np.sqrt(random.exponential(size=(2, 40)))[:, group]
        found += leaves_less(left, others, group), leaves_less(left, others)
    together, apart = found / 2_000
    assert together < 0.01 < apart
