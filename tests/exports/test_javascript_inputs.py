"""What people give to the JavaScript: numbers that are none, counts, levels, rows and files that cannot be."""

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from named_flows import FLOWS, IN_UNITS, made
from scipy import special
from small_fits import small_flows

import pushforward as pf
from pushforward import lite
from pushforward.exports.javascript import flow_as_json
from pushforward.exports.javascript.description import model_as_json
from pushforward.lite.density import Density
from pushforward.lite.reading import Weights, density
from pushforward.zoo.flow_mixture import FlowMixture

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")
SOURCE = str(files("pushforward.exports.javascript").joinpath("index.js"))
DEGREES = (0.1, 0.5, 1.0, 1.3, 2.0, 10.0, 47.3, 1e3, 1e5)
LEVELS = (1e-12, 1e-3, 0.1, 0.3, 0.49, 0.5, 0.6, 0.9, 0.999)
# Those of which a comparison, a root, a table of knots or a choice of a cluster takes NaN for a number.
OF_NAN = (
    "spline autoregressive", "spline coupling", "nsf with a regression", "circular", "planar with a context",
    "radial with a context", "uniform base", "mixture base", "gaussianized", "scores and flags of a context",
    "clusters with a context", "kernel density", "stack of one feature", "regressions",
)  # fmt: skip
NUMBER = "Error: Expected a {} of {} numbers, got {}."
LEVEL = "Error: The level of a quantile is a number from 0 to 1, not {}."
COUNT = "Error: The number of draws is a whole number of at least 0, not {}."


def asked(model, calls):
    """What Node answers to calls of a model."""
    given = json.dumps({"source": SOURCE, "model": model, "calls": list(calls)})
    program = Path(__file__).with_name("ask.js")
    done = subprocess.run([NODE, program], input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(model, expected):
    """That each call gives what it must: {call: answer}."""
    assert dict(zip(expected, asked(model, expected), strict=True)) == expected


def one_flow(**options):
    return pf.nsf(base="mixture", **options)


def two_flows(**options):
    return FlowMixture([pf.nsf(**options), pf.nsf(**options)], [0.3, 0.7])


def in_javascript(row):
    return "null" if row is None else f"[{', '.join('NaN' if value != value else repr(value) for value in row)}]"


@pytest.mark.parametrize("name", OF_NAN)
def test_a_number_that_is_none_makes_all_of_its_row_none_as_in_python(name):
    assert name in FLOWS or name in IN_UNITS
    flow, x, context = made(name)
    row, given = x[0].tolist(), None if context is None else context[0].tolist()
    pairs = [(row, given)]
    for place in range(len(row)):
        pairs.append(([*row[:place], np.nan, *row[place + 1 :]], given))
    for place in range(len(given or ())):
        pairs.append((row, [*given[:place], np.nan, *given[place + 1 :]]))
    found = asked(flow_as_json(flow), [f"model.logProb({in_javascript(x)}, {in_javascript(c)})" for x, c in pairs])
    arrays = Weights({key: value.double().numpy() for key, value in flow.state_dict().items()})
    model = Density(density(flow.config, arrays))
    python = [model.log_prob(np.array([x]), None if c is None else np.array([c]))[0] for x, c in pairs]
    assert np.isfinite(python[0]) and found[0] == pytest.approx(python[0], rel=1e-8)
    assert np.isnan(python[1:]).all() and found[1:] == ["NaN"] * len(found[1:])
    if given is not None:
        (drawn,) = asked(flow_as_json(flow), [f"model.sample(2, {in_javascript(pairs[-1][1])}).map((x) => [...x])"])
        assert drawn == [[None] * flow.features] * 2


def test_what_is_not_a_number_is_refused_with_its_place():
    flow = flow_as_json(pf.nsf(features=2, layers=1, hidden=(4,), context=2))
    check(
        flow,
        {
            'model.logProb([0, 0], ["a", 1])': NUMBER.format("context", 2, '"a" at the place 0, counted from 0'),
            "model.sample(1, [1, undefined])": NUMBER.format("context", 2, "undefined at the place 1, counted from 0"),
            "model.logProb([null, 0], [1, 1])": NUMBER.format("row", 2, "null at the place 0, counted from 0"),
            "model.forward([0, true], [1, 1])": NUMBER.format("row", 2, "true at the place 1, counted from 0"),
            "model.inverse([0, 1n], [1, 1])": NUMBER.format("row", 2, "1 at the place 1, counted from 0"),
            "model.logProb()": NUMBER.format("row", 2, "undefined"),
            'model.logProb("ab", [1, 1])': NUMBER.format("row", 2, '"ab"'),
            "model.logProb({ length: 2 }, [1, 1])": NUMBER.format("row", 2, "an object"),
            "model.logProb([0, 0], 3)": NUMBER.format("context", 2, "3"),
            "model.logProb([0, 0])": "Error: This density needs a context of 2 numbers.",
            "model.logProb(new Float32Array(2), new Float64Array(2)) < 0": True,
        },
    )
    check(
        flow_as_json(pf.nsf(features=2, layers=1, hidden=(4,))),
        {
            "model.logProb([0, 0], [])": "Error: This density takes no context.",
            "model.logProb([0, 0], 0)": "Error: This density takes no context.",
        },
    )


@pytest.mark.parametrize("made", [one_flow, two_flows, pf.nsf])
def test_counts_and_levels_that_cannot_be_are_refused(made):
    check(
        flow_as_json(made(features=1, layers=1, hidden=(4,))),
        {
            "model.sample(-1)": COUNT.format("-1"),
            "model.sample(NaN)": COUNT.format("NaN"),
            "model.sample(1.5)": COUNT.format("1.5"),
            'model.sample("3")': COUNT.format('"3"'),
            "model.sample()": COUNT.format("undefined"),
            "model.sample(0)": [],
            "model.quantile(-0.1)": LEVEL.format("-0.1"),
            "model.quantile(1.1)": LEVEL.format("1.1"),
            "model.quantile(NaN)": LEVEL.format("NaN"),
            'model.quantile("a")': LEVEL.format('"a"'),
            "model.quantile()": LEVEL.format("undefined"),
            "model.quantile([0.5])": LEVEL.format("an array"),
            "model.quantile(0)": "-Infinity",
            "model.quantile(1)": "Infinity",
        },
    )


def test_files_that_are_no_models_are_refused():
    flow = flow_as_json(pf.nsf(features=1, layers=1, hidden=(4,)))
    other = "Error: This is not a model of pushforward, or it is one of a later version than 1."
    damaged = 'Error: This model of pushforward is damaged: it has no "{}".'
    table = '{ format: "pushforward-table", version: 1, columns: [], given: [], points: [] }'
    check(
        flow,
        {
            **{f"pushforward.read({spec})": other for spec in ("null", "undefined", "5", '"{}"', "{}", "[]")},
            **{
                f"pushforward.read({{ ...spec, version: {version} }})": other
                for version in ("undefined", '"zz"', "2", "0", "0.5", "NaN")
            },
            **{
                f"pushforward.read({{ ...spec, {part}: undefined }})": damaged.format(part)
                for part in ("bijection", "base", "features", "context_features")
            },
            f"pushforward.read({table})": damaged.format("density"),
        },
    )


@pytest.mark.parametrize("degrees", DEGREES)
def test_quantiles_of_students_t_are_those_of_scipy(degrees):
    expected = {}
    for level in LEVELS:
        smaller = special.stdtrit(degrees, min(level, 1 - level))
        expected[level] = smaller if level < 0.5 else -smaller
    calls = [f"pushforward.parts.studentQuantile({degrees!r}, {level!r})" for level in LEVELS]
    np.testing.assert_allclose(asked(None, calls), list(expected.values()), rtol=1e-10, atol=1e-15)
    points = (-1e3, -2.0, -0.1, 0.0, 0.7, 5.0, 1e6)
    calls = [f"pushforward.parts.studentSides({degrees!r}, {t!r})" for t in points]
    sides = np.array([[special.stdtr(degrees, t), special.stdtr(degrees, -t)] for t in points])
    np.testing.assert_allclose(asked(None, calls), sides, rtol=1e-10, atol=0)
    ends = [f"pushforward.parts.studentQuantile({degrees!r}, {level})" for level in (0, 1)]
    assert asked(None, ends) == ["-Infinity", "Infinity"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The JSON of a model of all columns, of one column given others, and of one given what does not vary."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame(
        {
            "mass": random.normal(size=300),
            "kind": random.choice(["star", "planet"], 300),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 90, 300), "D"),
            "angle": random.uniform(0, 360, 300),
            "__proto__": random.normal(size=300),
            "toString": random.normal(size=300),
        }
    )
    fits = {
        "alone": {"schema": {"angle": {"kind": "periodic", "period": 360}}},
        "given": {"columns": ["mass"], "given": ["kind", "toString"]},
        "given nothing that varies": {"columns": ["mass"], "given": ["kind"]},
    }
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        for name, options in fits.items():
            table = frame if "nothing" not in name else frame.assign(kind="star")
            pf.fit_table(table, flow="maf", max_steps=2, **options).model.save(folder / "model.safetensors")
            found[name] = model_as_json(lite.load(folder / "model.safetensors"))
    return found


# The fits take seconds together.
@pytest.mark.slow
def test_values_of_a_table_that_cannot_be_are_refused_by_the_name_of_their_column(tables):
    row = '{ mass: 1, kind: "star", day: "2024-01-05", angle: 20, ["__proto__"]: 0, toString: 1 }'
    number = 'Error: The column "{}" needs a {}, and got {}.'
    expected = {
        "angle: Infinity": number.format("angle", "finite number", "Infinity"),
        'angle: "20"': number.format("angle", "number", '"20"'),
        "mass: -Infinity": number.format("mass", "finite number", "-Infinity"),
        "mass: [1]": number.format("mass", "number", "an array"),
        'day: "2020-13-45"': 'Error: The column "day" has "2020-13-45", which is not a date of the calendar.',
        'day: "2024-01-05T00:00:60"': 'Error: The column "day" has "2024-01-05T00:00:60", which is not a date of the '
        "calendar.",
        "day: new Date(NaN)": 'Error: The column "day" has an invalid Date.',
        "toString: undefined": 'Error: The column "toString" has no value, and none of the training rows lacked it.',
    }
    calls = {f"model.logProb({{ ...{row}, {change} }})": answer for change, answer in expected.items()}
    without = f"(({{ __proto__: _, ...rest }}) => rest)({row})"
    lacking = 'Error: The column "__proto__" has no value, and none of the training rows lacked it.'
    calls |= {
        f"Number.isFinite(model.logProb({row}))": True,
        f"model.logProb({without})": lacking,
        "model.logProb()": "Error: A row is an object, {column: value}, and not undefined.",
        "model.logProb(null)": "Error: A row is an object, {column: value}, and not null.",
        'model.logProb("star")': 'Error: A row is an object, {column: value}, and not "star".',
        "model.sample(-1)": COUNT.format("-1"),
    }
    check(tables["alone"], calls)


@pytest.mark.slow
def test_a_draw_has_all_columns_whatever_their_names(tables):
    check(
        tables["alone"],
        {
            "Object.keys(model.sample(1)[0])": ["mass", "kind", "day", "angle", "__proto__", "toString"],
            "model.sample(20).every((row) => Number.isFinite(model.logProb(row)))": True,
            "model.sample(5).every((row) => Number.isFinite(model.logProb(JSON.parse(JSON.stringify(row)))))": True,
        },
    )


@pytest.mark.slow
def test_conditions_are_taken_by_conditional_models_alone(tables):
    columns = "mass, kind, day, angle, __proto__, toString"
    refused = f'Error: This model is p({columns}), without given columns: leave out "kind".'
    check(
        tables["alone"],
        {
            'model.sample(3, { kind: "star" })': refused,
            "model.sample(3, {}).length": 3,
            "model.sample(3, null).length": 3,
        },
    )
    unseen = 'Error: The column "kind" has "comet", which the model has never seen.'
    check(
        tables["given"],
        {
            'model.sample(3, { kind: "star", toString: 0, other: 5 }).length': 3,
            'model.sample(3, { kind: "comet", toString: 0 })': unseen,
            'model.quantile(0.5, { kind: "comet", toString: 0 })': unseen,
            'model.quantile(1.5, { kind: "star", toString: 0 })': LEVEL.format("1.5"),
            'model.sample(3, { kind: "star" })': 'Error: The column "toString" has no value, and none of the training '
            "rows lacked it.",
            'model.sample(3, "star")': 'Error: A row is an object, {column: value}, and not "star".',
        },
    )
    check(tables["given nothing that varies"], {'model.sample(3, { kind: "star" }).length': 3})
