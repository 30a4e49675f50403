"""The benchmarks of images on made-up ones and tiny flows: their figures, by class, and their picture."""

import argparse
import ast
import json
import math
import sys

import digits
import images
import mnist
import numpy as np
import pytest
import torch
from gpu_images import TINY, made_up

from pushforward.images.model import ImageModel

pytest.importorskip("PIL.Image")


@pytest.mark.slow
def test_a_fit_by_class_states_bits_and_the_share_that_is_recognized(tmp_path):
    path, parts = tmp_path / "model.safetensors", [made_up(count) for count in (60, 20, 20)]
    arguments = [*TINY, "--by-class", "--save", str(path), "--log", str(tmp_path / "log.csv"), "--held-out", "10"]
    found = images.measured(images.options_of(arguments), *parts)
    model, test = ImageModel.load(path), parts[2]
    with torch.no_grad():
        each = torch.stack([model.density.log_prob(test[0], one.expand(20, -1)) for one in torch.eye(10)])
        own = model.density.bits_per_dim(test[0], torch.eye(10)[test[1]]).double()
    # All classes are as frequent in the training.
    assert found["test_recognized"] == pytest.approx(float((each.argmax(0) == test[1]).double().mean()))
    np.testing.assert_allclose(found["test"], (float(own.mean()), float(own.std()) / 20**0.5), rtol=1e-4)
    assert found["steps"] == 3 and 0 <= found["validation_recognized"] <= 1


@pytest.mark.slow
def test_the_digits_are_fitted_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(digits, "OPTIONS", {"steps": 1, "hidden": 4, "blocks": 0})
    monkeypatch.setattr("images_picture.STEPS", 2)
    monkeypatch.setattr("images_picture.HALVES", 1)
    picture = tmp_path / "digits.png"
    monkeypatch.setattr(sys, "argv", ["digits.py", "-o", str(picture), "--seconds", "1"])
    digits.main()
    said = json.loads(capsys.readouterr().out)
    assert said["test_images"] == 360 and 0 <= said["recognized"] <= 1 and picture.exists()


@pytest.mark.slow
def test_the_flow_of_logits_states_nats(tmp_path, monkeypatch, capsys):
    """A flow that starts at the identity has, before any step, the density of independent normal logits."""
    monkeypatch.setattr(mnist, "VALIDATION", 20)
    monkeypatch.setattr(mnist, "images", lambda part: made_up(80)[0].numpy().astype(np.uint8))
    monkeypatch.setattr("image_fits.pf.fit", lambda *data, **options: argparse.Namespace(steps=0))
    monkeypatch.setattr(sys, "argv", ["mnist.py", "--layers", "1", "--hidden", "8", "--log", str(tmp_path / "log.csv")])
    mnist.main()
    said = ast.literal_eval(capsys.readouterr().out)
    seen = mnist.to_logits(mnist.dequantized(mnist.images("train")[:-20], 0)).double()
    test = mnist.to_logits(mnist.dequantized(mnist.images("t10k"), 2)).double()
    log_prob = torch.distributions.Normal(seen.mean(0), seen.std(0)).log_prob(test).sum(1)
    assert said["test"] == pytest.approx(float(log_prob.mean()), rel=1e-4)
    assert said["error"] == pytest.approx(float(log_prob.std()) / math.sqrt(80), rel=1e-3)
    assert {"machine", "threads", "parameters", "steps", "seconds", "validation"} <= set(said)
