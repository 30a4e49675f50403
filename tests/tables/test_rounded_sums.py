"""Rounded parts of a whole are said, and what does not add up is not."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.table_models.preparation import prepare
from pushforward.tables.rounded_sums import rounded_sum

DRAWS = np.random.default_rng(0)
PARTS = DRAWS.dirichlet([2, 3, 4, 3, 2], 500)
NAMES = list("abcdefgh")


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize(("whole", "step"), [(100, 1), (100, 0.1), (1, 0.01)])
def test_percentages_add_up(count, whole, step):
    parts = DRAWS.dirichlet(np.arange(2, 2 + count), 500) * whole
    rounded = np.round(np.round(parts / step) * step, 6)
    others = np.round(DRAWS.normal(size=(500, 2)) * 20 * step, 6)
    said = rounded_sum(np.hstack([others, rounded]), NAMES[: 2 + count])
    assert said is not None and f"add up to {whole}" in said
    assert all(f'"{name}"' in said for name in NAMES[2 : 2 + count]) and '"a"' not in said


def test_a_rounded_total_is_named():
    parts = DRAWS.uniform(0, 50, (500, 3))
    said = rounded_sum(np.round(np.column_stack([parts, parts.sum(1)])), NAMES[:4])
    assert said == 'columns "a", "b", "c" add up to "d" in every row up to rounding'


def test_what_adds_up_exactly_is_said_so():
    flags = np.eye(3)[DRAWS.integers(0, 3, 500)]
    said = rounded_sum(np.column_stack([DRAWS.normal(size=500), flags]), NAMES[:4])
    assert said == 'columns "b", "c", "d" add up to 1 in every row'


def test_what_does_not_add_up_is_not_said():
    counts = DRAWS.poisson(30, (500, 4)).astype(float)
    assert rounded_sum(counts, NAMES[:4]) is None
    # Correlated, as grades are.
    common = DRAWS.normal(0, 10, (500, 1))
    assert rounded_sum(np.round(50 + common + DRAWS.normal(0, 3, (500, 4))), NAMES[:4]) is None
    # A part that was left out.
    assert rounded_sum(np.round(100 * PARTS[:, :4]), NAMES[:4]) is None
    assert rounded_sum(DRAWS.normal(size=(500, 4)), NAMES[:4]) is None


def test_a_fit_says_it_and_goes_on():
    frame = pd.DataFrame(np.round(100 * PARTS), columns=NAMES[:5])
    prepared = prepare(frame)
    assert any("add up to 100" in line and "columns=" in line for line in prepared.reasons)
    with pytest.raises(pf.InputError, match="determine each other"):
        prepare(pd.DataFrame(np.column_stack([PARTS[:, :2], PARTS[:, :2].sum(1)]), columns=NAMES[:3]))
