"""Hundreds of levels that are numbers or dates in whatever dress never pass, nor are they called names of rows."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import encode, infer_schema
from pushforward.tables.missing import WRITTEN, Marks
from pushforward.tables.schema.identifiers import identifiers

GENERATOR = np.random.default_rng(0)
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(k) for k in range(200)]
GERMAN = ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"]
FULL_WIDTH = str.maketrans("0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19")
ARABIC = str.maketrans("0123456789", "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669")
LEVELS = {
    "two units of words": [f"{k / 10} {'deg C' if k % 3 else 'deg F'}" for k in range(200)],
    "miles": [f"{k / 10} {'miles per hour' if k % 3 else 'mph'}" for k in range(200)],
    "days of the week in German": [f"{GERMAN[day.weekday()]}, {day:%d.%m.%Y}" for day in DAYS],
    "days of a year": [f"{day:%b %d}" for day in DAYS],
    "feet and inches": [f"{4 + k // 12} ft {k % 12} in" for k in range(200)],
    "degrees south": [f"S{k / 7:.2f}" if k % 2 else f"N{k / 7:.2f}" for k in range(200)],
    "degrees east": [f"E {k / 7:.2f}" for k in range(200)],
    "names before numbers": [f"{'p' if k % 2 else 'q'}={k / 1000:.3f}" for k in range(200)],
    "up to": [f"up to {k}" for k in range(200)],
    "about": [f"c. {1500 + k}" for k in range(200)],
    "a rent": [f"USD {1000 + 7 * k:,} per {'month' if k % 3 else 'week'}" for k in range(200)],
    "days in a year": [f"{day:%Y-%j}" for day in DAYS],
    "full width": [f"{k / 10} {'m' if k % 3 else 'ft'}".translate(FULL_WIDTH) for k in range(200)],
    "Arabic digits": [f"{k} {'m' if k % 3 else 'ft'}".translate(ARABIC) for k in range(200)],
    "a zone by its place": [f"{day} 00:00:00+01:00[Europe/Berlin]" for day in DAYS],
}


@pytest.mark.parametrize("case", LEVELS)
def test_they_are_refused_in_a_true_sentence(case):
    with pytest.raises(pf.InputError, match="they look like numbers or dates, but not all are written in one known"):
        infer_schema(pa.table({"x": LEVELS[case] * 5}), source="t.csv")


@pytest.mark.parametrize("case", LEVELS)
def test_where_each_stands_once_they_are_no_names(case):
    rows = np.arange(200)
    found = identifiers(pa.table({"x": LEVELS[case]}), rows, 200, source="t.csv")
    # Invoices are numbered 2020-069, too.
    assert found == ({"x": "it names the rows: every text is different"} if case == "days in a year" else {})


NAMES = {
    "telephones": [f"555-{100 + k}-{4000 + 7 * k}" for k in range(200)],
    "invoices": [f"2020-{k:05d}" for k in range(200)],
    "books": [f"978-3-16-{148410 + k}-{k % 10}" for k in range(200)],
    "parcels": [f"1Z999AA{10123456784 + k}" for k in range(200)],
    "plates": [f"12 A{chr(65 + k % 26)} {100 + k}" for k in range(200)],
    "users": [f"user {k}" for k in range(200)],
}


@pytest.mark.parametrize("case", NAMES)
def test_names_with_digits_are_names(case):
    found = identifiers(pa.table({"x": NAMES[case]}), np.arange(200), 200, source="t.csv")
    assert found == {"x": "it names the rows: every text is different"}


def test_numbers_of_rows_are_found_beside_few_gaps():
    numbers = [None if k in (5, 17) else k + 100 for k in range(200)]
    reason = {"x": "it numbers the rows"}
    for column in (pa.array(numbers), pa.array(numbers, pa.float64()), [k and str(k) for k in numbers]):
        assert identifiers(pa.table({"x": column}), np.arange(200), 200, source="t.csv") == reason
    many = [None if k % 5 == 0 else k for k in range(200)]
    assert identifiers(pa.table({"x": many}), np.arange(200), 200, source="t.csv") == {}


COMPACT = [int(f"{DAYS[k]:%Y%m%d}") for k in GENERATOR.integers(0, 200, 300)]


@pytest.mark.parametrize("written", [int, str])
def test_the_last_day_of_the_calendar_among_compact_dates_is_an_atom(written):
    values = [written(99991231 if k % 10 == 0 else day) for k, day in enumerate(COMPACT)]
    column = infer_schema(pa.table({"x": values}), source="t.csv")["x"]
    assert (column.kind, column.atoms) == ("date-time", ["9999-12-31"])
    assert '"missing": ["9999-12-31"]' in column.remark


@pytest.mark.parametrize(("mark", "written"), [(0, int), ("0", str), ("00000000", str), (99999999, int)])
def test_zeros_and_nines_among_compact_dates_are_named(mark, written):
    values = [mark if k % 10 == 3 else written(day) for k, day in enumerate(COMPACT)]
    with pytest.raises(pf.InputError, match=rf'holds {mark} in row 4, and dates .* --missing "{mark}"'):
        infer_schema(pa.table({"x": values}), source="t.csv")
    schema = infer_schema(pa.table({"x": values}), source="t.csv", marks=Marks(True, (str(mark),)))
    assert (schema["x"].kind, schema["x"].missing_share) == ("date-time", 0.1)
    assert np.isnan(encode(pa.table({"x": values}), schema, ["x"], source="t.csv")).sum() == 30


def test_the_last_month_of_the_calendar_is_a_month():
    months = ["9999-12" if k % 10 == 0 else f"{1990 + k % 30}-{1 + k % 12:02d}" for k in range(300)]
    column = infer_schema(pa.table({"x": months}), source="t.csv")["x"]
    assert (column.kind, column.format, column.atoms) == ("date-time", "%Y-%m", ["9999-12-01"])


HINTS = {
    "months": ([2000 * 100 + 100 * (k % 20) + 1 + k % 12 for k in range(300)], "months written as yyyymm"),
    "minutes": ([int(f"{day:%Y%m%d}0930") for day in DAYS], "minutes written as yyyymmddHHMM"),
    "seconds": ([int(f"{day:%Y%m%d}093015") for day in DAYS], "seconds written as yyyymmddHHMMSS"),
}


@pytest.mark.parametrize("case", HINTS)
def test_dates_in_digits_alone_are_said(case):
    numbers, words = HINTS[case]
    column = infer_schema(pa.table({"x": numbers}), source="t.csv", marks=WRITTEN)["x"]
    assert column.numeric and f"looks like {words} and is taken for a number" in column.remark
    assert infer_schema(pa.table({"x": [k * 10 + 7 for k in numbers]}), source="t.csv")["x"].remark is None
