"""The JavaScript of a flow gives the numbers of Python, in both directions, step by step."""

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from named_flows import FLOWS, IN_UNITS, made, shaken

import pushforward as pf
from pushforward.bijections import Compose, TailTransform
from pushforward.distributions import StandardNormal
from pushforward.exports.javascript import flow_as_json
from pushforward.exports.javascript.description import described
from pushforward.flow import Flow
from pushforward.lite.density import Density
from pushforward.lite.reading import Weights, density
from pushforward.version import __version__
from pushforward.zoo.flow_mixture import FlowMixture

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")
FOLDER = Path(str(files("pushforward.exports.javascript").joinpath("index.js"))).parent
TOLERANCE = 1e-8
# Families whose roots take long, flow by flow.
SLOW = ("monotone_network autoregressive", "monotone_network coupling", "kernel density")


def in_node(flow, z, x, context=None, draws=0, levels=()):
    """What the JavaScript makes of rows."""
    given = {"source": str(FOLDER / "index.js"), "flow": flow_as_json(flow), "z": z.tolist(), "x": x.tolist()}
    given |= {"context": None if context is None else context.tolist(), "draws": draws, "levels": list(levels)}
    program = Path(__file__).with_name("evaluate.js")
    done = subprocess.run([NODE, program], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numpys(flow):
    """The density as numpy evaluates it, which other tests compare with torch."""
    arrays = {key: value.double().numpy() for key, value in flow.state_dict().items()}
    return Density(density(flow.config, Weights(arrays)))


def numbers(values):
    """JSON has neither infinite numbers nor those that are none."""
    return np.array([[np.nan if one is None else one for one in np.atleast_1d(row)] for row in values], dtype=float)


def near(found, expected):
    expected = np.asarray(expected, dtype=float)
    expected = np.where(np.isfinite(expected), expected, np.nan)
    np.testing.assert_allclose(numbers(found).reshape(expected.shape), expected, rtol=TOLERANCE, atol=TOLERANCE)


def check(flow, x, context=None):
    model, given = numpys(flow), None if context is None else context.numpy()
    one = not hasattr(flow, "flows")
    z = model.to_latent(x.numpy(), given) if one else x.numpy()
    # Latents far out are many: those of draws are as many as rows.
    z = np.clip(z, 0.05, 0.95) if type(flow.base).__name__ == "Uniform" else np.clip(z, -4, 4)
    found = in_node(flow, torch.from_numpy(z), x, context)
    near(found["log_prob"], model.log_prob(x.numpy(), given))
    if one:
        near([row["value"] for row in found["inverse"]], model.to_latent(x.numpy(), given))
        near([row["value"] for row in found["forward"]], model.to_data(z, given))
        forward, inverse = (np.array([row["log_det"] for row in found[name]]) for name in ("forward", "inverse"))
        near(found["there and back"], -forward)
        assert len(inverse) == len(x)
    return found


@needs_node
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in (*FLOWS, *IN_UNITS)]
)
def test_every_named_flow_gives_the_numbers_of_python(name):
    flow, x, context = made(name)
    found = check(flow, x, context)
    if found["stages"]:
        given = None if context is None else context.numpy()[:1]
        near(found["stages"][0], numpys(flow).to_latent(x.numpy()[:1], given)[0])


@needs_node
@pytest.mark.parametrize("base", ["normal", "logistic", "student_t", "mixture", "uniform"])
def test_draws_have_the_moments_of_the_base(base):
    flow = shaken(pf.maf(features=2, layers=1, hidden=(4,), base=base))
    x = torch.zeros(1, 2, dtype=torch.float64)
    draws = np.array(in_node(flow, x, x, draws=4000)["draws"])
    model = numpys(flow)
    z, ours = model.to_latent(draws), model.noise(4000, seed=0)[:, 1:]
    for feature in range(2):
        # Of a bounded function of each, by five standard errors of the difference.
        first, second = (np.tanh(part[:, feature]) for part in (z, ours))
        error = np.sqrt(first.var() / len(first) + second.var() / len(second))
        assert abs(first.mean() - second.mean()) < 5 * error


@needs_node
def test_contexts_beyond_the_range_go_on_along_the_trend_of_python():
    context = torch.rand(400, 1, dtype=torch.float64)
    x = context + torch.randn(400, 2, dtype=torch.float64)
    flow = pf.gaussianized(shaken(pf.maf(features=2, context=1, layers=1, hidden=(8,))), x, context)
    far = torch.tensor([[3.0], [-2.0], [40.0], [1e9], [0.5]], dtype=torch.float64)
    check(flow.double(), x[: len(far)] + far.clamp(-2, 40), far)
    moved = numpys(flow).to_data(np.zeros((2, 2)), np.array([[0.5], [40.0]]))
    assert (moved[1] > moved[0] + 10).all()


@needs_node
@pytest.mark.parametrize("base", ["normal", "logistic", "uniform", "mixture", "student_t"])
@pytest.mark.parametrize("context", [0, 2])
def test_quantiles_of_flows_and_mixtures_of_one_feature(base, context):
    torch.manual_seed(0)
    options = {"features": 1, "context": context, "layers": 1, "hidden": (8,), "base": base}
    flow = shaken(pf.nsf(**options)).double()
    given = None if not context else torch.randn(1, context, dtype=torch.float64)
    levels = [0.001, 0.25, 0.5, 0.9999]
    mixed = FlowMixture([flow, shaken(pf.nsf(**options))], [0.3, 0.7]).double().eval()
    x = torch.full((1, 1), 0.3, dtype=torch.float64)
    for one in (flow, mixed):
        found = in_node(one, x, x, given, levels=levels)["quantiles"]
        expected = numpys(one).quantile(np.array(levels), None if given is None else given.numpy().repeat(4, 0))
        near(found, expected)


@needs_node
def test_rows_and_contexts_of_another_width_are_refused():
    flow = pf.maf(features=2, context=1, layers=1, hidden=(4,))
    x = torch.zeros(1, 2, dtype=torch.float64)
    for row, context, message in (
        (x, None, "needs a context of 1 numbers"),
        (x[:, :1], torch.zeros(1, 1), "Expected a row of 2 numbers, got 1"),
        (x, torch.zeros(1, 2), "Expected a context of 1 numbers, got 2"),
    ):
        with pytest.raises(AssertionError, match=message):
            in_node(flow, row, row, context)


@needs_node
def test_it_is_a_module_for_import_and_require(tmp_path):
    target = tmp_path / "node_modules" / "pushforward"
    shutil.copytree(FOLDER, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    package = json.loads((target / "package.json").read_text())
    assert all((target / name).is_file() for name in package["files"]) and package["version"] == __version__
    pf.save(pf.maf(features=2, layers=1, hidden=(4,)), tmp_path / "flow.safetensors")
    written = pf.export(tmp_path / "flow.safetensors", tmp_path / "flow.json")
    use = f"const flow = read(JSON.parse(readFileSync({str(written)!r}, 'utf8'))); console.log(flow.logProb([0, 0]));"
    programs = {
        "one.mjs": f'import {{ read }} from "pushforward"; import {{ readFileSync }} from "node:fs"; {use}',
        "one.cjs": f'const {{ read }} = require("pushforward"); const {{ readFileSync }} = require("node:fs"); {use}',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        done = subprocess.run([NODE, tmp_path / name], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert np.isfinite(float(done.stdout))


def test_weights_of_single_precision_travel_without_loss():
    flow = pf.maf(features=2, layers=1, hidden=(8,))
    packed = flow_as_json(flow)["bijection"]["parts"][0]["network"]["layers"][1]["weight"]
    assert set(packed) == {"shape", "f4"}


@pytest.mark.parametrize(
    ("flow", "name"),
    [
        (lambda: Flow(Compose([TailTransform(2)]), StandardNormal(2)), "Flow of your own"),
        (lambda: pf.wavenet(channels=4, blocks=1, layers=2), "wavenet"),
    ],
)
def test_what_has_no_words_is_refused_by_name(flow, name):
    with pytest.raises(pf.InputError, match=name):
        flow_as_json(flow())


def test_infinite_ends_and_whole_numbers_travel():
    assert described({"a": np.array([1, 2]), "b": np.array([-np.inf])})["a"] == [1, 2]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [("flow.pt", "name a file that ends in .json or .onnx"), ("missing/flow.json", "does not exist; create it first")],
)
def test_outputs_that_cannot_be_are_refused(output, sentence, tmp_path):
    pf.save(pf.maf(features=2, layers=1, hidden=(4,)), tmp_path / "flow.safetensors")
    with pytest.raises(pf.InputError, match=sentence):
        pf.export(tmp_path / "flow.safetensors", tmp_path / output)
