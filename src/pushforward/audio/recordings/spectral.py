"""Spectra of samples against those of data, as losses and as distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pushforward.errors import InputError

Kind = Literal["linear", "log", "log_average"]
# Below any power of 16-bit sound (10⁻¹⁰) and far above the smallest float32: only exact silence is affected.
TINY = 1e-30


def power_spectrum(x: Tensor, n_fft: int = 256, hop: int | None = None) -> Tensor:
    """Return the power of frequencies and frames: |Σ_n window[n] x[i hop + n] e^(-2πi k n / n_fft)|² / Σ_n window[n]².

    The window is a Hann window, and every frame lies inside the sound: white noise of variance v has mean power v.

    Arguments:
        x: (*batch, time); sounds shorter than a window are padded with silence.
        n_fft: Samples in the window; default 256.
        hop: Samples between frames; default a quarter of the window.

    Returns:
        (*batch, frames, n_fft // 2 + 1).

    Example:
        >>> power_spectrum(torch.zeros(2, 1000)).shape
        torch.Size([2, 12, 129])
    """
    hop = n_fft // 4 if hop is None else hop
    window = torch.hann_window(n_fft, dtype=x.dtype, device=x.device)
    if x.shape[-1] < n_fft:
        x = nn.functional.pad(x, (0, n_fft - x.shape[-1]))
    spectrum = torch.fft.rfft(x.unfold(-1, n_fft, hop) * window)
    return (spectrum.real.square() + spectrum.imag.square()) / window.square().sum()


class PowerLoss(nn.Module):
    """The distance of the spectra of samples from those of data: the power loss, against low volume ("whispering").

    With P = `power_spectrum` of the samples, P' that of the data, and means over frequencies k:

        linear        mean_k (mean_i √P[i, k] - mean_i √P'[i, k])²
        log           mean_k (mean_i ln P[i, k] - mean_i ln P'[i, k])²
        log_average   mean_k (ln mean_i P[i, k] - ln mean_i P'[i, k])²

    `paired` says whether rows of samples and data belong together because they have the same context. If so, i runs
    over the frames of a row, and with `linear` and `log` each row is compared with its own row of data. Otherwise i
    runs over the frames of the whole batch, and samples need not resemble the data row by row.

    The logarithms have no floor, so that the gradient of a nearly silent student is as large as that of a loud one. At
    exact silence all gradients are zero.

    Arguments:
        kind: "linear", "log" or "log_average" (default).
        n_fft: Samples in the window; default 256.
        hop: Samples between frames; default a quarter of the window.
        paired: Whether rows of samples and data belong together; default False.

    Cost: two short-time Fourier transforms.

    Source: van den Oord et al., 2017, arXiv:1711.10433 (|STFT|², averaged over time); Ping, Peng and Chen, 2018,
        arXiv:1807.07281 (|STFT|).

    Example:
        >>> noise = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
        >>> round(float(PowerLoss()(0.1 * noise, noise).mean()), 3)  # (ln 0.01)²
        21.208
    """

    def __init__(
        self, kind: Kind = "log_average", n_fft: int = 256, hop: int | None = None, paired: bool = False
    ) -> None:
        super().__init__()
        if kind not in ("linear", "log", "log_average"):
            raise InputError(f"A power loss is linear, log or log_average, not {kind!r}.")
        self.kind = kind
        self.n_fft = n_fft
        self.hop = hop
        self.paired = paired

    def forward(self, samples: Tensor, data: Tensor) -> Tensor:
        """Return the loss of each row, (batch,), of samples and data, (batch, time); the same for all if unpaired."""
        ours, theirs = (power_spectrum(x, self.n_fft, self.hop) for x in (samples, data))
        if self.kind == "linear":
            ours, theirs = (ours + TINY).sqrt(), (theirs + TINY).sqrt()
        elif self.kind == "log":
            ours, theirs = (ours + TINY).log(), (theirs + TINY).log()
        else:
            ours, theirs = (self._average(power) for power in (ours, theirs))
            ours, theirs = (ours + TINY).log(), (theirs + TINY).log()
        if self.kind != "log_average" and not self.paired:
            ours, theirs = self._average(ours), self._average(theirs)
        return (ours - theirs).square().flatten(1).mean(1).expand(len(samples))

    def _average(self, frames: Tensor) -> Tensor:
        """Average over the frames of each row, or of all rows: (batch or 1, frequencies)."""
        return frames.mean(1) if self.paired else frames.flatten(0, 1).mean(0, keepdim=True)


class MultiResolutionLoss(nn.Module):
    """The distance of short-time spectra of samples from those of data with the same context, for several windows.

    With S = √power_spectrum of a row of samples, S' that of its row of data, and norms and means over frames and
    frequencies of the row:

        mean over windows of   ‖S - S'‖ / ‖S'‖ + mean |ln S - ln S'|

    The first term, the spectral convergence, is about the loud, the second about the quiet parts. Short windows see
    pulses, long ones harmonics.

    Arguments:
        n_ffts: Samples in the windows; default 64, 128, 256 and 512.

    Cost: two short-time Fourier transforms for each window.

    Source: Arık, Jun and Diamos, 2018, arXiv:1808.06719 (both terms); Yamamoto, Song and Kim, 2019, arXiv:1910.11480
        (several windows).

    Example:
        >>> noise = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
        >>> MultiResolutionLoss()(0.5 * noise, noise).round(decimals=3)  # 0.5 + ln 2
        tensor([1.1930, 1.1930, 1.1930, 1.1930])
    """

    def __init__(self, n_ffts: Sequence[int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        if not n_ffts or min(n_ffts) < 4:
            raise InputError(f"A multi-resolution loss needs windows of at least 4 samples, not {tuple(n_ffts)}.")
        self.n_ffts = tuple(n_ffts)

    def forward(self, samples: Tensor, data: Tensor) -> Tensor:
        """Return the loss of each row, (batch,), of samples and data, (batch, time)."""
        total = torch.zeros(len(samples), dtype=samples.dtype, device=samples.device)
        for n_fft in self.n_ffts:
            # The root has no derivative at 0.
            ours, theirs = (((power_spectrum(x, n_fft) + TINY).sqrt()).flatten(1) for x in (samples, data))
            convergence = ((ours - theirs).square().sum(1) + TINY).sqrt() / theirs.norm(dim=1)
            total = total + convergence + (ours.log() - theirs.log()).abs().mean(1)
        return total / len(self.n_ffts)


class FeatureLoss(nn.Module):
    """The squared distance between features of samples and of data: the perceptual loss of Parallel WaveNet.

    The paper takes the activations of a phone classifier, and prefers their Gram matrices ("style") to the activations
    themselves. This library has no such classifier; any module that maps sounds (batch, time) to features (batch,
    channels, frames) can be used. It is frozen here, and differentiated with respect to its input only.

        gram      mean over channels c, d of (mean_i F[c, i] F[d, i] - mean_i F'[c, i] F'[d, i])²
        features  mean over c, i of (F[c, i] - F'[c, i])²

    Arguments:
        network: Maps sounds (batch, time) to features (batch, channels, frames).
        gram: Whether to compare Gram matrices (default) or the features themselves.

    Source: van den Oord et al., 2017, arXiv:1711.10433; Gatys, Ecker and Bethge, 2015, arXiv:1508.06576.

    Example:
        >>> loss = FeatureLoss(nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 4, 8), nn.ReLU()))
        >>> loss(torch.zeros(3, 100), torch.zeros(3, 100))
        tensor([0., 0., 0.])
    """

    def __init__(self, network: nn.Module, gram: bool = True) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.gram = gram

    def train(self, mode: bool = True) -> FeatureLoss:
        """Do nothing: the network stays in evaluation mode."""
        return self

    def forward(self, samples: Tensor, data: Tensor) -> Tensor:
        """Return the loss of each row, (batch,), of samples and data, (batch, time)."""
        ours, theirs = self.network(samples), self.network(data)
        if self.gram:
            ours, theirs = (f @ f.mT / f.shape[-1] for f in (ours, theirs))
        return (ours - theirs).square().flatten(1).mean(1)


def log_spectral_distance(samples: Tensor, data: Tensor, n_fft: int = 256) -> float:
    """Return the root mean square over frequencies of the ratio, in decibels, of two time-averaged power spectra.

    Arguments:
        samples: (batch, time); the average is over batch and frames, and rows are not paired.
        data: (batch, time).
        n_fft: Samples in the window; default 256.

    Example:
        >>> noise = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
        >>> round(log_spectral_distance(0.1 * noise, noise), 3)
        20.0
    """
    ours, theirs = (power_spectrum(x.double(), n_fft).flatten(0, -2).mean(0) + TINY for x in (samples, data))
    return float((10 * (ours / theirs).log10()).square().mean().sqrt())


def multi_resolution_distance(
    samples: Tensor, data: Tensor, n_ffts: Sequence[int] = (64, 256, 1024)
) -> tuple[float, float]:
    """Return distances between the short-time spectra of paired sounds, averaged over several window lengths.

    With S = √power_spectrum of the samples and S' of the data: the spectral convergence ‖S' - S‖ / ‖S'‖, and the mean
    of |ln S' - ln S|, where S and S' are at least the rounding noise of 16 bits.

    Arguments:
        samples: (batch, time), each row with the context of the same row of the data.
        data: (batch, time).
        n_ffts: Window lengths; default 64, 256, 1024.

    Returns:
        Spectral convergence and log-magnitude distance (nats), each averaged over the windows.

    Source: Yamamoto, Song and Kim, 2019, arXiv:1910.11480.

    Example:
        >>> noise = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
        >>> convergence, distance = multi_resolution_distance(0.5 * noise, noise)
        >>> round(convergence, 3), round(distance, 3)
        (0.5, 0.693)
    """
    convergences, distances = [], []
    floor = 2.0**-30 / 12
    for n_fft in n_ffts:
        ours, theirs = (power_spectrum(x.double(), n_fft) for x in (samples, data))
        convergences.append(float((theirs.sqrt() - ours.sqrt()).norm() / theirs.sqrt().norm().clamp_min(TINY)))
        ratio = (theirs.clamp_min(floor) / ours.clamp_min(floor)).log() / 2
        distances.append(float(ratio.abs().mean()))
    return math.fsum(convergences) / len(n_ffts), math.fsum(distances) / len(n_ffts)
