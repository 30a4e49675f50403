"""Seeded blocks, and the last words of a message about an unknown name."""

import numpy as np
import pytest
import torch

from pushforward import fit_table
from pushforward.errors import InputError
from pushforward.support.modules import device_of, frozen
from pushforward.support.seeding import seeded
from pushforward.support.suggestions import nearest


def test_draws_repeat_and_the_caller_keeps_the_random_state():
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        assert torch.equal(torch.rand(4), first)
    with pytest.raises(RuntimeError), seeded(3):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, True])
def test_what_is_no_seed_is_refused(seed):
    with (
        pytest.raises(InputError, match="seed must be a whole number from 0 to 9223372036854775807; it is"),
        seeded(seed),
    ):
        pass
    with pytest.raises(InputError, match="seed must be a whole number"):
        fit_table(np.zeros((30, 2)), seed=seed)


def test_without_a_seed_draws_differ():
    with seeded(None):
        first = torch.rand(4)
    with seeded(None):
        assert not torch.equal(torch.rand(4), first)


def test_a_frozen_module_is_restored():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout())
    module[1].eval()
    module[0].bias.requires_grad_(False)
    with frozen(module):
        assert not module.training and not module[0].weight.requires_grad
    assert module.training and not module[1].training
    assert module[0].weight.requires_grad and not module[0].bias.requires_grad
    assert device_of(module) == device_of(object()) == torch.device("cpu")


@pytest.mark.parametrize(
    ("word", "known", "sentence"),
    [
        ("Mass", ["mass", "radius"], 'did you mean "mass"? There are mass, radius.'),
        ("flux", ["mass", "radius"], "there are mass, radius."),
        ("radios", [*"abcdefghijkl", "radius"], 'did you mean "radius"? There are a, b, c, d, e, f, g, h, i, j, k, l'),
        ("flux", [], "there are none."),
    ],
)
def test_the_nearest_name_is_suggested(word, known, sentence):
    assert nearest(word, known).startswith(sentence)
