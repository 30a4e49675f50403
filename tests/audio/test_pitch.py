"""The pitch of sounds whose pitch is known, at any rate and loudness, and of sounds that have none."""

import numpy as np
import pytest
import torch

from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.pitch import pitch, pitch_features
from pushforward.errors import InputError


def voice(frequency, rate, harmonics=8):
    """Harmonics of a frequency that may change from sample to sample."""
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    return 0.1 * sum(np.sin(k * phase + k) / k for k in range(1, harmonics + 1) if k * np.max(frequency) < rate / 2)


@pytest.mark.parametrize("rate", [8000, 22050])
@pytest.mark.parametrize("frequency", [90.0, 131.7, 220.0, 410.0])
def test_harmonics_have_the_pitch_of_the_first(rate, frequency):
    found = pitch(voice(np.full(rate // 2, frequency), rate), rate)
    # But for frames whose windows reach beyond the sound.
    np.testing.assert_allclose(found[3:-3], frequency, rtol=2e-3)


def test_the_first_harmonic_need_not_be_there():
    time = np.arange(4000) / 8000
    sound = sum(np.cos(2 * np.pi * 150 * k * time) for k in (2, 3, 4, 5))
    np.testing.assert_allclose(pitch(sound, 8000)[3:-3], 150, rtol=2e-3)


def test_a_glide_is_followed_and_frames_are_those_of_the_mel_spectrum():
    rate, hop = 8000, 40
    frequency = 120 * 2 ** (np.arange(8010) / 8010)
    found = pitch(voice(frequency, rate), rate, hop)
    centers = np.minimum(np.arange(len(found)) * hop + hop // 2, 8009)
    assert len(found) == LogMel(rate, hop=hop)(torch.zeros(8010)).shape[0] == 201
    np.testing.assert_allclose(found[5:-5], frequency[centers][5:-5], rtol=0.01)


def test_noise_and_silence_have_none_at_any_loudness():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=16000)
    assert np.mean(pitch(noise, 8000) > 0) < 0.05
    assert not pitch(np.zeros(4000), 8000).any() and pitch(np.zeros(0), 8000).shape == (0,)
    sound = np.concatenate([voice(np.full(4000, 200.0), 8000), 1e-5 * rng.normal(size=4000)])
    found = pitch(sound, 8000)
    assert (found[3:47] > 0).all() and not found[53:].any()
    np.testing.assert_allclose(pitch(0.01 * sound, 8000), found, rtol=1e-6)


def test_a_voice_in_noise_keeps_its_pitch():
    rng = np.random.default_rng(1)
    sound = voice(np.full(16000, 180.0), 8000)
    found = pitch(sound + 0.3 * sound.std() * rng.normal(size=16000), 8000)[3:-3]
    assert np.mean(np.abs(12 * np.log2(found[found > 0] / 180)) < 0.5) > 0.98 and np.mean(found > 0) > 0.98


def test_features_continue_the_pitch_where_it_is_unvoiced():
    features = pitch_features(np.array([0.0, 100.0, 0.0, 0.0, 400.0, 0.0]))
    expected = [[-1, 0], [-1, 1], [-1 / 3, 0], [1 / 3, 0], [1, 1], [1, 0]]
    torch.testing.assert_close(features, torch.tensor(expected))
    assert torch.equal(pitch_features(np.zeros(3)), torch.zeros(3, 2))


def test_a_range_that_the_rate_does_not_hold_is_refused():
    with pytest.raises(InputError, match="quarter of the rate"):
        pitch(np.zeros(100), 1500)
