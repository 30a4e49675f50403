"""Models as ONNX files: onnxruntime gives the numbers of torch, in both precisions, for any number of rows."""

import copy
import json
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from typer.testing import CliRunner

import pushforward as pf
from pushforward import lite
from pushforward.bijections import UNIVARIATES
from pushforward.cli.app import app
from pushforward.errors import InputError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from named_flows import FLOWS, IN_UNITS, made, shaken  # noqa: E402
from small_fits import small_flows  # noqa: E402

from pushforward.exports.levels import levels_of  # noqa: E402
from pushforward.exports.onnx import FUNCTIONS  # noqa: E402
from pushforward.exports.onnx.namespace import Namespace  # noqa: E402
from pushforward.exports.onnx.writing import as_onnx  # noqa: E402

GOLDEN = Path(__file__).parent.parent / "golden"
# Of all functions, but for maps that are a root in each number.
ROWS, FEWER = 10_000, 300
ROOTED = ("bernstein", "logistic_mixture", "mixture_cdf", "monotone_network", "sum_of_squares")
RELATIVE = {"float64": 1e-10, "float32": 1e-5}
TABLES = ["distilled", "distilled_given", "errors", "given", "kinds_given", "plain", "same_order", "weights"]
# Of any columns given any others, the first of few columns.
ANY = ["any_given", "any_given_conditions", "any_given_gaps", "any_given_weights", "kinds", "kinds_complete"]
# The others take seconds together.
QUICK = ("maf", "nsf", "realnvp")


def session(made):
    onnx.checker.check_model(made, full_check=True)
    # Otherwise it warns of each input that may be left out.
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


def relative(found, expected):
    """Errors relative to numbers, or to 1 where these are smaller."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(found - expected) / np.maximum(np.abs(expected), 1.0))


def close(found, expected, precision, conditioning=0.0):
    """Within a relative error, beside what the last digit of the inputs does."""
    assert found.dtype == precision and found.shape == expected.shape
    assert relative(found, expected).max(initial=0) <= RELATIVE[precision] + 16 * conditioning


def rooted(name):
    return name.startswith(ROOTED)


def written(flow, folder):
    pf.save(flow, folder / "flow.safetensors")
    return lite.load(folder / "flow.safetensors")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FLOWS | IN_UNITS]
)
def test_named_flows_in_double_precision(name, tmp_path):
    torch.manual_seed(0)
    # Draws, or rows among which some are far from all draws.
    flow, x, context = (part if part is None or not torch.is_tensor(part) else part.numpy() for part in made(name))
    model = written(flow, tmp_path)
    if name in FLOWS:
        # The rows up to 20 are draws, some of them multiplied, and some a thousand units out.
        x = np.concatenate([x[:20], np.random.default_rng(0).normal(size=(ROWS, flow.features))])
    context = None if context is None else np.resize(context[:-4], (len(x), flow.context_features))
    inputs = {} if context is None else {"context": context}
    given = () if context is None else (torch.from_numpy(context),)
    for function in ("log_prob", "to_latent", "to_data"):
        if function != "log_prob" and len(model.flows) > 1:
            continue
        run, first = session(as_onnx(model, function, "float64")), "z" if function == "to_data" else "x"
        count = len(x) if function == "log_prob" or not rooted(name) else FEWER
        # Latent values are those of draws.
        rows_of = np.random.default_rng(1).normal(size=x.shape) if function == "to_data" else x
        asked = rows_of[:count], np.nextafter(rows_of[:count], np.inf)
        with torch.no_grad():
            expected, nudged = (
                getattr(flow, function)(torch.from_numpy(part), *(one[:count] for one in given)).numpy()
                for part in asked
            )
        conditioning = relative(nudged, expected).max(initial=0, where=np.isfinite(nudged) & np.isfinite(expected))
        for rows in (slice(count), slice(1)):
            found = run.run(None, {first: rows_of[rows], **{key: value[rows] for key, value in inputs.items()}})[0]
            close(found, expected[rows], "float64", conditioning)


ARCHITECTURES = ["nice", "realnvp", "maf", "iaf", "nsf", "mixture_cdf", "planar", "radial", "sylvester"]
FAMILIES = [f"{family} autoregressive" for family in UNIVARIATES]


# Of families in double precision all rows are above.
@pytest.mark.parametrize(
    ("name", "precision"),
    [*product(ARCHITECTURES, ["float32", "float64"]), *product(FAMILIES, ["float32"])],
)
@pytest.mark.parametrize("function", ["log_prob", "to_latent", "to_data"])
@pytest.mark.slow
def test_tails_and_single_precision(name, precision, function, tmp_path):
    torch.manual_seed(0)
    flow = shaken(FLOWS[name]() if name in FAMILIES else getattr(pf, name)(features=3))
    model = written(flow, tmp_path)
    run = session(as_onnx(model, function, precision))
    (key,) = (end.name for end in run.get_inputs())
    random = np.random.default_rng(0)
    middle = random.normal(size=(ROWS, 3))
    tails = (10.0 ** np.linspace(-3, 2, ROWS) * random.choice([-1, 1], ROWS))[:, None] * [1.0, 0.3, -0.7]
    for x in (middle.astype(precision), tails.astype(precision)):
        # A root in each number takes long.
        x = x[:: ROWS // FEWER] if rooted(name) and function == "to_data" else x
        with torch.no_grad():
            expected = getattr(flow.double(), function)(torch.from_numpy(x).double()).numpy()
            # What rounding does to this flow far out: by torch in the same precision, and of the last digit of x.
            rounded = getattr(flow.to(getattr(torch, precision)), function)(torch.from_numpy(x)).double().numpy()
            beside = torch.from_numpy(np.nextafter(x, np.inf)).double()
            nudged = getattr(flow.double(), function)(beside).numpy()
        found = run.run(None, {key: x})[0]
        errors, *usual = (np.abs(part - expected) / (1 + np.abs(expected)) for part in (found, rounded, nudged))
        largest = RELATIVE[precision] + 16 * max(part.max() for part in usual)
        assert np.median(errors) <= RELATIVE[precision]
        assert errors.max() <= largest
        # A batch of one may round in another order, and be as far from the truth as the rows of a whole one.
        single = run.run(None, {key: x[:1]})[0]
        assert (np.abs(single - expected[:1]) / (1 + np.abs(expected[:1]))).max() <= largest


def test_draws_and_quantiles(tmp_path):
    torch.manual_seed(0)
    flow = shaken(pf.nsf(features=1, context=2, layers=2, hidden=(8,)))
    model, level = written(flow, tmp_path), np.linspace(0.001, 0.999, 501)
    context = np.random.default_rng(0).normal(size=(len(level), 2))
    run = session(as_onnx(model, "quantile", "float64"))
    found = run.run(None, {"level": level, "context": context})[0]
    z = torch.distributions.Normal(0.0, 1.0).icdf(torch.from_numpy(level))[:, None]
    with torch.no_grad():
        expected = flow.to_data(z, torch.from_numpy(context)).numpy()
        close(found[:, None] if found.ndim == 1 else found, expected, "float64")
        noise = np.random.default_rng(1).normal(size=(len(level), 1))
        drawn = session(as_onnx(model, "sample", "float64")).run(None, {"noise": noise, "context": context})[0]
        close(drawn, flow.to_data(torch.from_numpy(noise), torch.from_numpy(context)).numpy(), "float64")


def in_double(model, codes):
    """The log-densities of torch in double precision."""
    density = copy.deepcopy(model.density).double()
    codes = model.roles.known(codes, model.names)
    with torch.no_grad():
        return density.log_prob(*model.roles.inputs(torch.from_numpy(codes))).numpy()


def values_of(table, codes, names):
    """The columns of an ONNX file, of codes: numbers, text, and the values of other levels."""
    found = {}
    for name in names:
        column, levels = codes[:, table.names.index(name)], levels_of(table.schema[name])
        if levels is None:
            found[name] = column
        else:
            # A missing value is empty text, or no number.
            text = isinstance(levels[0], str)
            levels = np.array([*levels, "" if text else np.nan], object if text else float)
            found[name] = levels[np.where(np.isnan(column), -1, column).astype(int)]
    return found


def feeds_of(run, table, codes):
    """The columns that a file of one function takes."""
    names = [end.name for end in run.get_inputs() if not end.name.startswith(("sample.", "quantile."))]
    return values_of(table, codes, names)


# The points of the noise are those of a seed, which is the same in both.
@pytest.mark.recorded
@pytest.mark.parametrize(
    "name", [*TABLES, *(name if name == ANY[0] else pytest.param(name, marks=pytest.mark.slow) for name in ANY)]
)
def test_tables_by_their_columns(name):
    path = GOLDEN / "tables" / f"{name}.safetensors"
    model, table = pf.TableModel.load(path), lite.load(path)
    codes = table.encode(parquet.read_table(path.with_suffix(".parquet")))
    expected = in_double(model, codes)
    run = session(as_onnx(table, "log_prob", "float64"))
    found = run.run(None, feeds_of(run, table, codes))[0]
    seen = np.isfinite(found)
    assert seen.any()
    # Of averages over the points of a noise the last digits differ.
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-8, atol=1e-8)
    check_draws(table, codes, session(as_onnx(table, "sample", "float64")))


def check_draws(table, codes, run):
    noise, given = table.density.noise(len(codes), seed=0), codes[:, len(table.columns) :] if table.given else None
    ends = [end.name for end in run.get_outputs() if end.name.startswith("sample.")]
    drawn = run.run(ends, {"sample.noise": noise, **values_of(table, codes, table.context)})
    expected = values_of(table, table.draws_of(noise, given), [end.removeprefix("sample.") for end in ends])
    for found, (name, column) in zip(drawn, expected.items(), strict=True):
        if column.dtype == object:
            assert found.tolist() == column.tolist(), name
        else:
            np.testing.assert_allclose(found, column.astype(float), rtol=1e-9, atol=1e-9, err_msg=name)


def table_with_levels(count=300):
    """Columns whose codes are places of text, of numbers, of booleans and of dates, and some that never vary."""
    random = np.random.default_rng(3)
    dates = np.array(["2019-06-02", "2021-03-07", "2022-11-30"], dtype="datetime64[D]")
    return pa.table(
        {
            "mass": random.normal(size=count),
            "kind": random.choice(["star", "planet", "Kuiper belt, \u00e9"], count),
            "grade": random.choice([1.5, 2.5, 7.0], count),
            "rain": np.round(np.where(random.uniform(size=count) < 0.4, 0.0, random.exponential(size=count)), 1),
            "binary": pa.array(random.uniform(size=count) < 0.3),
            "epoch": pa.array(random.choice(dates, count)),
            "survey": ["one"] * count,
            "comment": pa.nulls(count),
        }
    )


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """A model of all these columns, and one of two of them given the others; and their table."""
    folder, table = tmp_path_factory.mktemp("levels"), table_with_levels()
    options = {"max_steps": 5, "flow": "maf", "schema": {"epoch": "date-category"}}
    given = ["grade", "rain", "binary", "epoch", "survey"]
    models = {"all": {}, "given": {"columns": ["mass", "kind"], "given": given}}
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        for name, more in models.items():
            pf.fit_table(table, **options, **more).model.save(folder / f"{name}.safetensors")
    return {name: lite.load(folder / f"{name}.safetensors") for name in models}, table


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all", "given"])
def test_levels_are_text_and_numbers_and_functions_share_a_file(levels, name):
    table, codes = levels[0][name], levels[0][name].encode(levels[1])
    run = session(as_onnx(table, ("log_prob", "sample"), "float64"))
    types = {end.name: end.type for end in (*run.get_overridable_initializers(), *run.get_outputs())}
    assert {types["kind"], types["sample.kind"]} == {"tensor(string)"} and types["mass"] == "tensor(double)"
    assert not run.get_inputs() and "comment" not in types
    assert ("epoch" in types and types["epoch"] == "tensor(string)") and ("survey" in types) == (name == "all")
    rows = values_of(table, codes, [one for one in table.names if one in types])
    (found,) = run.run(["log_prob"], rows)
    np.testing.assert_allclose(found, table.log_prob(codes), rtol=1e-9, atol=1e-9)
    check_draws(table, codes, run)
    # Nothing is computed of a function whose rows are not given, and both where both are.
    (none,) = run.run(["sample.mass"], rows)
    assert len(none) == 0
    noise = table.density.noise(7, seed=1)
    of_seven = {key: value[:7] for key, value in rows.items()}
    both = run.run(["log_prob", "sample.kind"], {**of_seven, "sample.noise": noise})
    np.testing.assert_allclose(both[0], found[:7], rtol=1e-12, atol=1e-12)
    assert set(both[1]) <= set(levels[1]["kind"].to_pylist())


@pytest.mark.slow
def test_a_level_that_was_never_seen_has_no_probability(levels):
    table, codes = levels[0]["all"], levels[0]["all"].encode(levels[1])[:3]
    run = session(as_onnx(table, "log_prob", "float32"))
    rows = values_of(table, codes, [end.name for end in run.get_inputs()])
    rows = {key: value if value.dtype == object else value.astype("float32") for key, value in rows.items()}
    assert np.isfinite(run.run(None, rows)[0]).all()
    for name, value in (("kind", "comet"), ("grade", 3.0), ("survey", "two"), ("epoch", "2020-01-01")):
        changed = {**rows, name: rows[name].copy()}
        changed[name][1] = value
        np.testing.assert_array_equal(np.isneginf(run.run(None, changed)[0]), [False, True, False], err_msg=name)


@pytest.mark.slow
def test_gaps_of_given_columns_are_empty_text_and_no_number(tmp_path, monkeypatch):
    small_flows(monkeypatch)
    random = np.random.default_rng(0)
    kind, grade = random.integers(0, 3, 200), random.integers(0, 4, 200)
    table = pa.table(
        {
            "mass": random.normal(size=200),
            "kind": [["star", "planet", None][k] for k in kind],
            "grade": [[1.5, 2.5, 7.0, None][k] for k in grade],
            "size": pa.array(np.where(grade == 0, np.nan, random.normal(size=200)), from_pandas=True),
        }
    )
    fit = pf.fit_table(table, columns=["mass"], given=["kind", "grade", "size"], max_steps=3, flow="maf")
    fit.model.save(tmp_path / "m.safetensors")
    read = lite.load(tmp_path / "m.safetensors")
    codes, run = read.encode(table), session(as_onnx(read, "log_prob", "float64"))
    feeds = feeds_of(run, read, codes)
    assert set(read.gap_values) == {"kind", "grade", "size"} and "" in feeds["kind"] and np.isnan(feeds["grade"]).any()
    close(run.run(None, feeds)[0], read.log_prob(codes), "float64")
    # Quantiles of the one column given the others, gaps and all.
    run, level = session(as_onnx(read, "quantile", "float64")), np.linspace(0.01, 0.99, len(codes))
    given = values_of(read, codes, read.context)
    (found,) = run.run(["quantile.mass"], {"quantile.level": level, **given})
    close(found, read.quantile(level, codes[:, 1:]), "float64")


@pytest.mark.slow
def test_a_column_called_as_a_result_is_refused(tmp_path):
    table = pa.table({"log_prob": np.random.default_rng(0).normal(size=50)})
    pf.fit_table(table, max_steps=1, flow="maf").model.save(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match='column "log_prob" is called as a result'):
        pf.export(tmp_path / "m.safetensors", tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_column_called_as_the_result_of_another_function_is_none(tmp_path):
    random = np.random.default_rng(0)
    table = pa.table({"mass": random.normal(size=50), "sample.mass": random.normal(size=50)})
    pf.fit_table(table, max_steps=1, flow="maf", progress=False).model.save(tmp_path / "m.safetensors")
    read = lite.load(tmp_path / "m.safetensors")
    codes = read.sample(5, seed=0)
    (found,) = session(as_onnx(read, "log_prob")).run(None, values_of(read, codes, read.columns))
    close(found, read.log_prob(codes), "float64")
    for functions in ("sample", "log_prob,sample"):
        with pytest.raises(InputError, match=r'column "sample\.mass" is called as a result'):
            as_onnx(read, functions)


def test_functions_are_names_with_commas_or_a_list(tmp_path):
    read = written(pf.maf(features=2, layers=1, hidden=(4,)), tmp_path)
    both = as_onnx(read, ["log_prob", "sample"])
    assert as_onnx(read, "log_prob, sample") == both == as_onnx(read, "log_prob,sample,log_prob")
    for functions in (5, [5], {"log_prob": 1}, b"log_prob"):
        with pytest.raises(InputError, match="functions of an ONNX file are names out of"):
            as_onnx(read, functions)
    with pytest.raises(InputError, match="There is no function ''"):
        as_onnx(read, "log_prob,")


def test_levels_that_are_no_shares_have_no_quantile(tmp_path):
    levels, wrong = np.array([0.3, -0.1, 1.1, np.nan, np.inf, 0.7]), [False, True, True, True, True, False]
    read = written(shaken(pf.nsf(features=1, layers=1, hidden=(4,))), tmp_path)
    (found,) = session(as_onnx(read, "quantile")).run(None, {"level": levels})
    assert np.isnan(found).tolist() == wrong
    close(found[[0, 5]], read.quantile(levels[[0, 5]]), "float64")


@pytest.mark.parametrize("values", [["star", "planet"], [3.5, 2.0], [True, False]], ids=["text", "numbers", "booleans"])
def test_nor_have_they_a_level(values, tmp_path):
    levels = np.array([0.3, -0.1, 1.1, np.nan, 0.7])
    table = pa.table({"kind": pa.array(values * 40)})
    options = {"schema": {"kind": "category"}, "max_steps": 1, "flow": "maf", "progress": False}
    pf.fit_table(table, **options).model.save(tmp_path / "m.safetensors")
    read = lite.load(tmp_path / "m.safetensors")
    (found,) = session(as_onnx(read, "quantile")).run(None, {"quantile.level": levels})
    none = found == "" if isinstance(values[0], str) else np.isnan(found)
    assert none.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("context", [0, 2])
def test_all_functions_of_a_flow_in_one_file(context, tmp_path):
    torch.manual_seed(0)
    flow = shaken(pf.maf(features=1, context=context, layers=1, hidden=(8,)))
    model = written(flow, tmp_path)
    run = session(as_onnx(model, FUNCTIONS, "float64"))
    random, inputs = np.random.default_rng(0), {}
    given = {"context": random.normal(size=(5, context))} if context else {}
    for function, key in (("log_prob", "x"), ("sample", "noise"), ("to_latent", "x"), ("to_data", "z")):
        inputs[key] = random.normal(size=(5, 1))
        (found,) = run.run([function], {key: inputs[key], **given})
        method = model.to_data if function == "sample" else getattr(model, function)
        np.testing.assert_allclose(found, method(inputs[key], *given.values()), rtol=1e-12, atol=1e-12)
    inputs["level"] = random.uniform(size=5)
    found = run.run(["quantile", "to_data"], {**inputs, **given})
    np.testing.assert_allclose(found[0], model.quantile(inputs["level"], *given.values()), rtol=1e-12, atol=1e-12)
    assert all(len(part) == 0 for part in run.run(None, {}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_that_onnx_lacks(dtype):
    eps = np.finfo(dtype).eps
    sizes = np.concatenate([10.0 ** np.linspace(-30, 25, 400), [0.0, 1.0, 30.0, np.inf]]).astype(dtype)
    x = np.concatenate([-sizes, sizes, np.array([np.nan], dtype)])
    for name, exact in (
        ("log1p", np.log1p), ("expm1", np.expm1), ("sinh", np.sinh), ("asinh", np.arcsinh), ("atan", np.arctan),
    ):  # fmt: skip
        space = Namespace()
        result = getattr(space, name)(space.argument("x", dtype, (None,)))
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        ends = [onnx.helper.make_tensor_value_info(end, kind, ["rows"]) for end in ("x", result.name)]
        graph = onnx.helper.make_graph(space.graph.nodes, "g", ends[:1], ends[1:], space.graph.read_constants())
        opsets = [onnx.helper.make_opsetid("", 18)]
        found = session(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)).run(None, {"x": x})[0]
        with np.errstate(all="ignore"):
            expected = exact(x.astype("float64")).astype(dtype)
        np.testing.assert_allclose(found, expected, rtol=8 * eps, atol=0, err_msg=name)


def test_the_file_says_what_it_is(tmp_path):
    result = CliRunner().invoke(
        app,
        [
            "export",
            str(GOLDEN / "tables" / "plain.safetensors"),
            "-o",
            str(tmp_path / "m.onnx"),
            "--functions",
            "sample, log_prob",
        ],
    )
    assert result.exit_code == 0, result.stderr
    made = onnx.load(tmp_path / "m.onnx")
    about = json.loads(next(entry.value for entry in made.metadata_props if entry.key == "pushforward"))
    assert (
        about["functions"] == ["sample", "log_prob"]
        and about["columns"] == pf.TableModel.load(GOLDEN / "tables/plain.safetensors").columns
    )
    assert about["schema"] == pf.describe(GOLDEN / "tables/plain.safetensors")["notes"]["schema"]
    assert {kind["kind"] for kind in about["schema"].values()} >= {"continuous"}
    assert [end.name for end in made.graph.input] == ["sample.noise", *about["columns"]]
    assert [end.name for end in made.graph.output] == [*(f"sample.{name}" for name in about["columns"]), "log_prob"]


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    model = GOLDEN / "tables" / "plain.safetensors"
    cases = [
        (model, {"functions": "median"}, "There is no function 'median'"),
        (model, {"precision": "float16"}, "There is no precision 'float16'"),
        (model, {"functions": ["log_prob", "to_latent"]}, "A model of a table has no to_latent"),
        (model, {"functions": "quantile"}, "columns has no quantiles"),
        (GOLDEN / "tables" / "any_given.safetensors", {"functions": "quantile"}, "any columns given any others"),
    ]
    for path, options, message in cases:
        with pytest.raises(InputError, match=message):
            pf.export(path, tmp_path / "m.onnx", **options)
    with pytest.raises(InputError, match="has every function"):
        pf.export(model, tmp_path / "m.json", functions="sample")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install \"pushforward\[onnx\]\""):
        pf.export(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
