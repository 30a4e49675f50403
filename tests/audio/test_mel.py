"""Log-mel frames against scipy and numpy."""

import numpy as np
import pytest
import scipy.signal
import torch

from pushforward.audio.recordings.mel import FLOOR, LogMel, mel_filters
from pushforward.errors import InputError


def reference(x, rate, bands, hop, n_fft):
    """Frame by frame, with scipy's windowed spectra and triangles by interpolation."""
    mels = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    filters = [np.interp(frequencies, edges[b : b + 3], [0, 1, 0]) for b in range(bands)]
    for band, triangle in enumerate(filters):
        if triangle.sum() == 0:
            triangle[np.abs(frequencies - edges[band + 1]).argmin()] = 1
    frames = -(-len(x) // hop)
    before = (n_fft - hop) // 2
    padded = np.concatenate([np.zeros(before), x, np.zeros(n_fft + hop)])
    rows = []
    for i in range(frames):
        # Scaled by 1 / Σ window², one-sided spectra not doubled: |FFT|² / Σ window².
        _, _, spectrum = scipy.signal.spectrogram(
            padded[i * hop : i * hop + n_fft], fs=1.0, window="hann", nperseg=n_fft, noverlap=0, detrend=False,
            return_onesided=False, scaling="density", mode="psd",
        )  # fmt: skip
        rows.append(np.log(FLOOR + np.array(filters) @ spectrum[: n_fft // 2 + 1, 0]))
    return np.array(rows)


@pytest.mark.parametrize(("rate", "time"), [(8000, 803), (8000, 79), (16000, 1600)])
def test_frames_are_those_of_an_independent_computation(rate, time):
    x = np.random.default_rng(0).normal(size=time) * np.linspace(0, 0.3, time)
    mel = LogMel(rate).double()
    frames = mel(torch.from_numpy(x)[None])[0]
    expected = reference(x, rate, 20, mel.hop, mel.n_fft)
    assert mel.hop == rate // 100 and frames.shape == expected.shape
    np.testing.assert_allclose(frames.numpy(), expected, atol=1e-10)


def test_a_tone_lands_in_its_band_and_loudness_is_a_shift():
    time = torch.arange(8000) / 8000
    tone = torch.sin(2 * torch.pi * 1000 * time)
    frames = LogMel(8000)(torch.stack([tone, 0.1 * tone]))[:, 20:-20]
    middles = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22)[1:-1] / 2595) - 1)
    assert (frames.argmax(-1) == int(np.abs(middles - 1000).argmin())).all()
    loudest = frames.amax(-1)
    torch.testing.assert_close(loudest[0] - loudest[1], torch.full_like(loudest[0], 2 * np.log(10)), atol=1e-3, rtol=0)


def test_silence_is_finite_and_rounding_noise_stands_just_above_it():
    silence = LogMel(8000)(torch.zeros(1, 800))
    assert torch.allclose(silence, torch.tensor(FLOOR).log())
    noise = (torch.rand(1, 80000, generator=torch.Generator().manual_seed(0)) - 0.5) / 32768
    above = LogMel(8000)(noise)[:, 5:-5] - silence[:, :1]
    assert 0.3 < float(above.mean()) < 4


def test_every_filter_is_a_triangle_of_height_one_or_a_single_frequency():
    filters = mel_filters(8000, 40, 256)
    assert (filters.sum(1) > 0).all() and (filters <= 1).all()
    # Between the first and the last middle, neighboring triangles share every frequency.
    wide = mel_filters(8000, 8, 1024)
    total = wide.sum(0)
    inside = slice(int(wide[0].argmax()) + 1, int(wide[-1].argmax()))
    torch.testing.assert_close(total[inside], torch.ones_like(total[inside]))


def test_precision_batches_and_gradients():
    x = torch.randn(2, 3, 400, dtype=torch.float64, requires_grad=True)
    mel = LogMel(8000)
    frames = mel(x)
    assert frames.dtype == torch.float64 and frames.shape == (2, 3, 5, 20)
    torch.testing.assert_close(frames[1, 2], mel(x[1, 2]))
    (gradient,) = torch.autograd.grad(frames.sum(), x)
    assert gradient.isfinite().all() and gradient.abs().amin(-1).gt(0).all()
    (gradient,) = torch.autograd.grad(mel(silent := torch.zeros(1, 400, requires_grad=True)).sum(), silent)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("rate", "bands"), [(8000, 20), (8000, 80), (16000, 3)])
def test_no_sound_in_full_scale_is_above_its_bound_and_a_sine_is_ln_3_below(rate, bands):
    mel = LogMel(rate, bands)
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(2000, dtype=torch.float64)
    sounds = [torch.randn(2000, generator=generator, dtype=torch.float64).sign(), torch.ones(2000), (-1.0) ** time]
    filters = mel_filters(rate, bands, mel.n_fft)
    for band in range(bands):
        sine = torch.sin(2 * torch.pi * int(filters[band].argmax()) / mel.n_fft * time)
        sounds += [sine, sine.sign()]
    frames = torch.stack([mel(sound.double()).amax(0) for sound in sounds])
    assert bool((frames <= mel.highest() + 1e-9).all())
    below = mel.highest() - frames.amax(0)
    assert bool((below < np.log(3) + 1e-3).all()) and float(mel.highest().max()) < np.log(mel.n_fft) + 1e-6


def test_a_hop_beyond_the_window_is_refused():
    with pytest.raises(InputError, match="gaps"):
        LogMel(8000, hop=300)
    with pytest.raises(InputError, match="rate"):
        LogMel(10)
