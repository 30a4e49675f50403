"""Sound files in and out."""

import builtins
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pushforward.audio.recordings import files
from pushforward.audio.recordings.files import (
    STEP,
    find_audio,
    read_audio,
    read_recordings,
    write_audio,
    write_chunks,
)
from pushforward.errors import InputError

SOUND = np.random.default_rng(0).integers(-32768, 32768, 1000).astype(np.int16)


def write_wave(path, samples=SOUND, rate=8000, channels=1):
    """By the standard library, which knows nothing of soundfile."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def read_wave(path):
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def test_a_wav_file_is_read_to_the_bit(tmp_path):
    write_wave(tmp_path / "a.wav")
    samples, rate = read_audio(tmp_path / "a.wav")
    assert rate == 8000 and samples.dtype == np.int16 and np.array_equal(samples, SOUND)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_and_24_bits_are_read_as_16(tmp_path, subtype):
    soundfile.write(tmp_path / "a.flac", SOUND, 16000, subtype=subtype)
    samples, rate = read_audio(tmp_path / "a.flac")
    assert rate == 16000 and np.array_equal(samples, SOUND)


def test_floating_point_files_are_rounded_to_16_bits(tmp_path):
    values = np.array([0.0, 0.3 * STEP, 0.7 * STEP, -1.0, 1.0])
    soundfile.write(tmp_path / "a.wav", values, 8000, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [0, 0, 1, -32768, 32767]


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_written_sound_is_rounded_and_clipped(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    assert write_audio(path, [0.0, 0.4 * STEP, -0.6 * STEP, 1.5, -2.0], 8000) == 2
    assert soundfile.read(path, dtype="int16")[0].tolist() == [0, 0, -1, 32767, -32768]
    if ending == "wav":
        assert read_wave(path)[1] == 8000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_older_file(tmp_path):
    write_audio(tmp_path / "a.wav", [0.25], 8000)
    with pytest.raises(InputError, match=r"a\.wav is not written: sample 2 is not finite"):
        write_audio(tmp_path / "a.wav", [0.0, np.nan], 8000)
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [8192]
    with pytest.raises(InputError, match=r"ends in \.wav or \.flac, .*a\.mp3"):
        write_audio(tmp_path / "a.mp3", [0.0], 8000)


def test_folders_patterns_and_lists_name_each_file_once(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.wav", "a.WAV", "below/c.wav"):
        write_wave(tmp_path / name)
    (tmp_path / "note.txt").write_text("no sound")
    everything = [tmp_path / name for name in ("a.WAV", "b.wav", "below/c.wav")]
    assert find_audio([tmp_path]) == everything
    assert find_audio([tmp_path / "b.wav", tmp_path]) == [everything[1], everything[0], everything[2]]
    assert find_audio([str(tmp_path / "*.wav")]) == [everything[1]]
    recordings = read_recordings([tmp_path])
    assert (recordings.rate, len(recordings), recordings.seconds) == (8000, 3, 3000 / 8000)
    assert recordings.take([2]).paths == [everything[2]]


def truncated(path):
    write_wave(path)
    path.write_bytes(path.read_bytes()[:-501])


def truncated_flac(path):
    soundfile.write(path, SOUND, 8000)
    path.write_bytes(path.read_bytes()[:-501])


def header_only(path):
    write_wave(path)
    path.write_bytes(path.read_bytes()[:30])


BAD = {
    "truncated.wav": (truncated, "cut short: 1499 of 2000 bytes"),
    "truncated.flac": (truncated_flac, "cannot be read as sound|cut short"),
    "header.wav": (header_only, "cut short"),
    "silent.wav": (lambda path: write_wave(path, SOUND[:0]), "contains no samples"),
    "empty.wav": (Path.touch, "is empty"),
    "text.wav": (lambda path: path.write_text("not a sound at all, but a text\n" * 10), "cannot be read as sound"),
    "zeros.flac": (lambda path: path.write_bytes(bytes(1000)), "cannot be read as sound"),
    "stereo.wav": (lambda path: write_wave(path, channels=2), "2 channels"),
    "bytes.wav": (lambda path: soundfile.write(path, SOUND, 8000, subtype="PCM_U8"), "PCM_U8"),
    "law.wav": (lambda path: soundfile.write(path, SOUND, 8000, subtype="ULAW"), "ULAW"),
    "loud.wav": (lambda path: soundfile.write(path, [0.5, 1.5], 8000, subtype="FLOAT"), "full scale.* at sample 2"),
    "nan.wav": (lambda path: soundfile.write(path, [0.5, np.nan], 8000, subtype="FLOAT"), "not finite: sample 2"),
    "missing.wav": (lambda path: None, "There is no file"),
    "*.mp3": (lambda path: None, "No file matches"),
    "folder": (Path.mkdir, "contains no .wav or .flac"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path, name):
    make, words = BAD[name]
    make(tmp_path / name)
    with pytest.raises(InputError, match=words) as caught:
        read_recordings([tmp_path / name])
    assert name in str(caught.value) and str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


def test_one_rate_for_all(tmp_path):
    write_wave(tmp_path / "a.wav")
    write_wave(tmp_path / "b.wav", rate=16000)
    with pytest.raises(InputError, match=r"b\.wav has 16000 samples per second, but .*a\.wav has 8000"):
        read_recordings([tmp_path])
    with pytest.raises(InputError, match=r"a\.wav has 8000 .*this model takes 22050"):
        read_recordings([tmp_path], rate=22050)


@pytest.mark.parametrize("name", ["stereo.wav", "a b/stereo sound.wav", "it's/$HOME.wav", "-r.wav", "new/[1] *.wav"])
def test_the_advice_for_a_file_can_be_pasted(tmp_path, name, monkeypatch):
    """A shell finds the file, and sox would write another one beside it."""
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    for channels, rate in ((2, 8000), (1, 16000)):
        write_wave(path, np.zeros(160, dtype=np.int16), rate, channels)
        with pytest.raises(InputError, match="sox") as refused:
            read_recordings([path], 8000)
        command = str(refused.value).split("for example with ")[1].removesuffix(".")
        words = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True).stdout.split(
            "\n"
        )
        assert words[0] == "sox" and Path(words[1]) == Path(name) and not words[1].startswith("-")
        written = Path(words[2] if channels == 2 else words[4])
        assert written.parent == path.parent and not written.exists() and written.suffix == ".wav"


def test_no_file_is_written_that_its_format_cannot_hold(tmp_path, monkeypatch):
    monkeypatch.setitem(files._MOST_SAMPLES, ".wav", 1000)
    chunks = iter(np.zeros((5, 300)))
    with pytest.raises(InputError, match="can hold 1,000 samples"):
        write_chunks(tmp_path / "a.wav", chunks, 8000)
    assert not list(tmp_path.iterdir()) and len(list(chunks)) == 1
    assert write_chunks(tmp_path / "a.flac", np.zeros((5, 300)), 8000).samples == 1500


def test_a_stream_of_unknown_length_is_read(tmp_path):
    write_wave(tmp_path / "a.wav")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    assert np.array_equal(read_audio(tmp_path / "a.wav")[0], SOUND)


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    write_wave(tmp_path / "a.wav")
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "soundfile":
            raise ImportError
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"soundfile.*pip install 'pushforward\[audio\]'"):
        read_audio(tmp_path / "a.wav")
