"""Damaged and hostile model files: what PyTorch refuses to read is refused without it, and before memory is taken."""

import json
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from named_flows import FLOWS, IN_UNITS, made
from typer.testing import CliRunner

import pushforward as pf
from pushforward import lite
from pushforward.cli.app import app
from pushforward.errors import InputError

TABLES = Path(__file__).parent.parent / "golden" / "tables"
SIZES = {"layers": 3, "hidden": (8,)}
MAKERS = {
    "nsf": lambda: pf.nsf(features=3, **SIZES),
    "coupling": lambda: pf.coupling(3, "spline", context=1, **SIZES),
    "autoregressive": lambda: pf.autoregressive(3, "affine", linear="actnorm", **SIZES),
    "sylvester": lambda: pf.sylvester(features=3, layers=2),
    "nice": lambda: pf.nice(features=3, **SIZES),
}
OPTIONS = {
    "features": [4, 2, 10**5, 10**9, 0, -1, "3", None],
    "layers": [2, 4, 10**9, 0, "5"],
    "hidden": [[64], [8, 8], [10**9], [], 8, "zz"],
    "bins": [9, 4, 0, 10**9, "zz"],
    "bound": [0, -1, float("nan"), float("inf"), "zz"],
    "tails": ["zzz", "linear", "circular"],
    "kind": ["zz", "coupling", "inverse_autoregressive"],
    "order": ["zz", [0, 1], [0, 0, 1]],
    "activation": ["zz", "leaky_relu", 3],
    "base": ["zz", "student_t", "mixture"],
    "linear": ["zz", "lu", "householder"],
    "dropout": [2, -1, "zz"],
    "residual": ["zz", 7],
    "context": [1, 3, 10**9, -1],
    "architecture": ["maf", "realnvp", "zz", None, "planar", "normal_mixture", "flow_mixture", "standardized"],
    "univariate": ["zz", "bernstein", "monotone_network", "sinh_arcsinh"],
    "rank": [1, 10**9, 0],
    "unknown": [1],
}


def parts(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_together(path, header, body):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def edited(path, part, edit):
    """The file with a part of its description edited."""
    header, body = parts(path)
    value = json.loads(header["__metadata__"][part])
    edit(value)
    header["__metadata__"][part] = json.dumps(value)
    return put_together(path, header, body)


def refuses(loader, path):
    sentence = ""
    try:
        loader(path)
    except InputError as error:
        sentence = str(error)
    assert not sentence or (sentence.endswith(".") and len(sentence) < 1000)
    return bool(sentence)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", MAKERS)
def test_options_that_pytorch_refuses_are_refused(name, option, tmp_path):
    flow = MAKERS[name]().double().eval()
    path = tmp_path / "m.safetensors"
    pf.save(flow, path)
    whole = path.read_bytes()
    for value in OPTIONS[option]:
        path.write_bytes(whole)
        edited(path, "config", lambda config, value=value: config.update({option: value}))
        if refuses(pf.load, path):
            assert refuses(lite.load, path), value
        elif not refuses(lite.load, path):  # it is the same density then
            x = torch.randn(5, 3, dtype=torch.float64)
            context = None if not flow.context_features else torch.zeros(5, flow.context_features).double()
            expected = pf.load(path).log_prob(x, context).detach().numpy()
            found = lite.load(path).log_prob(x.numpy(), None if context is None else context.numpy())
            np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.fixture
def flow(tmp_path):
    pf.save(pf.nsf(features=3, **SIZES), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_bit_that_has_flipped_is_found(flow, tmp_path):
    header, body = parts(flow)
    body = bytearray(body)
    body[len(body) // 2] ^= 1
    put_together(flow, header, bytes(body))
    for loader in (pf.load, lite.load):
        with pytest.raises(InputError, match="its weights are not those that were written"):
            loader(flow)
    for command in (("info", flow), *(("export", flow, "-o", tmp_path / f"x.{form}") for form in ("json", "onnx"))):
        assert run(*command).exit_code == 2
    assert run("card", flow, "-o", tmp_path / "hub").exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_weights_that_are_not_finite_are_refused_without_a_digest_too(number, flow):
    header, body = parts(flow)
    name = next(name for name in header if name.endswith("bias"))
    start = header[name]["data_offsets"][0]
    put_together(flow, header, body[:start] + np.float32(number).tobytes() + body[start + 4 :])
    edited(flow, "pushforward", lambda about: about.pop("digest"))
    for loader in (pf.load, lite.load):
        with pytest.raises(InputError, match="holds numbers that are not finite"):
            loader(flow)
    assert run("info", flow).exit_code == 2


@pytest.mark.parametrize("name", [*FLOWS, *IN_UNITS])
def test_every_weight_must_be_there_in_its_shape_and_no_other(name, tmp_path):
    flow, _, _ = made(name)
    path = tmp_path / "m.safetensors"
    pf.save(flow, path)
    header, body = parts(path)
    about = json.loads(header["__metadata__"]["pushforward"])
    header["__metadata__"]["pushforward"] = json.dumps({**about, "digest": None})
    names = [key for key in header if key != "__metadata__"]
    for key in names[:: max(1, len(names) // 7)]:
        shape = header[key]["shape"]
        other = {**header[key], "shape": [1, *shape]}
        assert refuses(lite.load, put_together(path, {**header, key: other}, body)), key
        renamed = {**{other: header[other] for other in header if other != key}, f"{key}s": header[key]}
        assert refuses(lite.load, put_together(path, renamed, body)), key
    put_together(path, header, body)
    assert lite.load(path).features == flow.features


def test_no_size_in_a_description_takes_memory(flow):
    edited(flow, "config", lambda config: config.update(features=100_000, hidden=[100_000]))
    code = f"from pushforward import lite; lite.load({str(flow)!r})"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit)
    assert "InputError" in done.stderr and "MemoryError" not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["kinds_given", "any_given_conditions"])
@pytest.mark.parametrize(
    "notes",
    [
        {"columns": "abc"},
        {"columns": [1, 2, 3]},
        {"columns": None},
        {"columns": ["sex"]},
        {"columns": ["sex"] * 7},
        {"schema": {"sex": {"kind": "zz"}}},
        {"schema": 3},
        {"errors": {"zz": "zz"}},
        {"gap_values": {"zz": 0.0}},
        {"gap_values": 3},
    ],
    ids=str,
)
def test_columns_that_do_not_agree_are_refused(name, notes, tmp_path):
    path = tmp_path / "m.safetensors"
    shutil.copy(TABLES / f"{name}.safetensors", path)
    edited(path, "notes", lambda found: found.update(notes))
    assert refuses(pf.TableModel.load, path) and refuses(lite.load, path)
    assert run("card", path, "-o", tmp_path / "hub").exit_code == 2
    assert run("export", path, "-o", tmp_path / "x.onnx").exit_code == 2


@pytest.mark.parametrize("number", ["4", 4.5, None, True])
def test_a_format_is_a_whole_number(number, flow):
    edited(flow, "pushforward", lambda about: about.update(format=number))
    for loader in (pf.load, lite.load, pf.describe):
        with pytest.raises(InputError, match="damaged description"):
            loader(flow)


def test_numbers_that_numpy_has_not_are_named(tmp_path):
    pf.save(pf.nsf(features=2, **SIZES).bfloat16(), tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="such as bfloat16; use PyTorch"):
        lite.load(tmp_path / "m.safetensors")
    assert run("info", tmp_path / "m.safetensors").exit_code == 0
