"""Drawn pixels against their probabilities given the others, of images whose likely ones are far apart."""

import itertools

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.bijections.compose import Compose
from pushforward.bijections.permutation import Permutation
from pushforward.distributions import GaussianMixture
from pushforward.images.model import ImageModel
from pushforward.images.painting import inpaint

LEVELS, COUNT = 4, 50
# Of the intensities on the real line of 2 × 2 pixels: the upper ones lean to one of three patterns of the lower ones.
WEIGHTS = [0.5, 0.3, 0.2]
MEANS = [[-0.8, -0.8, -3.0, -3.0], [0.8, 0.8, 3.0, 3.0], [0.8, -0.8, -3.0, 3.0]]
SCALES = [[1.0, 1.0, 0.5, 0.5]] * 3
LOWER = np.array([[False, False], [True, True]])


def model_of_patterns():
    base = GaussianMixture(4, 3)
    base.logits.data = torch.tensor(WEIGHTS).log()
    base.means.data, base.log_scales.data = torch.tensor(MEANS), torch.tensor(SCALES).log()
    flow = pf.Flow(Compose([Permutation(torch.arange(4))]), base)
    return ImageModel(pf.dequantized(flow, levels=LEVELS).double().eval(), (1, 2, 2))


def probability_of_each(model):
    """P(x) of each of the 4^4 images, by the normal distribution function: the components have independent pixels."""
    steps = torch.arange(LEVELS + 1.0, dtype=torch.float64)[:, None].expand(-1, 4)
    edges = model.density.flow.bijection.data.inverse(steps)[0]
    below = torch.special.ndtr((edges - torch.tensor(MEANS)[:, None]) / torch.tensor(SCALES)[:, None])
    each = below.diff(dim=1)
    images = torch.tensor(list(itertools.product(range(LEVELS), repeat=4)))
    given = torch.stack([each[:, images[:, d], d] for d in range(4)]).prod(0)
    return images.view(-1, 2, 2).numpy(), (torch.tensor(WEIGHTS, dtype=torch.float64) @ given).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("upper", [(3, 3), (1, 1), (2, 1)], ids=str)
def test_patterns_are_drawn_as_often_as_the_known_pixels_make_them_likely(upper):
    model = model_of_patterns()
    images, probability = probability_of_each(model)
    np.testing.assert_allclose(probability.sum(), 1, atol=1e-4)
    given = (images[:, 0] == upper).all(1)
    bright = images[given][:, 1] >= 2
    conditional = probability[given] / probability[given].sum()
    image = np.array([[upper, (0, 0)]], dtype=np.uint8)
    shares = []
    for seed in range(30):
        drawn = inpaint(model, image, LOWER, COUNT, steps=10, seed=seed).pixels[:, 0]
        assert (drawn[:, 0] == upper).all()
        shares.append([np.mean((drawn[:, 1] >= 2) @ [1, 2] == pattern) for pattern in range(4)])
    shares = np.array(shares)
    expected = np.array([conditional[bright @ [1, 2] == pattern].sum() for pattern in range(4)])
    # Images of one call come from one population, calls are independent; none may have drawn what is rare.
    errors = np.maximum(shares.std(0, ddof=1), np.sqrt(expected * (1 - expected) / COUNT)) / len(shares) ** 0.5
    assert np.all(np.abs(shares.mean(0) - expected) < 5 * errors + 1e-3), (shares.mean(0), expected, errors)
