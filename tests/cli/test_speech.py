"""The commands for sound, on made-up recordings: pulses through a resonance, with pauses of digital silence."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
from shared_folder import shared_folder
from small_fits import speech_steps
from typer.testing import CliRunner

import pushforward as pf
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.pitch import pitch
from pushforward.audio.speech.model import SpeechModel
from pushforward.cli.app import app

RATE = 8000

# Models of recordings are fitted first, which takes half a minute.
pytestmark = pytest.mark.slow


def recording(seed, samples=4800):
    rng = np.random.default_rng(seed)
    loudness = 0.02 * np.exp(2 * np.sin(np.arange(samples) / 500 + seed))
    sound = scipy.signal.lfilter([1], [1, -1.6, 0.9], loudness * rng.normal(size=samples))
    sound[:400] = 0
    return np.clip(np.rint(sound * 2000), -32768, 32767).astype(np.int16)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    speech_steps(monkeypatch, 20)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    """A folder with wavs/, teacher and student of p(sound), and mel teacher and student of p(sound | frames)."""
    return shared_folder(tmp_path_factory, "spoken", fill_with_speech)


def fill_with_speech(folder):
    for part, count in (("wavs", 10), ("test", 3)):
        (folder / part).mkdir()
        for seed in range(count):
            soundfile.write(folder / part / f"{part}{seed}.wav", recording(seed + 100 * (part == "test")), RATE)
    small = ["--channels", "8", "--layers", "5", "-q"]
    voiced = ["--mel", "--pitch", "--bands", 12, "--frame-ms", 5]
    for mel, name in (([], ""), (["--mel"], "mel_"), (voiced, "voiced_")):
        for command in (
            ["fit", folder / "wavs", "-o", folder / f"{name}teacher.safetensors", *mel],
            [
                "distill",
                folder / f"{name}teacher.safetensors",
                folder / "wavs",
                "-o",
                folder / f"{name}student.safetensors",
                *(["--harmonics", 7, "--spectral", 0.1, "--mel", 0.1, "--loud"] if mel == voiced else []),
            ],
        ):
            with pytest.MonkeyPatch.context() as patch:
                speech_steps(patch, 60)
                result = CliRunner().invoke(app, ["speech", *map(str, command), *small])
            assert result.exit_code == 0, result.stderr
            assert result.stderr == result.stdout == ""


def test_fit_says_what_it_did(run, spoken, monkeypatch):
    speech_steps(monkeypatch, 60)
    small = ("--channels", 8, "--layers", 5, "--seed", 1)
    result = run("speech", "fit", spoken / "wavs", "-o", "m.safetensors", *small, "--json")
    assert result.status == 0
    about = result.json()
    figures = [about["held_out_nats_per_sample"], *about["baselines"].values()]
    assert len(figures) == 4 and np.isfinite(figures).all()
    assert about["files"] == {"training": 9, "held_out": 1} and len(about["held_out_files"]) == 1
    assert "9 files (5 s) to train on, 1 (1 s) held out, 8000 samples per second" in result.err
    assert "adaptive scale" in result.err and "this model" in result.err
    assert (spoken / "teacher.metrics.csv").exists()
    described = pf.describe("m.safetensors")
    assert described["notes"]["speech"] == {"rate": RATE, "frames": None, "kind": "teacher"}


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_sounds_are_made_as_long_as_asked_for(run, spoken, name):
    for output, seed in (("a.wav", 1), ("b.wav", 1), ("c.wav", 2)):
        result = run(
            "speech", "sample", spoken / f"{name}.safetensors", "--seconds", 0.11, "-o", output, "--seed", seed
        )
        assert result.status == 0 and "0.11 s of sound" in result.err
    a, b, c = (soundfile.read(f"{letter}.wav", dtype="int16") for letter in "abc")
    assert a[1] == RATE and len(a[0]) == 880 and np.array_equal(a[0], b[0]) and not np.array_equal(a[0], c[0])


@pytest.mark.parametrize("name", ["mel_teacher", "mel_student"])
def test_conditional_models_follow_a_sound(run, spoken, name):
    sound = spoken / "test" / "test0.wav"
    result = run("speech", "sample", spoken / f"{name}.safetensors", "--like", sound, "-o", "a.flac", "--json")
    assert result.status == 0 and result.json()["samples"] == 4800
    run("speech", "sample", spoken / f"{name}.safetensors", "--like", sound, "--seconds", 0.3, "-o", "b.flac")
    assert len(soundfile.read("b.flac")[0]) == 2400


def test_vocode_takes_a_sound_or_frames_of_another_program(run, spoken):
    """From its own frames, computed as the documentation defines them, a model makes the same sound."""
    model, sound = spoken / "voiced_student.safetensors", spoken / "test" / "test0.wav"
    result = run("speech", "vocode", model, "--like", sound, "-o", "a.wav", "--seed", 1, "--json")
    assert result.status == 0 and result.json()["samples"] == 4800, result.err
    samples, _ = soundfile.read(sound)
    frames = np.column_stack(
        [LogMel(RATE, 12, 40)(torch.as_tensor(samples, dtype=torch.float32)), pitch(samples, RATE, 40)]
    )
    np.save("frames.npy", frames)
    assert run("speech", "vocode", model, "--like", "frames.npy", "-o", "b.wav", "--seed", 1).status == 0
    first, second = (soundfile.read(name, dtype="int16")[0] for name in ("a.wav", "b.wav"))
    assert np.abs(first.astype(int) - second).max() <= 1
    run("speech", "sample", model, "--like", sound, "-o", "c.wav", "--seed", 1)
    assert np.array_equal(soundfile.read("c.wav", dtype="int16")[0], first)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda bands, pitches: (np.exp(bands), pitches), ["lie", "deviations", "linear powers", "standardized"]),
        (lambda bands, pitches: (bands / np.log(10), pitches), ["lie", "log10"]),
        (lambda bands, pitches: ((bands - bands.mean(0)) / bands.std(0), pitches), ["lie", "standardized"]),
        (lambda bands, pitches: (10 / np.log(10) * bands, pitches), ["Error", "below -23.28", "decibels"]),
        (lambda bands, pitches: (bands + 2 * np.log(32768), pitches), ["Error", "full scale ±1"]),
        (lambda bands, pitches: (np.full_like(bands, 200), pitches), ["Error", "full scale ±1"]),
        (lambda bands, pitches: (bands, np.log(pitches)), ["Error", "pitch in Hz", "4.78", "frame 1"]),
        (lambda bands, pitches: (bands, 0 * pitches + RATE / 2), ["Error", "pitch in Hz", "4000"]),
        (lambda bands, pitches: (bands, 8 * pitches), ["pitch reaches 960 Hz"]),
        (lambda bands, pitches: (bands, 0.5 * pitches), ["pitch falls to 60 Hz", "semitones"]),
        (lambda bands, pitches: (bands, pitches), []),
    ],
)
def test_frames_of_a_wrong_scale_are_refused_or_doubted(run, spoken, mistake, words):
    samples, _ = soundfile.read(spoken / "test" / "test0.wav")
    bands = LogMel(RATE, 12, 40)(torch.as_tensor(samples)).numpy()
    np.save("frames.npy", np.column_stack(mistake(bands, np.full(len(bands), 120.0))))
    result = run("speech", "vocode", spoken / "voiced_student.safetensors", "--like", "frames.npy", "-o", "b.wav")
    assert (result.status == 2) is ("Error" in words) and Path("b.wav").exists() is (result.status == 0)
    assert all(word in result.err for word in words), result.err
    assert result.err.count("\n") == (1 if result.status else 1 + bool(words))


def test_a_pitch_gives_the_student_a_voice(spoken):
    student = SpeechModel.load(spoken / "voiced_student.safetensors")
    assert student.frames.pitch and student.frames.hop == 40 and student.density.source.harmonics == 7
    assert student.density.source.reference == 200 / RATE


def test_distil_reports_the_divergence(run, spoken):
    result = run(
        *("speech", "distill", spoken / "teacher.safetensors", "-o", "s.safetensors", "--power", 0),
        *("--channels", 4, "--layers", 4, "--segment", 800, "--json"),
    )
    assert result.status == 0
    about = result.json()
    assert about["estimator"] == "closed_form" and about["kl_nats_per_sample"] > 0
    assert about["kl_nats_per_segment"] == pytest.approx(800 * about["kl_nats_per_sample"])
    assert "KL(student || teacher)" in result.err and "closed_form" in result.err


def test_a_report_is_one_page_with_everything_inside(run, spoken):
    models = [spoken / f"{name}.safetensors" for name in ("teacher", "student", "mel_teacher", "mel_student")]
    result = run(
        "speech", "report", *models, spoken / "test", "-o", "page.html", "--seconds", 0.1, "--copies", 0, "--json"
    )
    assert result.status == 0, result.err
    about = result.json()
    teacher, student, mel_teacher, mel_student = about["models"]
    assert about["files"] == 3 and len(about["baselines"]) == 3
    assert teacher["nll"] < about["baselines"]["independent"] and np.isfinite(student["nll"])
    for figures in (student, mel_student):
        assert figures["kl"] > 0 and figures["kl_of_segment"] == pytest.approx(figures["kl"] * figures["segment"])
        assert figures["inexactness"] < 1e-10 and figures["real_time_factor"] > 0
        assert figures["spread_of_reference"] > 0
    assert mel_teacher["inexactness"] < 1e-10 and mel_teacher["naive_real_time_factor"] > 0
    assert mel_teacher["spectral_convergence"] > 0 and np.isfinite(student["segment_nll"])
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and page.count("data:audio/wav;base64,") == 10
    assert not re.search(r'(?:src|href)="(?!data:)', page) and page.rstrip().endswith("</html>")
    assert "adaptive scale" in page and "times real time" in page
    assert teacher["parameters"] == run("info", models[0], "--json").json()["parameters"]
    assert f"<td>{teacher['parameters']:,}</td>" in page


def test_the_divergence_of_a_student_is_to_its_own_teacher_in_any_order(run, spoken):
    """Not to another WaveNet of the same context, whether that comes first or last."""
    (Path("a") / "b").mkdir(parents=True)
    other = run("speech", "fit", spoken / "wavs", "-o", "a/teacher.safetensors", "--channels", 4, "--layers", 3)
    assert other.status == 0
    student, teacher = spoken / "student.safetensors", spoken / "teacher.safetensors"
    figures = []
    for models in ((student, "a/teacher.safetensors", teacher), (teacher, "a/teacher.safetensors", student)):
        result = run(
            "speech", "report", *models, spoken / "test", "-o", "p.html", "--seconds", 0.1, "--copies", 0, "--json"
        )
        about = {model["name"]: model for model in result.json()["models"]}
        # Two files of one name keep their folders.
        assert about["student"]["reference"] == str(teacher) and "a/teacher.safetensors" in about
        figures.append(about["student"]["kl"])
        assert Path("p.html").read_text(encoding="utf-8").count("compared with</th>") == 1
    assert figures[0] == figures[1]
    twice = run("speech", "report", student, student, spoken / "test", "-o", "q.html")
    assert twice.status == 2 and "named twice" in twice.err and not Path("q.html").exists()


def test_a_parallel_model_is_fitted_without_a_teacher(run, spoken):
    small = ("--channels", 6, "--layers", 4, "--mel", "--pitch", "--bands", 12)
    result = run("speech", "fit", spoken / "wavs", "-o", "p.safetensors", "--parallel", *small, "--json")
    assert result.status == 0, result.err
    about = result.json()
    assert about["held_out_nats_per_sample"] < about["baselines"]["independent"]
    model = SpeechModel.load("p.safetensors")
    assert model.is_parallel and len(model.density.networks) == 2 and model.density.source.harmonics == 20
    sound = spoken / "test" / "test0.wav"
    assert run("speech", "vocode", "p.safetensors", "--like", sound, "-o", "a.wav").status == 0
    assert "parallel model in p.safetensors" in result.err and "student" not in result.err
    about = run("info", "p.safetensors").out
    assert re.search(r"speech.kind +parallel", about)
    refused = run("speech", "distill", "p.safetensors", spoken / "wavs", "-o", "q.safetensors")
    assert refused.status == 2 and "has no teacher" in refused.err and "student" not in refused.err
    run("speech", "fit", spoken / "wavs", "-o", "w.safetensors", *small)
    result = run("speech", "report", "p.safetensors", "w.safetensors", spoken / "test", "-o", "page.html", "--json",
                 "--seconds", 0.1, "--copies", 0)  # fmt: skip
    parallel, wavenet = result.json()["models"]
    assert (parallel["kind"], parallel["reference"]) == ("parallel", "w") and wavenet["reference"] is None
    assert "KL to w" in result.err and "teacher" not in result.err and "student" not in result.err


def test_a_killed_fit_is_resumed(run, spoken, monkeypatch):
    fit = ("speech", "fit", spoken / "wavs", "-o", "m.safetensors", "--channels", 4, "--layers", 3)
    with monkeypatch.context() as patch:
        patch.setattr(SpeechModel, "save", lambda *_: (_ for _ in ()).throw(pf.InputError("Full.")))
        assert run(*fit).status == 2
    assert Path("m.checkpoint").exists() and not Path("m.safetensors").exists()
    refused = run(*fit, "--resume", "--seed", 1)
    assert refused.status == 2 and "seed 0, and now it is 1" in refused.err and refused.err.count("\n") == 1
    assert run(*fit, "--resume").status == 0
    assert Path("m.safetensors").exists() and not Path("m.checkpoint").exists()
    assert "there is no m.checkpoint to resume from" in run(*fit, "--resume").err


def test_help(run):
    for arguments in ([], ["fit"], ["distill"], ["sample"], ["vocode"], ["report"]):
        assert run("speech", *arguments, "--help").status == 0


def test_a_report_measures_and_plays_copies_of_recordings(run, spoken):
    models = [spoken / f"{name}.safetensors" for name in ("teacher", "voiced_teacher", "voiced_student")]
    result = run(
        "speech", "report", *models, spoken / "test", "-o", "page.html", "--seconds", 0.1, "--copies", 2, "--json"
    )
    assert result.status == 0, result.err
    copies = result.json()["copies"]
    assert list(copies) == ["voiced_teacher", "voiced_student", "Griffin-Lim", "LPC vocoder"]
    assert all({"pitch", "voicing", "distortion"} <= set(row) for row in copies.values())
    assert copies["Griffin-Lim"]["distortion"]["files"] == 2
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Copies of recordings" in page and page.count("data:image/png;base64,") == 3
    assert "too narrow" in page and "of the words that a recognizer (PocketSphinx) hears in recordings" in page
    # Two recordings, each with four copies, besides the draws.
    assert page.count("data:audio/wav;base64,") == 8 + 10
    assert "nan" not in re.sub('base64,[^"]*', "", page)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "missing.wav", "-o", "m.safetensors"], ["There is no file missing.wav"]),
        (["fit", "bad.wav", "-o", "m.safetensors"], ["bad.wav", "cannot be read as sound"]),
        (["fit", "long.wav", "-o", "m.safetensors"], ["long.wav", "only file"]),
        (["fit", "one.wav", "fast.wav", "-o", "m.safetensors"], ["fast.wav", "16000", "8000"]),
        (["fit", "{wavs}", "-o", "m.pt"], [".safetensors"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--max-time", "0"], ["--max-time"]),
        (["fit", "silent1.wav", "silent2.wav", "-o", "m.safetensors", "--drop-silence"], ["silen"]),
        (["fit", "silent1.wav", "silent2.wav", "-o", "m.safetensors"], ["nothing but silence"]),
        (["fit", "clipped.wav", "{wavs}", "-o", "m.safetensors"], ["clipped.wav is clipped", "full scale"]),
        (["fit", "one.wav", "two.wav", "-o", "m.safetensors"], ["last 1.2 s in all", "5 s"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--pitch"], ["--mel"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--parallel", "--mixture"], ["--mixture", "--parallel"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--mel", "--frame-ms", "0"], ["0 ms", "--frame-ms"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--mel", "--frame-ms", "inf"], ["finite", "--frame-ms"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--mel", "--frame-ms", "100"], ["to 32 ms", "100 (--frame-ms)"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--mel", "--frame-ms", "0.01"], ["from 0.125 ms", "0.01"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--mel", "--bands", "130"], ["129 frequencies", "--bands"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--bands", "12"], ["--bands", "--mel"]),
        (["fit", "{wavs}", "-o", "m.safetensors", "--frame-ms", "5"], ["--frame-ms", "--mel"]),
        (["fit", "short", "-o", "m.safetensors"], ["nearly all of the sound", "cut it in pieces"]),
        (["fit", "same1.wav", "same2.wav", "-o", "m.safetensors"], ["content of same1.wav", "cut it in two"]),
        *(
            (["distill", "{mel_teacher}", "{wavs}", "-o", "m.safetensors", f"--{loss}", weight], [f"--{loss}", weight])
            for loss in ("power", "spectral", "mel", "contrastive", "regularization")
            for weight in ("-1", "inf")
        ),
        (
            ["distill", "{teacher}", "{wavs}", "-o", "m.safetensors", "--spline", "--regularization", "4"],
            ["--spline", "--regularization"],
        ),
        (
            ["distill", "{mel_teacher}", "{wavs}", "-o", "m.safetensors", "--harmonics", "10"],
            ["--harmonics", "--pitch"],
        ),
        (["distill", "{teacher}", "{wavs}", "-o", "m.safetensors", "--spectral", "1"], ["spectral", "mel frames"]),
        (["distill", "{teacher}", "{wavs}", "-o", "m.safetensors", "--mel", "1"], ["mel loss", "mel frames"]),
        (
            ["distill", "{mel_teacher}", "{wavs}", "-o", "m.safetensors", "--mel", "1", "--segment", "300"],
            ["more than 320 samples, not of 320", "--segment"],
        ),
        (["distill", "{teacher}", "{wavs}", "-o", "m.safetensors", "--segment", "9000"], ["1.12 s", "--segment"]),
        (["vocode", "{teacher}", "--like", "one.wav", "-o", "a.wav"], ["takes no mel frames"]),
        (["vocode", "{mel_teacher}", "--like", "fast.wav", "-o", "a.wav"], ["fast.wav", "this model takes 8000"]),
        (["vocode", "{mel_teacher}", "--like", "none.npy", "-o", "a.wav"], ["There is no file none.npy"]),
        (["vocode", "{mel_teacher}", "--like", "bad.npy", "-o", "a.wav"], ["bad.npy", "NumPy's format"]),
        (["vocode", "{mel_teacher}", "--like", "wide.npy", "-o", "a.wav"], ["(5, 21)", "(frames, 20): 20 bands"]),
        (["vocode", "{mel_teacher}", "--like", "empty.npy", "-o", "a.wav"], ["has no frame", "(frames, 20)"]),
        (["vocode", "{mel_teacher}", "--like", "nan.npy", "-o", "a.wav"], ["not finite in frame 3"]),
        (["vocode", "{voiced_student}", "--like", "negative.npy", "-o", "a.wav"], ["pitch in Hz", "unvoiced"]),
        (["distill", "{student}", "{wavs}", "-o", "m.safetensors"], ["a student already"]),
        (["distill", "{mel_teacher}", "-o", "m.safetensors"], ["mel frames", "Name the recordings"]),
        (["distill", "{teacher}", "-o", "m.safetensors"], ["power loss", "--power 0"]),
        (["distill", "{teacher}", "fast.wav", "-o", "m.safetensors"], ["fast.wav", "this model takes 8000"]),
        (["distill", "{teacher}", "silent1.wav", "silent2.wav", "-o", "m.safetensors"], ["nothing but silence"]),
        (["distill", "{teacher}", "clipped.wav", "{wavs}", "-o", "m.safetensors"], ["clipped.wav is clipped"]),
        (["distill", "{teacher}", "one.wav", "two.wav", "-o", "m.safetensors"], ["last 1.2 s in all", "5 s"]),
        (["report", "{teacher}", "silent1.wav", "-o", "p.html"], ["nothing but silence"]),
        (["distill", "{teacher}", "{wavs}", "-o", "m.safetensors", "--contrastive", "0.3"], ["contrastive"]),
        (["sample", "{teacher}", "-o", "a.wav"], ["--seconds"]),
        (["sample", "{teacher}", "-o", "a.mp3", "--seconds", "1"], ["a.mp3"]),
        (["sample", "{teacher}", "-o", "a.wav", "--seconds", "-1"], ["-1"]),
        (["sample", "{teacher}", "-o", "a.wav", "--seconds", "1e12"], ["a.wav can hold 2,147,483,616 samples"]),
        (["sample", "{teacher}", "-o", "a.flac", "--seconds", "1e12"], ["a.flac can hold"]),
        (["vocode", "{mel_teacher}", "--like", "a.csv", "-o", "a.wav"], ["a.csv", ".npy"]),
        (["vocode", "{mel_teacher}", "--like", "z.npz", "-o", "a.wav"], ["z.npz", ".npy"]),
        (["sample", "{teacher}", "-o", "a.wav", "--seconds", "1", "--like", "one.wav"], ["not conditional"]),
        (["sample", "{mel_teacher}", "-o", "a.wav"], ["--like"]),
        (["sample", "{mel_teacher}", "-o", "a.wav", "--like", "{wavs}"], ["sounds where one is wanted"]),
        (["vocode", "{mel_teacher}", "-o", "a.wav", "--like", "silent*.wav"], ["silent*.wav holds 2 sounds"]),
        (["sample", "{mel_teacher}", "-o", "a.wav", "--like", "one.wav", "--seconds", "9"], ["one.wav", "9"]),
        (["sample", "one.wav", "-o", "a.wav", "--seconds", "1"], ["one.wav"]),
        (
            ["sample", "table.safetensors", "-o", "a.wav", "--seconds", "1"],
            ["table.safetensors", "not a model of sound"],
        ),
        (["report", "{teacher}", "-o", "p.html"], ["recordings"]),
        (["report", "{teacher}", "{wavs}", "-o", "p.html", "--seconds", "0"], ["duration", "--seconds"]),
        (["report", "{teacher}", "{wavs}", "-o", "p.html", "--seconds", "inf"], ["duration", "--seconds"]),
        (["report", "{teacher}", "{wavs}", "-o", "p.html", "--seconds", "0.01"], ["80 samples", "--seconds", "256"]),
        (["report", "{mel_teacher}", "{voiced_teacher}", "{wavs}", "-o", "p.html"], ["mel_teacher", "10 ms", "5 ms"]),
        (["report", "{wavs}", "-o", "p.html"], ["model"]),
        (["report", "{teacher}", "{wavs}", "-o", "p.pdf"], ["p.pdf"]),
        (["report", "{teacher}", "{wavs}", "-o", "nowhere/p.html"], ["nowhere"]),
        (["report", "{teacher}", "{wavs}", "-o", "folder.html"], ["folder.html", "it is a folder"]),
        (["vocode", "{mel_teacher}", "--like", "one.wav", "-o", "nowhere/a.wav"], ["nowhere does not exist"]),
        (["report", "{teacher}", "fast.wav", "-o", "p.html"], ["fast.wav", "16000"]),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(run, spoken, tmp_path, arguments, words):
    (tmp_path / "bad.wav").write_text("no sound")
    soundfile.write(tmp_path / "one.wav", recording(0), RATE)
    soundfile.write(tmp_path / "fast.wav", recording(0), 2 * RATE)
    soundfile.write(tmp_path / "two.wav", recording(1), RATE)
    soundfile.write(tmp_path / "clipped.wav", np.clip(200 * recording(0).astype(int), -32768, 32767).astype("i2"), RATE)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "bad.npy").write_text("no array")
    (tmp_path / "a.csv").write_text("1,2\n")
    np.savez(tmp_path / "z.npz", np.zeros((5, 20)))
    long = recording(0, samples=60_000)
    for name in ("long.wav", "same1.wav", "same2.wav", "short/long.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, long, RATE)
    soundfile.write(tmp_path / "short" / "five.wav", long[:5], RATE)
    for name, shape in (("wide", (5, 21)), ("empty", (0, 20)), ("nan", (5, 20)), ("negative", (5, 13))):
        np.save(tmp_path / f"{name}.npy", np.full(shape, -3.0))
    np.save(tmp_path / "nan.npy", np.where(np.arange(100).reshape(5, 20) == 47, np.nan, -3.0))
    for name in ("silent1.wav", "silent2.wav"):
        soundfile.write(tmp_path / name, np.zeros(24000, dtype=np.int16), RATE)
    pf.save(pf.nice(features=2), tmp_path / "table.safetensors")
    places = {"{wavs}": spoken / "wavs"}
    places |= {
        f"{{{name}}}": spoken / f"{name}.safetensors"
        for name in ("teacher", "student", "mel_teacher", "voiced_teacher", "voiced_student")
    }
    before = sorted(tmp_path.rglob("*"))
    result = run("speech", *(places.get(argument, argument) for argument in arguments))
    assert result.status == 2, result.err
    assert result.err.startswith("Error: ") and result.err.endswith(".\n") and result.err.count("\n") == 1
    assert result.out == "" and sorted(tmp_path.rglob("*")) == before
    for word in words:
        assert word in result.err


@pytest.mark.parametrize(
    "arguments", [["fit", "--channels"], ["fit", "--layers"], ["distill", "--flows"], ["distill", "--segment"]]
)
def test_sizes_that_make_no_network_are_refused_by_their_option(run, spoken, arguments):
    command, option = arguments
    inputs = [spoken / "wavs"] if command == "fit" else [spoken / "teacher.safetensors", spoken / "wavs"]
    result = run("speech", command, *inputs, "-o", "m.safetensors", option, 0)
    assert result.status == 2 and option in result.err and "0" in result.err


def test_copies_of_a_recording_are_named_and_stay_on_one_side(run, spoken):
    sound = recording(0, samples=60_000)
    for name in ("a", "b", "c"):
        soundfile.write(f"{name}.wav", sound, RATE)
    result = run(
        "speech", "fit", spoken / "wavs", "a.wav", "b.wav", "c.wav", "-o", "m.safetensors", "--channels", 4, "--layers",
        3, "--json",
    )  # fmt: skip
    assert result.status == 0 and "2 files with the content of another one, such as b.wav" in result.err
    assert len({"a.wav", "b.wav", "c.wav"} & set(result.json()["held_out_files"])) in (0, 3)


def test_a_mixture_is_not_regularized_and_a_table_command_knows_a_model_of_sound(run, spoken):
    fit = ("speech", "fit", spoken / "wavs", "--mixture", "-o", "m.safetensors", "--channels", 4, "--layers", 3)
    assert run(*fit).status == 0
    refused = run("speech", "distill", "m.safetensors", spoken / "wavs", "-o", "s.safetensors", "--regularization", 4)
    assert refused.status == 2 and "--mixture" in refused.err and "files" not in refused.err
    refused = run("sample", "m.safetensors", "-n", 3, "-o", "rows.csv")
    assert refused.status == 2 and "pushforward speech" in refused.err


def test_a_fit_without_a_step_says_so(run, spoken, monkeypatch):
    monkeypatch.setattr("pushforward.training.run.Run.evaluation_due", lambda run, elapsed: True)
    fit = ("speech", "fit", spoken / "wavs", "-o", "m.safetensors", "--channels", 4, "--layers", 3)
    assert "no step was taken" in run(*fit, "--max-time", 1e-6).err
