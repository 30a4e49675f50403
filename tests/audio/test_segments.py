"""Segments: every sample alike, with its own past, with fresh noise."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.audio.recordings.checks import refuse_unusable
from pushforward.audio.recordings.files import Recordings, read_recordings, write_audio
from pushforward.audio.recordings.segments import Segments, Tiles, copies_of_files, dequantized, is_silent, split_files
from pushforward.audio.speech.fitting import fit_speech
from pushforward.errors import InputError


def recordings(*lengths):
    """Samples count up from 1000 times the file's number: each tells where it comes from."""
    samples = [1000 * number + np.arange(length) for number, length in enumerate(lengths, start=1)]
    return Recordings(8000, [Path(f"{n}.wav") for n in range(len(lengths))], [s.astype(np.int16) for s in samples])


def whole(x):
    return (x * 32768).round().int()


def test_noise_is_uniform_over_a_step_and_new_each_time():
    samples = np.array([[-32768, 0, 32767]], dtype=np.int16).repeat(20_000, 0)
    first, second = dequantized(samples), dequantized(samples)
    noise = first.double() * 32768 - torch.from_numpy(samples.astype(float))
    assert noise.abs().max() <= 0.5 and not torch.equal(first, second)
    assert float(noise.mean()) == pytest.approx(0, abs=5 / math.sqrt(12 * 60_000))
    assert float(noise.var()) == pytest.approx(1 / 12, rel=5 * math.sqrt(0.8 / 60_000))
    same = [dequantized(samples, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*same)


def test_the_likelihood_of_silence_is_bounded_by_its_steps():
    # A perfect model of dequantized silence is uniform over a step: ln 32768 nats, not infinity.
    x = dequantized(np.zeros(1000, dtype=np.int16)).double()
    assert float(torch.distributions.Uniform(-0.5 / 32768, 0.5 / 32768).log_prob(x).mean()) == pytest.approx(
        10.397, abs=1e-3
    )


@pytest.mark.parametrize("history", [0, 30])
@pytest.mark.parametrize("hop", [1, 8])
def test_rows_hold_scored_samples_with_their_own_past(history, hop):
    files = recordings(50, 200, 7)
    segments = Segments(files, length=40, history=history, batch_size=3, seed=0, hop=hop)
    for x, scored, context in list(segments) * 10:
        assert x.shape == scored.shape == (3, segments.row_length) and context is None
        for values, mask in zip(whole(x), scored, strict=True):
            places = mask.nonzero()[:, 0]
            first, last = int(places[0]), int(places[-1])
            assert torch.equal(places, torch.arange(first, last + 1)) and 1 <= len(places) <= 40
            # Consecutive samples of one file, from the start of the row on.
            assert torch.equal(values[: last + 1], values[0] + torch.arange(last + 1, dtype=torch.int32))
            begin = int(values[0]) % 1000
            assert begin % hop == 0
            # As much past as there is, up to `history`.
            assert first >= min(history, begin + first) and first < history + hop
            if first == 0:
                assert begin == 0 or history == 0


def test_every_sample_is_scored_equally_often():
    files = recordings(5, 60, 200)
    segments = Segments(files, length=20, history=10, batch_size=50, seed=1)
    counts = {}
    scored_in_all = 0
    for _ in range(300):
        for x, scored, _ in segments:
            for value in whole(x)[scored.bool()].tolist():
                counts[value] = counts.get(value, 0) + 1
            scored_in_all += int(scored.sum())
    expected = scored_in_all / 265
    # Rows are random: 5 standard deviations of a Poisson count. (Half a step of noise may round to a neighbor.)
    everything = np.concatenate(files.samples).tolist()
    assert max(abs(counts[value] - expected) for value in everything) < 5 * math.sqrt(expected)
    rows = 300 * len(segments) * 50
    assert scored_in_all / (rows * 20) == pytest.approx(segments.coverage, rel=0.02)


def test_tiles_score_every_sample_once_with_the_same_noise():
    files = recordings(50, 200, 7)
    tiles = Tiles(files, length=40, history=16, batch_size=4, seed=3, hop=8)
    seen = torch.cat([whole(x)[scored.bool()] for x, scored, _ in tiles])
    assert sorted(seen.tolist()) == sorted(np.concatenate(files.samples).tolist())
    assert tiles.samples == 257 and len(list(tiles)) == len(tiles)
    first, second = ([x for x, _, _ in tiles] for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_frames_follow_their_samples():
    files = recordings(50, 203, 7)
    # Frame i of a file holds the number of its first sample.
    frames = [torch.from_numpy(s[::8].astype(np.float32))[:, None] for s in files.samples]
    for batches in (
        Segments(files, length=40, history=16, batch_size=5, seed=0, frames=frames, hop=8),
        Tiles(files, length=40, history=16, batch_size=5, seed=0, frames=frames, hop=8),
    ):
        for x, scored, context in batches:
            assert context.shape == (5, x.shape[1] // 8, 1) or context.shape[0] < 5
            upsampled = context[..., 0].repeat_interleave(8, 1)
            offset = whole(x) - upsampled.int()
            assert ((offset >= 0) & (offset < 8))[scored.bool()].all()


def test_silent_segments_can_be_dropped():
    files = recordings(400, 400)
    files.samples[1][:] = 0
    kept = Segments(files, length=40, history=0, batch_size=50, seed=0)
    dropped = Segments(files, length=40, history=0, batch_size=50, seed=0, drop_silence=True)
    share = [
        torch.cat([(whole(x) >= 1000).any(1) for x, _, _ in batches]).float().mean() for batches in (kept, dropped)
    ]
    assert share[0] < 0.8 and share[1] == 1
    assert (Tiles(files, 40, 0, 5, 0).samples, Tiles(files, 40, 0, 5, 0, drop_silence=True).samples) == (800, 400)
    silent = Recordings(8000, files.paths[1:], files.samples[1:])
    with pytest.raises(InputError, match="nothing but silence"):
        Segments(silent, 40, 0, 5, 0, drop_silence=True)
    with pytest.raises(InputError, match="nothing but silence"):
        Tiles(silent, 40, 0, 5, 0, drop_silence=True)


def test_files_are_split_whole_and_the_split_repeats():
    files = recordings(*range(10, 30))
    train, held_out = split_files(files, 0.2, seed=5)
    assert len(train) == 16 and len(held_out) == 4
    assert sorted([*train.paths, *held_out.paths]) == sorted(files.paths)
    assert split_files(files, 0.2, seed=5)[1].paths == held_out.paths != split_files(files, 0.2, seed=6)[1].paths
    with pytest.raises(InputError, match="the only file"):
        split_files(recordings(10))


@pytest.mark.parametrize("seed", range(12))
def test_copies_of_a_file_stay_on_one_side(seed):
    """However many copies there are, and wherever they stand; files without a copy are split as before."""
    rng = np.random.default_rng(seed)
    files = recordings(*range(100, 120))
    copies = rng.integers(20, size=10).tolist()
    order = rng.permutation([*range(20), *copies]).tolist()
    both = Recordings(8000, [Path(f"{number}.wav") for number in range(30)], [files.samples[k] for k in order])
    train, held_out = split_files(both, 0.2, seed)
    assert sorted([*train.paths, *held_out.paths]) == sorted(both.paths)
    assert not {part.tobytes() for part in train.samples} & {part.tobytes() for part in held_out.samples}
    (sentence,) = copies_of_files(both)
    assert sentence.startswith("10 files with the content of another one") and copies_of_files(files) == []


def test_what_leaves_nothing_to_hold_out_is_refused():
    rng = np.random.default_rng(0)
    for lengths in ((60_000, 5, 1), (60_000, 1500), (100_000, 900, 900, 900)):
        sounds = [rng.integers(-3000, 3000, size=length).astype(np.int16) for length in lengths]
        files = Recordings(8000, [Path(f"{number}.wav") for number in range(len(lengths))], sounds)
        for seed in range(8):
            # Whichever file would be held out: the others would be too little to train on as well.
            with pytest.raises(InputError, match="has nearly all of the sound"):
                split_files(files, 0.1, seed)
    same = Recordings(8000, files.paths[:2], [sounds[0], sounds[0].copy()])
    with pytest.raises(InputError, match="All files have the content"):
        split_files(same)


def test_a_segment_in_trouble_is_named():
    segments = Segments(recordings(8000), length=40, history=0, batch_size=3, seed=0)
    x, scored, _ = next(iter(segments))
    start = int(whole(x)[1][scored[1].bool()][0]) - 1000
    assert segments.name_rows(torch.tensor([1])) == f"0.wav from {start / 8000:.2f} s on"


def test_what_no_model_can_be_fitted_to_is_refused():
    rng = np.random.default_rng(0)
    sound = np.rint(3000 * rng.normal(size=30_000)).astype(np.int16)

    def recordings(*samples):
        return Recordings(8000, [Path(f"{number}.wav") for number in range(len(samples))], list(samples))

    refuse_unusable(recordings(sound, np.zeros(20_000, dtype=np.int16)))
    # A sound may touch full scale.
    loud = sound.copy()
    loud[::500] = 32767
    refuse_unusable(recordings(sound, loud))
    clipped = np.clip(20 * sound.astype(int), -32768, 32767).astype(np.int16)
    for samples, words in (
        ([sound[:12_000], sound[:12_000]], "3.0 s in all"),
        ([np.zeros(40_000, dtype=np.int16), np.ones(10_000, dtype=np.int16)], "nothing but silence"),
        ([sound, clipped], "1.wav is clipped"),
    ):
        with pytest.raises(InputError, match=words):
            refuse_unusable(recordings(*samples))


@pytest.mark.parametrize(("side", "called"), [(0, "that are not held out"), (1, "that are held out")])
def test_silence_on_one_side_of_the_split_is_refused(tmp_path, side, called):
    """The other side has all of the sound: a density of silence, or its held-out figure, says nothing."""
    sound = np.random.default_rng(0).normal(size=24_000).clip(-3, 3)
    for number in range(2):
        write_audio(tmp_path / f"{number}.wav", 0.1 * sound if number else 0 * sound, 8000)
    files = read_recordings([tmp_path])
    seed = next(seed for seed in range(100) if is_silent(split_files(files, seed=seed)[side].samples[0]))
    with pytest.raises(InputError, match=f"The recordings {called} contain nothing but silence"):
        fit_speech([tmp_path], seed=seed, max_steps=1)


@pytest.mark.parametrize("seed", range(12))
def test_held_out_files_last_half_of_their_share_at_least(seed):
    files = recordings(40, 16_000, 16_000, 17_000, 200_000)
    train, held_out = split_files(files, 0.2, seed)
    assert sorted(map(len, train.samples + held_out.samples)) == sorted(map(len, files.samples))
    assert held_out.seconds >= 0.1 * files.seconds and len(train) >= 1
    # The longest file is held out only if it was chosen at random, alone.
    assert len(held_out) == 1 or max(map(len, held_out.samples)) < 200_000
