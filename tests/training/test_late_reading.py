"""Steps whose losses are read several at a time, as on a GPU: here on the processor, to compare both ways."""

import types

import pytest
import torch
from models import AffineGaussian, Intolerant, gaussian_rows
from other_device import Elsewhere

import pushforward as pf
from pushforward.training import steps
from pushforward.training.agreement import Agreement
from pushforward.training.maximum_likelihood import fit
from pushforward.training.objectives import MaximumLikelihood
from pushforward.training.settings import Settings


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(steps, "reads_late", lambda device, processes: True)


def fitted(**options):
    flow = AffineGaussian()
    history = fit(flow, gaussian_rows(), max_steps=47, batch_size=64, evaluate_every=15, learning_rate=1e-2, **options)
    return flow, history


@pytest.mark.parametrize("clip", [torch.inf, 0.5])
def test_a_run_is_the_same_whenever_its_losses_are_read(clip, monkeypatch):
    flow, history = fitted(gradient_clip=clip)
    monkeypatch.setattr(steps, "reads_late", lambda device, processes: True)
    other, other_history = fitted(gradient_clip=clip)
    # A clipped gradient is multiplied by a float32 there.
    rounding = 0.0 if clip == torch.inf else 1e-5
    for one, two in zip(flow.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=rounding, atol=rounding)
    # An evaluation reads what is left: losses and learning rates are those of the same steps.
    assert history.step == other_history.step and history.learning_rate == other_history.learning_rate
    torch.testing.assert_close(history.train[1:], other_history.train[1:], rtol=1e-5, atol=1e-6)


def test_a_bad_row_is_named_although_its_batch_is_over(late):
    x = gaussian_rows()
    x[123, 1] = 77.0

    flow = Intolerant()
    with pytest.warns(RuntimeWarning, match=r"the loss of 1 row\(s\).*x\[123, 1\] \(value 77,"):
        history = fit(flow, x, validation=gaussian_rows(50, seed=1), epochs=3, batch_size=64, learning_rate=1e-2)
    assert len(history.events) in (3, 4) and "halved the learning rate" in history.events[0]
    assert all(parameter.isfinite().all() for parameter in flow.parameters())
    assert history.best_held_out > history.held_out[0]


@pytest.mark.slow
def test_nothing_waits_in_a_step():
    """On the device "meta", which has no values that could be waited for."""
    flow = pf.nsf(features=3, layers=2, hidden=(16,), bins=4).to("meta")
    fabric = types.SimpleNamespace(
        device=torch.device("meta"),
        world_size=1,
        setup_module=lambda module: module,
        setup_optimizers=lambda optimizer: optimizer,
        backward=lambda loss: loss.backward(),
    )
    settings = Settings(1, max_steps=100)
    agreement = Agreement(fabric, settings.batch_size)
    stepper = steps.Stepper(fabric, MaximumLikelihood(flow), settings, None, pytest.fail, agreement)
    # There is no fused optimizer for this device, but one that counts its steps there.
    stepper.optimizer = torch.optim.AdamW(stepper.parameters, capturable=True, foreach=False)
    stepper.optimizer.optimizer = types.SimpleNamespace(step=lambda: None)
    with Elsewhere() as mode:
        for _ in range(steps.STEPS_BETWEEN_READINGS):
            assert not stepper.reading_due
            assert stepper.take((torch.empty(8, 3, device="meta"),), 1e-3) is None
    assert stepper.reading_due and mode.waits == 0
