"""Spectral losses and distances: against scipy, and where other implementations lose their gradients."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import nn

from pushforward.audio.recordings.spectral import (
    FeatureLoss,
    MultiResolutionLoss,
    PowerLoss,
    log_spectral_distance,
    multi_resolution_distance,
    power_spectrum,
)
from pushforward.errors import InputError

KINDS = ["linear", "log", "log_average"]


def noise(rows=4, time=2000, seed=0, dtype=torch.float64):
    return torch.randn(rows, time, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference_power(x, n_fft, hop):
    """By scipy: two-sided density at unit rate is |FFT|² / Σ window²."""
    _, _, power = scipy.signal.spectrogram(
        x, 1.0, "hann", n_fft, n_fft - hop, detrend=False, return_onesided=False, scaling="density", mode="psd"
    )
    return np.moveaxis(power[..., : n_fft // 2 + 1, :], -1, -2)


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (128, 100)])
def test_power_is_scipys(n_fft, hop):
    x = noise()
    np.testing.assert_allclose(power_spectrum(x, n_fft, hop).numpy(), reference_power(x.numpy(), n_fft, hop), rtol=1e-9)


def test_white_noise_has_its_variance_in_every_frequency():
    # The rows are independent: the means of 200 give the standard error of each frequency.
    power = power_spectrum(0.3 * noise(200, 5000)).mean(1)
    error = power.std(0) / 200**0.5
    assert ((power.mean(0) - 0.09).abs() / error).max() < 5
    assert (error / 0.09).max() < 0.05


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_their_formulas(kind, paired):
    samples, data = 0.5 * noise(seed=1), noise()
    power = [reference_power(x.numpy(), 256, 64) for x in (samples, data)]
    if kind == "log_average":
        over = 1 if paired else (0, 1)
        ours, theirs = (np.log(p.mean(over)) for p in power)
    else:
        transform = np.sqrt if kind == "linear" else np.log
        ours, theirs = (transform(p) if paired else transform(p).mean((0, 1)) for p in power)
    squares = (ours - theirs) ** 2
    expected = squares.reshape(4, -1).mean(1) if paired else np.full(4, squares.mean())
    np.testing.assert_allclose(PowerLoss(kind, paired=paired)(samples, data).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["log", "log_average"])
def test_a_nearly_silent_student_is_pulled_as_hard_as_a_loud_one(kind):
    # Of a student x = e^s noise, d loss / d s = 2 mean(ln P - ln P') d(ln P) / ds with d(ln P)/ds = 2, at any volume.
    for log_volume in (-2.0, -12.0, -25.0):
        s = torch.tensor(log_volume, requires_grad=True)
        own = noise(dtype=torch.float32)
        loss = PowerLoss(kind)(s.exp() * own, own).mean()
        (gradient,) = torch.autograd.grad(loss, s)
        assert float(gradient) == pytest.approx(8 * log_volume, rel=1e-3)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("volume", [0.0, 1e-12, 1.0, 1e3])
def test_gradients_are_finite_at_silence_and_beyond(kind, paired, volume):
    x = (volume * noise(dtype=torch.float32)).requires_grad_()
    loss = PowerLoss(kind, paired=paired)(x, 0.1 * noise(seed=1, dtype=torch.float32))
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert loss.isfinite().all() and gradient.isfinite().all()
    assert bool(gradient.any()) == (volume > 0)


def test_digital_silence_as_data_gives_finite_losses():
    for kind in KINDS:
        assert PowerLoss(kind)(noise(), torch.zeros(4, 2000, dtype=torch.float64)).isfinite().all()


def test_short_sounds_are_extended():
    assert power_spectrum(noise(2, 100)).shape == (2, 1, 129)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="'mel'"):
        PowerLoss("mel")


def test_distances_tell_volume_and_color_apart():
    white = noise(20, 8000)
    assert log_spectral_distance(white, white) == 0
    assert log_spectral_distance(10 * white, white) == pytest.approx(20)
    colored = torch.from_numpy(scipy.signal.lfilter([1, 0.9], [1], white.numpy()))
    frequencies = np.arange(129) / 256
    expected = 10 * np.log10(np.abs(1 + 0.9 * np.exp(-2j * np.pi * frequencies)) ** 2)
    # The window smears the dip at half the rate.
    assert log_spectral_distance(colored, white) == pytest.approx(np.sqrt((expected**2).mean()), rel=0.05)


def test_the_multi_resolution_distance_is_zero_only_at_home():
    x = noise(3, 4000)
    assert multi_resolution_distance(x, x) == (0, 0)
    convergence, distance = multi_resolution_distance(torch.zeros_like(x), x)
    assert convergence == pytest.approx(1) and 5 < distance < math.inf
    convergence, distance = multi_resolution_distance(noise(3, 4000, seed=1), x)
    # Magnitudes of independent noise: E (a - b)² / E a² = 2 - π/2 for Rayleigh a, b.
    assert convergence == pytest.approx(math.sqrt(2 - math.pi / 2), rel=0.05)


def test_the_perceptual_hook_freezes_its_network_and_lets_gradients_reach_the_sound():
    network = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 4, 8), nn.Dropout(0.5), nn.Tanh()).double()
    for gram in (True, False):
        loss = FeatureLoss(network, gram).train()
        x = noise(2, 200).requires_grad_()
        values = loss(x, noise(2, 200, seed=1))
        assert values.shape == (2,) and torch.equal(values, loss(x, noise(2, 200, seed=1)))
        (gradient,) = torch.autograd.grad(values.sum(), x)
        assert gradient.abs().amin() > 0
        assert loss(x, x).abs().max() == 0
    assert not any(p.requires_grad for p in network.parameters())
    # Gram matrices do not know where in the sound something happens.
    shifted = torch.roll(x, 50, 1)
    assert FeatureLoss(network)(x, shifted).max() < 0.1 * FeatureLoss(network, gram=False)(x, shifted).min()


def test_the_multi_resolution_loss_compares_rows_with_their_own_data():
    loss = MultiResolutionLoss((64, 256))
    data = 0.1 * torch.randn(3, 1000, dtype=torch.float64)
    assert loss(data.clone(), data).abs().max() < 1e-6
    # All spectra are doubled: spectral convergence 1, and ln 2.
    torch.testing.assert_close(loss(2 * data, data), torch.full((3,), 1 + np.log(2), dtype=torch.float64))
    row = loss(data.roll(1, 0), data)
    torch.testing.assert_close(row[1], loss(data[:1], data[1:2])[0])
    assert row.min() > 0.3


def test_the_multi_resolution_loss_has_gradients_also_for_silence():
    data = 0.1 * torch.randn(2, 600)
    for sound in (torch.zeros(2, 600), 1e-4 * torch.randn(2, 600), data.clone()):
        sound.requires_grad_()
        (gradient,) = torch.autograd.grad(MultiResolutionLoss()(sound, data).sum(), sound)
        assert gradient.isfinite().all()
    with pytest.raises(InputError, match="windows"):
        MultiResolutionLoss(())
