"""P(class | image) of models of classes against Bayes' rule by hand."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.evaluation.contracts import randomized
from pushforward.images.files import Images
from pushforward.images.model import ImageModel
from pushforward.images.recognition import Recognition, recognition

NAMES, SHARES = ["cat", "dog", "eel"], [0.5, 0.2, 0.3]


def model_of_classes():
    flow = randomized(pf.realnvp_image((1, 2, 2), context=3, couplings=2, hidden=4, blocks=1), scale=0.7)
    return ImageModel(pf.dequantized(flow, margin=0.05).double().eval(), (1, 2, 2), NAMES, SHARES)


def some_images(count, labels=None, classes=()):
    pixels = np.random.default_rng(0).integers(256, size=(count, 1, 2, 2), dtype=np.uint8)
    return Images(pixels, [str(number) for number in range(count)], labels, list(classes))


def test_probabilities_of_classes_follow_bayes_rule(tmp_path):
    model, images, told = model_of_classes(), some_images(70), []
    joint = model.log_joint(images, told.append)
    assert joint.shape == (70, 3) and told[-1] == 1
    for row, found in zip(images.rows().double(), joint, strict=True):
        with torch.no_grad():
            given = np.array([float(model.density.log_prob(row, context)) for context in torch.eye(3).double()])
        # Densities relative to the largest one, which a float holds.
        terms = np.array(SHARES) * np.exp(given - given.max())
        np.testing.assert_allclose(found.softmax(0), terms / terms.sum(), rtol=1e-9)
        np.testing.assert_allclose(found.logsumexp(0), np.log(terms.sum()) + given.max(), rtol=1e-9)
    # The classes make a difference, and a file keeps their shares.
    assert (joint.softmax(1) - torch.tensor(SHARES)).abs().max() > 0.1
    model.save(tmp_path / "model.safetensors")
    again = ImageModel.load(tmp_path / "model.safetensors")
    assert again.shares == SHARES
    np.testing.assert_allclose(again.log_joint(images), joint, rtol=1e-9)


def test_the_share_of_images_that_are_recognized():
    model = model_of_classes()
    labels = np.array([0, 1, 1, 0])
    joint = torch.log(torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
    # Numbers of classes are those of the images, not those of the model.
    found = recognition(joint, some_images(4, labels, ["dog", "cat"]), model.classes)
    assert found == Recognition(0.5, 4, [])
    assert recognition(joint, some_images(4), model.classes) is None
    # Images of unknown classes are left out, and named.
    found = recognition(joint, some_images(4, labels, ["dog", "wolf"]), model.classes)
    assert found == Recognition(0.5, 2, ["wolf"])
    assert recognition(joint, some_images(4, labels, ["bat", "wolf"]), model.classes) == Recognition(
        None, 0, ["bat", "wolf"]
    )


def test_a_model_without_classes_has_no_posterior():
    model = ImageModel(pf.dequantized(pf.realnvp_image((1, 2, 2), couplings=1, hidden=2)), (1, 2, 2))
    with pytest.raises(InputError, match="fit with --by-class"):
        model.log_joint(some_images(2))
