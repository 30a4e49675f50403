"""A parallel WaveNet of the errors of a linear prediction, followed by the filter that turns them into sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pushforward.audio.models.adaptive import predicted
from pushforward.audio.models.architectures import (
    Bins,
    Bound,
    Channels,
    Family,
    Hop,
    KernelSize,
    LayersOfStack,
    Length,
    Scale,
    Stacks,
    make_network,
    make_univariate,
)
from pushforward.audio.models.conditionals import shifted_and_scaled
from pushforward.audio.models.harmonic_source import HarmonicSource
from pushforward.audio.models.sequences import Sampler
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.bijections import Univariate
from pushforward.errors import InputError
from pushforward.networks.wavenet import WaveNet
from pushforward.zoo.options import Context
from pushforward.zoo.registry import architecture


class PredictiveParallelWaveNet(ParallelWaveNet):
    """A parallel WaveNet of the errors e of a linear prediction, and the sound that has these errors:

        x[t] = Σ_k coefficients[k] x[t - 1 - k] + e[t],   e from the flows of `ParallelWaveNet`.

    The last step is one more autoregressive layer in the order of time. Its Jacobian determinant is 1, and x[t] given
    x[before t] is e[t] given e[before t], shifted by the prediction. A student starts with the average spectrum of its
    teacher's data instead of white noise.

    Arguments:
        networks: K, each with as many outputs as the family has parameters, all with the same context and hop.
        univariate: The family, as for `ParallelWaveNet`.
        coefficients: Of a stable linear prediction, latest sample first, (order,): see
            `pushforward.audio.models.adaptive.linear_prediction`.
        base: "normal" (default) or "logistic".
        scale: Scale of e where all parameters are 0; default 1.
        length: Default length of a draw; default 8000 samples.
        config: The named architecture and its options, set by `pushforward.audio.predictive_parallel_wavenet`.
        source: A voice that is known from the context, as for `ParallelWaveNet`; default none.

    Cost: as for `ParallelWaveNet`, plus a recursive filter of `order` multiplications per sample; with gradients the
    filter is a convolution by fast Fourier transforms, in float64.

    Example:
        >>> student = predictive_parallel_wavenet(order=2, layers=4)
        >>> x, log_prob = student.rsample_with_log_prob((3,), length=50)
        >>> torch.allclose(student.log_prob(x), log_prob, atol=1e-3)
        True
    """

    coefficients: Tensor

    def __init__(
        self,
        networks: Sequence[WaveNet],
        univariate: Univariate,
        coefficients: Tensor,
        base: str = "normal",
        scale: float = 1.0,
        length: int = 8000,
        config: dict[str, Any] | None = None,
        source: HarmonicSource | None = None,
    ) -> None:
        super().__init__(networks, univariate, base, scale, length, config, source)
        self.register_buffer("coefficients", coefficients.detach().clone())

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draw sequences with the distributions of all x[t] given x[before t]; as for `ParallelWaveNet`."""
        x, distribution = super().rsample_with_conditionals(shape, context, length)
        location = predicted(x, self.coefficients)
        return x, shifted_and_scaled(distribution, location, torch.ones_like(location))

    def _forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        errors, log_det, source, stack = super()._forward(z, context)
        return synthesized(errors, self.coefficients), log_det, source, stack

    def _inverse(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        self._check_sequences(x)
        return super()._inverse(x - predicted(x, self.coefficients), context)

    @property
    def prediction_coefficients(self) -> Tensor | None:
        """The coefficients of the filter."""
        return self.coefficients

    def _sampler(self, rows: int) -> Sampler:
        from scipy.signal import lfilter

        errors_sampler = super()._sampler(rows)
        memory = np.zeros((rows, len(self.coefficients)))

        def sampler(noise: Tensor, context: Tensor | None, temperature: float) -> Tensor:
            nonlocal memory
            errors = errors_sampler(noise, context, temperature)
            if not errors.numel():
                return errors
            x, memory = lfilter([1.0], _denominator(self.coefficients), errors.double().cpu().numpy(), zi=memory)
            return torch.from_numpy(x).to(errors)

        return sampler


def synthesized(errors: Tensor, coefficients: Tensor) -> Tensor:
    """Return the sound with given errors of its linear prediction: x[t] = Σ_k coefficients[k] x[t - 1 - k] + errors[t].

    Arguments:
        errors: (*batch, T).
        coefficients: Of a stable prediction, latest sample first, (order,).

    Returns:
        x, (*batch, T), differentiable in the errors.

    Cost: three fast Fourier transforms of twice the length, in float64.

    Example:
        >>> synthesized(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5]))
        tensor([1.0000, 0.5000, 0.2500])
    """
    from scipy.signal import lfilter

    time = errors.shape[-1]
    if not errors.numel():
        return errors
    impulse = np.zeros(time)
    impulse[0] = 1.0
    response = torch.from_numpy(lfilter([1.0], _denominator(coefficients), impulse)).to(errors.device)
    spectrum = torch.fft.rfft(errors.double(), 2 * time) * torch.fft.rfft(response, 2 * time)
    return torch.fft.irfft(spectrum, 2 * time)[..., :time].to(errors.dtype)


def _denominator(coefficients: Tensor) -> np.ndarray:
    """Return the denominator of the filter 1 / (1 - Σ_k coefficients[k] delay^(k + 1))."""
    return np.array([1.0, *(-value for value in coefficients.tolist())])


@architecture
def predictive_parallel_wavenet(
    order: Annotated[int, Field(ge=1, le=1_000)] = 16,
    flows: Annotated[int, Field(ge=1, le=100)] = 2,
    channels: Channels = 16,
    skip_channels: Channels | None = None,
    layers: LayersOfStack = 8,
    stacks: Stacks = 1,
    kernel_size: KernelSize = 2,
    context: Context = 0,
    hop: Hop = None,
    univariate: Family = "affine",
    bins: Bins = 8,
    bound: Bound = 5.0,
    base: Literal["normal", "logistic"] = "normal",
    scale: Scale = 1.0,
    length: Length = 8000,
    harmonics: Annotated[int, Field(ge=0, le=1_000)] = 0,
    reference: Annotated[float, Field(gt=0, lt=0.5)] = 0.025,
) -> PredictiveParallelWaveNet:
    """A parallel WaveNet followed by a linear filter: `PredictiveParallelWaveNet`.

    Arguments:
        order: Order of the linear prediction; default 16. Its coefficients are 0 until they are set.
        flows: Number of flows; default 2.
        channels: Channels of each flow's convolutions; default 16.
        skip_channels: Channels of the two layers after them; default the same as `channels`.
        layers: Layers of each stack, with dilations 1, 2, 4 ...; default 8.
        stacks: Stacks of each flow; default 1.
        kernel_size: Kernel size of the convolutions; default 2.
        context: C, the number of context features; default 0.
        hop: Samples per frame of the context; default None, one context for the whole sequence.
        univariate: "affine" (default), "relative_affine" or "spline", as for `pushforward.parallel_wavenet`.
        bins: Bins of the spline; default 8.
        bound: The spline acts on [-bound, bound]; default 5.
        base: "normal" (default) or "logistic".
        scale: Scale of the prediction's errors in a new model; default 1.
        length: Default length of a draw; default 8000 samples.
        harmonics: Of a voice whose pitch and voicing are the last two context features: `HarmonicSource`; default 0.
        reference: Periods per sample of pitch 0; default 0.025.

    Raises:
        InputError: There are harmonics without a context of frames.

    Cost: sample `flows` passes and a filter; log_prob flows · T steps.

    Source: van den Oord et al., 2017, arXiv:1711.10433; Ping, Peng and Chen, 2018, arXiv:1807.07281.

    Example:
        >>> predictive_parallel_wavenet(order=2, layers=4).sample((3,), length=100).shape
        torch.Size([3, 100])
    """
    maps = make_univariate(univariate, bins, bound)
    networks = [
        make_network(maps.parameter_count, channels, skip_channels, layers, stacks, kernel_size, context, hop)
        for _ in range(flows)
    ]
    source = None
    if harmonics:
        if hop is None or context < 2:
            raise InputError("harmonics follow the pitch and the voicing in the frames of a context: it needs hop=H.")
        source = HarmonicSource(context, hop, harmonics, reference)
    return PredictiveParallelWaveNet(networks, maps, torch.zeros(order), base, scale, length, source=source)
