"""Which frequent values are atoms: those that matter, wherever they lie, and not the heaps of a coarser grid."""

import numpy as np
import pyarrow as pa
import pytest

from pushforward.tables.columns.atoms import LEAST_SHARE, atoms_of, is_heaped
from pushforward.tables.schema.inference import infer_schema

ROWS = 20_000
DRAWS = np.random.default_rng(0)
# Without ties.
NORMAL = DRAWS.normal(15, 10, ROWS)
HALF = np.arange(ROWS) % 2 == 0
AGES = np.clip(np.round(DRAWS.gamma(6, 7, ROWS)), 0, 99)


def atoms_in(values) -> list[float]:
    return atoms_of(*np.unique(values, return_counts=True))


def with_rows(values, rows: int, atom: float):
    changed = np.array(values, dtype=float)
    changed[:rows] = atom
    return changed


def described(values) -> str:
    return infer_schema(pa.table({"x": values}), source="t")["x"].describe()


@pytest.mark.parametrize("share", [0.005, 0.02, 0.3])
def test_a_value_with_half_a_percent_of_the_rows_is_an_atom(share):
    assert atoms_in(with_rows(NORMAL, int(share * ROWS), 1.25)) == [1.25]
    # Of numbers written to 0.1, half a percent is what the neighbors in the middle have; in the tail it is many more.
    assert atoms_in(with_rows(np.round(NORMAL, 1), int(share * ROWS), 48.2)) == [48.2]


def test_an_excess_of_a_thousandth_of_the_rows_is_where_atoms_begin():
    rows = int(LEAST_SHARE * ROWS)
    # Of numbers without ties, one row is no excess.
    assert atoms_in(with_rows(NORMAL, rows, 1.25)) == []
    assert atoms_in(with_rows(NORMAL, rows + 1, 1.25)) == [1.25]


@pytest.mark.parametrize("decimals", [1, 2])
def test_some_values_heaped_in_a_few_rows_of_ten_thousand_are_no_atoms(decimals):
    values = NORMAL.copy()
    for place in range(12):
        # 6 to 10 rows each, which is far beyond chance.
        heap = slice(100 * place, 100 * place + 6 + place % 5)
        values[heap] = np.round(values[heap].mean(), decimals)
    assert described(values) == "continuous"


@pytest.mark.parametrize(
    ("values", "atom"),
    [
        (np.exp(NORMAL / 10), 0.0),
        (np.minimum(np.sort(NORMAL)[ROWS - 9], NORMAL), np.sort(NORMAL)[ROWS - 9]),
        (np.round(NORMAL, 1), -999.0),
    ],
    ids=["zeros below amounts", "clipped end", "mark of missing values"],
)
def test_ends_and_marks_are_atoms_however_rare(values, atom):
    assert atoms_in(with_rows(values, 9, atom)) == [atom]


HEAPED = {
    "degrees in tenths": (np.where(HALF, np.round(NORMAL), np.round(NORMAL, 1)), "continuous, recorded to 0.1"),
    "ages in tens": (np.where(HALF, np.round(AGES, -1), AGES), "integer, from 0"),
    "ages in fives": (np.where(HALF, np.round(AGES / 5) * 5, AGES), "integer, from 0"),
    "prices in tens": (
        np.round(np.where(HALF, 10 * np.ceil(np.exp(NORMAL / 10)), 10 * np.exp(NORMAL / 10)), 2),
        "recorded to 0.01",
    ),
}


@pytest.mark.parametrize("case", HEAPED)
def test_heaps_of_a_coarser_grid_are_no_atoms(case):
    values, words = HEAPED[case]
    assert is_heaped(*np.unique(values, return_counts=True))
    assert atoms_in(values) == []
    assert words in described(values) and "mixed" not in described(values)


@pytest.mark.parametrize("case", HEAPED)
def test_a_heap_above_the_others_is_an_atom(case):
    values = with_rows(with_rows(HEAPED[case][0], 8000, 40), 500, -999)
    assert atoms_in(values) == [-999, 40]


def test_zeros_beside_few_heaps_are_an_atom():
    counts = 1 + np.minimum(np.round(DRAWS.exponential(30, ROWS)), 94)
    values = np.where(HALF, np.round(counts, -1), counts)
    values[: ROWS // 2] = 0
    assert atoms_in(values[values != 0]) == []
    assert atoms_in(values) == [0]


def test_eight_or_fewer_frequent_values_are_atoms_even_on_a_grid():
    values = NORMAL.copy()
    for place in range(8):
        values[200 * place : 200 * (place + 1)] = 5 * place
    assert atoms_in(np.round(values, 3)) == [5.0 * place for place in range(8)]


def test_of_many_atoms_a_rare_mark_is_kept():
    values = NORMAL.copy()
    for place, atom in enumerate([1.5, 3, 7.25, 8, 11.75, 12.25, 17, 19.5, 23]):
        values[400 * place : 400 * (place + 1)] = atom
    values[-9:] = -999
    found = atoms_in(values)
    assert len(found) == 8 and found[0] == -999


def test_shares_have_two_digits_and_long_lists_end():
    few = with_rows(np.exp(NORMAL / 10), 3, 0.0)
    assert described(few) == "mixed, 0.017% 0"
    many = NORMAL.copy()
    for place in range(8):
        many[400 * place : 400 * place + 200 + 10 * place] = 4 * place
    assert described(many) == "mixed, 1.3% 20, 1.3% 24, 1.4% 28 and 5 more"
