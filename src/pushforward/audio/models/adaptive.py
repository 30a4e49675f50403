"""An adaptive scale: linear prediction from the last samples, and the recent power of its errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.audio.recordings.files import STEP
from pushforward.errors import InputError

# At 8 kHz, averages over 8 samples follow each pulse of the voice, those over 128 a syllable.
SPANS = (8.0, 32.0, 128.0)
# Far below the rounding noise of 16 bits, whose standard deviation is STEP / √12.
SMALLEST_SCALE = 0.1 * STEP
# Matrix multiplications with blocks of this length are fast; longer sounds take another level of blocks.
BLOCK = 64


@dataclass
class AdaptiveState:
    """The state of `AdaptiveScale.step`: the last samples, (batch, order), latest first, and the averages."""

    latest: Tensor
    powers: list[Tensor]


class AdaptiveScale(nn.Module):
    """The linear prediction and the scale of each sample, from the samples before it.

        location[t] = Σ_k coefficients[k] x[t - 1 - k],   e[t] = x[t] - location[t],
        scale[t]² = gain² (v_0[t] ceiling / (v_0[t] + ceiling) + floor²),
        v_j[t + 1] = (1 - 1/span_j) v_j[t] + e[t]² / span_j,   v_j[0] = start.

    x[t] = location[t] + scale[t] y[t] with independent standard normal y is a Gaussian autoregression whose scale
    follows the sound (a GARCH process). A network that models y instead of x starts from this density, and its inputs
    and outputs are of order one at any volume.

    Arguments:
        coefficients: Of the linear prediction, latest sample first, (order,).
        spans: Time constants of the averages in samples, at least 1 each; the first one gives the scale.
        gain: Factor on the scale; default 1.
        floor: Smallest scale, in full scale ±1; default a tenth of a 16-bit step.
        start: Power of e before the first sample; default 1e-4.
        ceiling: Bound on the power of e in the scale and the features; default 1. Without it, draws that follow their
            own scale could diverge.

    Attributes:
        order: The number of samples in the linear prediction.
        feature_count: F, the number of features that describe the past to a network.

    Raises:
        InputError: spans, gain, floor, start or ceiling is out of its range.

    Cost: `forward` 1 pass, about 64 multiplications per sample and span; `step` the arithmetic of one sample.

    Source: Bollerslev, 1986 (GARCH).

    Example:
        >>> adaptive = AdaptiveScale(torch.tensor([0.9]))
        >>> location, log_scale, features = adaptive(torch.zeros(2, 100))
        >>> location.shape, log_scale.shape, features.shape
        (torch.Size([2, 100]), torch.Size([2, 100]), torch.Size([2, 100, 6]))
    """

    coefficients: Tensor
    gain: Tensor
    start: Tensor
    ceiling: Tensor

    def __init__(
        self,
        coefficients: Tensor,
        spans: Sequence[float] = SPANS,
        gain: float = 1.0,
        floor: float = SMALLEST_SCALE,
        start: float = 1e-4,
        ceiling: float = 1.0,
    ) -> None:
        super().__init__()
        if not spans or min(spans) < 1 or not gain > 0 or not floor > 0 or not start >= 0 or not ceiling > 0:
            raise InputError(f"An adaptive scale cannot have {spans=}, {gain=}, {floor=}, {start=}, {ceiling=}.")
        # Buffers, so that they are saved; not parameters, since they are not trained.
        self.register_buffer("coefficients", coefficients.detach().clone())
        self.register_buffer("gain", coefficients.new_tensor(gain))
        self.register_buffer("start", coefficients.new_tensor(start))
        self.register_buffer("ceiling", coefficients.new_tensor(ceiling))
        self.spans = tuple(map(float, spans))
        self.floor = float(floor)

    @property
    def order(self) -> int:
        """The number of samples in the linear prediction."""
        return len(self.coefficients)

    @property
    def feature_count(self) -> int:
        """F: the residual and the sample in units of recent ones, and the logarithms of the averages."""
        return 3 + len(self.spans)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute locations, scales and features of whole sounds.

        Arguments:
            x: (batch, T), full scale ±1.

        Returns:
            Location and log-scale of each sample, from those before it, (batch, T) each; features, (batch, T, F). The
            features of t describe the samples up to and including t; a `WaveNet` shifts them by one.
        """
        location = predicted(x, self.coefficients)
        residual = x - location
        powers = [self._averages(residual.square(), span) for span in self.spans]
        loudness = self._averages(x.square(), 2 * self.spans[0])
        log_scale = self._log_scale(powers[0][:, :-1])
        return location, log_scale, self._features(x, residual, [p[:, 1:] for p in (*powers, loudness)])

    def initial_state(self, batch: int) -> AdaptiveState:
        """Return the state before the first sample of `batch` sounds."""
        like = self.coefficients
        return AdaptiveState(like.new_zeros(batch, self.order), [self.start.expand(batch)] * (len(self.spans) + 1))

    def predict(self, state: AdaptiveState) -> tuple[Tensor, Tensor]:
        """Return location and log-scale of the next sample, (batch,) each."""
        return state.latest @ self.coefficients, self._log_scale(state.powers[0])

    def step(self, x: Tensor, state: AdaptiveState) -> tuple[Tensor, AdaptiveState]:
        """Return the features, (batch, F), of one sample, (batch,), as `forward` gives them, and the next state."""
        residual = x - state.latest @ self.coefficients
        new = [*(residual for _ in self.spans), x]
        spans = [*self.spans, 2 * self.spans[0]]
        powers = [
            power + (value.square() - power) / span for power, value, span in zip(state.powers, new, spans, strict=True)
        ]
        latest = torch.cat([x[:, None], state.latest], 1)[:, : self.order]
        return self._features(x, residual, powers), AdaptiveState(latest, powers)

    def extra_repr(self) -> str:
        """Show the options."""
        gain, start = float(self.gain), float(self.start)
        return f"order={self.order}, spans={self.spans}, gain={gain:g}, floor={self.floor:g}, start={start:g}"

    def _averages(self, values: Tensor, span: float) -> Tensor:
        """v[0] = start, v[1], ..., v[T]: (batch, T + 1)."""
        start = self.start.to(values).expand(len(values))
        return torch.cat([start[:, None], decaying_average(values, 1 - 1 / span, start)], 1)

    def _log_scale(self, power: Tensor) -> Tensor:
        return self._log(power, self.ceiling) + self.gain.log()

    def _log(self, power: Tensor, ceiling: Tensor | float) -> Tensor:
        """Return the logarithm of the scale of a power, with smooth bounds at floor and ceiling."""
        return (power * (ceiling / (power + ceiling)) + self.floor**2).log() / 2

    def _features(self, x: Tensor, residual: Tensor, powers: Sequence[Tensor]) -> Tensor:
        logs = [self._log(power, self.ceiling) for power in powers[:-1]] + [self._log(powers[-1], 1.0)]
        # The middle span: in units of the shortest, every residual would be about one.
        middle, loudness = logs[len(self.spans) // 2], logs[-1]
        differences = [a - b for a, b in itertools.pairwise(logs[:-1])]
        # Of order one: the logarithms of scales in sound are around -6.
        levels = [(logs[0] + 6) / 3, *differences, (loudness + 6) / 3]
        return torch.stack([(residual * (-middle).exp()).asinh(), (x * (-loudness).exp()).asinh(), *levels], -1)


def predicted(x: Tensor, coefficients: Tensor) -> Tensor:
    """Return the linear prediction Σ_k coefficients[k] x[t - 1 - k] of x, (*batch, T), with zeros before its start."""
    order = len(coefficients)
    if not order or not x.numel():
        return torch.zeros_like(x)
    past = nn.functional.pad(x.reshape(-1, 1, x.shape[-1]), (order, 0))[..., :-1]
    return nn.functional.conv1d(past, coefficients.to(x.dtype).flip(0)[None, None]).reshape(x.shape)


def decaying_average(values: Tensor, decay: float, start: Tensor) -> Tensor:
    """Return the averages v[t + 1] = decay v[t] + (1 - decay) values[t], all at once.

    Arguments:
        values: (batch, T).
        decay: At least 0 and less than 1.
        start: v[0], (batch,).

    Returns:
        v[1], ..., v[T], (batch, T).

    Cost: a multiplication by a 64 x 64 matrix for each block of 64 values, and the same for the ends of the blocks.

    Example:
        >>> decaying_average(torch.tensor([[1.0, 0.0, 0.0]]), 0.5, torch.zeros(1))
        tensor([[0.5000, 0.2500, 0.1250]])
    """
    batch, time = values.shape
    size = min(BLOCK, time)
    blocks = -(-time // max(size, 1))
    steps = torch.arange(size, dtype=torch.float64)
    # The weight of value j in the average after value i of its block.
    weights = torch.tril(decay ** (steps[:, None] - steps).clamp_min(0)) * (1 - decay)
    fading = (decay ** (steps + 1)).to(values)
    if blocks <= 1:
        return values @ weights.to(values).mT + start[:, None] * fading
    rows = nn.functional.pad(values, (0, blocks * size - time)).view(batch, blocks, size)
    within = rows @ weights.to(values).mT
    block_decay = decay**size
    ends = decaying_average(within[..., -1] / (1 - block_decay), block_decay, start)
    before = torch.cat([start[:, None], ends[:, :-1]], 1)
    return (within + before[..., None] * fading).reshape(batch, blocks * size)[:, :time]


def linear_prediction(sounds: Sequence[np.ndarray], order: int) -> np.ndarray:
    """Return the coefficients of the least-squares linear prediction, by the autocorrelation method.

    Each sound is padded with zeros at both ends, which makes the prediction stable.

    Arguments:
        sounds: Arrays (samples,), full scale ±1.
        order: The number of coefficients.

    Returns:
        float64, (order,), the coefficient of the latest sample first.

    Raises:
        InputError: All sounds are silent.

    Source: Levinson, 1946; Makhoul, 1975.

    Example:
        >>> sound = np.cumprod(np.full(2000, 0.99))
        >>> linear_prediction([sound], 1).round(3)
        array([0.99])
    """
    from scipy.linalg import solve_toeplitz

    correlation = np.zeros(order + 1)
    for sound in sounds:
        exact = np.asarray(sound, dtype=np.float64)
        for lag in range(min(order, len(exact) - 1) + 1):
            correlation[lag] += exact[lag:] @ exact[: len(exact) - lag]
    if not correlation[0] > 0:
        raise InputError("Linear prediction needs sound, but all sounds are silent.")
    if order == 0:
        return np.zeros(0)
    # Regularization at the precision of float64, for sounds that are perfectly predictable.
    correlation[0] *= 1 + 1e-9
    result: np.ndarray = solve_toeplitz(correlation[:-1], correlation[1:])
    return result


def prediction_errors(sound: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return the errors of a linear prediction, x[t] - Σ_k coefficients[k] x[t - 1 - k], in float64, (samples,)."""
    from scipy.signal import lfilter

    errors: np.ndarray = lfilter(np.concatenate([[1.0], -coefficients]), [1.0], np.asarray(sound, dtype=np.float64))
    return errors


def fit_adaptive_scale(
    sounds: Sequence[np.ndarray], order: int = 16, spans: Sequence[float] = SPANS, from_start: bool = True
) -> AdaptiveScale:
    """Fit an adaptive scale to sounds: coefficients by `linear_prediction`, start and gain from its errors.

    Arguments:
        sounds: Arrays (samples,), full scale ±1, with the noise of rounding.
        order: Order of the linear prediction; default 16.
        spans: Time constants of the averages: see `AdaptiveScale`.
        from_start: Whether sounds are scored from their beginning (default), whose mean power then gives `start`, or
            from anywhere.

    Returns:
        The scale, in float32, with the maximum-likelihood gain for standard normal y.
    """
    coefficients = torch.from_numpy(linear_prediction(sounds, order))
    residuals = [torch.from_numpy(prediction_errors(sound, coefficients.numpy()))[None] for sound in sounds]
    beginning = torch.cat([e[0, : 2 * int(spans[0]) if from_start else None] for e in residuals])
    start = float(beginning.square().mean())
    plain = AdaptiveScale(coefficients, spans, start=start)
    powers = [plain._averages(e.square(), plain.spans[0])[:, :-1] for e in residuals]
    # Twice the largest power of the errors.
    ceiling = 2 * max(float(power.max()) for power in powers) + plain.floor**2
    fitted = AdaptiveScale(coefficients, spans, start=start, ceiling=ceiling)
    squares = sum(
        float((e * (-fitted._log_scale(power)).exp()).square().sum())
        for e, power in zip(residuals, powers, strict=True)
    )
    gain = math.sqrt(squares / sum(e.numel() for e in residuals))
    return AdaptiveScale(coefficients, spans, gain=gain, start=start, ceiling=ceiling).float()
