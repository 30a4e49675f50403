"""Frames of other programs: what no sound has is refused, what sounds have is not."""

import numpy as np
import pytest
import torch

from pushforward.audio.recordings.foreign_frames import doubt, read_frames
from pushforward.audio.recordings.mel import FLOOR, LogMel
from pushforward.audio.recordings.pitch import pitch, range_found
from pushforward.errors import InputError

MEL = LogMel(8000, 12)


def written(folder, frames):
    np.save(folder / "frames.npy", frames)
    return folder / "frames.npy"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_frames_of_any_sound_are_read(tmp_path, dtype):
    """From digital silence to a square wave of full scale, which is as loud as a sound can be."""
    time = np.arange(8000) / 8000
    for sound in (np.zeros(8000), np.sign(np.sin(2 * np.pi * 500 * time)), 1e-4 * np.sin(2 * np.pi * 3000 * time)):
        frames = MEL(torch.from_numpy(sound)).numpy()
        read = read_frames(written(tmp_path, frames.astype(dtype)), MEL, pitch=False)
        np.testing.assert_allclose(read, frames, atol=0.01)


@pytest.mark.parametrize(("frequency", "rate"), [(75.0, 8000), (75.0, 16000), (502.0, 8000), (496.0, 11025)])
def test_pitches_at_the_ends_of_the_range_are_read_without_a_doubt(tmp_path, frequency, rate):
    """They may lie beyond it by half a step of a lag, as 502 Hz does at 8000 samples per second."""
    mel = LogMel(rate, 12)
    tone = np.sin(2 * np.pi * frequency * np.arange(rate // 2) / rate)
    found = pitch(np.sign(tone) if frequency < 100 else tone, rate)
    lowest, highest = range_found(rate)
    voiced = found[found > 0]
    assert len(voiced) and lowest <= voiced.min() and voiced.max() <= highest
    np.testing.assert_allclose(np.median(voiced), frequency, rtol=0.02)
    read = read_frames(written(tmp_path, np.column_stack([np.full((len(found), 12), -9.0), found])), mel, pitch=True)
    np.testing.assert_allclose(read[:, -1], found, rtol=1e-6)
    assert doubt(read, np.full(12, -9.0), np.ones(12), rate) == ""


@pytest.mark.parametrize("value", [31.3, 45.0, 70.0])
def test_a_creaky_voice_of_another_tracker_is_read_and_doubted(tmp_path, value):
    frames = np.full((30, 13), -9.0)
    frames[:, -1], frames[7, -1], frames[9, -1] = 100.0, value, 0.0
    read = read_frames(written(tmp_path, frames), MEL, pitch=True)
    np.testing.assert_allclose(read, frames, rtol=1e-6)
    sentence = doubt(read, np.full(12, -9.0), np.ones(12), 8000)
    assert f"falls to {value:.0f} Hz" in sentence and "75 to 500 Hz" in sentence and sentence.endswith(".")
    read[:, -1] = 0.0
    assert doubt(read, np.full(12, -9.0), np.ones(12), 8000) == ""


@pytest.mark.parametrize("value", [np.log(FLOOR) - 0.1, float(MEL.highest()[4]) + 0.1, 1e300, -1e30])
def test_numbers_that_no_sound_has_are_refused_with_their_place(tmp_path, value):
    frames = np.full((30, 12), -9.0)
    frames[7, 4] = value
    with pytest.raises(InputError, match="frame 8"):
        read_frames(written(tmp_path, frames), MEL, pitch=False)


@pytest.mark.parametrize("value", [-1.0, 0.5, 20.0, 31.2, 4000.0, 1e4])
def test_pitches_that_no_voice_has_are_refused_with_their_place(tmp_path, value):
    frames = np.full((30, 13), -9.0)
    frames[:, -1] = 100.0
    frames[7, -1] = value
    with pytest.raises(InputError, match="frame 8"):
        read_frames(written(tmp_path, frames), MEL, pitch=True)


def test_a_doubt_names_the_column_that_is_farthest_and_few_frames_raise_none():
    mean, deviation = np.array([-9.0, -7.0, -8.0]), np.array([3.0, 4.0, 5.0])
    frames = mean + deviation * np.random.default_rng(0).normal(size=(300, 3))
    assert doubt(frames, mean, deviation, 8000) == ""
    frames[:, 1] += 1.5 * 4
    assert "in band 2" in doubt(frames, mean, deviation, 8000) and doubt(frames[:50], mean, deviation, 8000) == ""
