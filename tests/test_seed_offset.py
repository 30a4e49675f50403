"""The offset of the seeds reaches every generator, also those of the library's own defaults."""

import numpy as np
import pytest
import torch
from seed_offset import OFFSET, disabled

import pushforward as pf


def test_every_generator_starts_from_a_shifted_seed():
    assert torch.Generator().manual_seed(3).initial_seed() == 3 + OFFSET
    torch.manual_seed(3)
    assert torch.initial_seed() == 3 + OFFSET
    torch.default_generator.manual_seed(4)
    assert torch.initial_seed() == 4 + OFFSET
    found = np.random.default_rng(3).random()
    with disabled():
        assert found == np.random.default_rng(3 + OFFSET).random()


def test_so_does_what_the_library_draws():
    found, _ = pf.training.splitting.split_rows(20, 0.5, seed=0)
    with disabled():
        expected, _ = pf.training.splitting.split_rows(20, 0.5, seed=OFFSET)
    assert torch.equal(found, expected)


@pytest.mark.recorded
def test_recorded_numbers_keep_their_seeds():
    assert torch.Generator().manual_seed(3).initial_seed() == 3
