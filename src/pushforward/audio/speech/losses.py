"""What a student of a model of recordings minimizes beside the divergence."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from pushforward.audio.recordings.spectral import MultiResolutionLoss, PowerLoss
from pushforward.audio.speech.model import MelFrames, SpeechModel
from pushforward.errors import InputError
from pushforward.training.distillation.divergence import Draw, Penalty


class SpectralPenalty:
    """A loss between the draws of a step and segments of recordings, those of the same context or any.

    Arguments:
        loss: `PowerLoss`, paired for conditional models, or `MultiResolutionLoss`.
        data: Segments, (N, T), in the order of the contexts given to `distill`.
    """

    def __init__(self, loss: PowerLoss | MultiResolutionLoss, data: Tensor) -> None:
        self.loss = loss
        self.data = data
        # By which a checkpoint knows it.
        self.__name__ = type(loss).__name__

    def __call__(self, draw: Draw) -> Tensor:
        """Return the loss of each draw, (rows,)."""
        rows = torch.randint(len(self.data), (len(draw.x),)) if draw.rows is None else draw.rows
        return self.loss(draw.x, self.data[rows.to(self.data.device)].to(draw.x))


class ContrastivePenalty:
    """-log q(x | c) + log p_T(x | c'), where c' is the context of another draw: the loss of Parallel WaveNet.

    With a weight of gamma, the divergence and this penalty are

        KL(q(x | c) || p_T(x | c)) - gamma KL(q(x | c) || p_T(x | c')).

    Draws of a student that follows its context are unlikely under another one; a student that ignores it gains nothing
    from the second term. It has no lower bound: under a teacher of Gaussian conditionals draws may become ever less
    likely, and training runs away where the weight is too large.

    Arguments:
        teacher: A density with `log_prob(x, context)`.

    Cost: a pass of the teacher and a backward pass, as for the divergence.

    Source: van den Oord et al., 2017, arXiv:1711.10433.
    """

    def __init__(self, teacher: Any) -> None:
        self.teacher = teacher

    def __call__(self, draw: Draw) -> Tensor:
        """Return the penalty of each draw, (rows,)."""
        if draw.context is None or len(draw.x) < 2:
            raise InputError("The contrastive loss needs a conditional model and at least two draws in a step.")
        if draw.student is None:
            raise InputError(
                "The contrastive loss needs the conditional distributions of the student: choose an estimator that has "
                "them, closed_form or conditional_mc."
            )
        return self.teacher.log_prob(draw.x, draw.context.roll(1, 0)) - draw.student.log_prob(draw.x).sum(-1)


class MelPenalty:
    """The mean distance, in nats, of the log-mel frames of a draw from the frames that it was given.

        mean over frames i and bands b of |LogMel(x)[i, b] - frame[i, b]|

    Bands average over frequencies, so that the randomness of a draw counts less than in `MultiResolutionLoss`, and the
    few frequencies of a low band count as much as the many of a high one. Frames whose window reaches beyond the draw
    are left out: those that were given have seen the recording there. A draw that is quieter than the noise of rounding
    is not pulled back, since its frames have the floor of `LogMel`: the power loss has none.

    Arguments:
        frames: Of the teacher.
        samples: In a draw.

    Raises:
        InputError: The window of each frame reaches beyond the draw.

    Cost: a short-time Fourier transform.

    Source: Kong, Kim and Bae, 2020, arXiv:2010.05646 (the mel-spectrogram loss).
    """

    def __init__(self, frames: MelFrames, samples: int) -> None:
        # A copy, which may move to the device of the draws.
        self.mel = copy.deepcopy(frames.mel)
        self.mean, self.deviation = frames.mean, frames.deviation
        edge = -(-(self.mel.n_fft - self.mel.hop) // (2 * self.mel.hop))
        self.inner = slice(edge, -(-samples // self.mel.hop) - edge)
        if self.inner.stop <= self.inner.start:
            raise InputError(
                f"The mel loss needs segments of more than {2 * edge * self.mel.hop} samples, not of {samples}: choose "
                "longer ones (--segment), or give it no weight."
            )

    def __call__(self, draw: Draw) -> Tensor:
        """Return the distance of each draw, (rows,)."""
        if draw.context is None:
            raise InputError("The mel loss needs a conditional model.")
        bands = draw.context[:, self.inner, : self.mel.bands]
        given = bands * self.deviation.to(bands) + self.mean.to(bands)
        return (self.mel.to(draw.x.device)(draw.x)[:, self.inner] - given).abs().mean((1, 2))


def penalties_of(
    teacher: SpeechModel,
    data: Tensor,
    contexts: Tensor | None,
    *,
    power: float = 0.0,
    spectral: float = 0.0,
    mel: float = 0.0,
    contrastive: float = 0.0,
) -> list[tuple[float, Penalty]]:
    """Return the losses beside the divergence, with their weights for a whole draw; those of weight 0 are left out.

    Arguments:
        teacher: Of the student.
        data: Segments, (N, T), in the order of their contexts.
        contexts: (N, frames, features), or None.
        power: Weight of `PowerLoss`, in nats per sample.
        spectral: Weight of `MultiResolutionLoss`, in nats per sample.
        mel: Weight of `MelPenalty`, in nats per sample.
        contrastive: Weight of `ContrastivePenalty`.
    """
    samples = data.shape[1]
    penalties: list[tuple[float, Any]] = []
    if power:
        penalties.append((power * samples, SpectralPenalty(PowerLoss(paired=contexts is not None), data)))
    if spectral:
        penalties.append((spectral * samples, SpectralPenalty(MultiResolutionLoss(), data)))
    if mel:
        assert teacher.frames is not None
        penalties.append((mel * samples, MelPenalty(teacher.frames, samples)))
    if contrastive:
        penalties.append((contrastive, ContrastivePenalty(teacher.density)))
    return penalties
