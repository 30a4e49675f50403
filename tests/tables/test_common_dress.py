"""Numbers and dates in the dress that banks, laboratories, databases and logs give them are read as what they are."""

import numpy as np
import pyarrow as pa
import pytest

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
