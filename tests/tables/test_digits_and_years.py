"""Dates in digits alone that begin with the day or the month, fiscal years, and currencies in two words."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pushforward.errors import InputError
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.text_format import Conventions
from pushforward.tables.schema.identifiers import identifiers
from pushforward.tables.schema.inference import infer_schema

ROWS = 400
GENERATOR = np.random.default_rng(0)
DAYS = pd.Timestamp("2005-01-01") + pd.to_timedelta(GENERATOR.integers(0, 4000, ROWS), unit="D")
YEARS = GENERATOR.integers(2012, 2024, ROWS)
AMOUNTS = np.round(GENERATOR.lognormal(6, 1, ROWS), 2)


def column_of(values, **conventions):
    return infer_schema(pa.table({"x": values}), source="t", conventions=Conventions(**conventions))["x"]


def whole(form):
    return [int(day.strftime(form)) for day in DAYS]


DATES = {
    "days first": ([day.strftime("%d%m%Y") for day in DAYS], "%d%m%Y", pa.string()),
    "months first": ([day.strftime("%m%d%Y") for day in DAYS], "%m%d%Y", pa.string()),
    "whole numbers": (whole("%d%m%Y"), "%-d%m%Y", pa.int64()),
    "whole numbers, months first": (whole("%m%d%Y"), "%-m%d%Y", pa.int64()),
    "whole floats": (np.array(whole("%d%m%Y"), dtype=float), "%-d%m%Y", pa.int64()),
    "text without zeros": ([str(number) for number in whole("%d%m%Y")], "%-d%m%Y", pa.int64()),
    "years first": (whole("%Y%m%d"), "%Y%m%d", pa.int64()),
}


@pytest.mark.parametrize("case", DATES)
def test_days_in_digits_alone_are_days(case):
    values, form, kind = DATES[case]
    column = column_of(values)
    assert column.describe_all() == f'date-time, to the day; dates written "{form}"'
    assert column.written_type == kind
    schema = {"x": column}
    assert parse_schema({"x": column.as_json()}) == schema
    codes = encode(pa.table({"x": values}), schema, ["x"], source="t")
    truth = (DAYS - DAYS.min()).days
    np.testing.assert_array_equal(codes[:, 0], truth)
    written = decode(codes, schema, ["x"])["x"].to_pylist()
    assert written == [int(value) if kind == pa.int64() else value for value in values]


def test_orders_that_the_days_do_not_tell_are_refused_with_the_option():
    early = DAYS[DAYS.day <= 12]
    for values in (early.strftime("%d%m%Y").tolist(), [int(day.strftime("%d%m%Y")) for day in early]):
        with pytest.raises(InputError, match='say which with --date-format "%d%m%Y" or "%m%d%Y"'):
            column_of(values)
        read = column_of(values, date_format="%m%d%Y")
        assert read.kind == "date-time" and "m%d%Y" in read.format
    with pytest.raises(InputError, match="where dates written"):
        encode(pa.table({"x": ["31022020"]}), {"x": column_of(DATES["days first"][0])}, ["x"], source="t")


NOT_DATES = {
    "counts": GENERATOR.integers(1_000_000, 32_000_000, ROWS),
    "codes": [f"{number:08}" for number in GENERATOR.integers(0, 10**8, ROWS)],
    "some days": np.where(np.arange(ROWS) == 9, 32_122_019, whole("%d%m%Y")),
    "few numbers": np.where(np.arange(ROWS) % 2, 1_012_019, 2_022_020),
}


@pytest.mark.parametrize("case", NOT_DATES)
def test_other_digits_are_none(case):
    assert all(part not in str(infer_or_refuse(NOT_DATES[case])) for part in ("%d%m%Y", "%m%d%Y"))


def infer_or_refuse(values):
    try:
        return column_of(values).describe_all()
    except InputError as refused:
        return refused


DRESSED = {
    "dollars": ([f"US ${x:,.2f}" for x in AMOUNTS], AMOUNTS, 'numbers with "US $" before them'),
    "Australian dollars": ([f"A $ {x:.2f}" for x in AMOUNTS], AMOUNTS, 'numbers with "A $" before them'),
    "fiscal years": ([f"FY{year}" for year in YEARS], YEARS, 'numbers with "FY" before them'),
    "fiscal years, spaced": ([f"FY {year}" for year in YEARS], YEARS, 'numbers with "FY" before them'),
    "short fiscal years": ([f"FY{year - 2000}" for year in YEARS], YEARS - 2000, 'numbers with "FY" before them'),
}


@pytest.mark.parametrize("case", DRESSED)
def test_years_and_currencies_are_numbers(case):
    texts, numbers, words = DRESSED[case]
    column = column_of(texts)
    assert words in column.describe_all()
    schema = {"x": column}
    codes = encode(pa.table({"x": texts}), schema, ["x"], source="t")
    np.testing.assert_allclose(codes[:, 0], numbers)
    assert decode(codes, schema, ["x"])["x"].to_pylist() == texts


def test_fiscal_quarters_are_quarters():
    texts = [f"FY{year}Q{quarter}" for year, quarter in zip(YEARS, GENERATOR.integers(1, 5, ROWS), strict=True)]
    column = column_of(texts)
    assert column.describe_all() == 'date-time, first days of months, every 3 months; dates written "FY%YQ%q"'
    schema = {"x": column}
    codes = encode(pa.table({"x": texts}), schema, ["x"], source="t")
    np.testing.assert_array_equal(codes[:, 0], [4 * (int(text[2:6]) - 2012) + int(text[-1]) - 1 for text in texts])
    assert decode(codes, schema, ["x"])["x"].to_pylist() == texts


@pytest.mark.parametrize("texts", [["FY2019", "FY20", "FY2021"], ["FY98", "FY99", "FY00"], ["AY123", "AY456", "AY789"]])
def test_other_letters_before_digits_are_levels(texts):
    assert column_of(texts * 50).kind == "category"


def test_days_in_digits_alone_that_follow_each_other_are_a_clock():
    days = pd.date_range("2015-01-01", periods=300).strftime("%d%m%Y").tolist()
    found = identifiers(pa.table({"x": days}), np.arange(300), 300, source="t")
    assert found == {"x": "it is a clock: its times are equally spaced"}
