"""Squeezing: an image of half the sides and four times the channels, with the same numbers."""

import torch

from pushforward.bijections.permutation import Permutation
from pushforward.errors import InputError


def squeeze(shape: tuple[int, int, int]) -> Permutation:
    """The map from a squeezed image to the image: a permutation, since both are vectors.

    The four pixels of each square of 2 × 2 become four channels, those of one position in their squares beside each
    other: channel 4 c + 2 i + j of the squeezed image holds z[c] at the rows 2 h + i and the columns 2 w + j.

    Arguments:
        shape: (C, H, W) of the image, x; z has the shape (4 C, H / 2, W / 2).

    Raises:
        InputError: a side is odd.

    Cost: 1 pass in both directions.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803, section 3.6.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).flatten()
        >>> squeeze((2, 2, 2)).inverse(torch.cat([x, 10 + x]))[0]
        tensor([ 0.,  1.,  2.,  3., 10., 11., 12., 13.])
    """
    channels, height, width = shape
    if height % 2 or width % 2:
        raise InputError(f"An image of {height} × {width} pixels cannot be squeezed: both sides must be even.")
    numbers = torch.arange(channels * height * width).view(channels, height // 2, 2, width // 2, 2)
    return Permutation(numbers.permute(0, 2, 4, 1, 3).flatten().argsort())
