"""A field whose solution has a closed form, in place of the network of a continuous flow."""

import torch
from torch import nn

from pushforward.networks.linearized import Linearization


class LinearField(nn.Module):
    """v(x, t) = slope(t) x + shift(t), with a slope of one number or a matrix, whose solution has a closed form."""

    def __init__(self, slope, shift):
        super().__init__()
        self.slope, self.shift = slope, shift

    def linearized(self, x, conditions):
        time = conditions[..., 0]
        slope = self.slope(time) if callable(self.slope) else self.slope
        matrix = slope if slope.dim() > 1 else slope * torch.eye(x.shape[-1], dtype=x.dtype)
        one = torch.eye(x.shape[-1], dtype=x.dtype)
        return x @ matrix.t() + self.shift(time), Linearization([matrix, one], [torch.ones_like(x)])
