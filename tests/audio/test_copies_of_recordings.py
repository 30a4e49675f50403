"""Vocoders without learning on sounds with known spectra and pitch, and the table of measures of copies."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch

from pushforward.audio.evaluation.cepstrum import mel_cepstral_distortion
from pushforward.audio.evaluation.copies import baseline_vocoders, copy_recordings
from pushforward.audio.evaluation.vocoders import griffin_lim, linear_prediction_vocoder, power_of_bands
from pushforward.audio.evaluation.voicing import pitch_agreement
from pushforward.audio.recordings.files import Recordings
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.pitch import pitch
from pushforward.errors import InputError

RATE = 8000


def vowel(seed=0, samples=8000):
    """Pulses of a gliding pitch through two resonances, with a whispered end."""
    rng = np.random.default_rng(seed)
    frequency = 150 * 2 ** (0.5 * np.arange(samples) / samples)
    pulses = np.diff(np.floor(np.cumsum(frequency) / RATE), prepend=0)
    source = np.where(np.arange(samples) < 0.7 * samples, pulses, 0.1 * rng.normal(size=samples))
    return 0.3 * scipy.signal.lfilter([1], np.convolve([1, -1.5, 0.81], [1, 0.6, 0.64]), source)


def recordings(count):
    samples = [np.rint(20_000 * vowel(k) / np.abs(vowel(k)).max()).astype(np.int16) for k in range(count)]
    return Recordings(RATE, [Path(f"{k}.wav") for k in range(count)], samples)


@pytest.mark.parametrize("bands", [20, 80])
def test_powers_have_the_bands_that_they_are_made_from(bands):
    mel = LogMel(RATE, bands)
    frames = mel(torch.from_numpy(vowel()))
    power = power_of_bands(frames, mel)
    assert (power >= 0).all()
    again = (power @ (mel.filters * mel.window.square().sum()).mT).log()
    loud = frames > frames.amax(1, keepdim=True) - 7
    assert (again - frames)[loud].abs().median() < 0.05


def test_griffin_lim_has_the_spectrum_of_its_frames():
    mel = LogMel(RATE, 80, 40)
    sound = vowel()
    made = griffin_lim(mel(torch.from_numpy(sound)), mel)
    assert made.shape == sound.shape and made.std() == pytest.approx(sound.std(), rel=0.2)
    total, frames = mel_cepstral_distortion(sound, made, RATE)
    noise, _ = mel_cepstral_distortion(sound, np.random.default_rng(0).normal(size=8000), RATE)
    assert total / frames < 3 and total < 0.3 * noise
    assert np.array_equal(made, griffin_lim(mel(torch.from_numpy(sound)), mel))


def test_linear_prediction_keeps_pitch_envelope_and_loudness():
    mel = LogMel(RATE, 40)
    sound = vowel()
    made = linear_prediction_vocoder(mel(torch.from_numpy(sound)), pitch(sound, RATE), mel)
    assert made.shape == sound.shape and made.std() == pytest.approx(sound.std(), rel=0.3)
    agreement = pitch_agreement(sound, made, RATE)
    assert agreement.close > 0.9 * agreement.voiced and agreement.decided > 0.85 * agreement.frames
    total, frames = mel_cepstral_distortion(sound, made, RATE)
    assert total / frames < 5


def test_silence_is_copied_as_silence():
    mel = LogMel(RATE)
    frames = mel(torch.zeros(1600))
    for made in (griffin_lim(frames, mel), linear_prediction_vocoder(frames, np.zeros(20), mel)):
        assert made.shape == (1600,) and np.abs(made).max() < 1e-3


def test_the_table_knows_a_perfect_copy_and_a_poor_one():
    pytest.importorskip("pystoi")
    sounds = recordings(3)
    rng = np.random.default_rng(0)
    systems = {
        "perfect": lambda samples: samples / 32768,
        "noise": lambda samples: 0.1 * rng.normal(size=len(samples) + 40),
        **baseline_vocoders(LogMel(RATE)),
    }
    fractions = []
    copies = copy_recordings(systems, sounds, words=False, report=fractions.append)
    assert list(copies.table) == list(systems) and fractions[-1] == 1
    perfect, noise = copies.table["perfect"], copies.table["noise"]
    assert (perfect["pitch"].value, perfect["voicing"].value, perfect["distortion"].value) == (1, 1, 0)
    assert perfect["intelligibility"].value == pytest.approx(1, abs=1e-6) and perfect["pitch"].files == 3
    for measure in ("intelligibility", "pitch", "voicing"):
        assert noise[measure].value < copies.table["LPC vocoder"][measure].value
        assert noise[measure].low <= noise[measure].value <= noise[measure].high
    assert noise["distortion"].value > copies.table["Griffin-Lim"]["distortion"].value
    assert copies.to_dict()["perfect"]["pitch"] == {"value": 1.0, "low": 1.0, "high": 1.0, "files": 3}
    assert [len(sound) for sound in copies.sounds["noise"]] == [8000] * 3
    with pytest.raises(InputError, match="conditional"):
        copy_recordings({}, sounds)


@pytest.mark.slow
def test_sounds_without_words_have_no_measure_of_words_that_fails():
    pytest.importorskip("pocketsphinx")
    copies = copy_recordings({"perfect": lambda samples: samples / 32768}, recordings(1))
    words = copies.table["perfect"].get("words")
    assert words is None or words.value == 1
