"""The JavaScript of a flow gives the numbers of Python, in both directions, step by step."""

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.bijections import LU, Compose, Householder, MarginalSpline, Permutation, TailTransform
from pushforward.distributions import StandardNormal
from pushforward.flow import Flow
from pushforward.store.javascript import flow_as_json
from pushforward.zoo.flow_mixture import FlowMixture

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")
SOURCE = str(files("pushforward.store.javascript").joinpath("flow.js"))

FLOWS = {
    "maf": lambda: pf.maf(features=3, layers=2, hidden=(16, 16)),
    "maf of one layer of weights": lambda: pf.maf(features=3, layers=2, hidden=()),
    "maf too narrow for its degrees": lambda: pf.maf(features=5, layers=1, hidden=(2,)),
    "maf with a context": lambda: pf.maf(features=3, context=2, layers=2, hidden=(16,), activation="tanh"),
    "narrow maf with a context": lambda: pf.maf(features=4, context=2, layers=2, hidden=(2,), activation="silu"),
    "residual maf": lambda: pf.maf(features=3, layers=2, hidden=(8,) * 5, residual=True, activation="elu"),
    "iaf": lambda: pf.iaf(features=3, layers=2, hidden=(16,)),
    "nsf": lambda: pf.nsf(features=3, layers=2, hidden=(16, 16)),
    "nsf of coupling layers": lambda: pf.nsf(features=4, kind="coupling", layers=2, hidden=(16,), context=1),
    "realnvp": lambda: pf.realnvp(features=3, layers=3, hidden=(16,)),
    "nice": lambda: pf.nice(features=4, layers=3, hidden=(16,)),
    "linear tails": lambda: pf.autoregressive(features=2, univariate="spline", tails="linear", hidden=(8,), layers=2),
    "circular": lambda: pf.coupling(features=2, univariate="spline", tails="circular", hidden=(8,), layers=2),
    "relative affine": lambda: pf.coupling(features=2, univariate="relative_affine", hidden=(8,), layers=2),
    "planar": lambda: pf.planar(features=3, layers=4),
    "leaky planar": lambda: pf.planar(features=3, layers=4, activation="leaky_relu"),
    "radial": lambda: pf.radial(features=3, layers=4),
    "linear": lambda: Flow(Compose([LU(3), Householder(3), Permutation([2, 0, 1])]), StandardNormal(3)),
    "logistic base": lambda: pf.maf(features=2, layers=1, hidden=(8,), base="logistic"),
    "student base": lambda: pf.maf(features=2, layers=1, hidden=(8,), base="student_t"),
    "mixture base": lambda: pf.maf(features=2, layers=1, hidden=(8,), base="mixture"),
}  # fmt: skip


def in_node(flow, z, x, context=None):
    """What the JavaScript makes of rows."""
    given = {"source": SOURCE, "flow": flow_as_json(flow), "z": z.tolist(), "x": x.tolist()}
    given["context"] = None if context is None else context.tolist()
    program = Path(__file__).with_name("evaluate.js")
    done = subprocess.run([NODE, program], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shaken(flow):
    """The flow with every parameter moved at random, in double precision."""
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return flow.double().eval()


def check(flow, x, context=None, tolerance=1e-6):
    with torch.no_grad():
        z, of_inverse = flow.bijection.inverse(x, context)
        again, of_forward = flow.bijection(z, context)
        log_prob = flow.log_prob(x, context)
    found = in_node(flow, z, x, context)
    for direction, value, log_det in (("inverse", z, of_inverse), ("forward", again, of_forward)):
        got = np.array([row["value"] for row in found[direction]])
        np.testing.assert_allclose(got, value.numpy(), rtol=tolerance, atol=tolerance)
        got = np.array([row["log_det"] for row in found[direction]])
        np.testing.assert_allclose(got, log_det.numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["log_prob"], log_prob.numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["stages"][0], z[0].numpy(), rtol=tolerance, atol=tolerance)
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_every_layer_that_it_knows_gives_the_numbers_of_python(name):
    flow = shaken(FLOWS[name]())
    x = torch.cat([torch.randn(6, flow.features), 8 * torch.randn(3, flow.features)]).double()
    context = torch.randn(len(x), flow.context_features).double() if flow.context_features else None
    check(flow, x, context)


def test_a_flow_in_the_units_of_skewed_data_with_bounds_and_tails():
    x = torch.randn(500, 3, dtype=torch.float64).exp() * torch.tensor([1.0, 1e-3, 1e4])
    flow = pf.gaussianized(shaken(pf.nsf(features=3, layers=2, hidden=(8,))), x, low=[0.0, -torch.inf, 0.0])
    beyond = torch.tensor([[1e-9, -5.0, 1e9], [200.0, 50.0, 0.5], [0.0, 0.1, 0.0]], dtype=torch.float64)
    found = check(flow, torch.cat([x[:5], beyond]))
    assert len(found["stages"]) == 1 + len(flow.bijection.bijection) + 1


def test_the_context_of_a_conditional_flow_is_seen_as_in_training():
    context = torch.randn(400, 2, dtype=torch.float64).exp()
    x = context @ torch.randn(2, 2, dtype=torch.float64) + torch.randn(400, 2, dtype=torch.float64)
    inner = shaken(pf.maf(features=2, context=4, layers=2, hidden=(8,)))
    flow = pf.gaussianized(inner, x, context, context_knots=8)
    check(flow, x[:5], context[:5])


def test_contexts_beyond_the_range_are_refused_where_python_goes_on_along_a_trend():
    context = torch.rand(400, 1, dtype=torch.float64)
    x = context + torch.randn(400, 2, dtype=torch.float64)
    flow = pf.gaussianized(shaken(pf.maf(features=2, context=1, layers=1, hidden=(8,))), x, context)
    with pytest.raises(AssertionError, match="beyond the range of the training rows"):
        in_node(flow, x[:1], x[:1], torch.tensor([[3.0]]))


def test_a_mixture_of_flows():
    parts = [shaken(pf.maf(features=2, layers=1, hidden=(8,))) for _ in range(3)]
    mixture = FlowMixture(parts, [0.2, 0.3, 0.5])
    x = torch.randn(5, 2, dtype=torch.float64)
    found = in_node(mixture, x, x)
    np.testing.assert_allclose(found["log_prob"], mixture.log_prob(x).detach().numpy(), rtol=1e-6, atol=1e-6)


def test_weights_of_single_precision_travel_without_loss():
    flow = pf.maf(features=2, layers=1, hidden=(8,))
    packed = flow_as_json(flow)["bijection"]["parts"][0]["network"]["layers"][1]["weight"]
    assert set(packed) == {"shape", "f4"}


@pytest.mark.parametrize(
    ("flow", "name"),
    [
        (lambda: Flow(TailTransform(2), StandardNormal(2)), "TailTransform"),
        (lambda: pf.autoregressive(features=2, univariate="bernstein", layers=1), "Bernstein"),
        (lambda: pf.maf(features=2, layers=1, activation="gelu"), "GELU"),
        (lambda: pf.planar(features=2, context=1), "Planar"),
        (lambda: pf.autoregressive(features=2, layers=1, adjacency=((0, 0), (1, 0))), "adjacency"),
        (lambda: MarginalSpline(2), "MarginalSpline"),
    ],
)
def test_what_has_no_words_is_refused_by_name(flow, name):
    with pytest.raises(pf.InputError, match=name):
        flow_as_json(flow())
