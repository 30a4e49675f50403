"""Planted copies are found among categories, under a jitter and after rounding; among independent rows none are."""

import numpy as np
import pytest

from pushforward.training.copies import copies_of, share_of_copies

RANDOM = np.random.default_rng(0)
ROWS, COPIES = 1600, 400
TAKEN = RANDOM.integers(0, ROWS, COPIES)
ALL, NONE = None, ()
NORMAL = RANDOM.normal(size=(ROWS, 6))
COMMON = RANDOM.normal(size=(ROWS, 1))
SIX = RANDOM.integers(0, 6, (ROWS, 3))
LEVELS = RANDOM.integers(0, 10, (ROWS, 8))
SCALED = NORMAL[:, :5] * [1, 10, 0.3, 5, 2] + [0, 100, 0, 0, 5]


def gaps(matrix, share):
    return np.where(RANDOM.random(matrix.shape) < share, np.nan, matrix)


# The rows, and the columns of numbers.
CATEGORIES = {
    "eight columns of ten levels": (LEVELS, NONE),
    "twenty flags": (RANDOM.integers(0, 2, (ROWS, 24)), NONE),
    "levels of all frequencies": (np.minimum(RANDOM.zipf(1.5, (ROWS, 12)), 50), NONE),
    "three columns of many levels": (RANDOM.integers(0, 500, (ROWS, 3)), NONE),
    "grades of one trait": (np.clip(np.round(0.6 * COMMON + RANDOM.normal(size=(ROWS, 15))), -2, 2), NONE),
    "with functions of levels": (np.hstack([LEVELS, (LEVELS[:, :2] + 1) % 10]), NONE),
    "with gaps": (gaps(LEVELS, 0.1), NONE),
    "beside a number with gaps": (np.hstack([gaps(COMMON, 0.6), LEVELS]), [0]),
    "beside a count": (np.hstack([RANDOM.poisson(20, (ROWS, 1)), LEVELS[:, :6]]), [0]),
}
JITTERED = {
    "two columns": (NORMAL[:, :2], ALL),
    "six columns": (NORMAL, ALL),
    "thirty columns": (RANDOM.normal(size=(ROWS, 30)), ALL),
    "related columns": (COMMON + 0.1 * RANDOM.normal(size=(ROWS, 6)), ALL),
    "heavy tails": (RANDOM.standard_t(3, (ROWS, 5)), ALL),
    "amounts": (np.exp(NORMAL[:, :5]), ALL),
    "uniform": (RANDOM.random((ROWS, 4)), ALL),
    "counts": (RANDOM.poisson(20, (ROWS, 6)), ALL),
    "rounded numbers": (np.round(NORMAL, 1), ALL),
    "with gaps": (gaps(NORMAL, 0.1), ALL),
    "beside categories": (np.hstack([NORMAL[:, :3], SIX]), range(3)),
}


def with_copies(matrix):
    return np.concatenate([matrix, matrix[TAKEN]]).astype(float)


def check(matrix, measured):
    labels = copies_of(matrix, measured)
    assert share_of_copies(labels) == pytest.approx(COPIES / (ROWS + COPIES), abs=0.005)
    assert np.mean(labels[TAKEN] == labels[ROWS:]) > 0.99


@pytest.mark.parametrize("name", CATEGORIES)
def test_copies_of_categories_are_found(name):
    matrix, measured = CATEGORIES[name]
    check(with_copies(matrix), measured)


@pytest.mark.parametrize("jitter", [1e-5, 1e-4])
@pytest.mark.parametrize("name", JITTERED)
def test_copies_with_a_jitter_are_found(name, jitter):
    matrix, measured = JITTERED[name]
    matrix = with_copies(matrix)
    numbers = list(range(matrix.shape[1]) if measured is None else measured)
    spread = np.nanstd(matrix[:, numbers], 0)
    matrix[np.ix_(range(ROWS, ROWS + COPIES), numbers)] += (
        jitter * spread * np.random.default_rng(1).normal(size=(COPIES, len(numbers)))
    )
    check(matrix, measured)


def test_copies_with_a_jitter_in_one_column_are_found():
    matrix = with_copies(NORMAL)
    matrix[ROWS:, 2] += 1e-4 * RANDOM.normal(size=COPIES)
    check(matrix, ALL)


def test_copies_of_copies_with_a_jitter_are_one_row():
    matrix = np.concatenate([NORMAL, *(NORMAL[:200] + 1e-5 * RANDOM.normal(size=(200, 6)) for _ in range(3))])
    labels = copies_of(matrix)
    assert share_of_copies(labels) == pytest.approx(600 / 2200, abs=1e-3)
    assert np.mean(labels[:200] == labels[-200:]) > 0.99


@pytest.mark.parametrize(("fewer", "more"), [(2, 6), (1, 6), (2, 15)])
def test_copies_that_were_rounded_are_found(fewer, more):
    matrix = with_copies(np.round(SCALED, more))
    matrix[ROWS:] = np.round(matrix[ROWS:], fewer)
    check(matrix, ALL)


def test_copies_that_were_rounded_in_some_columns_are_found():
    matrix = with_copies(np.hstack([SCALED, SIX]))
    matrix[ROWS:, 1] = np.round(matrix[ROWS:, 1])
    check(matrix, range(5))


def test_a_few_copies_are_found_beside_others():
    """Of 2,000 rows, 100 are copies of each sort."""
    extra = [LEVELS[:, :1], NORMAL]
    rows = np.hstack(extra)
    same, moved, rounded = rows[:100], rows[100:200].copy(), rows[200:300].copy()
    moved[:, 1:] += 1e-5 * RANDOM.normal(size=(100, 6))
    rounded[:, 1:] = np.round(rounded[:, 1:], 2)
    labels = copies_of(np.concatenate([rows, same, moved, rounded]), range(1, 7))
    assert np.mean(labels[:300] == labels[ROWS:]) > 0.99
    assert share_of_copies(labels) == pytest.approx(300 / (ROWS + 300), abs=0.002)


def independent():
    random, n = np.random.default_rng(2), 2000
    normal, common, half = random.normal(size=(n, 6)), random.normal(size=(n, 1)), random.random((n, 1)) < 0.5
    curve = np.hstack([common, common**2, np.sin(common)])
    few = np.clip(np.round(common + 0.3 * random.normal(size=(n, 6))), -2, 2)
    places = random.integers(0, 300, n)
    kinds = random.integers(0, 60, n)
    noise, prototypes = random.random((n, 10)) < 0.1, random.integers(0, 8, (60, 10))
    time = np.linspace(0, 1, n)[:, None]
    clusters = random.normal(size=(200, 4))[random.integers(0, 200, n)]
    items = random.integers(0, 30, (100, 6))[random.integers(0, 100, 3000)]
    whole = np.where(random.random((n, 3)) < 0.5, np.round(30 * normal[:, :3]), 30 * normal[:, :3])
    family = np.repeat(np.hstack([normal[:500], random.integers(0, 2, (500, 3))]), 4, 0)
    price, quantity = np.round(10 + 2 * normal[:1000, 0], 2), random.integers(1, 10, 1000)
    bills = np.column_stack([price, quantity, np.round(price * quantity, 2)])
    grid = np.stack(np.meshgrid(np.arange(45.0), np.arange(45.0)), -1).reshape(-1, 2)
    return {
        "three categories": (random.integers(0, 4, (n, 3)), NONE),
        "eight categories": (random.integers(0, 10, (n, 8)), NONE),
        "rare flags": (random.random((n, 20)) < 0.05, NONE),
        "flags of one trait": (random.normal(size=(n, 20)) + 2 * common > 1, NONE),
        "grades and their total": (np.column_stack([few, few.sum(1)]), NONE),
        "grades and their total as a number": (np.column_stack([few, few.sum(1)]), [6]),
        "noisy prototypes": (np.where(noise, random.integers(0, 8, (n, 10)), prototypes[kinds]), NONE),
        "places in regions": (np.column_stack([places, places // 10, places // 60, random.integers(0, 3, n)]), NONE),
        "items of a catalog": (items, NONE),
        "a level of the gaps": (
            np.column_stack([np.where(half[:, 0] & (normal[:, 1] > 2), np.nan, normal[:, 0]), normal[:, 1] > 2]),
            [0],
        ),
        "one column": (normal[:, :1], ALL),
        "many rows of one column": (random.normal(size=(40_000, 1)), ALL),
        "many rows of two columns": (random.normal(size=(20_000, 2)), ALL),
        "ten decades": (np.exp(5 * normal[:, :3]), ALL),
        "ten decades of one column": (np.exp(5 * normal[:, :1]), ALL),
        "no moments": (random.standard_cauchy((n, 3)), ALL),
        "a curve": (curve, ALL),
        "a rounded curve": (np.round(curve, 2), ALL),
        "a curve and a jitter": (curve + 1e-4 * normal[:, :3], ALL),
        "a plane": (normal[:, :2] @ random.normal(size=(2, 8)), ALL),
        "a random walk": (normal.cumsum(0), ALL),
        "a walk of one column": (normal[:, :1].cumsum(0), ALL),
        "waves": (np.sin(2 * np.pi * time * [3, 7, 11, 1.3]), ALL),
        "waves and a jitter": (np.sin(2 * np.pi * time * [3, 7, 11, 1.3]) + 1e-3 * normal[:, :4], ALL),
        "three narrow clusters": (1e5 * random.integers(0, 3, (n, 1)) + normal[:, :4], ALL),
        "many clusters": (clusters + 0.02 * normal[:, :4], ALL),
        "a lattice": (np.column_stack([grid, np.sin(grid[:, 0] / 7) * grid[:, 1]]), ALL),
        "rounded": (np.round(normal[:, :3], 2), ALL),
        "a price, a quantity and their product": (bills, ALL),
        "six decimals": (np.round(normal[:, :1], 6), ALL),
        "rounded with an error of float64": (np.round(normal[:, :3], 1) * (1 + 1e-15 * normal[:, 3:]), ALL),
        "half of the rows rounded": (np.where(half, np.round(normal, 1), normal), ALL),
        "half of the rows of one column rounded": (np.where(half, np.round(common, 2), common), ALL),
        "half of the rows of a curve rounded": (np.where(half, np.round(curve, 2), curve), ALL),
        "half of the numbers whole": (whole, ALL),
        "zeros": (np.where(random.random((n, 6)) < 0.9, 0, np.exp(normal)), ALL),
        "shares": (random.dirichlet([0.1] * 6, n), ALL),
        "a number beside categories": (np.hstack([common, random.integers(0, 10, (n, 8))]), [0]),
        "siblings": (np.column_stack([np.arange(n), family]), range(7)),
    }  # fmt: skip


INDEPENDENT = independent()


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent_rows_are_no_copies(name):
    matrix, measured = INDEPENDENT[name]
    assert share_of_copies(copies_of(np.asarray(matrix, float), measured)) == 0
