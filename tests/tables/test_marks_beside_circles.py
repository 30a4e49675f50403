"""Marks of missing values among angles: named while nobody declared them, and no obstacle to a circle afterwards."""

import numpy as np
import pyarrow as pa
import pytest

from pushforward.tables.missing import Marks
from pushforward.tables.schema.inference import infer_schema
from pushforward.tables.schema.serialization import as_json, parse_schema

DRAWS = np.random.default_rng(0)
DEGREES = DRAWS.uniform(0, 360, 2000)
ANGLES = {
    "wind_direction": (DEGREES, (0, 360)),
    "wind_dir": (np.round(DEGREES), (0, 360)),
    "heading": (np.round(DEGREES, -1), (0, 360)),
    "lon": (DEGREES - 180, (-180, 360)),
    "phase": (np.radians(DEGREES), (0, 2 * np.pi)),
    "hour": (np.floor(DEGREES / 15), (0, 24)),
}


def columns_of(name, values, declared=None, marks=()):
    table = pa.table({name: values})
    schema = parse_schema({} if declared is None else {name: declared})
    return infer_schema(table, schema, source="t", marks=Marks(False, tuple(marks) or None))[name]


def with_marks(values, rows, marks):
    changed = np.array(values, dtype=float)
    for place, mark in enumerate(marks):
        changed[rows * place : rows * (place + 1)] = mark
    return changed


@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize(
    ("rows", "marks"), [(50, [-999]), (2, [999]), (20, [-99, 990, 9999]), (1, [-999]), (9, [-190])]
)
def test_marks_are_named_and_a_declaration_makes_an_angle(name, rows, marks):
    values, (low, period) = ANGLES[name]
    marks = [mark for mark in marks if not low <= mark <= low + period]
    values = with_marks(values, rows, marks)
    column = columns_of(name, values)
    assert column.kind != "periodic"
    assert f'"missing": [{", ".join(map(str, marks))}]' in column.remark
    assert parse_schema(as_json({name: column}))[name] == column
    gaps = rows * len(marks) / len(values)
    for declared in (columns_of(name, values, {"missing": marks}), columns_of(name, values, marks=marks)):
        assert (declared.kind, declared.low, declared.period) == ("periodic", low, period)
        assert declared.remark is None and declared.missing_share == pytest.approx(gaps)


def test_a_declared_circle_does_not_hide_a_mark_either():
    values = with_marks(DEGREES, 50, [-999])
    column = columns_of("wind_direction", values, {"kind": "periodic", "period": 360})
    assert '"missing": [-999]' in column.remark


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # One row just outside, turns that go on, and a direction that fills no turn.
        ("heading", with_marks(DEGREES, 1, [372.0])),
        ("heading", DEGREES * 1.05),
        ("hour", DRAWS.integers(0, 30, 2000).astype(float)),
        ("direction", with_marks(DEGREES / 2, 50, [-9])),
        ("speed", with_marks(DEGREES, 50, [-9])),
    ],
)
def test_what_only_looks_so_is_not_said_to_lie_outside_of_a_circle(name, values):
    assert columns_of(name, values).hint is None


def test_declared_atoms_of_a_circle_are_listed_in_order():
    column = columns_of("wind_direction", np.append(DEGREES, [270.0] * 90 + [90.0] * 50), {
        "kind": "periodic", "period": 360, "atoms": [270, 90],
    })  # fmt: skip
    assert column.atoms == [90, 270]
    assert column.describe().endswith("2.4% 90, 4.2% 270")
