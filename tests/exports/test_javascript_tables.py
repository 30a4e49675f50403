"""The JavaScript of a model of a table gives the numbers of Python, of rows as objects."""

import datetime
import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import seed_offset
from small_fits import small_flows

import pushforward as pf
from pushforward import lite
from pushforward.exports.javascript.description import model_as_json

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")
SOURCE = str(files("pushforward.exports.javascript").joinpath("index.js"))
GOLDEN = Path(__file__).parent.parent / "golden" / "tables"
TABLES = ["distilled", "distilled_given", "given", "kinds_given", "plain", "same_order", "weights"]
ROWS, TOLERANCE = 40, 1e-8
SCHEMA = {
    "angle": {"kind": "periodic", "period": 360},
    "bearing": {"kind": "periodic", "period": 360},
    "heavy": {"kind": "continuous", "heavy": True},
    "epoch": "date-category",
    "share": {"kind": "bounded", "low": 0, "high": 1},
}
GIVEN = ["rain", "level", "pair", "bearing", "rounded", "gap", "tag"]


def rows_of_kinds(count=400):
    """A table with a column of every kind, and of most ways in which their values are written."""
    random = np.random.default_rng(7)
    z = random.normal(size=(count, 3))
    rain = np.where(random.uniform(size=count) < 0.4, 0.0, np.exp(z[:, 0]))
    start = np.datetime64("2024-01-01T00:00:00")
    days = np.datetime64("2024-01-01") + random.integers(0, 300, count).astype("timedelta64[D]")
    months = (np.datetime64("2020-01") + random.integers(0, 40, count)).astype("datetime64[D]")
    quarters, hours = (
        start + (length * random.integers(0, 8000, count)).astype("timedelta64[s]") for length in (900, 3600)
    )
    some = np.array(["2019-06-02", "2021-03-07", "2022-11-30"], dtype="datetime64[D]")
    gap = pa.array(np.where(random.uniform(size=count) < 0.2, np.nan, z[:, 2]), from_pandas=True)
    return pa.table(
        {
            "number": z[:, 0] + z[:, 1],
            "rounded": np.round(20 + 5 * z[:, 0], 1),
            "figures": np.array([float(f"{value:.1e}") for value in np.exp(3 * random.normal(size=count))]),
            "positive": np.exp(3 * z[:, 1]),
            "share": random.beta(0.3, 2.0, count),
            "heavy": random.standard_t(1.5, count),
            "count": random.poisson(np.exp(0.5 * z[:, 0] + 1)),
            "whole": np.round(1000 * z[:, 1]).astype(int),
            "even": 2 * random.poisson(30, count),
            "level": random.choice(["star", "planet", "Kuiper belt"], count),
            "pair": random.uniform(size=count) < 0.3,
            "grade": random.choice([1.5, 2.5, 7.0], count),
            "rain": rain,
            "rounded rain": np.round(random.permutation(rain), 1),
            "angle": np.mod(360 * (0.3 * z[:, 2]), 360),
            "bearing": np.mod(np.round(36 * z[:, 2]) * 10, 360),
            "day": days,
            "month": months,
            "moment": quarters,
            "zoned": pa.array(hours.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC")),
            "end": np.where(random.uniform(size=count) < 0.3, np.datetime64("9999-12-31"), random.permutation(days)),
            "epoch": random.choice(some, count),
            "same": np.full(count, 7.0),
            "never": pa.nulls(count),
            "gap": gap,
            "tag": [f"tag {k}" for k in random.integers(0, 70, count)],
        }
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Models of all kinds at once, of some given others, and of one target; and the table."""
    folder, table = tmp_path_factory.mktemp("javascript"), rows_of_kinds()
    models = {
        "alone": {"columns": [name for name in table.column_names if name not in ("gap", "tag")]},
        "given": {"columns": ["number", "count", "heavy", "same"], "given": GIVEN},
        "one target": {"columns": ["positive"], "given": ["level", "gap"]},
    }
    read = {}
    # The points of the noise are those of the seed 0.
    with seed_offset.disabled(), pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        for name, more in models.items():
            schema = {key: value for key, value in SCHEMA.items() if key in (*more["columns"], *more.get("given", ()))}
            model = pf.fit_table(table, **more, max_steps=3, flow="maf", schema=schema).model
            model.save(folder / f"{name}.safetensors")
            read[name] = lite.load(folder / f"{name}.safetensors")
    return read, table


def written(value):
    """A value as JSON has it."""
    return value.isoformat() if isinstance(value, datetime.date) else value


def rows_in_json(table):
    return [{name: written(value) for name, value in row.items()} for row in table.to_pylist()]


def in_node(table, rows, given=None, latents=(), levels=()):
    asked = {"source": SOURCE, "table": model_as_json(table), "rows": rows, "given": given}
    asked |= {"latents": np.asarray(latents).tolist(), "levels": list(levels)}
    program = Path(__file__).with_name("evaluate_tables.js")
    done = subprocess.run([NODE, program], input=json.dumps(asked), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def near(found, expected):
    expected = np.where(np.isfinite(expected), expected, np.nan)
    found = np.array([np.nan if one is None else one for one in found], dtype=float)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def check(model, table):
    table = table.slice(0, ROWS)
    codes, rows = model.encode(table), rows_in_json(table)
    latents = np.random.default_rng(0).normal(size=(len(rows), len(model.modeled)))
    found = in_node(model, rows, rows if model.given else None, latents)
    near(found["log_prob"], model.log_prob(codes))
    assert np.isfinite(model.log_prob(codes)).any()
    kinds = {name: type(rows[0][name]) for name in model.columns}
    for draw in found["draws"]:
        assert list(draw) == model.columns
        assert all(type(value) is kinds[name] or kinds[name] is float for name, value in draw.items())
    if not found["decoded"]:
        return
    given = codes[:, len(model.columns) :] if model.given else None
    drawn = model.draws_of(np.concatenate([np.zeros((len(rows), 1)), latents], 1), given)
    drawn = np.stack(
        [model.schema[name].as_written(part) for name, part in zip(model.columns, drawn.T, strict=True)], 1
    )
    for ours, theirs in zip(found["decoded"], rows_in_json(model.decode(drawn)), strict=True):
        for name, value in theirs.items():
            other = ours[name]
            if isinstance(value, str) and isinstance(other, str) and "T" in value:
                other, value = (datetime.datetime.fromisoformat(part) for part in (other, value))
            same = other == value or (isinstance(value, float) and other == pytest.approx(value, rel=1e-8, abs=1e-8))
            assert same, (name, other, value)


# The fits take seconds together.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["alone", "given"])
def test_rows_of_all_kinds(fitted, name):
    check(fitted[0][name], fitted[1])


@pytest.mark.recorded
@pytest.mark.parametrize("name", TABLES)
def test_stored_models_of_tables(name):
    check(lite.load(GOLDEN / f"{name}.safetensors"), parquet.read_table(GOLDEN / f"{name}.parquet"))


@pytest.mark.slow
def test_quantiles_of_one_target(fitted):
    model, table = fitted[0]["one target"], fitted[1].slice(0, 5)
    levels, rows = [0.001, 0.3, 0.5, 0.9, 0.9999], rows_in_json(table)
    found = in_node(model, rows, rows, levels=levels)["quantiles"]
    near(found, model.quantile(np.array(levels), model.encode(table, model.given)))


@pytest.mark.slow
def test_values_that_were_never_seen_have_no_probability(fitted):
    model, (row,) = fitted[0]["alone"], rows_in_json(fitted[1].slice(0, 1))
    unseen = {
        "positive": 0, "share": 1.5, "count": 2.5, "whole": 0.5, "even": 3, "level": "comet", "grade": 3, "rain": -1,
        "moment": "2024-01-01T00:07", "month": "2020-01-02", "epoch": "2020-01-01", "same": 8, "never": 1,
    }  # fmt: skip
    rows = [row, *({**row, name: value} for name, value in unseen.items())]
    found = in_node(model, rows)["log_prob"]
    assert found[0] is not None
    assert {name for name, one in zip(unseen, found[1:], strict=True) if one is not None} == set()


@pytest.mark.slow
def test_values_are_read_as_people_write_them(fitted):
    model, (row,) = fitted[0]["alone"], rows_in_json(fitted[1].slice(0, 1))
    moment = datetime.datetime.fromisoformat(row["zoned"])
    alike = [
        {"level": f" {row['level']} "},
        {"zoned": (moment + datetime.timedelta(hours=2)).replace(tzinfo=None).isoformat() + "+02:00"},
        {"day": f"{row['day']}T00:00:00"},
        {"angle": row["angle"] + 360 * 4},
        {"pair": str(row["pair"])},
    ]
    found = in_node(model, [row, *({**row, **change} for change in alike)])["log_prob"]
    near(found[1:], np.full(len(alike), found[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "5"}, 'column "number" needs a number'),
        ({"number": None}, 'column "number" has no value'),
        ({"day": "yesterday"}, 'column "day" needs a Date'),
        ({"day": "2023-02-29"}, "not a date of the calendar"),
        ({"moment": "2024-01-01T00:00Z"}, 'column "moment" has times without an offset'),
        ({"zoned": "2024-01-01T00:00"}, 'column "zoned" has times with an offset'),
    ],
)
@pytest.mark.slow
def test_values_that_cannot_be_read_are_named(fitted, change, message):
    (row,) = rows_in_json(fitted[1].slice(0, 1))
    with pytest.raises(AssertionError, match=message):
        in_node(fitted[0]["alone"], [{**row, **change}])


@pytest.mark.slow
def test_steps_by_the_clocks_of_a_zone_are_refused_by_name(tmp_path, monkeypatch):
    small_flows(monkeypatch)
    days = pa.array(np.datetime64("2024-01-01T00:00:00") + np.arange(300).astype("timedelta64[D]"))
    days = pa.compute.assume_timezone(days, "Europe/Berlin")
    table = pa.table({"day": days, "size": np.random.default_rng(0).normal(size=300)})
    pf.fit_table(table, columns=["day", "size"], max_steps=1, flow="maf").model.save(tmp_path / "m.safetensors")
    with pytest.raises(pf.InputError, match='column "day" are counted by the clocks of Europe/Berlin'):
        pf.export(tmp_path / "m.safetensors", tmp_path / "m.json")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
