"""Mono WAV and FLAC files, read and written as 16-bit samples."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import shlex
import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pushforward.errors import InputError
from pushforward.support.atomic import atomic_path, check_writable, reason

ENDINGS = (".wav", ".flac")
# One step of a 16-bit sample where full scale is ±1.
STEP = 1 / 32768
# Lengths that streaming writers store when they do not know the length.
_UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Samples of 16 bits that fit in a file: a WAV file counts its bytes in 32 bits, a FLAC file its samples in 36.
_MOST_SAMPLES = {".wav": (2**32 - 64) // 2, ".flac": 2**36 - 1}
_LINEAR = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Recordings:
    """Sound files of one sample rate.

    Attributes:
        rate: Samples per second.
        paths: The files.
        samples: Their 16-bit samples, int16, an array (samples,) for each file; full scale is ±32768.
    """

    rate: int
    paths: list[Path]
    samples: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def seconds(self) -> float:
        """The total duration."""
        return sum(map(len, self.samples)) / self.rate

    @property
    def digest(self) -> str:
        """A hash of the sample rate and of the samples of each file, for checkpoints."""
        digest = hashlib.sha256(str(self.rate).encode())
        for samples in self.samples:
            digest.update(f" {len(samples)} ".encode())
            digest.update(np.ascontiguousarray(samples).data)
        return digest.hexdigest()

    def take(self, indices: Sequence[int]) -> Recordings:
        """Return the files with these indices."""
        return Recordings(self.rate, [self.paths[i] for i in indices], [self.samples[i] for i in indices])


def read_recordings(sources: Sequence[str | os.PathLike[str]], rate: int | None = None) -> Recordings:
    """Read mono sound files that all have the same sample rate.

    Files are not resampled or mixed down: either would change the data whose density is learned, and is left to a tool
    of the user's choice.

    Arguments:
        sources: Files, folders (all .wav and .flac files in and below them) and patterns such as `speech/*.wav`.
        rate: The sample rate that they must have; default that of the first file.

    Returns:
        The recordings in the order of the sources, each folder and pattern in alphabetical order, without duplicates.

    Raises:
        InputError: There is no file, or a file is empty, truncated, not a sound file, not mono, of another sample rate
            or of fewer than 16 bits; the message names it. Or the library soundfile is not installed.
    """
    paths = find_audio(sources)
    arrays = []
    first = paths[0]
    for path in paths:
        samples, found = read_audio(path)
        if rate is None:
            rate = found
        elif found != rate:
            other = "this model takes" if path == first else f"{first} has"
            raise InputError(
                f"{path} has {found} samples per second, but {other} {rate}: bring all files to one rate first, for "
                f"example with sox {_quoted(path)} -r {rate} {_quoted(_beside(path, 'resampled'))}."
            )
        arrays.append(samples)
    assert rate is not None
    return Recordings(rate, paths, arrays)


def find_audio(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the sound files that files, folders and patterns refer to; see `read_recordings`."""
    found: dict[Path, None] = {}
    for source in [os.fspath(source) for source in sources]:
        if os.path.isdir(source):
            files = sorted(p for p in Path(source).rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
            if not files:
                raise InputError(f"The folder {source} contains no .wav or .flac files.")
        elif os.path.exists(source):
            files = [Path(source)]
        elif glob.has_magic(source):
            files = [Path(name) for name in sorted(glob.glob(source, recursive=True)) if os.path.isfile(name)]
            if not files:
                raise InputError(f"No file matches {source}.")
        else:
            raise InputError(f"There is no file {source}.")
        found.update(dict.fromkeys(files))
    if not found:
        raise InputError("Give at least one sound file or a folder of sound files.")
    return list(found)


def read_audio(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Read one mono sound file as 16-bit samples; files of more bits, or of floating-point numbers, are rounded.

    Arguments:
        path: A WAV or FLAC file.

    Returns:
        int16, (samples,), and the sample rate.

    Raises:
        InputError: As for `read_recordings`.
    """
    soundfile = _soundfile()
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a sound file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    try:
        with path.open("rb") as raw:
            _refuse_short_wav(raw, path)
        with soundfile.SoundFile(path) as sound:
            if sound.channels != 1:
                raise InputError(
                    f"{path} has {sound.channels} channels: mix it down to one first, for example with "
                    f"sox {_quoted(path)} {_quoted(_beside(path, 'mono'))} remix -."
                )
            if sound.subtype not in _LINEAR:
                raise InputError(
                    f"{path} is stored as {sound.subtype}, whose steps are coarser than 16 bits: convert it to 16-bit "
                    "PCM from a better source."
                )
            expected = sound.frames
            if sound.subtype == "PCM_16":
                samples = sound.read(dtype="int16")
            else:
                samples = _rounded(sound.read(dtype="float64"), path)
            rate = int(sound.samplerate)
    except soundfile.SoundFileError as error:
        text = str(getattr(error, "error_string", error)).rstrip(".")
        raise InputError(f"{path} cannot be read as sound: {text}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}.") from error
    if len(samples) == 0:
        raise InputError(f"{path} contains no samples.")
    if len(samples) < expected:
        raise InputError(f"{path} is cut short: {len(samples)} of {expected} samples are present.")
    return samples, rate


def write_audio(path: str | os.PathLike[str], samples: ArrayLike, rate: int) -> int:
    """Write a sound, (samples,), to a mono 16-bit file as `write_chunks` does; return the number of clipped samples."""
    return write_chunks(path, [samples], rate).clipped


class Written(NamedTuple):
    """The number of samples of a file, and of those beyond full scale, which were clipped."""

    samples: int
    clipped: int


def write_chunks(path: str | os.PathLike[str], chunks: Iterable[ArrayLike], rate: int) -> Written:
    """Write a sound that comes in chunks to a mono 16-bit file, atomically: the whole file or none.

    Arguments:
        path: A name that ends in .wav or .flac.
        chunks: (samples,) each, full scale ±1; rounded to 16 bits. One of them is in memory at a time.
        rate: Samples per second.

    Returns:
        The number of samples, and of those that were clipped.

    Raises:
        InputError: The name has another ending, the file cannot be written or cannot hold so many samples, or samples
            are not finite.
    """
    soundfile = _soundfile()
    check_audio_path(path)
    written = beyond = 0
    with (
        atomic_path(path) as temporary,
        soundfile.SoundFile(temporary, "w", rate, channels=1, subtype="PCM_16") as file,
    ):
        for chunk in chunks:
            values = np.asarray(chunk, dtype=np.float64)
            if not np.isfinite(values).all():
                first = written + int(np.argmin(np.isfinite(values))) + 1
                raise InputError(f"{path} is not written: sample {first} is not finite.")
            whole = np.rint(values / STEP)
            clipped = _clipped(whole)
            written += len(clipped)
            check_audio_path(path, written)
            file.write(clipped)
            beyond += int((whole != clipped).sum())
    return Written(written, beyond)


def audio_bytes(samples: ArrayLike, rate: int) -> bytes:
    """Return a sound, (samples,), as the content of a mono 16-bit WAV file, clipped to full scale ±1."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(_clipped(np.rint(np.asarray(samples, dtype=np.float64) / STEP)).astype("<i2").tobytes())
    return buffer.getvalue()


def check_audio_path(path: str | os.PathLike[str], samples: int = 0) -> None:
    """Raise an InputError if a sound file cannot have this name or this many samples, before the work is done."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise InputError(f"The name of a sound file ends in .wav or .flac, {os.fspath(path)} does not.")
    most = _MOST_SAMPLES[Path(path).suffix.lower()]
    check_writable(path)
    if samples > most:
        raise InputError(f"{path} can hold {most:,} samples and not {samples:,}: make a shorter sound, or several.")


def _quoted(path: Path) -> str:
    """A path as a shell takes it, also one that begins like an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def _beside(path: Path, word: str) -> Path:
    return path.with_name(f"{path.stem}-{word}.wav")


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the C library is missing
        raise InputError(
            "Sound files need the library soundfile, which is not installed: pip install 'pushforward[audio]'."
        ) from None
    return soundfile


def _clipped(whole: np.ndarray) -> np.ndarray:
    return np.clip(whole, -32768, 32767).astype(np.int16)


def _rounded(values: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(values).all():
        raise InputError(f"{path} has a sample that is not finite: sample {int(np.argmin(np.isfinite(values))) + 1}.")
    whole = np.rint(values / STEP)
    beyond = (whole < -32768) | (whole > 32768)
    if beyond.any():
        raise InputError(f"{path} goes beyond full scale (±1) at sample {int(beyond.argmax()) + 1}: make it quieter.")
    return np.minimum(whole, 32767).astype(np.int16)


def _refuse_short_wav(raw: BinaryIO, path: Path) -> None:
    """Raise an InputError if the data of a WAV file end earlier than its header says; libsndfile reads such files."""
    head = raw.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    for name, size in _chunks(raw):
        if name == b"data":
            available = os.fstat(raw.fileno()).st_size - raw.tell()
            if size > available and size not in _UNKNOWN_LENGTHS:
                raise InputError(f"{path} is cut short: {available} of {size} bytes of sound are present.")
            return
    raise InputError(f"{path} is cut short: it has a header but no sound.")


def _chunks(raw: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the length of each chunk of a WAV file, with the file positioned at its content."""
    while len(head := raw.read(8)) == 8:
        size = int.from_bytes(head[4:], "little")
        start = raw.tell()
        yield head[:4], size
        raw.seek(start + size + size % 2)
