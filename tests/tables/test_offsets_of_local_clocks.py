"""Offsets from UTC behind date-times in text: those of one zone tell its clocks, which count."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from significance import is_mean_of

import pushforward as pf
from pushforward.tables import decode, encode, parse_schema
from pushforward.tables.columns.offsets import offsets_of, zone_of_offsets
from pushforward.tables.schema.inference import infer_schema

ROWS = 500


def draws(seed=0):
    return np.random.default_rng(seed)


def local(zone, freq, periods=1500, start="2015-01-01", seed=0):
    """Some moments at which the clocks of a zone show equally spaced times."""
    shown = pd.date_range(start, periods=periods, freq=freq)
    moments = shown.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return moments[draws(seed).integers(0, periods, ROWS)]


def texts_of(moments, colon=True, gap="T"):
    texts = [moment.isoformat(sep=gap) for moment in moments]
    return texts if colon else [text[:-3] + text[-2:] for text in texts]


def column_of(texts):
    return infer_schema(pa.table({"at": texts}), source="t")["at"]


CLOCKS = {
    "midnights": ("Europe/Berlin", "D", "to the day in Europe/Berlin"),
    "as in Berlin": ("Europe/Paris", "D", "to the day in Europe/Berlin"),
    "west": ("America/New_York", "D", "to the day in America/New_York"),
    "half an hour": ("Australia/Adelaide", "D", "to the day in Australia/Adelaide"),
    "first days": ("Europe/London", "MS", "first days of months in Europe/London"),
    "noons": ("Pacific/Auckland", "8h", "every 8 hours in Pacific/Auckland"),
    "no summer time": ("Asia/Kolkata", "D", "to the day in +05:30"),
    "hours": ("Europe/Berlin", "h", "to the hour"),
}


@pytest.mark.parametrize("case", CLOCKS)
@pytest.mark.parametrize("gap", ["T", " "])
def test_steps_are_those_of_the_clocks_that_wrote_them(case, gap):
    zone, freq, words = CLOCKS[case]
    moments = local(zone, freq, 60 if freq == "MS" else 1500)
    texts = texts_of(moments, gap=gap)
    column = column_of(texts)
    assert column.describe() == f"date-time, {words}"
    assert column.hint is None
    schema = {"at": column}
    assert parse_schema({"at": column.as_json()}) == schema
    codes = encode(pa.table({"at": texts}), schema, ["at"], source="t")
    found = decode(codes, schema, ["at"])["at"]
    assert (pd.DatetimeIndex(found.to_pandas()) == moments).all()
    # They are written back as they were, with valid offsets.
    assert decode(codes, schema, ["at"], as_text=True)["at"].to_pylist() == texts


def test_offsets_without_colons_are_written_so():
    texts = texts_of(local("Europe/Berlin", "D"), colon=False)
    schema = {"at": column_of(texts)}
    codes = encode(pa.table({"at": texts}), schema, ["at"], source="t")
    assert decode(codes, schema, ["at"], as_text=True)["at"].to_pylist() == texts


@pytest.mark.parametrize("form", ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%d.%m.%Y %H:%M %z"])
def test_offsets_in_other_forms_tell_the_clocks_too(form):
    texts = local("America/New_York", "D").strftime(form).tolist()
    schema = {"at": column_of(texts)}
    assert schema["at"].describe() == "date-time, to the day in America/New_York"
    codes = encode(pa.table({"at": texts}), schema, ["at"], source="t")
    assert decode(codes, schema, ["at"])["at"].to_pylist() == texts


def test_offsets_of_no_one_zone_are_said_and_counted_in_utc():
    texts = texts_of(local("Europe/Berlin", "D"))
    texts[::2] = texts_of(local("America/New_York", "D"))[::2]
    column = column_of(texts)
    assert column.zone == "UTC" and column.by_clock is None
    assert column.remark == "has offsets from UTC that differ as in no one time zone: its times are counted in UTC"
    assert column_of([text[:19] + "Z" for text in texts]).remark is None


def test_later_rows_may_have_any_offset():
    texts = texts_of(local("Europe/Berlin", "D"))
    schema = {"at": column_of(texts)}
    later = ["2015-03-28T23:00:00Z", "2015-03-29T00:00:00+01:00", "2015-03-28T18:00:00-05:00"]
    codes = encode(pa.table({"at": later}), schema, ["at"], source="t")
    assert len(np.unique(codes)) == 1


@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_zones_are_found_by_any_moments(seed):
    generator = draws(seed)
    for zone in ("Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"):
        ticks = generator.integers(1_500_000_000, 1_700_000_000, 2000)
        moments = pd.DatetimeIndex(ticks.astype("M8[s]")).tz_localize("UTC").tz_convert(zone)
        texts = pa.array(texts_of(moments))
        found = zone_of_offsets(ticks * 10**6, offsets_of(texts))
        assert found is not None
        again = pd.DatetimeIndex(ticks.astype("M8[s]")).tz_localize("UTC").tz_convert(found)
        assert (again.tz_localize(None) == moments.tz_localize(None)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1000, 2000])
def test_the_probability_is_that_of_local_days(seed):
    rows, fresh = (texts_of(local("Europe/Berlin", "D", 200, seed=place)) for place in (seed, seed + 1))
    model = pf.fit_table(pa.table({"at": rows}), max_steps=40, progress=False).model
    values = model.log_prob(model.encode(pa.table({"at": fresh})))
    assert is_mean_of(values, -np.log(200), allowance=0.25)
    drawn = model.decode(model.draw(200))["at"].to_pandas()
    assert (drawn.dt.hour == 0).all()
