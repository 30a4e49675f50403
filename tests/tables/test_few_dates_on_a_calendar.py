"""The step of few different dates is the coarsest of a calendar or clock that all share: draws are first days, too."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_fits import small_flows

import pushforward as pf
from pushforward.tables import decode, encode, infer_schema
from pushforward.tables.columns.calendar import common_multiple

GENERATOR = np.random.default_rng(0)
ROWS = 400
CASES = {
    "five years": (pd.date_range("2000-01-01", periods=5, freq="YS"), "first days of months, every 12 months"),
    "two years": (pd.to_datetime(["2000-01-01", "2010-01-01"]), "first days of months, every 12 months"),
    "fiscal years": (
        pd.to_datetime(["2000-07-01", "2001-07-01", "2004-07-01"]),
        "first days of months, every 12 months",
    ),
    "half-years": (pd.to_datetime(["2000-01-01", "2002-07-01", "2003-01-01"]), "first days of months, every 6 months"),
    "six quarters": (pd.date_range("2000-01-01", periods=6, freq="QS"), "first days of months, every 3 months"),
    "periods": (
        pd.PeriodIndex(["2000Q1", "2001Q3", "2002Q4", "2003Q2"], freq="Q").to_timestamp(),
        "first days of months, every 3 months",
    ),
    "three months": (pd.to_datetime(["2000-01-01", "2000-02-01", "2000-06-01"]), "first days of months"),
    "twelve months": (pd.date_range("2000-01-01", periods=12, freq="MS"), "first days of months"),
    "ends of years": (
        pd.to_datetime(["1999-12-31", "2001-12-31", "2002-12-31"]),
        "last days of months, every 12 months",
    ),
    "ends of months": (pd.to_datetime(["2000-01-31", "2000-02-29", "2000-05-31"]), "last days of months"),
    "years of a clock": (
        pd.date_range("2000-01-01", periods=5, freq="YS", tz="Europe/Berlin"),
        "first days of months in Europe/Berlin, every 12 months",
    ),
    "weeks": (pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-22"]), "every 7 days"),
    "days": (pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04"]), "to the day"),
    "half-days": (pd.to_datetime(["2024-01-01 00:00", "2024-01-01 12:00", "2024-01-02 00:00"]), "every 12 hours"),
    "quarters of an hour": (pd.to_datetime(["2024-01-01 09:00", "2024-01-01 09:15"]), "every 15 minutes"),
    "minutes": (pd.to_datetime(["2024-01-01 09:00", "2024-01-01 09:07"]), "to the minute"),
}


def rows_of(moments):
    """Each several times, in any order."""
    return pa.table({"d": pa.array(pd.Series(moments[GENERATOR.permutation(np.arange(ROWS) % len(moments))]))})


@pytest.mark.parametrize("case", CASES)
def test_the_step_is_the_coarsest_that_all_share(case):
    moments, words = CASES[case]
    table = rows_of(moments)
    schema = infer_schema(table, source="t")
    assert schema["d"].describe() == f"date-time, {words}"
    codes = encode(table, schema, ["d"], source="t")
    assert decode(codes, schema, ["d"])["d"].cast(table["d"].type).equals(table["d"])
    # The values between and beyond them, too, are on the calendar.
    beyond = decode(np.arange(-3.0, codes.max() + 4)[:, None], schema, ["d"])["d"].to_pandas()
    day = beyond.dt.day if "last" not in words else (beyond + pd.Timedelta(days=1)).dt.day
    assert "months" not in words or (day == 1).all()
    shown = sorted({stamp.month for stamp in moments})
    assert "every 12 months" not in words or (beyond.dt.month == shown[0]).all()


def test_few_rows_say_nothing():
    days = np.array(["2000-01-01", "2001-01-01", "2002-01-01"] * 2, "datetime64[D]")
    assert infer_schema(pa.table({"d": days}), source="t")["d"].describe() == "date-time, to the day"


def test_the_steps_of_few_values_are_usual_ones():
    assert common_multiple(np.array([0, 120] * 4), "month") == 12
    assert common_multiple(np.array([0, 9] * 4), "month") == 3
    assert common_multiple(np.array([0, 5] * 4), "day") == 1
    # Of eight different values any step is one.
    assert common_multiple(9 * np.arange(8), "day") == 9


def test_few_dates_of_nearly_all_rows_say_nothing_of_the_others():
    days = np.array(["2000-01-01"] * 300 + ["2001-03-04", "2002-05-06"], "datetime64[D]")
    assert infer_schema(pa.table({"d": days}), source="t")["d"].describe() == "date-time, to the day"


def test_draws_of_periods_are_first_days_of_quarters(monkeypatch):
    small_flows(monkeypatch)
    periods = pd.PeriodIndex(["2000Q1", "2001Q3", "2002Q4", "2003Q2"], freq="Q")
    table = pd.DataFrame({"x": GENERATOR.normal(size=ROWS), "d": periods[np.arange(ROWS) % 4]})
    model = pf.fit_table(table, max_steps=20, progress=False).model
    drawn = pd.to_datetime(model.decode(model.draw(1000))["d"].to_pandas())
    assert (drawn.dt.day == 1).all() and drawn.dt.month.isin([1, 4, 7, 10]).all()
