"""Equal is equal: levels compare by value, however they are written; and text that is text stays text."""

import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import decode, encode, infer_schema, parse_schema

GENERATOR = np.random.default_rng(0)
TENTHS = GENERATOR.integers(-2, 3, 300) / 10
COMPOSED, APART = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def schema_of(values, **declared):
    return infer_schema(pa.table({"x": values}), parse_schema(declared), source="t")


def codes_of(values, schema):
    return encode(pa.table({"x": values}), schema, ["x"], source="t")[:, 0].tolist()


WRITTEN = {
    "double": TENTHS,
    "single": TENTHS.astype(np.float32),
    "half": TENTHS.astype(np.float16),
    "text": [f"{x:.1f}" for x in TENTHS],
    "text with more zeros": [f" {x:.3f} " for x in TENTHS],
    "text with exponents": [f"{x:.1e}" for x in TENTHS],
    "a negative zero": np.where(TENTHS == 0, -0.0, TENTHS),
    "a negative zero in text": [f"{x:.1f}" if x else "-0.0" for x in TENTHS],
}


@pytest.mark.parametrize("before", WRITTEN)
@pytest.mark.parametrize("after", WRITTEN)
def test_numbers_of_any_width_and_sign_of_zero(before, after):
    schema = schema_of(WRITTEN[before], x="category")
    numbers = schema_of(TENTHS, x={"kind": "category", "levels": [-0.2, -0.1, 0.0, 0.1, 0.2]})
    expected = (np.round(TENTHS * 10) + 2).tolist()
    assert codes_of(WRITTEN[after], numbers) == expected
    if before.startswith(("text", "a negative zero in text")):
        schema = schema_of(WRITTEN[before])  # inferred: a declared category keeps text
    if schema["x"].kind == "category" and schema["x"].numeric:
        assert schema["x"].levels == [-0.2, -0.1, 0.0, 0.1, 0.2]
        assert codes_of(WRITTEN[after], schema) == expected
        np.testing.assert_array_equal(decode(np.array(expected)[:, None], schema, ["x"]).column(0), TENTHS)


def test_a_number_that_is_only_near_is_another():
    schema = schema_of(TENTHS, x="category")
    with pytest.raises(pf.InputError, match="levels"):
        codes_of([0.1 + 1e-12], schema)


def test_whole_numbers_and_floats():
    schema = schema_of([1, 2] * 50, x={"kind": "category", "levels": [1, 2]})
    for values in ([1.0, 2.0], [1, 2], ["1", "2.0"], np.array([1, 2], np.float32)):
        assert codes_of(values, schema) == [0, 1]


def test_unicode_forms_and_spaces():
    schema = schema_of([COMPOSED, APART, f" {APART}", "tea"] * 50)
    assert schema["x"].levels == [COMPOSED, "tea"]
    assert codes_of([APART, COMPOSED, "tea ", None], schema)[:3] == [0, 0, 1]
    assert schema_of([COMPOSED, APART] * 50)["x"].kind == "constant"
    declared = schema_of([COMPOSED, "tea"] * 50, x={"kind": "category", "levels": [APART, "tea"]})
    assert codes_of([COMPOSED], declared) == [0]
    assert declared["x"].frequencies == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("truths", [[True, False], ["True", "False"], ["true", "FALSE"]])
def test_truths(truths):
    schema = schema_of(truths * 50)
    yes = 0 if str(schema["x"].levels[0]).lower() == "true" else 1
    for values in ([True, False], ["True", "False"], ["TRUE", "false"], [1, 0], [1.0, -0.0], ["1", "0"]):
        assert codes_of(values, schema) == [yes, 1 - yes]
    with pytest.raises(pf.InputError, match="levels"):
        codes_of([2], schema)


def test_truths_in_several_spellings_are_booleans():
    assert set(schema_of(["True", "true", "FALSE"] * 50)["x"].levels) == {True, False}


def test_flags_of_numbers_take_booleans():
    schema = schema_of([0, 1] * 50, x={"kind": "category", "levels": [0, 1]})
    assert codes_of([True, False], schema) == [1, 0]


def test_a_declared_level_that_does_not_occur_keeps_half_a_row():
    column = schema_of(["a"] * 60 + ["b"] * 40, x={"kind": "category", "levels": ["a", "b", "c"]})["x"]
    assert column.frequencies == pytest.approx([60.5 / 101.5, 40.5 / 101.5, 0.5 / 101.5])


@pytest.mark.parametrize("levels", [[COMPOSED, APART], ["a", "a "], [1, 1.0], [0.0, -0.0], ["b", "b"]])
def test_equal_levels_in_a_declaration_are_refused_by_name(levels):
    with pytest.raises(pf.InputError, match="are equal") as caught:
        parse_schema({"x": {"kind": "category", "levels": levels}})
    assert f"{levels[0]!r} and {levels[1]!r}" in str(caught.value)


CODES = ["02139", "02116", "00501", "10001"]


@pytest.mark.parametrize("codes", [CODES, ["1234567890123456789", "1234567890123456788"]])
@pytest.mark.parametrize("make", [pa.array, lambda codes: pd.Series(codes, dtype="string"), list])
def test_codes_of_digits_are_text(codes, make):
    texts = GENERATOR.choice(codes, 300).tolist()
    schema = schema_of(make(texts))
    assert set(schema["x"].levels) == set(codes)
    assert decode(np.array(codes_of(texts, schema))[:, None], schema, ["x"]).column(0).to_pylist() == texts


def test_a_leading_zero_beside_decimals_is_a_number():
    assert schema_of([f"{x:07.3f}" for x in GENERATOR.normal(100, 30, 300)])["x"].numeric
    assert schema_of(["007"] * 50 + ["8"] * 50, x={"kind": "category", "levels": [7, 8]})["x"].levels == [7, 8]
    assert schema_of(["007", "8", "9"] * 50, x="integer")["x"].describe() == "integer, 7 to 9"


def test_codes_in_a_file(tmp_path):
    frame = pd.DataFrame({"zip": GENERATOR.choice(CODES, 200), "x": GENERATOR.normal(size=200)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    model = pf.fit_table(tmp_path / "t.csv", max_steps=2, progress=False).model
    model.sample(tmp_path / "drawn.csv", rows=50, seed=0)
    assert set(pd.read_csv(tmp_path / "drawn.csv", dtype=str)["zip"]) <= set(CODES)
    model.score(tmp_path / "drawn.csv", tmp_path / "scored.csv")
