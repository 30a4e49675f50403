"""Date-times with a time zone: their steps are those that the clocks of the zone show."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from significance import is_mean_of

import pushforward as pf
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.kinds import DateTime
from pushforward.tables.schema.identifiers import identifiers
from pushforward.tables.schema.inference import infer_schema

ROWS = 1000
GENERATOR = np.random.default_rng(0)
DAYS = GENERATOR.integers(0, 2000, ROWS)


def clocks(zone, freq, periods=2000, start="2015-01-01", **options):
    """Some moments at which the clocks of a zone show equally spaced times; of skipped ones those after them."""
    shown = pd.date_range(start, periods=periods, freq=freq)
    moments = shown.tz_localize(zone, ambiguous=True, nonexistent="shift_forward", **options)
    return moments[GENERATOR.integers(0, periods, ROWS)]


BY_CLOCK = {
    "midnights": (clocks("Europe/Berlin", "D"), "to the day in Europe/Berlin"),
    "west": (clocks("America/New_York", "D"), "to the day in America/New_York"),
    "midnights that are skipped": (clocks("America/Sao_Paulo", "D"), "to the day in America/Sao_Paulo"),
    "weeks": (clocks("Europe/Berlin", "7D", 300), "every 7 days in Europe/Berlin"),
    "first days": (clocks("Europe/Berlin", "MS", 60), "first days of months in Europe/Berlin"),
    "last days": (clocks("Australia/Sydney", "ME", 60), "last days of months in Australia/Sydney"),
    "quarters": (clocks("Europe/Berlin", "QS", 60), "first days of months in Europe/Berlin, every 3 months"),
    "shifts": (clocks("Europe/Berlin", "8h"), "every 8 hours in Europe/Berlin"),
    "hours": (clocks("Europe/Berlin", "h", 20_000), "to the hour"),
    "half hours": (clocks("Asia/Kolkata", "30min"), "every 30 minutes"),
    "days without summer time": (clocks("Asia/Kolkata", "D"), "to the day in Asia/Kolkata"),
    "days in UTC": (clocks("UTC", "D"), "to the day"),
}


@pytest.mark.parametrize("case", BY_CLOCK)
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_steps_are_those_of_the_clocks(case, unit):
    moments, words = BY_CLOCK[case]
    table = pa.table({"when": pa.array(moments).cast(pa.timestamp(unit, str(moments.tz)))})
    schema = infer_schema(table, source="t")
    column = schema["when"]
    assert column.describe() == f"date-time, {words}"
    assert parse_schema({"when": column.as_json()}) == schema
    codes = encode(table, schema, ["when"], source="t")
    found = decode(codes, schema, ["when"])["when"]
    assert pd.DatetimeIndex(found.to_pandas()).as_unit("s").equals(pd.DatetimeIndex(moments).as_unit("s"))
    columns = Columns(schema, ["when"])
    y = columns.encode(torch.from_numpy(codes), torch.rand(ROWS, 1, dtype=torch.float64))[0]
    np.testing.assert_array_equal(columns.decode(y).numpy(), codes)
    later = pa.table({"when": pa.array(moments + pd.Timedelta("17s")).cast(pa.timestamp(unit, str(moments.tz)))})
    assert (encode(later, schema, ["when"], source="t", strict=False) == np.inf).all()


def test_marks_and_bounds_beside_clocks():
    moments = pd.Series(clocks("Europe/Berlin", "D"))
    moments[::10] = pd.Timestamp("2200-01-01", tz="Europe/Berlin")
    table = pa.table({"when": pa.array(moments)})
    schema = infer_schema(table, source="t")
    assert schema["when"].describe().startswith("date-time, to the day in Europe/Berlin, 10")
    codes = encode(table, schema, ["when"], source="t")
    assert decode(codes, schema, ["when"])["when"].to_pandas().equals(moments.dt.as_unit("s"))
    declared = parse_schema({"when": {"kind": "date-time", "step": "day", "low": "2014-12-31T23:00:00"}})
    days = infer_schema(pa.table({"when": BY_CLOCK["midnights"][0]}), declared, source="t")["when"]
    assert days.by_clock and days.support[0] == int(-days.origin + 16436)


def test_columns_of_earlier_versions_are_counted_in_utc():
    column = DateTime(step="hour", every=1, origin=0, end=False, zone="Europe/Berlin", date=False, atoms=[])
    assert column.calendar.zone is None
    rows = pa.table({"when": pa.array([pd.Timestamp("1970-01-02", tz="Europe/Berlin")])})
    assert encode(rows, {"when": column}, ["when"], source="t").tolist() == [[23]]


def test_a_clock_by_local_days_numbers_the_rows():
    days = pd.date_range("2015-01-01", periods=500, tz="Europe/Berlin")
    table = pa.table({"when": days, "x": GENERATOR.normal(size=500)})
    assert "equally spaced" in identifiers(table, np.arange(500), 500, source="t")["when"]


@pytest.mark.slow
def test_draws_are_midnights_and_the_probability_is_that_of_days():
    few = clocks("Europe/Berlin", "D", 100)
    model = pf.fit_table(pa.table({"when": few}), max_steps=40, progress=False).model
    fresh = clocks("Europe/Berlin", "D", 100)
    values = model.log_prob(model.encode(pa.table({"when": fresh})))
    assert is_mean_of(values, -np.log(100), allowance=0.2)
    drawn = model.decode(model.draw(200))["when"].to_pandas()
    assert (drawn.dt.hour == 0).all()


DAYS_OF_ALL = np.datetime64("2020-01-01", "s") + 86_400 * GENERATOR.integers(0, 900, ROWS)
ODD_TIME = np.datetime64("2021-03-04T12:34:56")
BESIDE = {
    "days": (np.where(np.arange(ROWS) == 7, ODD_TIME, DAYS_OF_ALL), "to the day (99.90% of the rows)"),
    "months": (
        np.where(
            np.arange(ROWS) == 7,
            ODD_TIME,
            (np.datetime64("2015-01") + GENERATOR.integers(0, 60, ROWS)).astype("datetime64[s]"),
        ),
        "first days of months (99.90% of the rows)",
    ),
    "quarters of an hour and seconds": (DAYS_OF_ALL + 11 * GENERATOR.integers(0, 7000, ROWS), "to the second"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_a_row_with_a_time_of_day_undoes_no_step(case):
    values, words = BESIDE[case]
    table = pa.table({"when": values})
    schema = infer_schema(table, source="t")
    assert schema["when"].describe() == f"date-time, {words}"
    assert parse_schema({"when": schema["when"].as_json()}) == schema
    codes = encode(table, schema, ["when"], source="t")
    again = np.asarray(decode(codes, schema, ["when"])["when"]).astype("datetime64[s]")
    on = np.arange(ROWS) != 7 if "%" in words else np.full(ROWS, True)
    np.testing.assert_array_equal(again[on], values[on])
    # It counts as the step in which it lies.
    step = {"days": "2021-03-04", "months": "2021-03-01"}.get(case)
    assert step is None or again[7] == np.datetime64(step)


def test_by_the_clock_a_row_with_a_time_of_day_undoes_no_step_either():
    moments = BY_CLOCK["midnights"][0].to_series(index=range(ROWS))
    moments[7] = pd.Timestamp("2017-03-04 12:34:56", tz="Europe/Berlin")
    column = infer_schema(pa.table({"when": pa.array(moments)}), source="t")["when"]
    assert column.describe() == "date-time, to the day in Europe/Berlin (99.90% of the rows)"
