"""Pictures of sound: spectrograms and average spectra."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from pushforward.audio.recordings.spectral import TINY, power_spectrum
from pushforward.support.atomic import atomic_path

_DATA = "#3c3c3c"
# Distinguishable with every common kind of color vision.
_COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DPI = 110
# Decibels below the loudest that are shown; the rounding noise of 16 bits is about 100 below full scale.
_RANGE = 80.0


def spectrograms(sounds: Sequence[tuple[str, Tensor]], rate: int) -> Figure:
    """Draw spectrograms below each other: power in decibels over time and frequency, all on one scale.

    Arguments:
        sounds: Names and samples, (samples,) each, full scale ±1.
        rate: Samples per second.

    Returns:
        The figure.
    """
    n_fft = 2 ** int(np.ceil(np.log2(0.02 * rate)))
    powers = [(10 * (power_spectrum(x.float(), n_fft, n_fft // 8) + TINY).log10()).T.numpy() for _, x in sounds]
    top = max(float(power.max()) for power in powers)
    longest = max(len(x) for _, x in sounds) / rate
    figure = Figure(figsize=(8.5, 0.55 + 1.45 * len(sounds)), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(sounds), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, x), power in zip(axes, sounds, powers, strict=True):
        image = axis.imshow(
            power,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=top - _RANGE,
            vmax=top,
            extent=(0, len(x) / rate, 0, rate / 2000),
            interpolation="nearest",
        )
        axis.set_xlim(0, longest)
        axis.set_ylabel("kHz")
        axis.set_title(name, loc="left", fontsize=9)
    axes[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(axes), label="decibels", shrink=min(1.0, 2 / len(sounds)), pad=0.01)
    return figure


def average_spectra(data: Tensor, draws: Sequence[tuple[str, Tensor]], rate: int) -> Figure:
    """Draw the power at each frequency, averaged over time, of recordings and of draws from models.

    Arguments:
        data: Segments of recordings, (rows, samples), full scale ±1.
        draws: Names and draws, (rows, samples) each.
        rate: Samples per second.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(8.5, 3.2), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for (name, x), color, width in zip(
        [("recordings", data), *draws], [_DATA, *_COLORS * (1 + len(draws))], [2.2, *[1.2] * len(draws)], strict=False
    ):
        power = power_spectrum(x.double()).flatten(0, -2).mean(0) + TINY
        frequencies = torch.arange(len(power)) * rate / 1000 / (2 * (len(power) - 1))
        axis.plot(frequencies, 10 * power.log10(), color=color, linewidth=width, label=name)
    axis.set_xlabel("kHz")
    axis.set_ylabel("decibels")
    axis.set_xlim(0, rate / 2000)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=8)
    return figure


def png(figure: Figure) -> bytes:
    """Return the picture as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def save_picture(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write the picture to a PNG file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(png(figure))
