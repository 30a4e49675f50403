"""Shapes broadcast as torch broadcasts them."""

import itertools

import pytest
import torch

from pushforward.support.broadcasting import broadcast_shapes

SHAPES = [(), (1,), (3,), (0,), (2, 1), (2, 3), (1, 3), (4, 1, 3), torch.Size([2, 1, 1])]


@pytest.mark.parametrize("pair", list(itertools.product(SHAPES, repeat=2)), ids=str)
def test_as_torch(pair):
    try:
        expected = torch.broadcast_shapes(*pair)
    except RuntimeError:
        with pytest.raises(RuntimeError, match="do not broadcast"):
            broadcast_shapes(*pair)
    else:
        assert broadcast_shapes(*pair) == expected
