"""Distillation over sequences, through the protocol alone: a linear teacher and student in time."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional

import pushforward as pf
from pushforward.training.distillation import ConditionalStudent, ConditionalTeacher, Divergence

STEPS, TAPS, DECAY, WIDTH = 24, 12, 0.7, 0.5


class Teacher:
    """x[t] = 0.7 x[t-1] + 0.5 e[t] + context[t]."""

    autoregressive_order = "time"

    def conditionals(self, x, context=None):
        drive = 0.0 if context is None else context[..., 0]
        return Normal(DECAY * functional.pad(x, (1, -1)) + drive, WIDTH)

    def log_prob(self, x, context=None):
        return self.conditionals(x, context).log_prob(x).sum(-1)


class Student(nn.Module):
    """x[t] = exp(log_scale) z[t] + Σ_k weights[k] z[t-k] + gains[k] context[t-k]."""

    autoregressive_order = "time"

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.weights = nn.Parameter(torch.zeros(TAPS))
        self.gains = nn.Parameter(torch.zeros(TAPS))

    def rsample_with_conditionals(self, shape=(), context=None):
        rows = shape[0] if context is None else len(context)
        z = torch.randn(rows, STEPS)
        location = self.filtered(functional.pad(z, (1, -1)), self.weights)
        if context is not None:
            location = location + self.filtered(context[..., 0], self.gains)
        scale = self.log_scale.exp()
        return location + scale * z, Normal(location, scale.expand_as(z))

    def rsample_with_log_prob(self, shape=(), context=None):
        x, law = self.rsample_with_conditionals(shape, context)
        return x, law.log_prob(x).sum(-1)

    @staticmethod
    def filtered(signal, taps):
        padded = functional.pad(signal, (TAPS - 1, 0))
        return functional.conv1d(padded[:, None], taps.flip(0)[None, None])[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_the_impulse_response_is_learned(conditional):
    assert isinstance(Teacher(), ConditionalTeacher) and isinstance(Student(), ConditionalStudent)
    context = torch.randn(200, STEPS, 1, generator=torch.Generator().manual_seed(0)) if conditional else None
    student, said = Student(), []
    report = pf.distill(
        Teacher(), student, context=context, max_steps=400, batch_size=64, learning_rate=2e-2, gradient_clip=100.0,
        draws=2000, announce=said.append,
    )  # fmt: skip
    assert report.estimator == "closed_form" and said and report.dimensions == STEPS
    assert report.kl_per_dimension < 1e-3 and report.speed is None and report.spread is None
    # Of the recursion: 0.5 · 0.7^k, cut off after so many taps.
    exact = WIDTH * DECAY ** torch.arange(1, TAPS + 1)
    torch.testing.assert_close(student.weights.detach(), exact, atol=0.03, rtol=0)
    assert float(student.log_scale.detach().exp()) == pytest.approx(WIDTH, abs=0.01)
    if conditional:
        torch.testing.assert_close(student.gains.detach(), DECAY ** torch.arange(TAPS), atol=0.03, rtol=0)


def test_all_estimators_agree_on_a_whole_sequence():
    student = Student()
    with torch.no_grad():
        student.weights.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(1))
    # Both are normal: x = S z and x = T e, so that KL is that of two normals.
    z = torch.eye(STEPS)
    factor = torch.stack(
        [student.filtered(functional.pad(row[None], (1, -1)), student.weights)[0] + row for row in z], 1
    )
    recursion = torch.eye(STEPS) - DECAY * torch.diag(torch.ones(STEPS - 1), -1)
    q = torch.distributions.MultivariateNormal(torch.zeros(STEPS), factor.detach() @ factor.detach().T)
    p = torch.distributions.MultivariateNormal(
        torch.zeros(STEPS), scale_tril=WIDTH * torch.linalg.solve_triangular(recursion, z, upper=False)
    )
    exact = float(torch.distributions.kl_divergence(q, p))
    torch.manual_seed(0)
    for estimator in ("closed_form", "conditional_mc", "joint"):
        with torch.no_grad():
            loss = Divergence(Teacher(), student, estimator)(20_000)
        assert float(loss.mean()) == pytest.approx(exact, abs=5 * float(loss.std()) / 20_000**0.5)


def test_a_student_of_the_other_order_is_refused():
    student = Student()
    student.autoregressive_order = "reversed time"
    with pytest.raises(pf.InputError, match="the teacher's order time is not the student's, reversed time"):
        pf.distill(Teacher(), student, estimator="closed_form")
