"""The context of sequences: one for the whole of each, or one for each of its frames of some samples."""

import math

from torch import Tensor


def check_context(context: Tensor | None, features: int, hop: int | None, samples: int) -> None:
    """Raise a ValueError if a context does not fit a network, or sequences of some samples.

    Arguments:
        context: (batch, C), or with a hop (batch, frames, C); None for none.
        features: C of the network, 0 for one that takes none.
        hop: Samples per frame; None for one context for the whole sequence.
        samples: The length of the sequences.
    """
    if not features:
        if context is not None:
            raise ValueError("This WaveNet takes no context: build it with context=C to make it conditional.")
        return
    dimensions, shape = (2, "(batch, C)") if hop is None else (3, "(batch, frames, C)")
    if context is None or context.dim() != dimensions or context.shape[-1] != features:
        got = "none" if context is None else tuple(context.shape)
        raise ValueError(f"Expected a context of shape {shape} with C = {features}, got {got}.")
    if hop is not None and context.shape[1] * hop < samples:
        raise ValueError(f"A context of {context.shape[1]} frames of {hop} samples is too short for {samples} samples.")


def upsampled(terms: Tensor, hop: int | None, start: int, samples: int) -> Tensor:
    """Repeat a term per frame, (n, batch, frames), or per sequence, (n, batch), for each sample from `start` on."""
    if hop is None:
        return terms[..., None].expand(-1, -1, samples)
    first, last = start // hop, math.ceil((start + samples) / hop)
    each = terms[..., first:last, None].expand(-1, -1, -1, hop).flatten(2)
    return each[..., start - first * hop :][..., :samples]
