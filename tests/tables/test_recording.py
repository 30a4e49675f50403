"""Values that stand for their cells, and atoms: steps, marks of missing values, clipped ends, dates, angles."""

import math
import re

import numpy as np
import pyarrow as pa
import pytest
import torch

from pushforward.errors import InputError
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.atoms import atoms_of
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.kinds import Bounded, Continuous, Mixed, Positive
from pushforward.tables.columns.recording import grid_of, recorded_grid
from pushforward.tables.schema.inference import infer_schema

ROWS = 3000
DRAWS = np.random.default_rng(0)
NORMAL, SPREAD, SHARE = DRAWS.normal(15, 1, ROWS), DRAWS.exponential(3, ROWS), DRAWS.random(ROWS)
ANGLE = np.mod(DRAWS.vonmises(0, 1, ROWS) * 180 / np.pi, 360)
RARE = np.arange(ROWS) % 20 == 0

INFERRED = {
    "tenths": (np.round(NORMAL, 1), "continuous, recorded to 0.1"),
    "halves": (np.round(2 * NORMAL) / 2, "continuous, recorded to 0.5"),
    "thirds": (np.round(3 * NORMAL) / 3, "continuous, recorded to 0.333333"),
    "single precision": (np.round(NORMAL, 1).astype(np.float32), "continuous, recorded to 0.1"),
    "tens": (10 * np.round(5 * NORMAL), "integer, from 0, steps of 10"),
    "hundredths of a deviation": (np.round(NORMAL, 2), "continuous"),
    "heavy tails, rounded": (np.round(DRAWS.standard_t(2, ROWS), 1), "continuous, heavy tails"),
    "share in fiftieths": (np.round(50 * SHARE) / 50, "bounded, 0 to 1, recorded to 0.02"),
    "fine share, rounded onto its ends": (np.round(SHARE, 2), "bounded, 0 to 1, recorded to 0.01"),
    "grades": (DRAWS.integers(2, 21, ROWS) / 2, "bounded, 0.75 to 10.25, recorded to 0.5"),
    "amounts": (np.round(SPREAD + 1e-9, 1), "bounded, from 0, recorded to 0.1"),
    "clipped": (np.clip(DRAWS.normal(0.6, 0.3, ROWS), 0, 1), "mixed, % 0, % 1"),
    "percent, clipped": (np.clip(np.round(DRAWS.normal(80, 20, ROWS)), 0, 100), "mixed, % 100, whole numbers"),
    "a few at the end": (np.where(np.arange(ROWS) < 3, 0.0, SPREAD), "mixed, % 0"),
    "rain": (np.where(SHARE < 0.3, 0.0, np.round(SPREAD + 0.1, 1)), "mixed, % 0, recorded to 0.1"),
    "mark of missing values": (np.where(RARE, -999.0, np.round(NORMAL, 1)), "mixed, % -999, recorded to 0.1"),
    "huge mark": (np.where(RARE, 1e20, NORMAL), "mixed, % 1e+20"),
    "counts with many zeros": (
        np.where(SHARE < 0.5, 0, 1 + DRAWS.negative_binomial(5, 0.1, ROWS)),
        "mixed, % 0, whole numbers",
    ),
    "counts": (DRAWS.poisson(50, ROWS), "integer, from 0"),
    "cents": (np.round(np.exp(DRAWS.normal(8, 1, ROWS)), 2), "positive"),
    "copies of rows": (np.concatenate([NORMAL[:2000], NORMAL[:1000]]), "continuous"),
    "codes far apart": (DRAWS.choice([1, 2, 3, 99], ROWS), "category, 4 levels: 1, 2, 3, 99"),
    "direction in tens": (np.mod(np.round(ANGLE / 10) * 10, 360), "periodic, 360 from 0, steps of 10"),
    "direction of a compass": (np.mod(np.round(ANGLE / 22.5) * 22.5, 360), "periodic, 360 from 0, steps of 22.5"),
    "direction when calm": (np.where(RARE, 0.0, ANGLE), "periodic, 360 from 0, % 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", INFERRED)
def test_what_was_recorded(case):
    values, words = INFERRED[case]
    table = pa.table({case: values})
    schema = infer_schema(table, source="t")
    column = schema[case]
    # The shares of atoms are left out.
    described = re.sub(r"[0-9.]+%", "%", column.describe())
    assert described == words or words in ("mixed, % 100, whole numbers", "continuous, heavy tails", "positive")
    if words == "positive":
        # Whether the tail counts as heavy is a matter of the draws; the cents and the values are not.
        assert "recorded" not in described and "mixed" not in described
    else:
        assert described.startswith(words.split(",")[0])
    codes = encode(table, schema, [case], source="t")
    again = np.asarray(decode(codes, schema, [case])[case]).astype(float)
    np.testing.assert_allclose(again, values, rtol=1e-6)
    columns = Columns(parse_schema({case: column.as_json()}), [case])
    rows = torch.from_numpy(codes)
    for noise in (0.0, 0.3, 1.0):
        y, log_term = columns.encode(rows, torch.full_like(rows, noise))
        assert bool(y.isfinite().all()) and bool(log_term.isfinite().all())
        torch.testing.assert_close(columns.decode(y), rows, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("marks", [[-999], [1e20], [-999, -99], [-999, 1e20]])
def test_marks_are_named_with_the_line_that_declares_them(marks):
    values = NORMAL.copy()
    for place, mark in enumerate(marks):
        values[30 * place : 30 * (place + 1)] = mark
    remark = infer_schema(pa.table({"x": values}), source="t")["x"].remark
    listed = ", ".join(f"{mark:.17g}" for mark in marks)
    lies, marks_them = ("lies", "it marks") if len(marks) == 1 else ("lie", "they mark")
    assert (
        remark
        == f'{listed} {lies} far from all other values: if {marks_them} missing values, declare "missing": [{listed}]'
    )


def test_tails_and_steps_of_rounded_numbers_are_both_known():
    values, _ = INFERRED["heavy tails, rounded"]
    column = infer_schema(pa.table({"x": values}), source="t")["x"]
    assert column.cells == (0.1, 0.0) and column.describe().endswith("recorded to 0.1")
    # Student's t of two degrees of freedom has tails of index 1/2.
    assert column.tail.lower == pytest.approx(0.5, abs=0.5) and column.tail.upper == pytest.approx(0.5, abs=0.5)
    values, _ = INFERRED["percent, clipped"]
    column = infer_schema(pa.table({"x": values}), source="t")["x"]
    assert column.whole and column.cells == (1.0, 0.0) and column.atoms[-1] == 100 and column.high == 100


def test_decimals_have_no_digits_of_rounding():
    values = np.round(NORMAL, 1)
    schema = infer_schema(pa.table({"x": values}), source="t")
    columns = Columns(schema, ["x"])
    drawn = decode(columns.decode(torch.randn(500, 1, dtype=torch.float64) + 15).numpy(), schema, ["x"])[
        "x"
    ].to_pylist()
    assert all(value == round(value, 1) for value in drawn)


FINE = {
    "tenths of 100 steps a deviation": (np.round(10 * NORMAL, 1), 1),
    "cents": (np.round(np.exp(DRAWS.normal(8, 1, ROWS)), 2), 2),
    "single precision": (np.round(10 * NORMAL, 2).astype(np.float32), 2),
    "with an atom of more digits": (np.where(RARE, -999.777, np.round(10 * NORMAL, 1)), 1),
}


@pytest.mark.parametrize("case", FINE)
def test_draws_have_the_digits_of_values_whose_step_is_too_fine_to_matter(case):
    values, decimals = FINE[case]
    column = infer_schema(pa.table({"x": values}), source="t")["x"]
    assert column.cells is None and column.written_step == pytest.approx(10.0**-decimals)
    drawn = column.as_written(np.append(NORMAL, column.atom_codes))
    written = np.append(np.round(NORMAL, decimals), column.atom_codes)
    np.testing.assert_array_equal(np.asarray(column.decode(drawn)), written)
    assert parse_schema({"x": column.as_json()})["x"] == column


def test_digits_are_known_or_left_alone():
    schema = infer_schema(pa.table({"x": NORMAL, "y": NORMAL.astype(np.float32)}), source="t")
    for column in schema.values():
        np.testing.assert_array_equal(column.as_written(SPREAD), SPREAD)
    # A draw is never moved onto a bound that no value has.
    amounts = Positive(step=0.0, written_step=0.01)
    np.testing.assert_array_equal(amounts.as_written(np.array([0.003, 0.006])), [0.003, 0.01])
    declared = parse_schema({"x": {"kind": "continuous", "step": 0}})
    column = infer_schema(pa.table({"x": np.round(NORMAL, 2)}), declared, source="t")["x"]
    assert column.written_step is None


def test_atoms_off_the_grid_stay_what_they_are():
    values = np.where(RARE, -999.77, np.round(NORMAL, 1))
    column = infer_schema(pa.table({"x": values}), source="t")["x"]
    assert column.cells == (0.1, 0.0)
    np.testing.assert_array_equal(np.asarray(column.decode(values)), values)


def masses(columns: Columns, codes: np.ndarray, points: int = 4001) -> torch.Tensor:
    """The probability, or mean density, of each code under a standard normal y, by the midpoint rule in the noise."""
    noise = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    rows = torch.from_numpy(np.asarray(codes, dtype=float))
    found = []
    for code in rows:
        y, log_term = columns.encode(code.expand(points, 1), noise[:, None])
        found.append((log_term - 0.5 * y.square() - 0.5 * math.log(2 * math.pi)).exp().mean())
    return torch.stack(found)


@pytest.mark.parametrize(("low", "high"), [(None, None), (-1.0, None), (-1.0, 1.0)])
def test_density_of_a_rounded_number_is_the_mean_over_its_cell(low, high):
    column = Continuous(step=0.5) if low is None else Bounded(low=low, high=high, step=0.5)
    columns = Columns({"x": column}, ["x"])
    values = np.arange(-2 if low is not None else -16, (2 if high is not None else 16) + 1) * 0.5
    normal = torch.distributions.Normal(0.0, 1.0)
    ends = (
        [max(v - 0.25, -np.inf if low is None else low) for v in values],
        [min(v + 0.25, np.inf if high is None else high) for v in values],
    )
    low_ends, high_ends = (torch.tensor(side, dtype=torch.float64) for side in ends)
    right = (normal.cdf(high_ends) - normal.cdf(low_ends)) / 0.5
    torch.testing.assert_close(masses(columns, values), right, rtol=1e-6, atol=1e-12)
    # The same as intervals, for models of any columns given any others.
    rows = torch.from_numpy(values)[:, None]
    found = columns.intervals(rows)
    mass = (normal.cdf(found.high) - normal.cdf(found.low))[:, 0]
    inside = slice(1, -1)
    torch.testing.assert_close((mass.log() + found.log_term[:, 0]).exp()[inside], right[inside], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", ["rain", "counts with many zeros", "percent, clipped", "mark of missing values"])
def test_probabilities_of_cells_and_atoms_sum_to_one(case):
    values, _ = INFERRED[case]
    column = infer_schema(pa.table({"x": values}), source="t")["x"]
    assert isinstance(column, Mixed) and column.atoms is not None and column.step
    columns = Columns({"x": column}, ["x"])
    different = np.unique(values)
    rest = different[~np.isin(different, column.atoms)]
    middle = np.arange(np.round((rest.max() - rest.min()) / column.step) + 1) * column.step + rest.min()
    beyond = np.arange(1, 3000) * column.step
    grid = np.concatenate([rest.min() - beyond[::-1], middle, rest.max() + beyond])
    low, high = column.bounds
    grid = np.round(grid[(grid >= low - 1e-9) & (grid <= high + 1e-9)], 6)
    grid = grid[~np.isclose(grid[:, None], column.atoms).any(1)]
    intervals = columns.intervals(torch.from_numpy(np.concatenate([grid, column.atoms]))[:, None])
    mass = torch.special.ndtr(intervals.high) - torch.special.ndtr(intervals.low)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-6)
    unit = 1.0 if column.whole else column.step
    of_density = masses(columns, grid[:40], 401) * unit
    torch.testing.assert_close(of_density, mass[:40, 0], rtol=1e-3, atol=1e-9)
    of_atoms = masses(columns, np.array(column.atoms), 401)
    torch.testing.assert_close(of_atoms, mass[len(grid) :, 0], rtol=1e-6, atol=1e-12)


def test_parts_of_a_circle_sum_to_one():
    for case in ("direction in tens", "direction when calm"):
        values, _ = INFERRED[case]
        column = infer_schema(pa.table({case: values}), source="t")[case]
        columns = Columns({case: column}, [case])
        if column.step:
            found = columns.intervals(torch.arange(0, 360, column.step, dtype=torch.float64)[:, None])
            assert float((found.high - found.low).sum()) == pytest.approx(2 * math.pi)
        else:
            found = columns.intervals(torch.tensor([[0.0]], dtype=torch.float64))
            assert float(found.high - found.low) / (2 * math.pi) == pytest.approx(column.shares[0])
            # The density of all other angles has the remaining mass.
            angles = (torch.arange(3600, dtype=torch.float64) + 0.5) / 10
            density = (columns.intervals(angles[:, None]).log_term.exp() / (2 * math.pi)).mean() * 360
            assert float(density) == pytest.approx(1 - column.shares[0])


def test_positive_numbers_are_never_drawn_as_zero():
    columns = Columns({"x": Positive(step=0.1, log=False)}, ["x"])
    drawn = columns.decode(torch.tensor([[-1.0], [0.0], [0.04], [0.3]], dtype=torch.float64))
    torch.testing.assert_close(drawn[:, 0], torch.tensor([0.1, 0.1, 0.1, 0.3], dtype=torch.float64))


def test_declared_steps_and_bounds():
    values = pa.table({"x": np.round(SPREAD, 2) + 0.005})
    schema = infer_schema(
        values, parse_schema({"x": {"kind": "bounded", "low": 0, "high": 99.5, "step": 0.01}}), source="t"
    )
    assert schema["x"].cells == pytest.approx((0.01, 0.005))
    schema = infer_schema(values, parse_schema({"x": {"kind": "continuous", "step": 0}}), source="t")
    assert schema["x"].cells is None
    with pytest.raises(InputError, match="step"):
        parse_schema({"x": {"kind": "continuous", "step": -1}})


def test_grids():
    assert grid_of(np.array([0.25, 0.3, 0.4])) == (0.05, 0.0)
    assert grid_of(np.array([1.5, 11.5, 31.5])) == (10.0, 1.5)
    assert grid_of(np.array([-17.7778, 0.1])) == (0.0001 * math.gcd(178778), 0.0001 * (-177778 % 178778))
    step, offset = grid_of(np.array([0, 1, 2, 5]) * 5 / 9 - 160 / 9)
    assert step == pytest.approx(5 / 9) and 0 <= offset < step
    assert grid_of(np.array([0.0, 1.0, math.pi])) is None
    assert recorded_grid(np.array([1.0, 2.0]), np.array([1, 1])) is None


@pytest.mark.parametrize("steps", [2, 4, 10, 25, 60])
@pytest.mark.parametrize("places", [[0], [0, 100], [0, 100, 250, 900]])
def test_a_step_matters_by_the_deviation_of_a_cluster(steps, places):
    generator = np.random.default_rng(steps)
    values = np.round(steps * (generator.normal(size=4000) + generator.choice(places, 4000))) / steps
    column = infer_schema(pa.table({"x": values + 0.5 / steps}), source="t")["x"]  # not all whole numbers
    words = "continuous" if steps > 32 else f"continuous, recorded to {1 / steps:g}"
    assert column.describe() == words


@pytest.mark.slow
def test_chance_makes_no_atoms():
    """Counts, measurements and copies of rows have none, of which chance gives one in some ten thousand tables."""
    generator = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        values = generator.poisson(generator.gamma(20, 2, 1000))
        found += bool(atoms_of(*np.unique(values, return_counts=True)))
        found += bool(atoms_of(*np.unique(generator.normal(size=500), return_counts=True)))
        copied = generator.normal(size=300)
        found += bool(atoms_of(*np.unique(generator.choice(copied, 1000), return_counts=True)))
    assert found <= 3


@pytest.mark.parametrize(
    ("every", "unit", "words"),
    [
        (15, "m", "date-time, every 15 minutes"),
        (1, "D", "date-time, to the day"),
        (7, "D", "date-time, every 7 days"),
        (1, "M", "date-time, first days of months"),
        (3, "M", "date-time, first days of months, every 3 months"),
    ],
)
def test_steps_of_dates(every, unit, words):
    places = np.random.default_rng(2).integers(0, 300, 2000) * every
    values = (np.datetime64("2015-01", unit) + places).astype("datetime64[s]")
    table = pa.table({"when": values})
    schema = infer_schema(table, source="t")
    assert schema["when"].describe() == words
    codes = encode(table, schema, ["when"], source="t")
    assert set(np.unique(codes)) <= set(range(300))
    assert decode(codes, schema, ["when"])["when"].cast(pa.timestamp("s")).equals(table["when"])
    assert parse_schema({"when": schema["when"].as_json()})["when"] == schema["when"]


def test_last_days_of_months():
    months = np.datetime64("2019-01", "M") + np.random.default_rng(3).integers(0, 60, 500)
    values = (months + 1).astype("datetime64[D]") - 1
    table = pa.table({"when": values})
    schema = infer_schema(table, source="t")
    assert schema["when"].describe() == "date-time, last days of months"
    codes = encode(table, schema, ["when"], source="t")
    assert decode(codes, schema, ["when"]).equals(table)
    with pytest.raises(InputError, match="2020-02-28"):
        encode(pa.table({"when": pa.array(["2020-02-29", "2020-02-28"])}), schema, ["when"], source="t")


def test_dates_with_an_open_end():
    generator = np.random.default_rng(4)
    days = np.datetime64("2023-01-01") + generator.integers(0, 400, 1500)
    values = np.where(generator.random(1500) < 0.1, np.datetime64("9999-12-31"), days)
    table = pa.table({"until": values})
    schema = infer_schema(table, source="t")
    column = schema["until"]
    assert column.atoms == ["9999-12-31"] and '"missing": ["9999-12-31"]' in column.remark
    codes = encode(table, schema, ["until"], source="t")
    assert decode(codes, schema, ["until"]).equals(table)
    columns = Columns(schema, ["until"])
    drawn = columns.decode(torch.randn(4000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    dates = np.asarray(decode(drawn.numpy(), schema, ["until"])["until"])
    open_end = dates == np.datetime64("9999-12-31")
    assert ((dates[~open_end] > np.datetime64("2021-01-01")) & (dates[~open_end] < np.datetime64("2026-01-01"))).all()
    share = column.shares[0]
    assert abs(open_end.mean() - share) < 5 * math.sqrt(share * (1 - share) / 4000)


@pytest.mark.parametrize("seed", range(20))
def test_a_grid_that_nearly_meets_zero_keeps_its_offset(seed):
    """Counts in standard deviations: none of them is exactly 0, and one may be within a thousandth of a step of it."""
    random = np.random.default_rng(seed)
    step, offset = random.uniform(0.1, 10), 10 ** random.uniform(-5, -2)
    numbers = (np.arange(-4, 13) + offset) * step
    grid = grid_of(numbers)
    np.testing.assert_allclose(grid, (step, offset * step), rtol=1e-9)
    assert grid.has(numbers).all() and not grid.has(numbers + 0.01 * step).any()


def test_one_number_lies_on_no_grid_in_particular():
    assert grid_of(np.array([math.pi])) is None and grid_of(np.array([])) is None


@pytest.mark.parametrize("beside", [0.0001, -0.0002, 0.0004])
def test_counts_in_other_units_that_nearly_meet_zero_are_recorded_to_a_step(beside):
    counts = np.random.default_rng(0).geometric(0.25, 2500).clip(1, 17)
    numbers = (counts - 3 + beside) * 0.3212186
    kind = infer_schema(pa.table({"x": numbers}), source="x.csv")["x"]
    assert kind.recorded.step == pytest.approx(0.3212186, rel=1e-9)
