"""Log-mel frames: the context of a conditional model of speech."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.audio.recordings.files import STEP
from pushforward.errors import InputError

# The power of the noise of rounding to 16 bits, so that silence has a finite logarithm.
FLOOR = STEP**2 / 12


class LogMel(nn.Module):
    """The logarithm of the power in bands of equal width on the mel scale, one frame per hop.

        frame[i, b] = ln(FLOOR + Σ_k filters[b, k] |X[i, k]|² / Σ_n window[n]²)
        X[i, k] = Σ_n window[n] x[i hop + hop/2 - n_fft/2 + n] e^(-2πi k n / n_fft)
        FLOOR = (1 / 32768)² / 12

    with k from 0 to n_fft // 2, a Hann window over `n_fft` samples, centered on the hop, and zeros
    beyond the ends of x. FLOOR is the power of the noise of rounding to 16 bits: digital silence is ln FLOOR = -23.28
    in every band. Filter b is a triangle over the frequencies k rate / n_fft: 0 at the edges m[b] and m[b + 2], 1 at
    m[b + 1], where the edges m[0] = 0 Hz, ..., m[bands + 1] = rate / 2 are equally spaced in
    mel = 2595 log10(1 + Hz / 700). A triangle too narrow to contain a frequency takes the nearest one.

    Arguments:
        rate: Samples per second of x.
        bands: Number of bands; default 20.
        hop: Samples between frames; default a hundredth of a second.
        n_fft: Samples in the window; default the smallest power of two of at least 25 ms.

    Raises:
        InputError: The rate or the number of bands is too small, or the hop is longer than the window.

    Cost: one short-time Fourier transform.

    Source: Stevens, Volkmann and Newman, 1937 (mel scale); Davis and Mermelstein, 1980 (triangular bands).

    Example:
        >>> mel = LogMel(8000)
        >>> mel.hop, mel(torch.zeros(3, 801)).shape
        (80, torch.Size([3, 11, 20]))
    """

    window: Tensor
    filters: Tensor

    def __init__(self, rate: int, bands: int = 20, hop: int | None = None, n_fft: int | None = None) -> None:
        super().__init__()
        if rate < 1000 or bands < 1:
            raise InputError(
                f"Mel frames need a rate of at least 1000 and at least one band, not {rate} and {bands} bands."
            )
        self.rate = rate
        self.bands = bands
        self.hop = max(1, round(rate / 100)) if hop is None else hop
        self.n_fft = 2 ** math.ceil(math.log2(0.025 * rate)) if n_fft is None else n_fft
        if self.hop > self.n_fft:
            raise InputError(f"A hop of {self.hop} samples leaves gaps between windows of {self.n_fft}.")
        window = torch.hann_window(self.n_fft, dtype=torch.float64)
        self.register_buffer("window", window, persistent=False)
        filters = mel_filters(rate, bands, self.n_fft) / window.square().sum()
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the frames (*batch, ceil(time / hop), bands) of sounds (*batch, time), full scale ±1."""
        batch, time = x.shape[:-1], x.shape[-1]
        frames = -(-time // self.hop)
        if not x.numel():
            return x.new_zeros(*batch, frames, self.bands)
        before = (self.n_fft - self.hop) // 2
        after = (frames - 1) * self.hop + self.n_fft - before - time
        rows = nn.functional.pad(x.reshape(-1, time), (before, after))
        windows = rows.unfold(-1, self.n_fft, self.hop) * self.window.to(x.dtype)
        power = torch.fft.rfft(windows).abs().square()
        return (power @ self.filters.to(x.dtype).mT + FLOOR).log().reshape(*batch, frames, self.bands)

    def highest(self) -> Tensor:
        """Return a bound of each band for samples within ±1, float64, (bands,).

            frame[i, b] ≤ ln(FLOOR + n_fft max_k share[k] filters[b, k])

        By Parseval's theorem, Σ_k |X[i, k]|² over all n_fft frequencies is at most n_fft Σ_n window[n]². share is 1/2,
        as each frequency has a partner of the same power, and 1 at 0 Hz and rate / 2, which have none. A full-scale
        sine at the frequency of the largest share[k] filters[b, k] reaches the bound less ln 3.

        Example:
            >>> float(LogMel(8000).highest().max()) < math.log(128 + FLOOR) + 1e-9
            True
        """
        share = torch.full((self.n_fft // 2 + 1,), 0.5, dtype=torch.float64)
        share[0] = 1.0
        if self.n_fft % 2 == 0:
            share[-1] = 1.0
        heights = self.filters.double() * self.window.double().square().sum()
        return (FLOOR + self.n_fft * (share * heights).amax(1)).log()


def mel_filters(rate: int, bands: int, n_fft: int) -> Tensor:
    """Return the triangles of `LogMel`, float64, (bands, n_fft // 2 + 1), each 1 at its center."""
    highest = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, highest, bands + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * rate / n_fft
    lower, middle, upper = (edges[start : start + bands, None] for start in range(3))
    rising, falling = (frequencies - lower) / (middle - lower), (upper - frequencies) / (upper - middle)
    filters = torch.minimum(rising, falling).clamp_min(0)
    nearest = (frequencies - middle).abs().argmin(1)
    empty = filters.sum(1) == 0
    filters[empty, nearest[empty]] = 1.0
    return filters
