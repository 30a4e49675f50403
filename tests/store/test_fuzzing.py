"""Mutated model files: whatever is in them, loading gives a flow or an InputError, and nothing else."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward import lite

TABLES = Path(__file__).parent.parent / "golden" / "tables"
FUZZING = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MAKERS = {
    "gaussianized": lambda: pf.gaussianized(pf.nice(2, layers=1, hidden=(4,)), _rows(), None, 8),
    "autoregressive": lambda: pf.autoregressive(
        2, "spline", layers=1, hidden=(4,), bins=4, linear="lu", context=1, adjacency=((0, 0), (1, 0))
    ),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 2, 3, 10**5, 10**9, 10**30])
    | st.floats()
    | st.sampled_from(
        ["", "nice", "coupling", "bernstein", "standardized", "gaussianized", "normal", "relu", "float32", "a" * 1000]
    )
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def _rows():
    return torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module", params=[*MAKERS, "kinds_given", "any_given_conditions"])
def whole(request, tmp_path_factory):
    if request.param not in MAKERS:
        return (TABLES / f"{request.param}.safetensors").read_bytes()
    path = tmp_path_factory.mktemp("fuzzing") / "m.safetensors"
    pf.save(MAKERS[request.param](), path, columns=["a", "b"], given=[], fit={})
    return path.read_bytes()


def only_input_errors(path, content):
    path.write_bytes(content)
    read = {}
    for loader in (pf.load, pf.describe, pf.TableModel.load, lite.load):
        sentence = ""
        try:
            read[loader] = loader(path)
        except pf.InputError as error:
            sentence = str(error)
        assert not sentence or (sentence.endswith(".") and len(sentence) < 1000)
    if lite.load in read:
        # What numpy reads is what PyTorch reads.
        assert pf.load in read
        flow, model = read[pf.load], read[lite.load]
        if isinstance(model, lite.Density) and not flow.context_features:
            x = np.zeros((1, flow.features))
            expected = flow.double().log_prob(torch.from_numpy(x)).detach().numpy()
            np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-8, equal_nan=True)


def parts(whole):
    (length,) = struct.unpack("<Q", whole[:8])
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def put_together(header, numbers):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


@FUZZING
@given(data=st.data())
def test_changed_bytes(whole, tmp_path, data):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    only_input_errors(tmp_path / "m.safetensors", bytes(content[: data.draw(st.integers(0, len(whole)))]))
    only_input_errors(tmp_path / "m.safetensors", bytes(content))


def places(value, path=()):
    """The paths to all values in nested JSON."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def changed(value, path, new):
    """A copy with another value at a place."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@FUZZING
@given(data=st.data())
def test_changed_descriptions(whole, tmp_path, data):
    header, numbers = parts(whole)
    key = data.draw(st.sampled_from(["config", "config", "config", "notes", "dtype", "pushforward"]))
    value = json.loads(header["__metadata__"][key])
    for _ in range(data.draw(st.integers(1, 3))):
        value = changed(value, data.draw(st.sampled_from(list(places(value)))), data.draw(JSON))
    header["__metadata__"][key] = json.dumps(value)
    only_input_errors(tmp_path / "m.safetensors", put_together(header, numbers))


@FUZZING
@given(data=st.data())
def test_changed_tensors(whole, tmp_path, data):
    header, numbers = parts(whole)
    name = data.draw(st.sampled_from([name for name in header if name != "__metadata__"]))
    entry = header[name]
    header[name] = changed(entry, data.draw(st.sampled_from(list(places(entry)))), data.draw(JSON))
    only_input_errors(tmp_path / "m.safetensors", put_together(header, numbers))
