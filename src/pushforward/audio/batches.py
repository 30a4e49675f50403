"""Batches of sequences: any leading dimensions outside, rows inside."""

import math

import torch
from torch import Tensor

from pushforward.networks.wavenet import WaveNet


def batch_of_context(network: WaveNet, context: Tensor | None) -> tuple[int, ...]:
    """The batch that a context brings along: without its features, and without frames if it has them."""
    return () if context is None else tuple(context.shape[: -1 if network.hop is None else -2])


def as_rows(network: WaveNet, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, torch.Size]:
    """x, (*batch, T), and its context, broadcast against each other and laid out in rows, and that batch."""
    if x.dim() == 0:
        raise ValueError("Expected sequences of shape (..., T), got a single number.")
    known = batch_of_context(network, context)
    batch = torch.broadcast_shapes(x.shape[:-1], known)
    rows = math.prod(batch)
    if context is not None:
        event = context.shape[len(known) :]
        context = context.expand(*batch, *event).reshape(rows, *event)
    return x.expand(*batch, x.shape[-1]).reshape(rows, x.shape[-1]), context, batch


def shape_of_draws(
    network: WaveNet, shape: int | tuple[int, ...], context: Tensor | None, length: int | None, default: int
) -> tuple[int, ...]:
    """(*shape, *batch of the context, T): T as told, or as the frames of the context last, or the default."""
    if length is None:
        framed = context is not None and network.hop is not None and context.dim() >= 2
        length = context.shape[-2] * network.hop if framed else default  # type: ignore[union-attr, operator]
    if length < 0:
        raise ValueError(f"A sequence cannot have {length} samples.")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return (*shape, *batch_of_context(network, context), length)
