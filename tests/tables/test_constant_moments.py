"""Dates and times that are the same in every row, and columns without a value: anything else was never seen."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import pushforward as pf
from pushforward.table_models import streamed
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.schema.inference import infer_schema

ROWS = 300
NUMBERS = np.random.default_rng(0).normal(size=ROWS)
MOMENT = datetime.datetime(2020, 1, 1, 10, 11, 12, 123456)
UTC = datetime.UTC
CONSTANT = {
    "date": (pa.array([datetime.date(2020, 1, 1)] * ROWS), datetime.date(2020, 1, 2), "2020-01-01"),
    "timestamp": (pa.array([MOMENT] * ROWS), MOMENT + datetime.timedelta(microseconds=1), "2020-01-01T10:11:12.123456"),
    "zone": (
        pa.array([MOMENT] * ROWS, pa.timestamp("us", "Europe/Berlin")),
        MOMENT.replace(hour=9),
        "2020-01-01T10:11:12.123456",
    ),
    "text": (pa.array(["2020-01-01"] * ROWS), "2021-01-01", "2020-01-01"),
    "text of times": (pa.array(["2020-01-01T10:00Z"] * ROWS), "2020-01-01T10:01Z", "2020-01-01T10:00:00"),
    "with gaps": (pa.array([datetime.date(2020, 1, 1), None] * (ROWS // 2)), datetime.date(2019, 1, 1), "2020-01-01"),
}


@pytest.mark.parametrize("case", CONSTANT)
def test_a_moment_that_all_rows_have_is_constant(case):
    values, other, shown = CONSTANT[case]
    table = pa.table({"when": values})
    schema = infer_schema(table, source="t")
    assert schema["when"].describe() == f"constant, {shown}"
    assert parse_schema({"when": schema["when"].as_json()}) == schema
    codes = encode(table, schema, ["when"], source="t")
    drawn = decode(np.zeros((2, 1)), schema, ["when"])["when"]
    if pa.types.is_string(values.type):
        assert drawn.cast(pa.string()).to_pylist()[0].startswith(shown.replace("T", " "))
    else:
        assert drawn.type == values.type and drawn.to_pylist() == values[:1].to_pylist() * 2
    assert (np.isnan(codes[:, 0]) == np.array(values.is_null())).all() and np.nanmax(np.abs(codes)) == 0
    rows = pa.table({"when": pa.array([values[0].as_py(), other, None], values.type)})
    found = encode(rows, schema, ["when"], source="t", strict=False)
    np.testing.assert_array_equal(found[:, 0], [0, np.inf, np.nan])
    with pytest.raises(pf.InputError, match=f"is {shown}.* something else in row 2"):
        encode(rows, schema, ["when"], source="t")


def test_a_coarser_unit_does_not_hide_another_moment():
    schema = infer_schema(pa.table({"when": [MOMENT] * 5}), source="t")
    for other in (MOMENT.replace(microsecond=0), MOMENT):
        rows = pa.table({"when": pa.array([other], pa.timestamp("us")).cast(pa.timestamp("s"), safe=False)})
        assert encode(rows, schema, ["when"], source="t", strict=False)[0, 0] == np.inf
    nanoseconds = pa.table({"when": pa.array([MOMENT], pa.timestamp("us")).cast(pa.timestamp("ns"))})
    assert encode(nanoseconds, schema, ["when"], source="t", strict=False)[0, 0] == 0
    with pytest.raises(pf.InputError, match="with a time zone"):
        encode(pa.table({"when": [MOMENT.replace(tzinfo=UTC)]}), schema, ["when"], source="t", strict=False)


def test_declared_columns_stay_what_they_are():
    table = pa.table({"when": [datetime.date(2020, 1, 1)] * 5})
    assert infer_schema(table, parse_schema({"when": "date-time"}), source="t")["when"].kind == "date-time"
    declared = infer_schema(table, parse_schema({"when": "constant"}), source="t")["when"]
    assert declared.describe() == "constant, 2020-01-01" and declared.arrow_type == pa.date32()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("any_given", [False, True])
def test_other_moments_and_values_in_an_empty_column_are_never_seen(large, any_given, tmp_path, monkeypatch):
    day, path = datetime.date(2020, 1, 1), tmp_path / "t.parquet"
    table = pa.table({"x": NUMBERS, "y": NUMBERS**2, "day": [day] * ROWS, "note": pa.nulls(ROWS, pa.string())})
    pa.parquet.write_table(table, path)
    if large:
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    model = pf.fit_table(path, max_steps=2, progress=False, arbitrary_conditions=any_given).model
    rows = pa.table(
        {
            "x": [0.0] * 4,
            "y": [1.0] * 4,
            "day": [day, day + datetime.timedelta(1), day, day],
            "note": pa.array([None, None, "late", "NA"]),
        }
    )
    values = model.log_prob(model.encode(rows))
    assert np.isfinite(values[0]) and (values[1:] == -np.inf).all()
    pa.parquet.write_table(rows, path)
    summary = model.score(path, tmp_path / "scores.parquet")
    assert summary.strange.unseen_of == {"day": 1, "note": 2}
    unseen = pa.parquet.read_table(tmp_path / "scores.parquet")["unseen"].to_pylist()
    assert unseen == [False, True, True, True]
    with pytest.raises(pf.InputError, match=r'column "note" .* has no value in any row .* and one in row 1'):
        encode(rows[2:], model.schema, ["note"], source="t")


def test_a_column_that_is_declared_to_be_empty_is_not_read():
    table = pa.table({"x": NUMBERS, "y": NUMBERS**2, "note": ["late"] * ROWS})
    model = pf.fit_table(table, schema={"note": "all-missing"}, max_steps=2, progress=False).model
    assert np.isfinite(model.log_prob(model.encode(table))).all()
