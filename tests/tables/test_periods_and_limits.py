"""Quarters, weeks and months as dates; dates of several styles, limits among numbers, and Unix time are said."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pushforward.errors import InputError
from pushforward.tables.columns.encoding import decode, encode
from pushforward.tables.date_format import parse_dates, write_dates
from pushforward.tables.missing import WRITTEN, Marks
from pushforward.tables.schema.inference import infer_schema

DRAWS = np.random.default_rng(0)
DAYS = [datetime.date(1995, 1, 1) + datetime.timedelta(int(days)) for days in DRAWS.integers(0, 10_000, 300)]
NUMBERS = [f"{value:.2f}" for value in DRAWS.exponential(1, 300)]


def column_of(texts, marks=WRITTEN, name="x"):
    return infer_schema(pa.table({name: texts}), source="t.csv", marks=marks)[name]


def quarter(day):
    return (day.month + 2) // 3


FORMS = {
    "%YQ%q": lambda day: f"{day.year}Q{quarter(day)}",
    "%Y-Q%q": lambda day: f"{day.year}-Q{quarter(day)}",
    "Q%q %Y": lambda day: f"Q{quarter(day)} {day.year}",
    "%qQ%Y": lambda day: f"{quarter(day)}Q{day.year}",
    "%G-W%V": lambda day: day.strftime("%G-W%V"),
    "%GW%V": lambda day: day.strftime("%GW%V"),
    "%G-W%V-%u": lambda day: day.strftime("%G-W%V-%u"),
    "%b %Y": lambda day: day.strftime("%b %Y"),
    "%b-%y": lambda day: day.strftime("%b-%y"),
    "%B %Y": lambda day: day.strftime("%B %Y"),
    "%Y-%m": lambda day: day.strftime("%Y-%m"),
    "%Y/%m": lambda day: day.strftime("%Y/%m"),
    "%m/%Y": lambda day: day.strftime("%m/%Y"),
    "%YM%m": lambda day: day.strftime("%YM%m"),
}


def first_day(form, day):
    if "%q" in form:
        return datetime.date(day.year, 3 * quarter(day) - 2, 1)
    if "%u" in form:
        return day
    return day - datetime.timedelta(day.weekday()) if "%V" in form else day.replace(day=1)


@pytest.mark.parametrize("form", FORMS)
def test_periods_are_their_first_days(form):
    texts = [FORMS[form](day) for day in DAYS]
    column = column_of(texts)
    assert (column.kind, column.format) == ("date-time", form)
    expected = [first_day(form, day) for day in DAYS]
    assert [moment.date() for moment in parse_dates(pa.array(texts), form).to_pylist()] == expected
    table = pa.table({"x": texts})
    codes = encode(table, {"x": column}, ["x"], source="t.csv", written=True)
    assert decode(codes, {"x": column}, ["x"])["x"].to_pylist() == texts


def test_weeks_agree_with_the_calendar_of_python_and_years_have_their_own_number_of_them():
    days = pd.date_range("1998-12-20", "2021-01-10")
    texts = pa.array([day.strftime("%G-W%V-%u") for day in days])
    parsed = parse_dates(texts, "%G-W%V-%u")
    assert parsed.to_pylist() == [day.to_pydatetime() for day in days]
    assert write_dates(parsed, "%G-W%V-%u").equals(texts)
    # 2020 has 53 weeks and 2021 has 52.
    weeks = parse_dates(pa.array(["2020-W53", "2021-W53", "2021-W00", "2021-W54"]), "%G-W%V")
    assert [week is not None for week in weeks.to_pylist()] == [True, False, False, False]


@pytest.mark.parametrize("other", ["%d.%m.%Y", "%b %d, %Y", "%d/%m/%Y %H:%M", "%YQ%q"])
@pytest.mark.parametrize("row", [1, 2, 40])
def test_dates_of_two_styles_are_named(other, row):
    texts = [day.isoformat() for day in DAYS]
    for place in range(row - 1, 300, 7):
        day = datetime.datetime.combine(DAYS[place], datetime.time(13, 5))
        texts[place] = FORMS[other](day) if other in FORMS else day.strftime(other)
    iso = 1 if row > 1 else 2
    with pytest.raises(InputError) as caught:
        column_of(texts)
    assert f'"{texts[row - 1]}" in row {row}' in str(caught.value)
    assert f'"{texts[iso - 1]}" in row {iso}' in str(caught.value)


def test_iso_dates_with_and_without_times_are_of_one_style():
    texts = [day.isoformat() + " 10:00" * (place % 2) for place, day in enumerate(DAYS)]
    assert column_of(texts).kind == "date-time"


@pytest.mark.parametrize("mark", ["<0.3", "< 0.3", "<=0.3", "≤0.3", ">100", "~0.3", "5+"])
@pytest.mark.parametrize("rows", [1, 30, 200])
def test_limits_among_numbers_are_neither_missing_nor_levels(mark, rows):
    texts = [*NUMBERS[: 300 - rows], *[mark] * rows]
    with pytest.raises(InputError) as caught:
        column_of(texts)
    message = str(caught.value)
    assert f'"{mark}" in row {301 - rows}' in message and f'--missing "{mark}"' in message
    assert {1: "0.33%", 30: "10%", 200: "67%"}[rows] in message
    declared = column_of(texts, Marks(True, (mark,)))
    assert declared.numeric and declared.missing_share == pytest.approx(rows / 300)


def test_limits_among_few_numbers_and_bands_without_numbers():
    with pytest.raises(InputError, match="limits among numbers"):
        column_of(["0", "1", "2", ">2"] * 20)
    assert column_of(["<18", "18-30", "30-50", ">50"] * 20).kind == "category"


@pytest.mark.parametrize(("name", "hinted"), [("created_at", True), ("timestamp", True), ("income", False)])
@pytest.mark.parametrize(("unit", "per"), [("seconds", 1), ("milliseconds", 1000)])
def test_unix_time_is_said_and_stays_a_number(name, hinted, unit, per):
    column = column_of(per * DRAWS.integers(1_500_000_000, 1_700_000_000, 300), name=name)
    assert column.numeric
    assert (column.remark is not None) == hinted
    if hinted:
        assert f"Unix time in {unit}" in column.remark
