"""All tests of a report, corrected together, and what is said of those that find something."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pushforward.evaluation.report.calibration import TESTS as CALIBRATION
from pushforward.evaluation.report.calibration import TestsOfColumn, reason_of
from pushforward.evaluation.report.contents import Calibration, Dependence, Marginal, Memorization, Test, TwoSample
from pushforward.evaluation.report.correction import LEVEL, holm
from pushforward.evaluation.report.dependence import Correlations
from pushforward.evaluation.report.marginals import TestsOfMarginal
from pushforward.support.suggestions import quoted
from pushforward.support.wording import percent, with_minus

MARGINAL = ("marginal", "marginal spread")


def correction(count: int) -> str:
    """What is done about so many tests, in words."""
    return (
        f"p-values of all {count} tests are corrected together by Holm's method: where the model is right, the chance "
        f"of any finding at all is at most {LEVEL:.0%}"
    )


def corrected(tests: Sequence[Test]) -> list[Test]:
    """The tests with p-values corrected together; what is not significant says nothing."""
    adjusted = holm([one.p_value for one in tests])
    return [
        dataclasses.replace(one, adjusted=float(p), finding=one.finding if p < LEVEL else "")
        for one, p in zip(tests, adjusted, strict=True)
    ]


def adjusted_of(tests: Sequence[Test]) -> dict[tuple[str, str], float]:
    """{(name, subject): the corrected p-value} of tests."""
    return {(one.name, one.subject): one.adjusted for one in tests}


def of_two_samples(found: TwoSample | None) -> list[Test]:
    """The test of the classifier."""
    if found is None:
        return []
    by = ", ".join(map(quoted, found.columns[:2]))
    said = f"A classifier tells rows from draws: accuracy {found.accuracy}, 1/2 expected, most by {by}."
    return [Test("two-sample", "", found.rows, found.accuracy.value, found.p_value, math.nan, said)]


def of_coverage(rows: int, statistic: float, p_value: float, shares: dict[float, float]) -> list[Test]:
    """The test of coverage."""
    held = " and ".join(f"{percent(share)} where {level:.0%} should lie" for level, share in shares.items())
    how = "too small" if sum(share - level for level, share in shares.items()) < 0 else "too large"
    said = f"Regions of highest density are {how}: they hold {held}."
    return [Test("coverage", "", rows, statistic, p_value, math.nan, said)]


def of_calibration(tests: Mapping[str, TestsOfColumn], pits: Mapping[str, np.ndarray]) -> list[Test]:
    """Three tests of each column, which say something once they are corrected: see `with_calibration`."""
    return [
        Test(name, column, len(pits[column]), *numbers, math.nan)
        for column, one in tests.items()
        for name, numbers in zip(CALIBRATION, (one.shape, one.spread, one.tails), strict=True)
    ]


def with_calibration(made: Sequence[Test], found: Calibration, tests: Mapping[str, TestsOfColumn]) -> list[Test]:
    """Corrected tests with what those of the calibration say: what is wrong with their column, and by which number."""
    said = {}
    for column in found.columns:
        given = f", {column.conditions}" if column.conditions else ""
        reason = reason_of(column.shape, tests[column.column])
        said[column.column] = f"Column {quoted(column.column)} is {column.shape}{given}: {reason}."
    return [
        dataclasses.replace(one, finding=said[one.subject]) if one.name in CALIBRATION and one.adjusted < LEVEL else one
        for one in made
    ]


def of_marginals(found: Sequence[Marginal], tests: Mapping[str, TestsOfMarginal]) -> list[Test]:
    """The tests of each column by itself: of all of it, and of its spread."""
    made = []
    for one in found:
        numbers = tests[one.column]
        made += [
            Test("marginal", one.column, one.rows, *numbers.shape, math.nan, _about_marginal(one)),
            Test("marginal spread", one.column, one.rows, *numbers.spread, math.nan, _about_spread(one, numbers)),
        ]
    return [one for one in made if not math.isnan(one.p_value)]


def with_corrected(found: Sequence[Marginal], adjusted: Mapping[tuple[str, str], float]) -> list[Marginal]:
    """Marginals with the least corrected p-value of their tests."""
    return [
        dataclasses.replace(
            one,
            adjusted=min(
                (adjusted[test, one.column] for test in MARGINAL if (test, one.column) in adjusted), default=math.nan
            ),
        )
        for one in found
    ]


def of_dependence(names: Sequence[str], found: Correlations) -> list[Test]:
    """The test of each pair."""
    made = []
    for i, j in itertools.combinations(range(len(names)), 2):
        data, draws, p_value = float(found.data[i, j]), float(found.draws[i, j]), float(found.p_value[i, j])
        if math.isnan(p_value):
            continue
        sign = (
            "has the wrong sign"
            if data * draws < 0 and min(abs(data), abs(draws)) > 0.05
            else ("is too weak" if abs(draws) < abs(data) else "is too strong")
        )
        said = (
            f"The dependence of {quoted(names[i])} and {quoted(names[j])} {sign}: rank correlation "
            f"{with_minus(f'{draws:+.3f}')} in draws, {with_minus(f'{data:+.3f}')} in the data."
        )
        made.append(Test("dependence", _pair(names[i], names[j]), found.rows, draws - data, p_value, math.nan, said))
    return made


def _pair(one: str, other: str) -> str:
    return f"{one}, {other}"


def of_memorization(found: Memorization) -> list[Test]:
    """The test of distances to training rows."""
    if math.isnan(found.p_value):
        return []
    said = (
        f"The model has memorized training rows: P(a draw is closer to one than a new row is) = {found.closer}, 1/2 "
        f"expected; {found.copies_of_draws:,} of {found.draws:,} draws are equal to one."
    )
    return [Test("memorization", "", found.rows, found.closer.value, found.p_value, math.nan, said)]


def _about_marginal(one: Marginal) -> str:
    first, last = _rarest_run(np.array(one.data), np.array(one.draws))
    data, draws = (percent(sum(part[first : last + 1])) for part in (one.data, one.draws))
    name = quoted(one.column)
    if one.discrete:
        where = f"{name} is {' or '.join(one.labels[first : last + 1][:3])}"
    else:
        low = -math.inf if first == 0 else one.edges[first]
        high = math.inf if last == len(one.data) - 1 else one.edges[last + 1]
        where = (
            f"{name} lies from {_number(low)} to {_number(high)}" if math.isfinite(low) and math.isfinite(high)
            else f"{name} is at most {_number(high)}" if math.isfinite(high) else f"{name} is at least {_number(low)}"
        )  # fmt: skip
    return f"Column {name} by itself differs: {where} in {data} of the rows and in {draws} of the draws."


def _about_spread(one: Marginal, tests: TestsOfMarginal) -> str:
    """That a column is too narrow or too wide, or else where it differs most.

    The spread of all of it is off where its middle is, too, by at least half as much, and by more than its place.
    """
    rows, draws = tests.spans
    excess, of_middle = draws / rows - 1 if rows > 0 else 0.0, tests.middles[1] / (tests.middles[0] or math.inf) - 1
    if excess == 0 or of_middle / excess < 0.5 or abs(tests.shift) > abs(excess) * rows:
        return _about_marginal(one)
    how, apart = ("narrow", "narrower") if excess < 0 else ("wide", "wider")
    return (
        f"Column {quoted(one.column)} is too {how} by itself: the middle 90% of the draws spans {draws:.4g}, "
        f"{percent(abs(excess))} {apart} than that of the rows, {rows:.4g}."
    )


def _rarest_run(data: np.ndarray, draws: np.ndarray) -> tuple[int, int]:
    """The first and last of neighboring bins whose shares differ most, too rare in draws or too frequent.

    What draws lack in one place they have too much of elsewhere: of both places the one that holds less is taken.

    Example:
        >>> _rarest_run(np.array([0.5, 0.1, 0.1, 0.3]), np.array([0.7, 0.0, 0.0, 0.3]))
        (1, 2)
    """
    runs = [_largest_run(sign * (draws - data)) for sign in (1.0, -1.0)]
    return min(runs, key=lambda run: float((data + draws)[run[0] : run[1] + 1].sum()))


def _largest_run(values: np.ndarray) -> tuple[int, int]:
    """The first and last of neighboring values with the largest sum.

    Example:
        >>> _largest_run(np.array([0.1, -0.2, 0.3, 0.2, -0.2]))
        (2, 3)
    """
    best, found, total, start = -math.inf, (0, 0), 0.0, 0
    for place, value in enumerate(values):
        if total <= 0:
            total, start = 0.0, place
        total += float(value)
        if total > best + 1e-12:
            best, found = total, (start, place)
    return found


def matrices(
    names: Sequence[str], found: Correlations, marginals: list[Marginal], adjusted: Mapping[tuple[str, str], float]
) -> Dependence:
    """The correlations as lists, with the corrected p-values of their tests."""
    of_pairs = np.full(found.data.shape, math.nan)
    for i, j in itertools.combinations(range(len(names)), 2):
        of_pairs[i, j] = of_pairs[j, i] = adjusted.get(("dependence", _pair(names[i], names[j])), math.nan)
    return Dependence(
        columns=list(names),
        rows=found.rows,
        drawn=found.drawn,
        data=found.data.tolist(),
        draws=found.draws.tolist(),
        difference=(found.draws - found.data).tolist(),
        error=found.error.tolist(),
        adjusted=of_pairs.tolist(),
        marginals=marginals,
    )


def _number(value: float) -> str:
    return with_minus(f"{value:.4g}")
