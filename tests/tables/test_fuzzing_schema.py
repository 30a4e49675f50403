"""Mutated schemas: whatever is in them, reading gives a schema or an InputError, and nothing else."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pushforward as pf

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


@FUZZING
@given(declared=COLUMNS, cut=st.integers(0, 200), noise=st.binary(max_size=5))
def test_schema_files(tmp_path, declared, cut, noise):
    path = tmp_path / "schema.json"
    text = json.dumps(declared).encode()
    for content in (text, text[:cut], text[:cut] + noise + text[cut:], noise, b"[" * 10**5, b'{"a":' * 10**5):
        path.write_bytes(content)
        only_input_errors(lambda: schema.read_schema(path))
