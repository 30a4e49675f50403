"""Fitting and distilling models of made-up recordings with known likelihoods."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import nn

import pushforward as pf
from pushforward.audio.models.adaptive_wavenet import adaptive_wavenet
from pushforward.audio.recordings.files import read_recordings, write_audio
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.segments import mel_statistics
from pushforward.audio.speech.aligned_segments import aligned_segments
from pushforward.audio.speech.distillation import distill_speech
from pushforward.audio.speech.fitting import SequenceLikelihood, fit_speech
from pushforward.audio.speech.measurement import LARGEST_INEXACTNESS, SpeechFigures, alarms_of, inexactness, measure
from pushforward.audio.speech.model import MelFrames, SpeechModel

RATE = 8000
SCALES = (0.002, 0.05)


def write_sounds(folder, count=10, samples=6000):
    """A resonance whose noise grows and fades between two scales: the entropy rate is known."""
    rng = np.random.default_rng(0)
    quiet, loud = np.log(SCALES)
    for number in range(count):
        wave = np.sin(2 * np.pi * (np.arange(samples) / 3000 + rng.uniform()))
        noise = np.exp((quiet + loud) / 2 + (loud - quiet) / 2 * wave) * rng.normal(size=samples)
        write_audio(folder / f"{number}.wav", scipy.signal.lfilter([1], [1, -1.2, 0.8], noise), RATE)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("sounds"))


def small(sounds, **options):
    return fit_speech([sounds], channels=6, layers=5, segment=600, progress=False, **options)


@pytest.fixture(scope="module")
def fitted(sounds):
    return small(sounds, max_steps=250, learning_rate=1e-2)


@pytest.fixture(scope="module")
def conditional(sounds):
    return small(sounds, max_steps=60, mel=True, learning_rate=1e-2)


def test_a_fit_climbs_the_ladder_and_stays_above_the_entropy(fitted):
    entropy = np.log(SCALES).mean() + 0.5 * math.log(2 * math.pi * math.e)
    independent, linear, adaptive = fitted.baselines.values()
    # The scale of a sample is guessed from those before it, which costs a little. One file of 6000 samples is held out.
    assert entropy - 5 * math.sqrt(0.5 / 6000) < fitted.held_out < min(independent, linear, adaptive) - 0.01
    assert fitted.model.notes["held_out_nats_per_sample"] == fitted.held_out
    assert len(fitted.model.notes["held_out_files"]) == 1


def test_a_seed_repeats_a_fit(sounds):
    first, second, other = (small(sounds, max_steps=4, seed=seed).model.density for seed in (3, 3, 4))
    weights = [density.state_dict() for density in (first, second, other)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["network.input.weight"], weights[2]["network.input.weight"])


def test_an_interrupted_fit_names_its_samples_and_the_sign(sounds, monkeypatch, capsys):
    steps = iter(range(100))

    def forward(self, *args):
        if next(steps) == 7:
            raise KeyboardInterrupt
        return scored(self, *args)

    scored = SequenceLikelihood.forward
    monkeypatch.setattr(SequenceLikelihood, "forward", forward)
    fitted = small(sounds, max_steps=50)
    value = f"held-out log-likelihood {fitted.history.best_held_out:.4f} nats per sample, higher is better"
    assert fitted.history.stopped == "interrupted" and value in capsys.readouterr().err


def test_the_loss_counts_scored_samples_alone():
    density = adaptive_wavenet(order=2, layers=3, stacks=1)
    x = 0.1 * torch.randn(2, 50)
    scored = torch.zeros(2, 50)
    scored[0, 10:30], scored[1, :] = 1, 1
    log_prob = density.conditionals(x).log_prob(x)
    expected = torch.stack([-log_prob[0, 10:30].sum(), -log_prob[1].sum()]) / 40
    torch.testing.assert_close(SequenceLikelihood(density, 40)(x, scored), expected)


def test_likelihoods_in_rows_are_those_of_whole_files(sounds, fitted):
    recordings = read_recordings([sounds]).take([0, 1])
    from_rows = fitted.model.negative_log_likelihood(recordings, seed=5)
    total = 0.0
    for x, scored, _ in fitted.model.tiles(recordings, seed=5):
        row = x[:, : int(scored.sum(1).max())]
        assert bool(scored[:, : row.shape[1]].all())
        total -= fitted.model.density.log_prob(row).sum().item()
    assert from_rows == pytest.approx(total / 12000, rel=1e-5)


@pytest.mark.parametrize("mel", [False, True])
def test_a_model_comes_back_from_its_file(fitted, conditional, tmp_path, mel):
    model = (conditional if mel else fitted).model
    model.save(tmp_path / "m.safetensors")
    again = SpeechModel.load(tmp_path / "m.safetensors")
    samples = np.random.default_rng(0).integers(-500, 500, 900).astype(np.int16)
    write_audio(tmp_path / "a.wav", samples / 32768, RATE)
    like = tmp_path / "a.wav" if mel else None
    draws = [m.sample(0.05, like=like, seed=1) for m in (model, again)]
    assert np.array_equal(*draws) and again.notes == model.notes and again.rate == RATE
    if mel:
        assert torch.equal(again.frames.of(samples), model.frames.of(samples))


def test_frames_are_standardized_on_the_training_files(sounds):
    recordings = read_recordings([sounds])
    mel = LogMel(RATE)
    frames = MelFrames(mel, *mel_statistics(mel, recordings))
    values = torch.cat([frames.of(samples) for samples in recordings.samples])
    assert values.mean(0).abs().max() < 1e-3 and (values.std(0) - 1).abs().max() < 1e-3


def test_a_conditional_model_expects_the_sound_of_its_frames(sounds, conditional):
    model = conditional.model
    data, context = aligned_segments(model, read_recordings([sounds]), 800, 200, seed=0)
    with torch.no_grad():
        gain = model.density.log_prob(data, context) - model.density.log_prob(data, context.roll(1, 0))
    # The frames of another segment, louder or quieter, are worth less.
    assert float(gain.mean()) > 5 * float(gain.std()) / 200**0.5


def test_aligned_segments_hold_the_sound_of_their_frames(sounds, conditional):
    recordings = read_recordings([sounds])
    data, context = aligned_segments(conditional.model, recordings, 800, 20, seed=0)
    assert data.shape == (20, 800) and context.shape == (20, 10, 20)
    frames = conditional.model.frames
    # All but the frames at the ends, whose windows reach outside of the segment.
    inner = (frames.mel(data) - frames.mean) / frames.deviation
    torch.testing.assert_close(inner[:, 2:-2], context[:, 2:-2], atol=0.1, rtol=0)


@pytest.mark.slow
def test_distillation_brings_the_student_to_its_teacher(sounds, fitted):
    options = {"channels": 6, "layers": 5, "segment": 400, "batch_size": 8, "power": 0.0, "progress": False}
    before, after = (distill_speech(fitted.model, [sounds], max_steps=steps, **options) for steps in (1, 100))
    assert after.report.estimator == "closed_form"
    # Behind the teacher's linear prediction the student starts close by: white noise would be 3 nats a sample away.
    assert before.report.kl_per_dimension < 0.1
    # On the same held-out draws, in nats for a segment.
    history = after.report.history
    assert history.best_held_out > history.held_out[0] + 0.2
    assert after.report.kl < before.report.kl
    assert after.model.is_parallel and after.model.notes["kl_nats_per_segment"] == after.report.kl


@pytest.mark.slow
def test_a_spline_student_starts_behind_the_prediction_of_its_teacher(fitted):
    options = {"channels": 6, "layers": 5, "segment": 400, "power": 0.0, "progress": False}
    result = distill_speech(fitted.model, univariate="spline", max_steps=1, **options)
    coefficients = fitted.model.density.adaptive.coefficients
    assert torch.equal(result.model.density.coefficients, coefficients)
    assert result.report.estimator == "conditional_mc" and result.report.kl_per_dimension < 0.1


@pytest.mark.slow
def test_a_quiet_student_raises_the_alarm(sounds, fitted):
    quiet = SpeechModel(pf.parallel_wavenet(flows=1, channels=4, layers=3, scale=1e-4), RATE)
    report = measure([fitted.model, quiet], ["teacher", "quiet"], read_recordings([sounds]), rows=4, seconds=0.1)
    teacher, student = report.models
    assert student.spread < 0.1 and student.spread_of_reference < 0.1
    assert len(student.alarms) == 2 and "too quiet" in student.alarms[0]
    assert not any("quiet" in alarm for alarm in teacher.alarms)
    assert student.kl == pytest.approx(student.kl_of_segment / student.segment)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["gaussian", "logistic_mixture"])
def test_exactness_is_measured(head):
    teacher = adaptive_wavenet(order=2, channels=4, layers=3, head=head, components=2)
    nn.init.normal_(teacher.network.output.weight, std=0.1)
    assert inexactness(SpeechModel(teacher, RATE)) < LARGEST_INEXACTNESS
    plain = pf.wavenet(channels=4, layers=3, head=head, components=2, scale=0.1)
    nn.init.normal_(plain.network.output.weight, std=0.1)
    assert inexactness(SpeechModel(plain, RATE)) < LARGEST_INEXACTNESS
    student = pf.parallel_wavenet(channels=4, layers=3)
    nn.init.normal_(student.networks[0].output.weight, std=0.1)
    assert inexactness(SpeechModel(student, RATE)) < LARGEST_INEXACTNESS


def test_a_round_trip_that_is_not_exact_raises_an_alarm():
    """To 1e-10, as the documentation of the models says."""
    for error, count in ((9e-11, 0), (2e-10, 1), (float("nan"), 1), (float("inf"), 1), (None, 0)):
        alarms = alarms_of(SpeechFigures("s", "student", conditional=False, parameters=1, inexactness=error))
        assert len(alarms) == count and all("s is not exact" in alarm for alarm in alarms)


def test_a_divergence_of_a_known_pair_is_measured(sounds):
    # Student and teacher are white noise of scales 0.1 and 0.2: KL = ln 2 + 1/8 - 1/2 a sample.
    teacher = SpeechModel(pf.wavenet(channels=4, layers=3, scale=0.2), RATE)
    student = SpeechModel(pf.parallel_wavenet(channels=4, layers=3, scale=0.1), RATE)
    report = measure([teacher, student], ["t", "s"], read_recordings([sounds]), rows=8, seconds=0.2, segment=800)
    figures = report.models[1]
    assert figures.kl == pytest.approx(math.log(2) + 1 / 8 - 1 / 2, abs=5 * figures.kl_error + 1e-4)
    # Both deviations are of eight draws of 0.2 seconds.
    assert figures.spread_of_reference == pytest.approx(0.5, rel=5 * (1 / (8 * 0.2 * RATE)) ** 0.5)


def test_loud_segments_are_chosen_as_often_as_their_volume_says(tmp_path):
    rng = np.random.default_rng(0)
    for name, scale in (("quiet", 0.01), ("loud", 0.09)):
        write_audio(tmp_path / f"{name}.wav", scale * rng.normal(size=20_000), RATE)
    model = SpeechModel(pf.wavenet(channels=4, layers=3), RATE)
    recordings = read_recordings([tmp_path])
    shares = []
    for loud in (False, True):
        data, _ = aligned_segments(model, recordings, 500, 400, seed=0, loud=loud)
        shares.append(float((data.std(1) > 0.03).double().mean()))
    assert shares[0] == pytest.approx(0.5, abs=5 * 0.5 / 400**0.5)
    # Half of the candidates are nine times as loud as the others.
    assert shares[1] == pytest.approx(0.9, abs=5 * 0.4 / 400**0.5)


def test_frames_with_a_pitch_are_standardized_but_for_it():
    time = np.arange(4000) / RATE
    samples = np.rint(8000 * np.sign(np.sin(2 * np.pi * 400 * time))).astype(np.int16)
    mel = LogMel(RATE, 6)
    frames = MelFrames(mel, torch.full((6,), -2.0), torch.full((6,), 3.0), pitch=True)
    raw = frames.frames_of(samples)
    assert raw.shape == (50, 7) and (frames.columns, frames.features) == (7, 8)
    context = frames.of(samples)
    torch.testing.assert_close(context[:, :6] * 3 - 2, torch.from_numpy(raw[:, :6]))
    # 400 Hz is an octave above the reference.
    torch.testing.assert_close(context[5:-5, 6:], torch.tensor([1.0, 1.0]).expand(40, 2), atol=0.03, rtol=0)
