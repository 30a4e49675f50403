"""Every flow of images that a fit may take: its fit, its file, and all that is made with it."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.evaluation.contracts import randomized
from pushforward.images.files import Images
from pushforward.images.fitting import FLOWS, OPTIONS, fit_images
from pushforward.images.model import ImageModel
from pushforward.images.painting import inpaint, interpolate

SMALL = {
    "glow": {"steps": 1, "hidden": 4, "blocks": 0},
    "realnvp_image": {"couplings": 1, "hidden": 4, "blocks": 0},
    "tarflow": {"patch": 2, "layers": 2, "width": 8, "depth": 1, "heads": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_is_fitted_scores_draws_and_paints(flow, tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(20, 1, 4, 4), dtype=np.uint8)
    images = Images(pixels, [str(number) for number in range(20)], np.arange(20) % 2, ["even", "odd"])
    options = {**OPTIONS[flow], **SMALL[flow]}
    fitted = fit_images(images, flow=flow, by_class=True, options=options, max_steps=2, progress=False)
    assert fitted.model.density.config["flow"]["architecture"] == flow and np.isfinite(fitted.bits[0])
    fitted.model.save(tmp_path / "model.safetensors")
    model = ImageModel.load(tmp_path / "model.safetensors")
    context = model.contexts_of(images)
    np.testing.assert_allclose(model.bits_per_dim(images, context), fitted.model.bits_per_dim(images, context))
    drawn = model.sample(5, seed=0)
    assert drawn.shape == (5, 1, 4, 4) and model.classes_of_draws(5) == ["even", "odd", "even", "odd", "even"]
    np.testing.assert_array_equal(model.sample(3, "odd", seed=1), model.sample(3, "odd", seed=1))
    way = interpolate(model, *pixels[:2], 3, context[:2])
    assert way.shape == (3, 1, 4, 4) and abs(way[[0, -1]].astype(int) - pixels[:2]).max() <= 1
    unknown = np.zeros((4, 4), dtype=bool)
    unknown[2:] = True
    found = inpaint(model, pixels[0], unknown, 2, steps=2, context=context[:1], seed=0).pixels
    np.testing.assert_array_equal(found[:, :, :2], np.repeat(pixels[:1, :, :2], 2, axis=0))


@pytest.mark.slow
def test_a_student_of_one_pass_takes_the_place_of_patches_one_by_one():
    x = torch.randint(5, (200, 16), generator=torch.Generator().manual_seed(0)).float()
    teacher = pf.dequantized(randomized(pf.tarflow((1, 4, 4), **SMALL["tarflow"]), scale=0.3).float(), x, levels=5)
    student = pf.dequantized(pf.realnvp_image((1, 4, 4), couplings=2, hidden=8, blocks=1), x, levels=5)
    before = pf.evaluate_student(teacher.flow, student.flow, draws=1000)
    options = {"max_steps": 100, "batch_size": 64, "learning_rate": 5e-3, "average_decay": 0.9, "progress": False}
    after = pf.distill(teacher.flow, student.flow, draws=1000, timing_rows=10, **options)
    assert after.kl < before.kl / 2 + 5 * (after.kl_error + before.kl_error) / 2 and after.speed.factor > 0
    # Levels by the student's weighted draws against those that the teacher draws.
    mean, error = pf.reweight(teacher.flow, student.flow, 2000).expectation(lambda images: images.floor())
    drawn = teacher.sample((2000,)).double()
    off = (mean - drawn.mean(0)) / torch.hypot(error, drawn.std(0) / 2000**0.5)
    assert float(off.abs().max()) < 5
