"""A voice known from the context: harmonics of its pitch, which shift the noise of a parallel WaveNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The amplitude of each harmonic in a new source, in units of the noise: pulses that are as strong as it is.
AMPLITUDE = 0.2


class HarmonicSource(nn.Module):
    """A sum of harmonics of a pitch, with amplitudes and phases that a network gives for each frame of the context.

        source[t] = voicing[t] Σ_h fade_h[t] (a_h[t] cos(2π h phase[t]) + b_h[t] sin(2π h phase[t]))
        phase[t] = Σ_{s ≤ t} frequency[s],   frequency[t] = reference · 2^pitch[t], in periods per sample
        a, b = W₂ tanh(W₁ context + b₁) + b₂,   fade_h = 1 below half the sample rate, 0 above

    The last two features of a context are pitch, in octaves, and voicing, between 0 and 1. Everything is interpolated
    linearly between the middles of frames. A harmonic fades over the last period below half the sample rate.

    The source depends on the context alone. A flow of z + source instead of z is therefore as exact as that of z, with
    the same Jacobian determinant.

    Arguments:
        context: C, at least 2, the number of context features.
        hop: Samples per frame.
        harmonics: Their number; default 20.
        reference: Periods per sample of pitch 0; default 0.025, which is 200 Hz at 8000 samples per second.
        hidden: Width of the network; default 32.

    Raises:
        ValueError: A size is out of its range.

    Cost: two sines and a few multiplications for each harmonic and sample.

    Source: Wang, Takaki and Yamagishi, 2019, arXiv:1904.12088 (a source of harmonics for neural vocoders); Engel,
        Hantrakul, Gu and Roberts, 2020, arXiv:2001.04643 (learned amplitudes).

    Example:
        >>> source = HarmonicSource(context=2, hop=80)
        >>> voiced = torch.tensor([0.0, 1.0]).expand(1, 10, 2)  # 200 Hz for a tenth of a second
        >>> source(voiced).shape
        torch.Size([1, 800])
    """

    def __init__(self, context: int, hop: int, harmonics: int = 20, reference: float = 0.025, hidden: int = 32) -> None:
        super().__init__()
        if context < 2 or hop < 1 or harmonics < 1 or hidden < 1 or not 0 < reference < 0.5:
            raise ValueError(
                "A source needs at least two context features, a hop, harmonics and a pitch below half the sample "
                f"rate; got {context=}, {hop=}, {harmonics=}, {reference=}, {hidden=}."
            )
        self.hop = hop
        self.harmonics = harmonics
        self.reference = reference
        self.hidden = nn.Linear(context, hidden)
        self.amplitudes = nn.Linear(hidden, 2 * harmonics)
        with torch.no_grad():
            self.amplitudes.weight.zero_()
            self.amplitudes.bias.copy_(torch.tensor([AMPLITUDE, 0.0]).repeat_interleave(harmonics))

    def forward(self, context: Tensor) -> Tensor:
        """Return the source, (batch, frames · hop), of contexts (batch, frames, C)."""
        frames = torch.cat([self.amplitudes(self.hidden(context).tanh()), context[..., -2:]], -1).mT
        pitch, voicing = self._interpolated(frames[:, -2:]).unbind(1)
        # In float64: the rounding errors of float32 would add up to a part of a period within minutes.
        exact = self.reference * pitch.double().exp2()
        phase, frequency = (exact.cumsum(-1) % 1).to(pitch), exact.to(pitch)
        total = torch.zeros_like(phase)
        # One by one: all at once they would take the memory of as many sounds.
        for number in range(1, self.harmonics + 1):
            a, b = self._interpolated(frames[:, [number - 1, number - 1 + self.harmonics]]).unbind(1)
            fade = (0.5 / frequency - number).clamp(0, 1)
            angle = 2 * torch.pi * number * phase
            total = total + fade * (a * angle.cos() + b * angle.sin())
        return voicing * total

    def _interpolated(self, frames: Tensor) -> Tensor:
        """Return frames (batch, n, frames) between their middles, (batch, n, frames · hop), held at both ends."""
        if not frames.numel():
            return frames.new_zeros(*frames.shape[:-1], frames.shape[-1] * self.hop)
        return nn.functional.interpolate(frames, scale_factor=float(self.hop), mode="linear", align_corners=False)

    def extra_repr(self) -> str:
        """Show the options."""
        return f"harmonics={self.harmonics}, hop={self.hop}, reference={self.reference:g}"
