"""Few equal rows at an end or far away: zeros among amounts, rare marks of missing values, and what they hide."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from pushforward.tables.columns.atoms import atoms_of
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.detection import bounds_of
from pushforward.tables.schema.inference import infer_schema

ROWS, EQUAL = [60, 150, 3000], [2, 3, 5, 9]


def incomes(rows):
    return np.exp(np.random.default_rng(rows).normal(8, 0.5, rows))


def with_equal(values, equal, value):
    changed = np.array(values, dtype=float)
    changed[:equal] = value
    return changed


def column_of(values):
    return infer_schema(pa.table({"x": values}), source="t")["x"]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("equal", EQUAL)
@pytest.mark.parametrize("decimals", [None, 2])
def test_zeros_among_amounts_are_an_atom_and_a_bound(rows, equal, decimals):
    values = incomes(rows) if decimals is None else np.round(incomes(rows), decimals)
    column = column_of(with_equal(values, equal, 0.0))
    assert column.atoms == [0.0] and column.low == 0
    # Half a row more for the atom.
    assert column.shares == pytest.approx([(equal + 0.5) / (rows + 0.5)])
    columns = Columns({"x": column}, ["x"])
    ends = columns.intervals(torch.zeros(1, 1, dtype=torch.float64))
    p = torch.special.ndtr(ends.high) - torch.special.ndtr(ends.low)
    assert float(p) == pytest.approx((equal + 0.5) / (rows + 0.5))
    assert (columns.decode(torch.linspace(-9, 9, 999, dtype=torch.float64)[:, None]) >= 0).all()


DRAWS = np.random.default_rng(0)
FAR = {
    "measurements": (DRAWS.normal(15, 1, 3000), "mixed"),
    "rounded": (np.round(DRAWS.normal(15, 1, 3000), 1), "recorded to 0.1"),
    "counts": (DRAWS.poisson(50, 3000).astype(float), "whole numbers"),
    "amounts": (DRAWS.exponential(3, 3000), "mixed"),
}


@pytest.mark.parametrize("case", FAR)
@pytest.mark.parametrize("equal", EQUAL)
@pytest.mark.parametrize("mark", [-999.0, 99999.0, 1e20])
def test_rare_marks_are_atoms_and_hide_nothing(case, equal, mark):
    values, words = FAR[case]
    column = column_of(with_equal(values, equal, mark))
    assert column.atoms == [mark] and "lies far" in column.remark
    assert words in column.describe()
    low = 0 if case in ("amounts", "counts") else None
    assert column.low == low and column.high is None


def test_one_far_value_makes_no_heavy_tails():
    for case in ("measurements", "rounded"):
        assert "heavy" not in column_of(with_equal(FAR[case][0], 1, -999.0)).describe()
    heavy = np.random.default_rng(1).standard_t(2, 3000)
    assert "heavy" in column_of(heavy).describe()


def test_rows_on_an_end_are_no_evidence_that_others_reach_it():
    for zeros in (0, 1, 4, 50):
        numbers = np.unique(with_equal(incomes(3000), zeros, 0.0), return_counts=True)
        assert bounds_of(*numbers) == (None, None)
    amounts = np.unique(np.round(DRAWS.exponential(3, 3000), 1), return_counts=True)
    assert bounds_of(*amounts, 0.1) == (0.0, None)


@pytest.mark.parametrize(
    ("values", "end", "bounds"),
    [
        (DRAWS.weibull(2, 3000), 0.0, (0, np.inf)),
        (DRAWS.exponential(3, 3000), 0.0, (0, np.inf)),
        (DRAWS.random(3000), 1.0, (0, 1)),
        (100 * DRAWS.random(300), 0.0, (0, 100)),
    ],
)
def test_one_row_on_a_bound_is_no_atom(values, end, bounds):
    column = column_of(with_equal(values, 1, end))
    assert (column.kind, column.bounds) == ("bounded", bounds)
    columns = Columns({"x": column}, ["x"])
    assert (columns.decode(torch.linspace(-9, 9, 999, dtype=torch.float64)[:, None]) >= 0).all()
    # Two equal measurements are a rarity, and those on a bound are no chance.
    assert column_of(with_equal(values, 2, end)).atoms == [end]


def test_a_negative_mark_leaves_the_bound_of_the_others():
    # It is not far: amounts spread wider.
    values = with_equal(DRAWS.exponential(3000, 3000), 9, -999.0)
    column = column_of(values)
    assert column.atoms == [-999.0] and column.low == 0


@pytest.mark.slow
def test_chance_makes_no_atoms_at_ends():
    generator = np.random.default_rng(2)
    tables, found = 150, 0
    for _ in range(tables):
        normal = generator.normal(15, 1, 500)
        copied = np.append(normal, generator.choice(normal, 25))
        for values in (
            np.round(normal, 1),
            np.round(normal, 3),
            np.round(generator.standard_t(2, 500), 1),
            np.append(np.round(generator.standard_cauchy(500), 2), 0),
            generator.negative_binomial(2, 0.02, 500),
            np.round(generator.random(500), 3),
            copied,
        ):
            found += bool(atoms_of(*np.unique(values, return_counts=True)))
    # About one in a thousand.
    assert found <= 0.002 * 7 * tables + 5 * (0.002 * 7 * tables) ** 0.5


GRADES, COUNTS = DRAWS.integers(1, 7, 3000).astype(float), DRAWS.poisson(3, 3000).astype(float)


def with_marks(values, marks):
    changed = values.copy()
    for place, mark in enumerate(marks):
        changed[50 * place : 50 * (place + 1)] = mark
    return changed


@pytest.mark.parametrize(("values", "ends"), [(GRADES, (1, 6)), (COUNTS, (0, None))], ids=["grades", "counts"])
@pytest.mark.parametrize("marks", [[99], [-999, -9 * 11, 99], [99999]])
def test_whole_numbers_beside_marks_stay_whole_numbers(values, ends, marks):
    column = column_of(with_marks(values, marks))
    assert column.atoms == marks and column.whole and (column.low, column.high) == ends
    listed = ", ".join(str(mark) for mark in marks)
    assert f'"missing": [{listed}]' in column.remark
    # A count that nobody has is no impossible one.
    if ends[1] is None:
        columns = Columns({"x": column}, ["x"])
        found = columns.intervals(torch.tensor([[values.max() + 1]], dtype=torch.float64))
        assert float(found.low) < float(found.high)


def test_marks_among_levels_and_near_whole_numbers_are_named():
    codes = column_of(DRAWS.choice([1.0, 2.0, 3.0, 99.0], 3000))
    assert codes.kind == "category" and '"missing": [99]' in codes.remark
    near = column_of(with_marks(GRADES, [-9]))
    assert near.kind == "integer" and '"missing": [-9]' in near.remark
    coins = DRAWS.choice([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0], 3000)
    for values in (GRADES, COUNTS, coins, DRAWS.choice([0.0, 1.0], 3000), DRAWS.choice([1.0, 2.0, 3.0], 3000)):
        assert column_of(values).remark is None
