"""Numbers and dates in the dress that banks, laboratories, databases and logs give them are read as what they are."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import decode, encode, infer_schema
from pushforward.tables.schema.identifiers import identifiers

X = np.random.default_rng(0).normal(20, 50, 300).round(2)


def comma(number, mark="\u202f"):
    return f"{number:,.2f}".replace(",", mark).replace(".", ",")


NUMBERS = {
    "a no-break space before a currency": [f"{comma(x)}\u00a0€" for x in X],
    "no-break spaces between thousands": [f"{comma(1000 * x, chr(160))}\u00a0€" for x in X],
    "narrow spaces between thousands": [f"{comma(1000 * x)}\u00a0€" for x in X],
    "a no-break space before a percent sign": [f"{comma(x)}\u00a0%" for x in X],
    "a currency and a no-break space": [f"CHF\u00a0{x:.2f}" for x in X],
    "dirhams": [f"AED {x:.2f}" for x in X],
    "forints": [f"{x:.2f} HUF" for x in X],
    "units of two words": [f"{x:.2f} sq ft" for x in X],
    "units of three words": [f"{x:.2f} miles per hour" for x in X],
    "degrees in words": [f"{x:.2f} deg C" for x in X],
    "negative powers": [f"{x:.2f} W m-2" for x in X],
    "units in parentheses": [f"{x:.2f} kWh/(m²a)" for x in X],
    "a name before each": [f"T={x:.2f}C" for x in X],
    "a minus that is no hyphen": [f"{x:.2f}".replace("-", "\u2212") for x in X],
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(case):
    texts = NUMBERS[case]
    table = pa.table({"x": texts})
    assert identifiers(table, np.arange(300), 300, source="t.csv") == {}
    column = infer_schema(table, source="t.csv")["x"]
    codes = encode(table, {"x": column}, ["x"], source="t.csv")
    np.testing.assert_allclose(codes[:, 0], 1000 * X if "thousands" in case else X, rtol=1e-12)
    assert decode(codes, {"x": column}, ["x"])["x"].to_pylist() == texts


def test_kinds_of_spaces_may_differ_from_row_to_row():
    texts = [f"{x:.2f}{' ' if k % 2 else chr(160)}sq{chr(160) if k % 3 else ' '}ft" for k, x in enumerate(X)]
    table = pa.table({"x": texts})
    codes = encode(table, infer_schema(table, source="t.csv"), ["x"], source="t.csv")
    np.testing.assert_array_equal(codes[:, 0], X)


def test_open_ends_are_levels():
    for texts in (["1 or more", "2 or more"], ["18 and over", "65 and over"]):
        assert infer_schema(pa.table({"x": texts * 50}), source="t.csv")["x"].kind == "category"


FIRST = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
MOMENTS = [FIRST + dt.timedelta(seconds=int(k)) for k in np.random.default_rng(0).choice(10**8, 300, replace=False)]
BERLIN = dt.timezone(dt.timedelta(hours=1))
# How moments are written, the format that is recognized, and whether they have a zone.
FORMS = {
    "UTC": (lambda m: f"{m:%Y-%m-%d %H:%M:%S} UTC", "%Y-%m-%d %H:%M:%S %Z", True),
    "GMT": (lambda m: f"{m:%Y-%m-%d %H:%M:%S} GMT", "%Y-%m-%d %H:%M:%S %^Z", True),
    "CET": (lambda m: f"{m.astimezone(BERLIN):%Y-%m-%d %H:%M:%S} CET", "%Y-%m-%d %H:%M:%S %Z", True),
    "hours alone": (lambda m: f"{m:%Y-%m-%d %H:%M:%S}+00", "%Y-%m-%d %H:%M:%S%-z", True),
    "hours of an offset": (lambda m: f"{m.astimezone(BERLIN):%Y-%m-%d %H:%M:%S}+01", "%Y-%m-%d %H:%M:%S%-z", True),
    "decimal commas": (lambda m: f"{m:%Y-%m-%d %H:%M:%S},123", "%Y-%m-%d %H:%M:%,S", False),
    "without marks": (lambda m: f"{m:%Y%m%dT%H%M%S}", "%Y%m%dT%H%M%S", False),
    "without marks, Z": (lambda m: f"{m:%Y%m%dT%H%M%S}Z", "%Y%m%dT%H%M%S%^z", True),
    "mail": (lambda m: f"{m.astimezone(BERLIN):%a, %d %b %Y %H:%M:%S %z}", "%a, %d %b %Y %H:%M:%S %z", True),
    "HTTP": (lambda m: f"{m:%a, %d %b %Y %H:%M:%S} GMT", "%a, %d %b %Y %H:%M:%S %^Z", True),
    "a web server": (lambda m: f"{m:%d/%b/%Y:%H:%M:%S %z}", "%d/%b/%Y:%H:%M:%S %z", True),
    "ctime": (lambda m: m.ctime(), "%a %b %-d %H:%M:%S %Y", False),
    "hours without zeros": (lambda m: f"{m:%Y-%m-%d} {m.hour}:{m:%M:%S}", "%Y-%m-%d %-H:%M:%S", False),
    "a comma between": (lambda m: f"{m:%d.%m.%Y, %H:%M:%S}", "%d.%m.%Y, %H:%M:%S", False),
}


@pytest.mark.parametrize("case", FORMS)
def test_moments(case):
    write, form, zoned = FORMS[case]
    table = pa.table({"x": [write(moment) for moment in MOMENTS]})
    assert identifiers(table, np.arange(300), 300, source="t.csv") == {}
    schema = infer_schema(table, source="t.csv")
    assert (schema["x"].kind, schema["x"].format, schema["x"].zone is not None) == ("date-time", form, zoned)
    codes = encode(table, schema, ["x"], source="t.csv")
    seconds = np.array([moment.timestamp() for moment in MOMENTS])
    np.testing.assert_array_equal(np.diff(codes[:, 0]), np.diff(seconds))
    drawn = decode(codes, schema, ["x"])
    np.testing.assert_array_equal(encode(drawn, schema, ["x"], source="t.csv"), codes)
    if "CET" not in case and "offset" not in case and case not in ("mail", "ctime"):
        assert drawn["x"].to_pylist() == table["x"].to_pylist()


WEEKDAYS = ["%a %d %b %Y", "%A, %B %d, %Y", "%a, %d.%m.%Y", "%Y-%b-%d"]


@pytest.mark.parametrize("form", WEEKDAYS)
def test_dates_with_weekdays(form):
    days = [moment.date() for moment in MOMENTS]
    table = pa.table({"x": [day.strftime(form) for day in days]})
    schema = infer_schema(table, source="t.csv")
    assert (schema["x"].kind, schema["x"].format) == ("date-time", form)
    codes = encode(table, schema, ["x"], source="t.csv")
    np.testing.assert_array_equal(np.diff(codes[:, 0]), np.diff([day.toordinal() for day in days]))
    assert decode(codes, schema, ["x"])["x"].to_pylist() == table["x"].to_pylist()


def test_a_weekday_that_is_not_that_of_its_date_is_refused():
    days = [moment.date() for moment in MOMENTS]
    schema = infer_schema(pa.table({"x": [day.strftime("%a %d %b %Y") for day in days]}), source="t.csv")
    with pytest.raises(pf.InputError, match='holds the text "Mon 05 Jan 2020" in row 1'):
        encode(pa.table({"x": ["Mon 05 Jan 2020"]}), schema, ["x"], source="t.csv")
