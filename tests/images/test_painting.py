"""Interpolations between images, and drawn pixels against the conditional density by quadrature."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.evaluation.contracts import randomized
from pushforward.images.files import Images
from pushforward.images.model import ImageModel
from pushforward.images.painting import inpaint, interpolate, white_pixels


def small_model(shape, levels=256, context=0, scale=0.7):
    flow = randomized(pf.realnvp_image(shape, context=context, couplings=2, hidden=4, blocks=1), scale=scale)
    return ImageModel(pf.dequantized(flow, levels=levels, margin=0.05).double().eval(), shape)


@pytest.mark.slow
def test_drawn_pixels_follow_their_density_given_the_others():
    """One pixel of two, of 3 levels: its levels in 30 populations against their probabilities."""
    model = small_model((1, 1, 2), levels=3)
    image = np.array([[[1, 0]]], dtype=np.uint8)
    shares = []
    for seed in range(30):
        found = inpaint(model, image, np.array([[False, True]]), 64, steps=10, seed=seed)
        assert (found.pixels[:, 0, 0, 0] == 1).all() and 0 < found.accepted <= 1 and np.isfinite(found.log_probs).all()
        shares.append(np.bincount(found.pixels[:, 0, 0, 1], minlength=3) / 64)
    # P(unknown | known): the density of both with noise, over that of the known number.
    nodes, weights = np.polynomial.legendre.leggauss(40)
    inside, weight = torch.tensor((nodes + 1) / 2), torch.tensor(weights / 2)
    # The unknown one on the real line, where none of its tails is left out.
    wide = torch.linspace(-60, 60, 6001, dtype=torch.float64)
    bijection = model.density.flow.bijection
    given, slope = bijection.data.each_inverse((1 + inside)[:, None].expand(-1, 2))
    points = torch.stack(torch.broadcast_tensors(given[:, :1], wide), -1).reshape(-1, 2)
    with torch.no_grad():
        z, log_det = bijection.bijection.inverse(points)
        density = (model.density.flow.base.log_prob(z) + log_det).view(40, -1).exp()
    conditional = (density * (weight * slope[:, 0].exp())[:, None]).sum(0)
    conditional = conditional / conditional.sum()
    levels = model.density.quantized(bijection.data(wide[:, None].expand(-1, 2))[0][:, 0]).long()
    expected = torch.zeros(3, dtype=torch.float64).index_add(0, levels, conditional).numpy()
    errors = np.maximum(np.std(shares, 0, ddof=1), np.sqrt(expected * (1 - expected) / 64)) / 30**0.5
    assert np.all(np.abs(np.mean(shares, 0) - expected) < 5 * errors + 0.01), (np.mean(shares, 0), expected, errors)


def test_known_pixels_stay_and_a_seed_repeats():
    model = small_model((1, 4, 4), scale=0.3)
    image = np.random.default_rng(0).integers(256, size=(1, 4, 4), dtype=np.uint8)
    unknown = np.zeros((4, 4), bool)
    unknown[2:] = True
    first, again = (inpaint(model, image, unknown, 3, steps=5, seed=1) for _ in range(2))
    other = inpaint(model, image, unknown, 3, steps=5, seed=2)
    assert np.array_equal(first.pixels, again.pixels) and not np.array_equal(first.pixels, other.pixels)
    assert (first.pixels[:, :, ~unknown] == image[:, ~unknown]).all()
    assert not np.array_equal(first.pixels[0], first.pixels[1])
    assert 1 <= first.ancestors <= 3 and first.levels >= 1


def test_an_interpolation_begins_and_ends_with_its_images():
    # A random map that is too steep loses the digits of what comes back.
    model = small_model((1, 4, 4), context=2, scale=0.3)
    ends = np.random.default_rng(0).integers(256, size=(2, 1, 4, 4), dtype=np.uint8)
    context = torch.eye(2, dtype=torch.float64)
    between = interpolate(model, ends[0], ends[1], 5, context)
    assert between.shape == (5, 1, 4, 4)
    assert np.array_equal(between[0], ends[0]) and np.array_equal(between[-1], ends[1])
    same = interpolate(model, ends[0], ends[0], 3, context[:1].expand(2, 2))
    assert np.array_equal(same[1], ends[0])


@pytest.mark.parametrize(("kind", "least", "levels"), [(np.uint8, 128, 256), (np.uint16, 32768, 65536)])
def test_white_pixels_are_those_of_half_the_levels_or_more(kind, least, levels):
    mask = np.array([[[[0, 1, least - 1], [least, levels - 1, 0]]]], kind)
    assert white_pixels(Images(mask, ["m"]), "m.png").tolist() == [[False] * 3, [True, True, False]]
    # In color, one channel is enough.
    colored = np.concatenate([mask, np.zeros_like(mask), mask[..., ::-1]], 1)
    assert white_pixels(Images(colored, ["m"]), "m.png").tolist() == [[False] * 3, [True, True, True]]
    for largest in (0, 1, least - 1):
        gray = Images(np.minimum(mask, kind(largest)), ["m"])
        sentence = f"m.png hides no pixel.* white from {least} on, and its largest number is {largest}"
        with pytest.raises(pf.InputError, match=sentence):
            white_pixels(gray, "m.png")


def test_a_share_of_accepted_steps_is_a_ratio_of_whole_numbers():
    model = small_model((1, 2, 2), scale=0.01)
    unknown = np.array([[True, False], [False, False]])
    found = inpaint(model, np.full((1, 2, 2), 128, np.uint8), unknown, steps=10, seed=0)
    assert found.accepted in {number / 10 for number in range(11)}


@pytest.mark.parametrize(
    ("unknown", "match"), [(np.zeros((4, 4), bool), "hides no pixel"), (np.ones((4, 5), bool), "4 × 5 pixels")]
)
def test_masks_that_cannot_be(unknown, match):
    with pytest.raises(pf.InputError, match=match):
        inpaint(small_model((1, 4, 4)), np.zeros((1, 4, 4), np.uint8), unknown)
    with pytest.raises(pf.InputError, match="of one context"):
        inpaint(
            small_model((1, 4, 4), context=2),
            np.zeros((1, 4, 4), np.uint8),
            np.ones((4, 4), bool),
            context=torch.eye(2),
        )
    with pytest.raises(pf.InputError, match="at least 2 steps"):
        interpolate(small_model((1, 4, 4)), *np.zeros((2, 1, 4, 4), np.uint8), steps=1)
