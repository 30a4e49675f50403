"""Calibration of each column: tests of uniform transforms, and what is wrong in words."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import binomtest, chi2, kstest

from pushforward.evaluation.report.bands import BINS, count_range, ecdf_bands
from pushforward.evaluation.report.contents import Calibration, ColumnCalibration, Estimate
from pushforward.evaluation.report.correction import LEVEL
from pushforward.evaluation.report.transforms import Transforms
from pushforward.support.wording import percent, with_minus

TESTS = ("calibration", "spread", "tails")
TAIL = 0.025
FEWEST_ROWS = 20
# Of a mean of normal scores, below which a shape is wrong rather than shifted.
LEAST_SHIFT = 0.02
# Transforms closer to 0 or 1 count as this far from it: quadratures know no better, and no single row decides.
LEAST = 1e-9
ROUNDING = 1e-9


@dataclass(frozen=True)
class TestsOfColumn:
    """What tests say of the transforms of a column.

    Attributes:
        shape: (statistic, p-value) of Kolmogorov and Smirnov.
        spread: (ratio of deviations, p-value) of their normal scores, whose variance is χ².
        tails: (share outside the central 95 %, p-value), binomial.
        shift: mean of the normal scores.
        middle: the width of the middle half of the normal scores over that of a normal distribution.
    """

    shape: tuple[float, float]
    spread: tuple[float, float]
    tails: tuple[float, float]
    shift: float
    middle: float


def randomized(ends: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Transforms that are uniform where the model is right, (m,): between both ends of a probability by chance.

    Arguments:
        ends: (2, n) P(< value) and P(≤ value), NaN for rows without.
        generator: of the chance.

    Source: Czado, Gneiting and Held 2009, Biometrics 65, 1254.
    """
    below, up_to = ends[:, ~np.isnan(ends).any(0)]
    found = below + generator.random(len(below)) * (up_to - below)
    # The interval of an angle may contain the place where its turn begins.
    found = np.where((found < -ROUNDING) | (found > 1 + ROUNDING), found % 1.0, found)
    return np.clip(found, 0.0, 1.0)


def tests_of(pit: np.ndarray) -> TestsOfColumn:
    """Test whether values, (n,), are uniform on [0, 1].

    Example:
        >>> found = tests_of(np.random.default_rng(0).beta(0.5, 0.5, 500))
        >>> found.spread[0] > 1.3, found.spread[1] < 1e-6
        (True, True)
    """
    scores = ndtri(np.clip(pit, LEAST, 1 - LEAST))
    rows, squares = len(pit), float(((scores - scores.mean()) ** 2).sum())
    chance = chi2(rows - 1)
    outside = int(((pit < TAIL) | (pit > 1 - TAIL)).sum())
    shape = kstest(pit, "uniform")
    return TestsOfColumn(
        (float(shape.statistic), float(shape.pvalue)),
        (math.sqrt(squares / (rows - 1)), min(1.0, 2 * float(min(chance.cdf(squares), chance.sf(squares))))),
        (outside / rows, float(binomtest(outside, rows, 2 * TAIL).pvalue)),
        float(scores.mean()),
        float(np.subtract(*np.quantile(scores, [0.75, 0.25])) / (2 * ndtri(0.75))),
    )


def column_tests(found: Transforms, seed: int) -> tuple[dict[str, np.ndarray], dict[str, TestsOfColumn]]:
    """The transforms of each column, made uniform by chance, and the tests of those with at least 20 of them."""
    generator = np.random.default_rng(seed)
    pits = {name: randomized(ends, generator) for name, ends in found.ends.items()}
    return pits, {name: tests_of(pit) for name, pit in pits.items() if len(pit) >= FEWEST_ROWS}


def calibration_of(
    found: Transforms,
    pits: dict[str, np.ndarray],
    tests: dict[str, TestsOfColumn],
    adjusted: Mapping[tuple[str, str], float],
    ordered: Collection[str],
) -> Calibration:
    """The calibration of each column in numbers and words.

    Arguments:
        found: the transforms.
        pits: of each column, as `column_tests` gives them.
        tests: the same.
        adjusted: {(test, column): p-value, corrected together with all tests of the report}.
        ordered: columns that can be too high or too wide.
    """
    few = {name: "fewer than 20 rows have a value" for name in pits if name not in tests}
    columns = []
    for name, one in tests.items():
        three = np.array([adjusted[test, name] for test in TESTS])
        shape = shape_of(one, three < LEVEL, name in ordered)
        columns.append(_column(name, found.conditions[name], pits[name], one, float(three.min()), shape))
    return Calibration(found.method, columns, few)


def shape_of(tests: TestsOfColumn, found: np.ndarray, ordered: bool = True) -> str:
    """What is wrong with a column, in words; `found` says which of shape, spread and tails are significant."""
    if not found.any():
        return "calibrated"
    if not ordered:
        return "wrong in shape"
    excess = tests.spread[0] - 1
    if found[1:].any() and abs(excess) >= abs(tests.shift):
        # The middle half of a column that is wrong in its tails alone has nearly the right width.
        where = " in its tails" if abs(tests.middle - 1) < 0.5 * abs(excess) else ""
        return f"too narrow{where}" if excess > 0 else f"too wide{where}"
    if found[0] and abs(tests.shift) > LEAST_SHIFT:
        return "too low" if tests.shift > 0 else "too high"
    return "wrong in shape"


def reason_of(shape: str, tests: TestsOfColumn) -> str:
    """The number behind what is wrong with a column, for its sentence."""
    if shape.endswith("its tails"):
        return f"{percent(tests.tails[0])} of its values lie outside the central 95%, 5% expected"
    if shape in ("too narrow", "too wide"):
        return f"the deviation of its normal scores is {tests.spread[0]:.3f}, 1 expected"
    if shape in ("too low", "too high"):
        return f"the mean of its normal scores is {with_minus(f'{tests.shift:+.3f}')}, 0 expected"
    return f"the distribution function of its transforms is off by up to {tests.shape[0]:.3f}"


def _column(
    name: str, conditions: str, pit: np.ndarray, tests: TestsOfColumn, adjusted: float, shape: str
) -> ColumnCalibration:
    rows = len(pit)
    grid, low, high = ecdf_bands(rows)
    ecdf = np.searchsorted(np.sort(pit), grid, side="right") / rows - grid
    least, most = count_range(rows)
    return ColumnCalibration(
        column=name,
        conditions=conditions,
        rows=rows,
        mean=tests.shift,
        spread=tests.spread[0],
        statistic=tests.shape[0],
        p_value=tests.shape[1],
        adjusted=adjusted,
        lower_tail=_share(int((pit < TAIL).sum()), rows),
        upper_tail=_share(int((pit > 1 - TAIL).sum()), rows),
        shape=shape,
        counts=np.histogram(pit, BINS, (0.0, 1.0))[0].tolist(),
        count_low=[least] * BINS,
        count_high=[most] * BINS,
        grid=grid.tolist(),
        ecdf=np.round(ecdf, 6).tolist(),
        band_low=np.round(low, 6).tolist(),
        band_high=np.round(high, 6).tolist(),
    )


def _share(count: int, rows: int) -> Estimate:
    return Estimate(count / rows, math.sqrt(TAIL * (1 - TAIL) / rows))
