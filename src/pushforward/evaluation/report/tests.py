"""All tests of a report, corrected together, and what is said of those that find something."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from pushforward.evaluation.report.calibration import TestsOfColumn
from pushforward.evaluation.report.contents import Calibration, Dependence, Marginal, Memorization, Test, TwoSample
from pushforward.evaluation.report.correction import holm
from pushforward.evaluation.report.dependence import Correlations
from pushforward.support.suggestions import quoted
from pushforward.support.wording import percent

LEVEL = 0.05


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


def of_two_samples(found: TwoSample | None) -> list[Test]:
    """The test of the classifier."""
    if found is None:
        return []
    by = ", ".join(map(quoted, found.columns[:2]))
    said = f"A classifier tells rows from draws: accuracy {found.accuracy}, 1/2 expected, most by {by}."
    return [Test("two-sample", "", found.accuracy.value, found.p_value, math.nan, said)]


def of_coverage(statistic: float, p_value: float, shares: dict[float, float]) -> list[Test]:
    """The test of coverage."""
    held = " and ".join(f"{percent(share)} where {level:.0%} should lie" for level, share in shares.items())
    how = "too small" if sum(share - level for level, share in shares.items()) < 0 else "too large"
    said = f"Regions of highest density are {how}: they hold {held}."
    return [Test("coverage", "", statistic, p_value, math.nan, said)]


def of_calibration(found: Calibration, tests: dict[str, TestsOfColumn]) -> list[Test]:
    """Three tests of each column: shape, spread and tails."""
    made = []
    for column in found.columns:
        one = tests[column.column]
        shape = column.shape if column.shape != "calibrated" else "not calibrated"
        given = f", {column.conditions}" if column.conditions else ""
        said = f"Column {quoted(column.column)} is {shape}{given}"
        spread = f"{said}: the deviation of its normal scores is {one.spread[0]:.3f}, 1 expected."
        tails = f"{said}: {percent(one.tails[0])} of its values lie outside the central 95 %, 5% expected."
        made += [
            Test("calibration", column.column, *one.shape, math.nan, f"{said}."),
            Test("spread", column.column, *one.spread, math.nan, spread),
            Test("tails", column.column, *one.tails, math.nan, tails),
        ]
    return made


def of_marginals(found: Sequence[Marginal]) -> list[Test]:
    """The test of each column by itself; it names the values that are most too rare or too frequent in draws."""
    return [
        Test("marginal", one.column, one.statistic, one.p_value, math.nan, _about_marginal(one))
        for one in found
        if not math.isnan(one.p_value)
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
            f"The dependence of {quoted(names[i])} and {quoted(names[j])} {sign}: rank correlation {draws:+.3f} in "
            f"draws, {data:+.3f} in the data."
        )
        made.append(Test("dependence", f"{names[i]}, {names[j]}", draws - data, p_value, math.nan, said))
    return made


def of_memorization(found: Memorization) -> list[Test]:
    """The test of distances to training rows."""
    if math.isnan(found.p_value):
        return []
    said = (
        f"The model has memorized training rows: P(a draw is closer to one than a new row is) = {found.closer}, 1/2 "
        f"expected; {found.copies_of_draws:,} of {found.draws:,} draws are equal to one."
    )
    return [Test("memorization", "", found.closer.value, found.p_value, math.nan, said)]


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
            f"{name} lies from {low:.4g} to {high:.4g}" if math.isfinite(low) and math.isfinite(high)
            else f"{name} is at most {high:.4g}" if math.isfinite(high) else f"{name} is at least {low:.4g}"
        )  # fmt: skip
    return f"Column {name} by itself differs: {where} in {data} of the rows and in {draws} of the draws."


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


def matrices(names: Sequence[str], found: Correlations, marginals: list[Marginal]) -> Dependence:
    """The correlations as lists."""
    return Dependence(
        columns=list(names),
        data=found.data.tolist(),
        draws=found.draws.tolist(),
        difference=(found.draws - found.data).tolist(),
        error=found.error.tolist(),
        adjusted=found.adjusted.tolist(),
        marginals=marginals,
    )
