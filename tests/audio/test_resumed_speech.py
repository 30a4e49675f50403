"""Models of made-up recordings whose training is broken off and goes on."""

import numpy as np
import pytest
import torch
from killed_runs import Killed

import pushforward as pf
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.recordings.files import read_recordings, write_audio
from pushforward.audio.speech.distillation import distill_speech
from pushforward.audio.speech.fitting import fit_speech
from pushforward.audio.speech.model import SpeechModel

pytestmark = pytest.mark.usefixtures("kill")

RATE = 8000
SMALL = {"channels": 4, "layers": 3, "segment": 320, "seed": 3, "device": "cpu", "progress": False}
STEPS = {"max_steps": 12, "evaluate_every": 5}


def write_sounds(folder, seed=0):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(5):
        write_audio(folder / f"{number}.wav", 0.05 * rng.normal(size=9000), RATE)
    return folder


@pytest.fixture
def sounds(tmp_path):
    return write_sounds(tmp_path / "sounds")


def fit(sounds, **options):
    return fit_speech([sounds], **{**SMALL, "stacks": 1, "mel": True, "bands": 6, **options})


def teacher():
    return SpeechModel(adaptive_wavenet(order=2, channels=4, layers=3), RATE)


def distill(sounds, taught=None, **options):
    return distill_speech(taught or teacher(), [sounds], **{**SMALL, **options})


def same(one, other):
    one, other = one.density.state_dict(), other.density.state_dict()
    return all(torch.equal(one[key], other[key]) for key in one)


def lines(path):
    """The lines of a log without their seconds."""
    return [line.split(",")[:2] + line.split(",")[3:] for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("train", [fit, distill], ids=["fit_speech", "distill_speech"])
def test_a_training_that_is_killed_twice_ends_as_if_it_had_not_been(tmp_path, sounds, kill, train):
    torch.manual_seed(0)
    whole = train(sounds, **STEPS, log_path=tmp_path / "whole.csv")
    said: list[str] = []
    kept = {"checkpoint": tmp_path / "c", "resume": True, "log_path": tmp_path / "pieces.csv", "announce": said.append}
    for step in (2, 7):
        kill(step)
        torch.manual_seed(0)
        with pytest.raises(Killed):
            train(sounds, **STEPS, **kept)
    kill(None)
    torch.manual_seed(0)
    pieces = train(sounds, **STEPS, **kept)
    assert same(whole.model, pieces.model)
    assert lines(tmp_path / "whole.csv") == lines(tmp_path / "pieces.csv")
    notes = [{**result.model.notes, "seconds": 0} for result in (whole, pieces)]
    assert notes[0] == notes[1] and notes[0]["steps"] == 12 and notes[0]["stopped"] == "finished"
    assert [line for line in said if "the beginning" in line] == [
        f"there is no {tmp_path / 'c'} to resume from: the fit starts from the beginning"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "changed", "words"),
    [
        (fit, {"sounds": 1}, "other data \\(recordings differs\\)"),
        (fit, {"channels": 5}, "channels 4, and now it is 5"),
        (fit, {"bands": 7}, "bands 6, and now it is 7"),
        (fit, {"drop_silence": True}, "drop_silence False, and now it is True"),
        (fit, {"learning_rate": 0.1}, "learning_rate .*, and now it is 0.1"),
        (distill, {"sounds": 1}, "other data \\(source differs\\)"),
        (distill, {"power": 0.1}, "power 0.3, and now it is 0.1"),
        (distill, {"loud": True}, "loud False, and now it is True"),
        (distill, {"taught": 5}, "other data \\(teacher differs\\)"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, sounds, kill, train, changed, words):
    torch.manual_seed(0)
    kill(3)
    with pytest.raises(Killed):
        train(sounds, **STEPS, checkpoint=tmp_path / "c")
    kill(None)
    changed = dict(changed)
    torch.manual_seed(changed.pop("taught", 0))
    if changed.pop("sounds", None):
        sounds = write_sounds(tmp_path / "others", seed=1)
    with pytest.raises(pf.InputError, match=f"c is the checkpoint of a fit with {words}; .*delete it to start again"):
        train(sounds, **STEPS, checkpoint=tmp_path / "c", resume=True, **changed)


def test_recordings_are_known_by_what_they_hold(tmp_path, sounds):
    again, other = write_sounds(tmp_path / "again"), write_sounds(tmp_path / "other", seed=1)
    digests = [read_recordings([folder]).digest for folder in (sounds, again, other)]
    assert digests[0] == digests[1] != digests[2]
    one = read_recordings([sounds])
    assert one.take([0, 1]).digest != one.take([1, 0]).digest
