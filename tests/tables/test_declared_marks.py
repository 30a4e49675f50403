"""The line that a fit prints for likely marks of missing values works: what it declares is missing then."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import encode, infer_schema, parse_schema
from pushforward.tables.missing import Marks, plain

ROWS, GAPS = 400, 40
GENERATOR = np.random.default_rng(0)
RARE = np.arange(ROWS) % 10 == 0
NUMBERS = GENERATOR.normal(15, 1, ROWS).round(2)
SECONDS = np.datetime64("2020-01-01T00:00:00") + GENERATOR.integers(0, 9 * 10**7, ROWS).astype("m8[s]")
DAYS = SECONDS.astype("M8[D]")


def marked(mark, others, written=str):
    return [mark if rare else written(other) for rare, other in zip(RARE, others, strict=True)]


def moments(mark, unit="us", zone=None):
    return pa.array(np.where(RARE, np.datetime64(mark), SECONDS).astype(f"M8[{unit}]")).cast(pa.timestamp(unit, zone))


def german(moment, form="%d.%m.%Y"):
    return moment.item().strftime(form)


CASES = {
    "days": pa.array(np.where(RARE, np.datetime64("1900-01-01"), DAYS)),
    "days as text": marked("1900-01-01", DAYS),
    "days in German": marked("01.01.1900", SECONDS, german),
    "days as numbers": marked(19000101, DAYS, lambda day: int(str(day).replace("-", ""))),
    "months": marked("1900-01", DAYS, lambda day: str(day)[:7]),
    "seconds": moments("1900-01-01", "s"),
    "the last millisecond": moments("9999-12-31T23:59:59.999", "ms"),
    "nanoseconds": moments("1900-01-01", "ns"),
    "UTC": moments("1900-01-01", "us", "UTC"),
    "Berlin": moments("1900-01-01", "us", "Europe/Berlin"),
    "text in UTC": marked("1900-01-01T00:00:00Z", SECONDS, lambda moment: f"{moment}Z"),
    "text with an offset": marked("1900-01-01T00:00:00+02:00", SECONDS, lambda moment: f"{moment}+02:00"),
    "midnight as text": marked("1900-01-01T00:00:00", SECONDS),
    "the last second as text": marked("9999-12-31 23:59:59", SECONDS, lambda moment: str(moment).replace("T", " ")),
    "minutes as text": marked("9999-12-31 23:59", SECONDS, lambda moment: str(moment).replace("T", " ")[:16]),
    "mail": marked(
        "Mon, 01 Jan 1900 00:00:00 +0000", SECONDS, lambda moment: german(moment, "%a, %d %b %Y %H:%M:%S +0000")
    ),
    "numbers": np.where(RARE, -999.0, NUMBERS),
    "single precision": pa.array(np.where(RARE, -999.9, NUMBERS), pa.float32()),
    "decimals": pa.array(np.where(RARE, -999.0, NUMBERS)).cast(pa.decimal128(8, 2)),
    "percent": marked("-999%", NUMBERS, lambda number: f"{number}%"),
    "decimal commas": marked("-999,9", NUMBERS, lambda number: str(number).replace(".", ",")),
    "durations": pa.array(np.where(RARE, -(10**9), GENERATOR.integers(0, 999, ROWS))).cast(pa.duration("ms")),
    "counts": np.where(RARE, 9999, GENERATOR.poisson(40, ROWS)),
    "grades": np.where(RARE, 99, GENERATOR.integers(1, 6, ROWS)),
    "wind_direction": np.where(RARE, -999.0, GENERATOR.uniform(0, 360, ROWS)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_line_declares_is_missing(case):
    table = pa.table({case: CASES[case]})
    remark = infer_schema(table, source="t")[case].remark
    line = json.loads(re.search(r'"missing": (\[.*\])', remark)[1])
    schema = infer_schema(table, parse_schema({case: {"missing": line}}), source="t")
    assert schema[case].missing_share == GAPS / ROWS and not schema[case].hint
    np.testing.assert_array_equal(np.isnan(encode(table, schema, [case], source="t")[:, 0]), RARE)


def test_moments_compare_as_moments():
    column = pa.array(["1900-01-01T02:00:00+02:00", "1900-01-01T00:00:00", "1900-01-02", "1900-01-01"])
    found = plain(column, Marks(listed=("1900-01-01T00:00:00Z",)))
    assert [text is None for text in found.to_pylist()] == [True, True, False, True]
    assert plain(column, Marks(listed=("1900-01-01 00:00:00.5",))).null_count == 0


def test_a_mark_that_no_row_has_is_said(tmp_path):
    rows = "\n".join(f"{x},{day}" for x, day in zip(NUMBERS, DAYS, strict=True))
    (tmp_path / "t.csv").write_text(f"x,day\n{rows}\n")
    said = []
    declared = {"x": {"missing": [-999, "?", NUMBERS[0]]}, "day": {"missing": ["9999-12-31"]}}
    pf.fit_table(tmp_path / "t.csv", schema=declared, max_steps=2, progress=False, announce=said.append)
    told = "no row that the schema was learned from has"
    assert f'column "x": {told} -999, "?", declared as missing' in said
    assert f'column "day": {told} "9999-12-31", declared as missing' in said
