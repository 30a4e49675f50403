"""Declared bounds of dates, and the grids that dates lie on."""

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.errors import InputError
from pushforward.tables import decode, encode, infer_schema, parse_schema


def dates(share_open=0.0):
    generator = np.random.default_rng(0)
    days = np.datetime64("2022-01-01") + generator.integers(0, 700, 500)
    written = np.where(generator.random(500) < share_open, "9999-12-31", days.astype(str))
    return pa.table({"day": written.tolist()})


def schema_of(table, **declared):
    return infer_schema(table, parse_schema({"day": {"kind": "date-time", **declared}}), source="the table")


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        ({"low": "2021-12-31", "high": "2024-02-01"}, "2021-12-31", "2024-02-01"),
        # The bounds lie between the first days of months, and on or between the last ones.
        ({"low": "2021-12-15", "high": "2024-02-15", "step": "month"}, "2022-01-01", "2024-02-01"),
        ({"low": "2021-12-15", "high": "2024-02-29", "step": "month", "end": True}, "2021-12-31", "2024-02-29"),
        ({"low": "2022-01-01 12:00", "high": "2024-02-01", "step": "day"}, "2022-01-02", "2024-02-01"),
    ],
)
def test_the_support_ends_at_the_last_steps_within_the_bounds(options, first, last):
    column = schema_of(dates(), **options)["day"]
    ends = decode(np.array(column.support)[:, None], {"day": column}, ["day"]).column("day")
    assert [str(end) for end in ends.to_pylist()] == [first, last]
    assert parse_schema({"day": column.as_json()}) == {"day": column}


def test_a_date_outside_its_bounds_is_refused_in_a_fit_and_never_seen_later():
    table = dates()
    schema = schema_of(table, high="2024-02-01")
    later = pa.table({"day": ["2024-02-01", "2024-02-02"]})
    with pytest.raises(InputError, match="holds 2024-02-02 in row 2, after its bound 2024-02-01"):
        encode(later, schema, ["day"], source="the table")
    assert np.isinf(encode(later, schema, ["day"], source="the table", strict=False))[:, 0].tolist() == [False, True]
    for share in (0.0, 0.1):
        with pytest.raises(InputError, match="before its bound 2022-03-01"):
            pf.fit_table(dates(share), schema={"day": {"kind": "date-time", "low": "2022-03-01"}}, max_steps=1)


@pytest.mark.parametrize("share_open", [0.0, 0.1])
@pytest.mark.parametrize("arbitrary", [False, True])
def test_draws_stay_within_the_bounds(share_open, arbitrary):
    """With bounds within the data's own range of days the probabilities sum to one."""
    schema = {"day": {"kind": "date-time", "low": "2022-01-01", "high": "2023-12-05"}}
    table = dates(share_open)
    options = {"arbitrary_conditions": True} if arbitrary else {"flow": "nice"}
    model = pf.fit_table(table, schema=schema, **options, max_steps=5, progress=False).model
    drawn = [str(day) for day in model.decode(model.draw(2000)).column("day").to_pylist()]
    kept = [day for day in drawn if day != "9999-12-31"]
    assert "2022-01-01" <= min(kept) <= max(kept) <= "2023-12-05"
    first, last = model.schema["day"].support
    codes = [*np.arange(first, last + 1), *model.schema["day"].atom_codes]
    total = np.exp(model.log_prob(np.array(codes)[:, None])).sum()
    # The usual model averages over 16 points of noise.
    assert total == pytest.approx(1, abs=1e-5 if arbitrary else 0.01)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"low": "2022-13-01"}, "low cannot be '2022-13-01': a date-time is written as 2024-02-29"),
        ({"low": "2022-01-01Z"}, "a date-time is written as 2024-02-29"),
        ({"low": "2024-01-01", "high": "2022-01-01"}, "low must be earlier than high"),
        ({"atoms": ["never"]}, "a date-time is written as 2024-02-29"),
    ],
)
def test_what_is_no_date_is_refused_in_a_sentence(options, problem):
    with pytest.raises(InputError, match=problem):
        parse_schema({"day": {"kind": "date-time", **options}})


def test_steps_and_bounds_of_integers_are_whole():
    for option in ({"step": 0.5}, {"low": 0.5}):
        with pytest.raises(InputError, match='of an integer are whole numbers; declare "bounded" or "continuous"'):
            parse_schema({"n": {"kind": "integer", **option}})
    assert parse_schema({"n": {"kind": "integer", "step": 2.0}})["n"].step == 2


def test_descriptions_quote_levels_with_commas():
    table = pa.table({"place": ["Paris, Texas", "Rome"] * 50, "only": ["a, b"] * 100})
    schema = infer_schema(table, source="the table")
    assert schema["place"].describe() == 'category, 2 levels: "Paris, Texas", Rome'
    assert schema["only"].describe() == 'constant, "a, b"'
