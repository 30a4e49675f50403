"""What a flow cannot take is refused in one sentence: tensors, shapes of draws, names of files."""

import inspect
import re

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.support.modules import explain_tensors


def flow(**options):
    return pf.maf(features=3, layers=2, hidden=(8,), **options)


X = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (np.zeros((4, 3)), r"x is a numpy.ndarray; convert it by torch.as_tensor\(x, dtype=flow.reference.dtype"),
        ([[0.0, 0.0, 0.0]], r"x is a list; convert it by torch.as_tensor"),
        (X.double(), r"^x is float64, the flow float32: convert x by x.to\(flow.reference.dtype\), or the flow by"),
        (X.int(), r"^x is int32, the flow float32: convert x by x.to\(flow.reference.dtype\)\.$"),
        (torch.zeros(4, 2), r"maps vectors of 3 features: expected shape \(..., 3\), got \(4, 2\)"),
        (torch.zeros(4, 1), r"maps vectors of 3 features: expected shape \(..., 3\), got \(4, 1\)"),
        (torch.tensor(1.0), r"maps vectors of 3 features: expected shape \(..., 3\), got \(\)"),
    ],
)
def test_a_value_that_a_flow_cannot_take(value, sentence):
    for method in (flow().log_prob, flow().to_latent):
        with pytest.raises(pf.InputError, match=sentence):
            method(value)
    with pytest.raises(pf.InputError, match=re.sub(r"\bx\b", "z", sentence)):
        flow().to_data(value)


def test_a_tensor_on_another_device_is_named():
    with pytest.raises(pf.InputError, match=r"^x is on the device meta, the flow on cpu: move one of them"):
        explain_tensors(RuntimeError(), flow(), x=torch.empty(4, 3, device="meta"))


def test_a_context_that_a_flow_cannot_take():
    conditional = flow(context=2)
    for context, sentence in (
        (np.zeros((4, 2)), "context is a numpy.ndarray"),
        (torch.zeros(4, 2).double(), "^context is float64, the flow float32"),
        (torch.zeros(4, 3), r"^Expected a context of shape \(..., 2\), got \(4, 3\)"),
        (None, r"needs a context of shape \(..., 2\)"),
    ):
        with pytest.raises(pf.InputError, match=sentence):
            conditional.log_prob(X, context)
        with pytest.raises(pf.InputError, match=sentence):
            conditional.sample((2,), context)
    with pytest.raises(pf.InputError, match=r"do not broadcast: x \(4, 3\) and context \(5, 2\)"):
        conditional.log_prob(X, torch.zeros(5, 2))
    with pytest.raises(pf.InputError, match="takes no context"):
        flow().log_prob(X, torch.zeros(4, 2))


@pytest.mark.parametrize("name", ["realnvp", "nsf", "radial", "sylvester", "mixture_cdf"])
def test_no_error_of_torch_reaches_the_caller(name):
    made = pf.build({"architecture": name, "features": 3, "layers": 2})
    for value in (X.double(), X.int()):
        for method in (made.log_prob, made.to_data):
            # Some flows take several precisions.
            try:
                result = method(value)
            except pf.InputError:
                continue
            assert result.isfinite().all()


def test_a_flow_in_two_precisions_takes_both():
    inside = pf.standardized(flow(), torch.randn(50, 3).double())
    assert inside.log_prob(X).shape == inside.log_prob(X.double()).shape == (4,)


def test_a_distribution_and_a_model_of_sound_say_the_same():
    with pytest.raises(pf.InputError, match=r"value is a numpy\.ndarray"):
        flow().distribution().log_prob(X.numpy())
    sound = pf.wavenet(layers=2, stacks=1)
    for value, sentence in ((np.zeros(30), "x is a numpy.ndarray"), (torch.zeros(30).double(), "x is float64")):
        with pytest.raises(pf.InputError, match=sentence):
            sound.log_prob(value)
    with pytest.raises(pf.InputError, match="cannot be negative"):
        sound.sample((-2,), length=3)


@pytest.mark.parametrize("shape", [-5, (-5,), (2, -1), 2.5, (2.0,), "3", ("a",), None, torch.tensor(2.5)])
def test_a_shape_of_draws_that_is_none(shape):
    for method in (flow().sample, flow().rsample, flow().sample_with_log_prob):
        with pytest.raises(pf.InputError, match=r"^The shape of draws is "):
            method(shape)


@pytest.mark.parametrize("shape", [2, (2,), [2], torch.Size([2]), np.int64(2), np.array([2]), torch.tensor(2)])
def test_whole_numbers_of_any_kind_are_shapes_of_draws(shape):
    assert flow().sample(shape).shape == (2, 3)


@pytest.mark.parametrize("call", [pf.load, pf.describe, pf.TableModel.load, lambda path: pf.save(flow(), path)])
def test_a_name_of_a_file_that_is_none(call):
    numbers = ((3, r"3 \(int\)"), (None, r"None \(NoneType\)"), (b"m", r"b'm' \(bytes\)"))
    for path, found in (*numbers, (flow(), "an object of the type Flow")):
        with pytest.raises(pf.InputError, match=rf"^The name of a file is text or a pathlib.Path, not {found}\.$"):
            call(path)


def test_a_feature_need_not_say_that_it_depends_on_itself():
    # As in zuko, the diagonal of an adjacency does not count.
    torch.manual_seed(0)
    bare = pf.autoregressive(2, adjacency=((0, 0), (1, 0)), layers=1, hidden=(8,))
    torch.manual_seed(0)
    marked = pf.autoregressive(2, adjacency=((1, 0), (1, 1)), layers=1, hidden=(8,))
    x = torch.randn(5, 2)
    assert torch.equal(bare.log_prob(x), marked.log_prob(x))


def test_the_help_of_a_flow_shows_types_that_people_read():
    shown = str(inspect.signature(pf.autoregressive))
    assert shown.startswith("(features: int, univariate: str = 'affine', context: int = 0, layers: int = 5, ")
    for make in (pf.autoregressive, pf.coupling, pf.maf, pf.nsf, pf.planar, pf.mixture_cdf, pf.wavenet, pf.build):
        assert "Annotated" not in str(inspect.signature(make)) and "FieldInfo" not in str(inspect.signature(make))
