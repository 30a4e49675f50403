"""Images that are the same count as one in the figures of a set of images, and a baseline that knows few images."""

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.evaluation.contracts import randomized
from pushforward.images.copies import mean_of_distinct, numbers_of_distinct
from pushforward.images.files import Images
from pushforward.images.fitting import OPTIONS, fit_images, split_images
from pushforward.images.independent_pixels import independent_pixels
from pushforward.images.model import ImageModel


def images_of(pixels, labels=None, classes=()):
    return Images(pixels, [str(number) for number in range(len(pixels))], labels, list(classes))


def random_pixels(count, shape=(1, 2, 2), levels=256, seed=0):
    return np.random.default_rng(seed).integers(levels, size=(count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("most", [1, 2, 40])
def test_the_mean_bound_of_images_with_copies_is_that_of_noise_within_its_error(most):
    """The mean over the images of E log p(x + v), from new noise, against the one noise that each image has."""
    flow = randomized(pf.realnvp_image((1, 2, 2), couplings=2, hidden=4, blocks=1), scale=0.3)
    model = ImageModel(pf.dequantized(flow, levels=4, margin=0.05).double().eval(), (1, 2, 2))
    for seed in range(2):
        distinct = np.unique(random_pixels(40, levels=4, seed=seed), axis=0)
        copies = np.random.default_rng(seed).integers(1, most + 1, size=len(distinct))
        images = images_of(np.repeat(distinct, copies, axis=0))
        mean, error = mean_of_distinct(model.bits_per_dim(images), numbers_of_distinct(images.pixels))
        x = images_of(distinct).rows().double()
        with torch.no_grad():
            noise = torch.rand(200, *x.shape, dtype=torch.float64)
            each = model.density.flow.log_prob((x + noise).flatten(0, 1)).view(200, -1)
        expected = -float(each.mean()) / math.log(2) / 4
        own_error = float(each.mean(1).std()) / 200**0.5 / math.log(2) / 4
        assert abs(mean - expected) < 5 * math.hypot(error, own_error)
        # Copies change neither the mean nor its error.
        once = mean_of_distinct(model.bits_per_dim(images_of(distinct)), numbers_of_distinct(distinct))
        np.testing.assert_allclose((mean, error), once, rtol=1e-9)


def test_one_image_has_no_known_error_however_often_it_comes():
    one = np.repeat(random_pixels(1), 50, axis=0)
    numbers = numbers_of_distinct(one)
    mean, error = mean_of_distinct(np.full(50, 2.5), numbers)
    assert mean == 2.5 and math.isnan(error)
    assert numbers.tolist() == [0] * 50


def test_a_fit_counts_held_out_images_once(monkeypatch):
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 1)
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", 1)
    monkeypatch.setitem(OPTIONS, "glow", {"steps": 1, "hidden": 4, "blocks": 0})
    pixels = np.repeat(random_pixels(30), np.arange(1, 31), axis=0)
    said: list[str] = []
    fitted = fit_images(images_of(pixels), announce=said.append)
    assert not any("pictures are dark" in line for line in said)
    held_out = np.unique(pixels, axis=0)
    bits = fitted.model.bits_per_dim(images_of(held_out)).double()
    # Three of thirty images are held out: their mean is one of those of three.
    triples = torch.combinations(bits, 3)
    distance = (triples.mean(1) - fitted.bits[0]).abs() + (triples.std(1) / 3**0.5 - fitted.bits[1]).abs()
    assert float(distance.min()) < 1e-5


def test_a_fit_says_that_small_numbers_are_those_of_dark_images(monkeypatch):
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_EPOCHS", 1)
    monkeypatch.setattr("pushforward.training.maximum_likelihood.DEFAULT_LEAST_STEPS", 1)
    monkeypatch.setitem(OPTIONS, "glow", {"steps": 1, "hidden": 4, "blocks": 0})
    said: list[str] = []
    fit_images(images_of(random_pixels(20) // 16 + 1), announce=said.append)
    assert any("no number is above 16, of 255" in line and "levels=17" in line for line in said)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_has_an_image_to_train_on(seed):
    """Classes of 1, 2, 3, ... images, with copies of some, and one image that is in two classes."""
    labels = np.repeat(np.arange(8), np.arange(1, 9))
    pixels = random_pixels(len(labels))
    pixels[4:6] = pixels[3]
    training, held_out = split_images(pixels, labels, seed)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(len(labels)))
    assert len(held_out) and set(labels[training.numpy()]) == set(labels)
    assert not {image.tobytes() for image in pixels[training]} & {image.tobytes() for image in pixels[held_out]}
    # A split that endangers no class is that of images without classes.
    many = np.arange(len(labels)) % 2
    assert all(map(torch.equal, split_images(pixels, many, seed), split_images(pixels, None, seed)))
    with pytest.raises(pf.InputError, match="Each class has only one image"):
        split_images(random_pixels(12), np.arange(12), seed)


@pytest.mark.parametrize("levels", [2, 17, 256, 65536])
@pytest.mark.parametrize("count", [10, 60, 400])
def test_independent_pixels_are_never_far_worse_than_no_model(levels, count):
    """Of pure noise nothing can be known: log2(levels) bits, and not much more for what is learned of it."""
    rng = np.random.default_rng(count)
    kind = np.uint8 if levels <= 256 else np.uint16
    training, images = (rng.integers(levels, size=(n, 1, 6, 6), dtype=kind) for n in (count, 200))
    bits = independent_pixels(training, images, levels)
    assert bits.shape == (200,)
    # The histogram of all has one image more than the numbers that it has seen.
    assert math.log2(levels) - 5 * bits.std() / 200**0.5 < bits.mean() < math.log2(levels) * 1.03 + 0.02


def test_independent_pixels_know_pixels_that_differ():
    """Each pixel has two levels of its own: one bit, where the histogram of all knows 36 levels or so."""
    rng = np.random.default_rng(0)
    own = rng.integers(128, size=(1, 1, 6, 6))
    training, images = (((own + 128 * rng.integers(2, size=(n, 1, 6, 6))) % 256).astype(np.uint8) for n in (300, 200))
    assert 0.99 < independent_pixels(training, images, 256).mean() < 1.1
    # Copies of one of the images say nothing new.
    more = np.concatenate([training, np.repeat(training[:1], 500, axis=0)])
    np.testing.assert_allclose(independent_pixels(more, images, 256), independent_pixels(training, images, 256))
