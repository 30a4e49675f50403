"""Which devices can be asked for, wherever that is."""

import pytest
import torch
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app
from pushforward.errors import InputError
from pushforward.support.devices import DEVICES, choose_device, usable_device


def sentence(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("device", ["tpu", "gpu", "cpu:x", 5, None])
def test_a_model_is_loaded_to_devices_that_a_fit_knows(device, tmp_path):
    flow = pf.maf(2)
    pf.save(flow, tmp_path / "m.safetensors")
    said = sentence(pf.load, tmp_path / "m.safetensors", device=device)
    assert said == sentence(pf.fit, flow, torch.randn(100, 2), device=device)
    assert said == f"device must be one of auto, cpu, cuda, mps; it is {device!r}."


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda"), torch.device("cuda", 0)])
def test_a_device_that_is_not_there_is_the_sentence_of_a_fit(device, tmp_path):
    pf.save(pf.maf(2), tmp_path / "m.safetensors")
    assert sentence(pf.load, tmp_path / "m.safetensors", device=device) == sentence(choose_device, "cuda")
    assert sentence(pf.TableModel.load, tmp_path / "m.safetensors", device=device) == sentence(choose_device, "cuda")


def test_devices_of_a_number_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert usable_device("cuda:1") == torch.device("cuda", 1)
    assert "there are 2" in sentence(usable_device, "cuda:2")


def test_help_names_the_devices():
    for command in ("fit", "distill"):
        words = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.split())
        assert "Where to train: " + ", ".join(DEVICES[:-1]) + f" or {DEVICES[-1]}." in words
