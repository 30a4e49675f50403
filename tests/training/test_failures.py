"""What happens when something goes wrong in the middle of a run."""

import math

import pandas as pd
import pytest
import torch
from models import Affected, AffineGaussian, Intolerant, gaussian_rows
from torch import nn

from pushforward.errors import TrainingError
from pushforward.training.maximum_likelihood import fit


def interrupt(flow, x, value):
    raise KeyboardInterrupt


def test_first_ctrl_c_keeps_the_best_and_says_so(capsys):
    flow = Affected(26, interrupt)
    history = fit(flow, gaussian_rows(), evaluate_every=10, learning_rate=1e-2)
    assert history.stopped == "interrupted"
    # The first call is the initializing one, so the 26th comes after 24 steps.
    assert history.step == [0, 10, 20, 24]
    assert history.best_step == 24 and not flow.training
    said = (
        f"Interrupted at step 24; keeping the weights of step 24 (held-out log-likelihood {history.best_held_out:.4f}"
    )
    assert f"{said} nats per row, higher is better)" in capsys.readouterr().err


def test_second_ctrl_c_is_raised_and_the_best_kept():
    class Impatient(Affected):
        def log_prob(self, x, context=None):
            if not self.training and self.calls >= self.at_call:
                raise KeyboardInterrupt
            return super().log_prob(x, context)

    flow = Impatient(26, interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(flow, gaussian_rows(), evaluate_every=10)
    assert flow.shift.abs().max() > 0 and not flow.training


def test_ctrl_c_before_the_first_evaluation(capsys):
    flow = Affected(1, interrupt)
    history = fit(flow, gaussian_rows())
    assert history.stopped == "interrupted" and math.isnan(history.best_held_out)
    assert "keeping the weights as they are" in capsys.readouterr().err


def test_a_bad_row_is_named_and_training_goes_on():
    x = gaussian_rows()
    x[123, 1] = 77.0

    flow = Intolerant()
    with pytest.warns(RuntimeWarning, match=r"the loss of 1 row\(s\).*x\[123, 1\] \(value 77,"):
        history = fit(flow, x, validation=gaussian_rows(50, seed=1), epochs=3, batch_size=64, learning_rate=1e-2)
    # Once a pass, and once in the pass that replaces the three steps not taken.
    assert len(history.events) in (3, 4)
    assert "halved the learning rate" in history.events[0]
    assert history.steps == 30 and history.stopped == "finished"
    assert history.best_held_out > history.held_out[0]
    assert history.learning_rate[-1] < 1e-2 / 8


def test_too_many_failures_end_the_run_with_the_best_weights():
    x = gaussian_rows()
    x[:, 0].abs_()

    class Intolerant(AffineGaussian):
        def log_prob(self, x, context=None):
            value = super().log_prob(x, context)
            return value * torch.nan if self.training and self.shift.abs().max() > 0.05 else value

    flow = Intolerant()
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(TrainingError, match=r"stopped after 5 such failures. Step \d+: the loss of \d+ row"),
    ):
        fit(flow, x, evaluate_every=5, learning_rate=1e-2)
    assert not flow.training and 0 < flow.shift.abs().max() < 0.06


def test_the_module_at_fault_is_named():
    class Logarithm(nn.Module):
        def forward(self, x):
            return torch.log(x)

    class Deep(AffineGaussian):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Identity(), Logarithm())

        def log_prob(self, x, context=None):
            return super().log_prob(self.layers(x), context)

    x = gaussian_rows().abs()
    x[44, 0] = -1e-3
    with pytest.warns(RuntimeWarning, match=r"x\[44, 0\].*comes from module 'flow.layers.1'"):
        fit(Deep(), x, validation=x[:40], epochs=1)


def test_the_parameter_with_a_bad_gradient_is_named():
    class Kinked(AffineGaussian):
        calls = 0

        def log_prob(self, x, context=None):
            value = super().log_prob(x, context)
            self.calls += self.training
            # The first call initializes, the seventh is the sixth step, and the two after it look into the failure.
            if 7 <= self.calls <= 9:
                # Zero with an infinite derivative: the loss stays finite.
                value = value + torch.sqrt(self.log_scale[0] - self.log_scale[0].detach())
            return value

    flow = Kinked()
    with pytest.warns(
        RuntimeWarning,
        match="Step 6: a gradient is not finite; the gradient of parameter 'flow.log_scale' is not finite",
    ):
        history = fit(flow, gaussian_rows(), max_steps=20, evaluate_every=4)
    assert history.steps == 20
    assert "weights of step 4" in history.events[0]
    assert bool(torch.isfinite(flow.log_scale).all())


def test_held_out_rows_without_a_value_are_named():
    class Bounded(AffineGaussian):
        def log_prob(self, x, context=None):
            return torch.where(x[:, 0] > 30, -torch.inf, super().log_prob(x, context))

    validation = gaussian_rows(50, seed=1)
    validation[17, 0] = 31
    with pytest.warns(RuntimeWarning, match=r"1 of 50 rows have none, such as validation\[17, 0\]"):
        history = fit(Bounded(), gaussian_rows(), validation=validation, max_steps=20, learning_rate=1e-2)
    assert math.isnan(history.best_held_out)


def test_other_exceptions_leave_the_best_weights():
    def fail(flow, x, value):
        raise ValueError("broken")

    flow = Affected(26, fail)
    with pytest.raises(ValueError, match="broken"):
        fit(flow, gaussian_rows(), evaluate_every=10)
    assert not flow.training and flow.shift.abs().max() > 0


def test_columns_of_a_frame_are_named_and_rows_counted_from_one():
    x = gaussian_rows()
    x[123, 1] = 77.0

    frame = pd.DataFrame(x.numpy(), columns=["humidity", "pressure"])
    with pytest.warns(RuntimeWarning, match=r'row 124, column "pressure" \(value 77,'):
        fit(Intolerant(), frame, validation=gaussian_rows(50, seed=1), epochs=1)
