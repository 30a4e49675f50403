"""Versions, telephone numbers and codes are text; unused categories and marks in any form are what they are."""

import datetime
import unicodedata
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pushforward.errors import InputError
from pushforward.tables import encode, infer_schema, open_table
from pushforward.tables.missing import Marks, plain
from pushforward.tables.schema.identifiers import identifiers

GENERATOR = np.random.default_rng(0)
CODES = {
    "versions": [f"{1 + k % 3}.{1 + k % 12}" for k in range(360)],
    "three versions": ["1.1", "1.10", "1.2"] * 100,
    "two versions": ["1.1", "1.10"] * 100,
    "telephones": [f"+4915{11_000_000 + k % 40}" for k in range(360)],
    "seats around an E": [f"{1 + k % 3}E{k % 31:02d}" for k in range(360)],
    "parts around an E": [f"{1 + k % 3}E{28 + k % 10}" for k in range(360)],
}
NUMBERS = {
    "decimals in two styles": ["2.5", "2.50", "3.1", "3.10", "4.7"] * 30,
    "decimals with and without zeros": ["2.5", "2.50", "3.25", "1.75"] * 30,
    "signed numbers": [f"{k - 50:+d}" for k in GENERATOR.integers(0, 100, 300)],
    "exponents": [f"{1 + k % 9}E{k % 7}" for k in range(300)],
    "large numbers": [f"{1 + k % 9}e300" for k in range(300)],
    "exponents with signs": [f"{1 + k % 9}E+{k % 31:02d}" for k in range(300)],
}


@pytest.mark.parametrize("case", CODES)
def test_codes_are_levels(case):
    column = infer_schema(pa.table({"x": CODES[case]}), source="t.csv")["x"]
    assert column.kind == "category" and set(column.levels) == set(CODES[case])


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_numbers(case):
    table = pa.table({"x": NUMBERS[case]})
    column = infer_schema(table, source="t.csv")["x"]
    assert column.numeric
    if column.kind != "category":
        codes = encode(table, {"x": column}, ["x"], source="t.csv")[:, 0]
        np.testing.assert_array_equal(codes, [float(text) for text in NUMBERS[case]])


def test_telephone_numbers_that_are_all_different_name_the_rows():
    table = pa.table({"x": [f"+4915{11_000_000 + 977 * k}" for k in range(100)]})
    assert identifiers(table, np.arange(100), 100, source="t") == {"x": "it names the rows: every text is different"}


def test_a_mark_is_one_whatever_its_unicode_form():
    composed, apart = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
    for mark, text in ((composed, apart), (apart, composed)):
        assert plain(pa.array(["a", text]), Marks(listed=(mark,))).to_pylist() == ["a", None]


def test_a_category_that_no_row_has_keeps_a_small_probability():
    values = pd.Categorical(["a", "b"] * 50, categories=["a", "b", "c"])
    column = infer_schema(pa.table({"x": pa.array(values)}), source="t")["x"]
    assert column.levels == ["a", "b", "c"]
    np.testing.assert_allclose(column.frequencies, np.array([50.5, 50.5, 0.5]) / 101.5)
    # What is left of a larger table is none.
    left = pd.Categorical(["a", "b"] * 50, categories=[chr(97 + k) for k in range(26)])
    assert infer_schema(pa.table({"x": pa.array(left)}), source="t")["x"].levels == ["a", "b"]


def test_one_number_beyond_single_precision_warns_of_nothing():
    numbers = np.append(GENERATOR.integers(0, 5, 300).astype(float), 1e300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (pa.float64(), pa.float32()):
            table = pa.table({"x": pa.array(np.minimum(numbers, 3e38) if kind == pa.float32() else numbers, kind)})
            schema = infer_schema(table, source="t")
            encode(table, schema, ["x"], source="t")


def test_runs_of_a_dictionary_are_text():
    words = pa.array(["a", "b"]).dictionary_encode()
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([60, 100], pa.int32()), words)
    for column, rows in ((runs, 60), (runs.slice(10), 50)):
        table = pa.table({"x": column})
        codes = encode(table, infer_schema(table, source="t"), ["x"], source="t")[:, 0]
        np.testing.assert_array_equal(codes, np.arange(len(column)) >= rows)


def test_years_of_two_digits_in_the_future_are_said():
    day = datetime.date(1950, 1, 1)
    born = [(day + datetime.timedelta(int(k))).strftime("%d.%m.%y") for k in GENERATOR.integers(0, 20_000, 300)]
    column = infer_schema(pa.table({"born": born}), source="t.csv")["born"]
    assert "of the years 1969 to 2068" in column.describe_all()
    assert "has years of two digits up to 2068, since 00 to 68 are read as 2000 to 2068" in column.remark
    recent = [text[:-2] + "95" for text in born if not text.startswith("29.02")]
    assert infer_schema(pa.table({"born": recent}), source="t.csv")["born"].remark is None


BODY = "a,b\n1.5,2\n2.5,3\n3.5,4\n"
UNTRUE = {
    "a title": ("Measurements 2022\n" + BODY, r"a line that is not a header \(Measurements 2022\): all"),
    "a title and a blank line": ("Measurements 2022\n\n" + BODY, "begins with a line that is not a header"),
    "a comment with a semicolon": (
        "; made by x\n" + BODY,
        r"not a header \(; made by x\): all lines after",
    ),
    "a comment with slashes": ("// made by x\n" + BODY, "begins with a line that is not a header"),
    "a title over semicolons": (
        "Title\n" + BODY.replace(",", ";"),
        "all lines after it have 2 fields; remove",
    ),
    "columns aligned by spaces": (
        "a     b\n1.5   2\n22.5  3\n3.5  14\n",
        "separates its columns by spaces; save",
    ),
    "names aligned by spaces": ("name    b\nx1      2\nx2     13\n", "separates its columns by spaces; save"),
    "backslashes": ('a,b\n1,"u\\"0"\n2,"v"\n', "a quotation mark behind a backslash in quoted text"),
}


@pytest.mark.parametrize("case", UNTRUE)
def test_the_sentence_about_a_file_is_true(tmp_path, case):
    text, sentence = UNTRUE[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        open_table(tmp_path / "t.csv")


FINE = {
    "one column": "x\n1\n2\n",
    "one column of words": "full name\nAnn  Lee\nBo  Li\n",
    "folders of Windows": 'a,b\n1,"C:\\d\\"\n2,"D:\\"\n',
    "quotation marks": 'a,b\n1,"say ""x"""\n2,"y"\n',
}


@pytest.mark.parametrize("case", FINE)
def test_other_files_are_read(tmp_path, case):
    (tmp_path / "t.csv").write_text(FINE[case])
    assert open_table(tmp_path / "t.csv").schema.names == FINE[case].split("\n")[0].split(",")
