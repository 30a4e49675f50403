"""What changed in a column from one table to another, in words."""

from __future__ import annotations

import math

import numpy as np

from pushforward.evaluation.report.marginals import texts_of
from pushforward.support.suggestions import shortened
from pushforward.support.wording import percent
from pushforward.table_models.model import TableModel

# A change is named where it is so many of its standard errors; those are of a normal variable's median and of the
# logarithm of its interquartile range, of n values: 1.25 and 1.36 / √n, the first in standard deviations.
ERRORS = 3.0
OF_MEDIAN, OF_LOG_RANGE = 1.25, 1.36
# The interquartile range of a normal variable in standard deviations.
NORMAL_RANGE = 1.349


def change_of(model: TableModel, name: str, a: np.ndarray, b: np.ndarray) -> str:
    """How a column of a second table differs from that of a first by itself; "" where nothing stands out.

    Standard deviations are those of the first table, by its middle half, so that single far values do not count.

    Arguments:
        model: that knows the column.
        name: of the column.
        a: codes of the first table, (n,), NaN for gaps.
        b: of the second, (m,).
    """
    if not len(a) or not len(b):
        return ""
    before, after = (float(np.isnan(part).mean()) for part in (a, b))
    said = (
        [f"missing in {percent(before)}, then {percent(after)}"] if _stands_out(before, after, len(a), len(b)) else []
    )
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    kind = model.schema[name]
    if len(a) and len(b):
        ordered = kind.measured and not kind.circular and _range(a) > 0
        said += _moved(a, b) if ordered else _levels(model, name, a, b)
    return " and ".join(said)


def _moved(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Where the second lies and how wide it is, in words."""
    error = math.sqrt(1 / len(a) + 1 / len(b))
    shift = float(np.median(b) - np.median(a)) * NORMAL_RANGE / _range(a)
    ratio = _range(b) / _range(a)
    said = []
    if abs(shift) > ERRORS * OF_MEDIAN * error:
        said.append(f"{abs(shift):.2g} standard deviations {'higher' if shift > 0 else 'lower'}")
    if ratio == 0 or abs(math.log(ratio)) > ERRORS * OF_LOG_RANGE * error:
        said.append(f"{ratio:.2g} times as wide")
    return said


def _levels(model: TableModel, name: str, a: np.ndarray, b: np.ndarray) -> list[str]:
    """The level whose share changed most, in words."""
    levels = np.unique(np.concatenate([a, b]))
    if not model.schema[name].discrete:
        return []
    shares = np.stack([np.searchsorted(np.sort(part), levels, side="right") / len(part) for part in (a, b)])
    before, after = np.diff(shares, axis=1, prepend=0.0)
    most = int(np.abs(after - before).argmax())
    if not _stands_out(before[most], after[most], len(a), len(b)):
        return []
    [text] = texts_of(model, name, levels[most : most + 1])
    return [f'"{shortened(text)}" in {percent(before[most])}, then {percent(after[most])}']


def _stands_out(a: float, b: float, of_a: int, of_b: int) -> bool:
    """Whether two shares of so many values differ by more than chance lets them."""
    both = (a * of_a + b * of_b) / (of_a + of_b)
    return abs(b - a) > ERRORS * math.sqrt(both * (1 - both) * (1 / of_a + 1 / of_b))


def _range(values: np.ndarray) -> float:
    """The interquartile range."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)
