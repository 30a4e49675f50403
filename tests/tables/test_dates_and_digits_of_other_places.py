"""Months and weeks as people name them, a mark beside few years, and digits of other scripts."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import encode, parse_schema
from pushforward.tables.columns.text_format import read_as, write_as
from pushforward.tables.columns.values import Values
from pushforward.tables.schema.inference import infer_schema

DAYS = [dt.date(2020, 1, 1) + dt.timedelta(7 * k) for k in range(150)]
FORMATS = {
    "%Y-%b": "2020-Aug", "%Y %B": "2020 August", "%b/%Y": "Aug/2020", "%b%Y": "Aug2020", "%d%b%Y": "05Aug2020",
    "KW%V/%G": "KW32/2020", "KW %V/%G": "KW 32/2020", "KW%V/%g": "KW32/20", "%G-W%V": "2020-W32", "W%V %G": "W32 2020",
    "Week %V, %G": "Week 32, 2020", "%G KW%V": "2020 KW32", "%GW%V%u": "2020W323",
}  # fmt: skip


def column_of(values):
    return infer_schema(pa.table({"x": list(values)}), source="t")["x"]


def written_back(column, texts):
    values = Values(pa.array(texts), "x", "t")
    return write_as(column.decode(column.encode(read_as(values, column.format))), column.format).to_pylist()


@pytest.mark.parametrize("form", FORMATS)
def test_months_and_weeks_are_dates(form):
    python = form.replace("%g", "%y") if "%g" in form else form
    texts = [_written(day, python, form) for day in DAYS]
    column = column_of(texts)
    assert column.kind == "date-time" and column.format == form
    assert written_back(column, texts) == texts
    assert _written(dt.date(2020, 8, 5), python, form) == FORMATS[form]


def _written(day, python, form):
    week = day.isocalendar()
    return f"KW{week.week:02}/{week.year % 100:02}" if "%g" in form else day.strftime(python)


def test_weeks_are_their_mondays():
    texts = [f"KW{day.isocalendar().week}/{day.isocalendar().year}" for day in DAYS]
    column = column_of(texts)
    assert column.format == "KW%-V/%G" and column.describe() == "date-time, every 7 days"
    mondays = [day - dt.timedelta(day.weekday()) for day in DAYS]
    read = read_as(Values(pa.array(texts), "x", "t"), column.format).column.to_pylist()
    assert [getattr(day, "date", lambda day=day: day)() for day in read] == mondays
    assert written_back(column, texts) == texts


@pytest.mark.parametrize("marked", [1, 30])
@pytest.mark.parametrize("years", [(2018, 2019, 2020, 2021, 2022), (2000, 2007, 2013, 2014, 2019)])
def test_a_mark_hides_no_step_of_few_dates(years, marked):
    days = [dt.date(years[k % len(years)], 1, 1) for k in range(300)]
    days[:marked] = [dt.date(9999, 12, 31)] * marked
    column = column_of(days)
    assert (column.step, column.every, column.atoms) == ("month", 12, ["9999-12-31"])
    assert column.remark.startswith('"9999-12-31" lies far from all other values: if it marks missing values')
    assert column.shares[0] == pytest.approx((marked + 0.5) / 300.5, rel=0.01)
    assert column.decode(column.encode(Values(pa.array(days), "x", "t"))).to_pylist() == days


def test_dates_that_hide_no_step_are_no_marks():
    days = [dt.date(2018 + k % 5, 1, 1) for k in range(300)]
    for far in (dt.date(2090, 1, 1), dt.date(1900, 1, 1)):
        column = column_of([far] * 30 + days)
        assert (column.step, column.every, column.atoms) == ("month", 12, [])


def _in(zero, marks=""):
    plain = "0123456789" + ".,"[: len(marks)]
    return str.maketrans(plain, "".join(chr(ord(zero) + digit) for digit in range(10)) + marks)


SCRIPTS = {
    "Arabic-Indic": _in("\u0660", "\u066b\u066c"),
    "Extended Arabic-Indic": _in("\u06f0"),
    "Devanagari": _in("\u0966"),
    "Fullwidth": _in("\uff10", "\uff0e\uff0c"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_digits_of_any_script_are_numbers(script):
    generator, table = np.random.default_rng(0), SCRIPTS[script]
    numbers = {
        "fractions": [f"{number:.2f}" for number in generator.normal(0, 3, 300)],
        "thousands": [f"{number:,}" for number in generator.integers(0, 10**7, 300)],
        "unit": [f"{number} kg" for number in generator.integers(0, 1000, 300)],
    }
    for plain in numbers.values():
        texts = [text.translate(table) for text in plain]
        column = column_of(texts)
        assert f"{script} digits" in column.describe_all()
        assert parse_schema({"x": column.as_json()})["x"] == column
        assert written_back(column, texts) == texts
        found = column.encode(read_as(Values(pa.array(texts), "x", "t"), column.format))
        assert found.tolist() == [float(text.replace(",", "").removesuffix(" kg")) for text in plain]
    assert column_of([f"{day:%d/%m/%Y}".translate(table) for day in DAYS]).format == "%d/%m/%Y"
    assert column_of([f"{day}".translate(table) for day in DAYS]).kind == "date-time"


def test_codes_in_digits_of_any_script_are_text():
    for length in (5, 17):
        codes = [f"{7 * k:0{length}}" if length == 5 else f"{10**16 + 7 * k}" for k in range(60)]
        assert column_of([code.translate(SCRIPTS["Fullwidth"]) for code in codes * 3]).kind == "category"


def test_a_table_with_digits_of_another_script_is_fitted_and_scored(tmp_path):
    generator, table = np.random.default_rng(1), SCRIPTS["Arabic-Indic"]
    numbers = generator.normal(10, 2, 300).round(2)
    path = tmp_path / "t.csv"
    path.write_text("x\n" + "\n".join(f"{number:.2f}".translate(table) for number in numbers), encoding="utf-8")
    model = pf.fit_table(path, max_steps=1, progress=False).model
    codes, plain = (encode(data, model.schema, ["x"], source="t")[0] for data in _both(path, numbers))
    assert np.array_equal(codes, plain)


def _both(path, numbers):
    from pyarrow import csv

    return csv.read_csv(path), pa.table({"x": numbers})
