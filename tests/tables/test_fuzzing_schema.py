"""Mutated schemas: whatever is in them, reading gives a schema or an InputError, and nothing else."""

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.tables import encode, infer_schema
from pushforward.tables.columns.columns import Columns

schema = pytest.importorskip("pushforward.tables.schema.serialization")

FUZZING = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = (
    st.sampled_from([0, 1, -1, 2**53 + 1, 10**400, 1e308, float("nan"), float("inf")]) | st.integers() | st.floats()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from(["day", "second", "a" * 1000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = [
    "continuous",
    "positive",
    "bounded",
    "integer",
    "category",
    "periodic",
    "date-time",
    "datetime",
    "constant",
    "mixed",
]
OPTIONS = [
    "low",
    "high",
    "step",
    "offset",
    "levels",
    "frequencies",
    "period",
    "origin",
    "value",
    "atoms",
    "missing",
    "missing_share",
    "tail",
]
COLUMNS = st.dictionaries(
    st.text(max_size=5),
    st.fixed_dictionaries({"kind": st.sampled_from(KINDS)}, optional=dict.fromkeys(OPTIONS, VALUES)) | VALUES,
    max_size=3,
)

# Declarations that are well formed, with numbers of any size.
SIZES = st.sampled_from(
    [0, 1, 2, 7, -1, 0.1, 0.5, 1e-300, 1e-17, 1e-13, 1e20, -1e20, 1e150, 1e155, -1e300, 1e300, 10**400, 2**53]
)
DATES = st.sampled_from(["2022-01-01", "0001-01-01", "9999-12-31", "2022-02-03 10:00"])
COUNTS = st.sampled_from([1, 2, 7, 10**9, 10**19, 10**400])
MOMENTS = {"low": DATES, "high": DATES, "step": st.sampled_from(["day", "month", "nanosecond"]), "every": COUNTS}
NUMERIC = {"low": SIZES, "high": SIZES, "step": SIZES, "offset": SIZES}
PLAUSIBLE = {
    "continuous": {"step": SIZES, "offset": SIZES, "heavy": st.booleans()},
    "positive": {"step": SIZES, "offset": SIZES},
    "bounded": NUMERIC,
    "integer": NUMERIC,
    "periodic": {"low": SIZES, "step": SIZES, "atoms": st.lists(SIZES, max_size=2)},
    "mixed": {**NUMERIC, "atoms": st.lists(SIZES, max_size=2), "whole": st.booleans()},
    "date-time": {**MOMENTS, "atoms": st.lists(DATES, max_size=1)},
}
REQUIRED = {"periodic": {"period": SIZES}}
DECLARED = st.one_of(
    st.fixed_dictionaries({"kind": st.just(kind), **REQUIRED.get(kind, {})}, optional=options)
    for kind, options in PLAUSIBLE.items()
)
ROWS = 40
TABLE = pa.table(
    {
        "x": [round(row * 0.37 % 5 - 2, 2) for row in range(ROWS)],
        "n": [row * 7 % 11 for row in range(ROWS)],
        "gaps": [None if row % 3 else row * 0.01 for row in range(ROWS)],
        "day": [f"2022-01-{row % 28 + 1:02}" for row in range(ROWS)],
        "word": ["a", "b"] * (ROWS // 2),
    }
)


def only_input_errors(read):
    sentence = ""
    try:
        read()
    except pf.InputError as error:
        sentence = str(error)
    assert not sentence or (sentence.endswith((".", "?")) and len(sentence) < 1500)


@FUZZING
@given(declared=COLUMNS | VALUES)
def test_schemas_in_python(declared):
    only_input_errors(lambda: schema.parse_schema(declared))


@pytest.mark.slow
@settings(FUZZING, max_examples=200)
@given(name=st.sampled_from(TABLE.column_names), declared=DECLARED)
def test_schemas_of_a_table(name, declared):
    def complete():
        found = infer_schema(TABLE.select([name]), schema.parse_schema({name: declared}), source="t.csv")
        # What was completed can be read again, and maps can be made of it.
        Columns(schema.parse_schema(schema.as_json(found)), [name])
        encode(TABLE, found, [name], source="t.csv", gaps=True)

    only_input_errors(complete)


@pytest.mark.slow
@FUZZING
@given(declared=COLUMNS, cut=st.integers(0, 200), noise=st.binary(max_size=5))
def test_schema_files(tmp_path, declared, cut, noise):
    path = tmp_path / "schema.json"
    text = json.dumps(declared).encode()
    for content in (text, text[:cut], text[:cut] + noise + text[cut:], noise, b"[" * 10**5, b'{"a":' * 10**5):
        path.write_bytes(content)
        only_input_errors(lambda: schema.read_schema(path))
