"""What students minimize beside the divergence, against values in closed form."""

import math

import pytest
import torch
from other_device import Elsewhere
from torch import nn

import pushforward as pf
from pushforward.audio.recordings.mel import LogMel
from pushforward.audio.recordings.spectral import MultiResolutionLoss, PowerLoss
from pushforward.audio.speech.losses import ContrastivePenalty, MelPenalty, SpectralPenalty
from pushforward.audio.speech.model import MelFrames
from pushforward.training.distillation.divergence import Draw


def test_the_power_penalty_pairs_draws_with_the_data_of_their_context():
    data = 0.1 * torch.randn(5, 600)
    draw = Draw(data[[3, 1]].clone(), torch.zeros(2, 1, 1), torch.tensor([3, 1]), None, None)
    assert SpectralPenalty(PowerLoss(paired=True), data)(draw).abs().max() < 1e-6
    shuffled = Draw(draw.x, draw.context, torch.tensor([1, 3]), None, None)
    assert SpectralPenalty(PowerLoss(paired=True), data)(shuffled).min() > 1e-3
    unconditional = Draw(0.1 * draw.x, None, None, None, None)
    assert SpectralPenalty(PowerLoss(), data)(unconditional).min() > 10


def test_the_contrastive_penalty_is_the_divergence_from_the_other_context():
    teacher = pf.wavenet(channels=4, layers=3, context=2)
    nn.init.normal_(teacher.network.output.weight, std=0.5)
    context = torch.randn(3, 2)
    student = pf.parallel_wavenet(channels=4, layers=3, context=2)
    x, law = student.rsample_with_conditionals((), context, length=50)
    penalty = ContrastivePenalty(teacher)(Draw(x, context, torch.arange(3), law, None))
    expected = -(law.log_prob(x).sum(-1) - teacher.log_prob(x, context[[2, 0, 1]]))
    torch.testing.assert_close(penalty, expected)
    with pytest.raises(pf.InputError, match="conditional"):
        ContrastivePenalty(teacher)(Draw(x, None, None, law, None))
    with pytest.raises(pf.InputError, match="conditional distributions of the student"):
        ContrastivePenalty(teacher)(Draw(x, context, None, None, None))


@pytest.mark.parametrize("hop", [40, 80])
def test_the_mel_penalty_is_the_distance_of_frames_whose_windows_lie_inside_the_draw(hop):
    mel = LogMel(8000, 12, hop)
    frames = MelFrames(mel, torch.linspace(-10, -4, 12), torch.linspace(0.5, 2, 12))
    recording = 0.1 * torch.randn(2, 4000)
    bands = (mel(recording) - frames.mean) / frames.deviation
    # From the middle of the recordings, whose frames have seen what is beside it.
    first, samples = 10 * hop, 1200
    part, context = recording[:, first : first + samples], bands[:, 10 : 10 + samples // hop]
    penalty = MelPenalty(frames, samples)
    torch.testing.assert_close(penalty(Draw(part, context, None, None, None)), torch.zeros(2), atol=1e-4, rtol=0)
    # A pitch and whether there is one stand behind the bands; a third of the amplitude is a ninth of the power.
    pitched = torch.cat([context, torch.randn(2, samples // hop, 2)], 2)
    quieter = penalty(Draw(part / 3, pitched, None, None, None))
    torch.testing.assert_close(quieter, torch.full((2,), 2 * math.log(3)), atol=1e-3, rtol=0)
    with pytest.raises(pf.InputError, match="segments of more than"):
        MelPenalty(frames, 240)
    with pytest.raises(pf.InputError, match="conditional"):
        penalty(Draw(part, None, None, None, None))


def mel_penalty(samples=640, dtype=torch.float64):
    """A penalty, the frames of two recordings, and these."""
    mel = LogMel(8000, 12, 40)
    frames = MelFrames(mel, torch.linspace(-10, -4, 12), torch.linspace(0.5, 2, 12))
    recording = 0.1 * torch.randn(2, samples, dtype=dtype)
    return MelPenalty(frames, samples), (mel(recording) - frames.mean) / frames.deviation, recording


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mel_penalty_pulls_quiet_draws_by_2_nats_for_each_of_their_volume(dtype):
    """Of x = e^s recording, every frame is 2 s away, less what the floor is of its power."""
    penalty, context, recording = mel_penalty(dtype=dtype)
    for log_volume, slope in ((-1.0, -2.0), (-3.0, -2.0), (1.0, 2.0)):
        s = torch.tensor(log_volume, dtype=dtype, requires_grad=True)
        loss = penalty(Draw(s.exp() * recording, context, None, None, None))
        assert loss.dtype is dtype
        torch.testing.assert_close(loss, torch.full((2,), 2 * abs(log_volume), dtype=dtype), atol=1e-3, rtol=0)
        (gradient,) = torch.autograd.grad(loss.mean(), s)
        assert float(gradient) == pytest.approx(slope, rel=1e-3)


def test_the_gradient_of_the_mel_penalty_is_that_of_differences_and_finite_at_silence():
    penalty, context, recording = mel_penalty()
    x, way = 0.1 * torch.randn_like(recording), torch.randn_like(recording)

    def loss(x):
        return penalty(Draw(x, context, None, None, None)).sum()

    (gradient,) = torch.autograd.grad(loss(x.requires_grad_()), x)
    step = 1e-7
    difference = (loss(x + step * way) - loss(x - step * way)) / (2 * step)
    # A distance has no derivative at 0, which hardly any passes within a step.
    torch.testing.assert_close((gradient * way).sum(), difference, rtol=1e-4, atol=1e-4 * float(gradient.norm()))
    for volume in (0.0, 1e-30, 1e-12):
        x = (volume * recording).requires_grad_()
        value = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        assert value.isfinite() and gradient.isfinite().all() and bool(gradient.any()) == (volume > 0)


def test_losses_compute_where_the_draws_are():
    penalty, context, recording = mel_penalty(dtype=torch.float32)
    others = [SpectralPenalty(loss, recording) for loss in (PowerLoss(paired=True), MultiResolutionLoss())]
    with Elsewhere() as mode:
        x = torch.empty(2, 640, device="meta", requires_grad=True)
        for loss in (penalty, *others):
            value = loss(Draw(x, context.to("meta"), torch.tensor([1, 0]), None, None))
            assert value.is_meta and value.shape == (2,)
            value.sum().backward()
    assert mode.waits == 0
