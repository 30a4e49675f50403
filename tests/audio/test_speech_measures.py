"""Measures of copied speech on sounds whose distance is known: the same, shifted in pitch, filtered, in noise."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from pushforward.audio.evaluation.cepstrum import BANDS, distortion, mel_cepstral_distortion
from pushforward.audio.evaluation.intelligibility import intelligibility
from pushforward.audio.evaluation.intervals import ratio
from pushforward.audio.evaluation.voicing import pitch_agreement
from pushforward.audio.evaluation.words import Recognizer, words_in_common

RATE = 8000
ROOT = Path(__file__).parents[2]
SPEECH = ROOT / ".data/speech/asterisk-core-sounds-en-wav/usr/share/asterisk/sounds/en_US_f_Allison"


def syllables(seed, seconds=3.0, semitones=0.0):
    """Pulses of a gliding pitch through a resonance, three syllables a second, and bursts of noise between them."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    frequency = 200 * 2 ** (0.2 * np.sin(2 * np.pi * time) + semitones / 12)
    pulses = np.diff(np.floor(np.cumsum(frequency) / RATE), prepend=0)
    voiced = np.sin(6 * np.pi * time) > -0.3
    source = np.where(voiced, pulses, 0.05 * rng.normal(size=len(time)))
    return 0.2 * scipy.signal.lfilter([1], [1, -1.3, 0.8], source), voiced


def in_noise(sound, decibels, seed=7):
    noise = np.random.default_rng(seed).normal(size=len(sound))
    return sound + noise * sound.std() * 10 ** (-decibels / 20)


def test_intelligibility_is_one_of_the_recording_itself_and_falls_with_noise():
    pytest.importorskip("pystoi")
    sound, _ = syllables(0)
    values = [intelligibility(sound, in_noise(sound, decibels), RATE) for decibels in (30, 10, 0, -10)]
    assert intelligibility(sound, sound, RATE) == pytest.approx(1, abs=1e-6)
    # It knows no loudness.
    assert intelligibility(sound, 0.1 * sound, RATE) == pytest.approx(1, abs=1e-6)
    assert 1 > values[0] > values[1] > values[2] > values[3] and values[0] > 0.9 and values[3] < 0.4


def test_intelligibility_of_what_is_too_short_or_silent_is_unknown():
    pytest.importorskip("pystoi")
    sound, _ = syllables(0)
    assert np.isnan(intelligibility(sound[:2000], sound[:2000], RATE))
    assert np.isnan(intelligibility(np.zeros(8000), sound[:8000], RATE))


def test_pitch_agrees_to_half_a_semitone():
    sound, voiced = syllables(0)
    close, found, decided, frames = pitch_agreement(sound, sound, RATE)
    assert close == found and decided == frames == 300
    assert found / frames == pytest.approx(voiced.mean(), abs=0.1)
    for semitones, agrees in ((0.3, True), (-0.3, True), (1.0, False), (12.0, False)):
        close, found, decided, frames = pitch_agreement(sound, syllables(0, semitones=semitones)[0], RATE)
        assert (close / found > 0.9) if agrees else (close / found < 0.1)
        assert decided / frames > 0.9


def test_a_whisper_has_no_pitch_and_a_frame_without_one_is_wrong():
    sound, _ = syllables(0)
    envelope = np.sqrt(scipy.signal.lfilter([0.01], [1, -0.99], sound**2))
    close, found, decided, frames = pitch_agreement(sound, in_noise(envelope, 0) * envelope, RATE)
    assert close / found < 0.1 and decided / frames < 0.6


def test_distortion_of_spectra_that_differ_by_a_cosine_is_its_root_mean_square():
    """In decibels: a difference of a cosine of amplitude d in the logarithm of the amplitude is 20 / ln 10 d / √2."""
    reference = np.random.default_rng(0).normal(size=(5, BANDS))
    for number, seen in ((1, True), (13, True), (14, False)):
        wave = np.cos(np.pi * number * (np.arange(BANDS) + 0.5) / BANDS)
        expected = 20 / np.log(10) * 0.3 / np.sqrt(2) if seen else 0.0
        # Frames are logarithms of power, twice those of amplitude.
        np.testing.assert_allclose(distortion(reference, reference + 2 * 0.3 * wave), expected, atol=1e-12)


def test_distortion_knows_no_loudness_and_grows_with_noise():
    sound, _ = syllables(0)
    values = []
    for decibels in (30, 20, 10):
        total, frames = mel_cepstral_distortion(sound, in_noise(sound, decibels), RATE)
        values.append(total / frames)
    assert 0 < values[0] < values[1] < values[2]
    assert mel_cepstral_distortion(sound, sound, RATE)[0] == 0
    total, frames = mel_cepstral_distortion(sound, 0.5 * sound, RATE)
    assert total / frames < 0.01
    # Silence is not compared: what is there instead does not matter.
    both = np.concatenate([sound, np.zeros(8000)]), np.concatenate([sound, 1e-5 * np.ones(8000)])
    assert mel_cepstral_distortion(*both, RATE)[1] <= frames + 2


def test_words_are_counted_in_their_order():
    reference = ["please", "press", "one", "or", "two"]
    assert words_in_common(reference, reference) == 5
    assert words_in_common(reference, ["two", "or", "one", "press", "please"]) == 1
    assert words_in_common(reference, ["um", "please", "do", "press", "the", "one", "or", "two", "now"]) == 5
    assert words_in_common(reference, []) == words_in_common([], reference) == 0


@pytest.mark.slow
def test_a_recognizer_says_words_of_its_texts_alone_and_nothing_in_silence():
    pytest.importorskip("pocketsphinx")
    recognizer = Recognizer(["one two three", "three two"])
    sound, _ = syllables(0, seconds=1.0)
    assert set(recognizer.words(sound, RATE)) <= {"one", "two", "three"}
    assert recognizer.words(np.zeros(8000), RATE) == []


@pytest.mark.slow
def test_a_recognizer_understands_speech_the_same_each_time_and_less_of_it_in_noise():
    pytest.importorskip("pocketsphinx")
    soundfile = pytest.importorskip("soundfile")
    if not SPEECH.is_dir():
        pytest.skip("the recordings of examples/speech are not there")
    names = ["one-moment-please", "telephone-number"]
    sounds = [soundfile.read(SPEECH / f"{name}.wav")[0] for name in names]
    general = Recognizer()
    texts = [general.words(sound, RATE) for sound in sounds]
    assert texts[0] == ["one", "moment", "please"] and texts[1] == ["telephone", "number"]
    recognizer = Recognizer([" ".join(text) for text in texts])
    assert [recognizer.words(sound, RATE) for sound in sounds] == texts
    noisy = [recognizer.words(in_noise(sound, -5), RATE) for sound in sounds]
    heard = sum(words_in_common(text, words) for text, words in zip(texts, noisy, strict=True))
    assert heard < 0.5 * sum(map(len, texts))


def test_an_interval_covers_the_true_ratio_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside, trials = 0, 100
    for trial in range(trials):
        sizes = rng.integers(5, 50, size=60)
        estimate = ratio(rng.binomial(sizes, 0.7), sizes, seed=trial)
        inside += estimate.low <= 0.7 <= estimate.high
    # Percentile intervals of 60 files are a little short.
    assert scipy.stats.binomtest(inside, trials, 0.95).pvalue > 1e-6 and inside / trials < 1
    assert estimate.files == 60 and estimate.low < estimate.value < estimate.high


def test_files_without_a_figure_are_left_out():
    estimate = ratio([1.0, float("nan"), 3.0, 5.0], [2, 2, 0, 8])
    assert estimate.value == 0.6 and estimate.files == 2
    assert ratio([], []).files == 0 and np.isnan(ratio([1], [0]).value) and np.isnan(ratio([1], [2]).low)
