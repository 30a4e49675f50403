import copy
import csv
import itertools
import math
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from models import AffineGaussian, gaussian_rows
from torch import nn

import pushforward
from pushforward.errors import InputError
from pushforward.training import run
from pushforward.training.likelihood import evaluate
from pushforward.training.maximum_likelihood import fit


def weights(flow):
    return torch.cat([p.detach().flatten() for p in flow.parameters()])


def small_maf(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return pushforward.maf(features=2, hidden=(32, 32))


def test_reaches_the_analytic_maximum():
    x = gaussian_rows(1000)
    flow = AffineGaussian()
    options = {"max_steps": 800, "learning_rate": 3e-2, "batch_size": 256, "patience": None, "average_decay": None}
    history = fit(flow, x, validation=x, **options)
    deviation = x.std(0, correction=0)
    analytic = float(-(deviation.log() + 0.5 * math.log(2 * math.pi * math.e)).sum())
    assert history.best_held_out == pytest.approx(analytic, abs=1e-2)
    assert history.best_held_out <= analytic + 1e-5
    torch.testing.assert_close(flow.shift.detach(), x.mean(0), atol=0.05, rtol=0.05)


@pytest.mark.slow
def test_context_rows_stay_with_their_rows():
    generator = torch.Generator().manual_seed(0)
    context = torch.randn(800, 1, generator=generator)
    x = 2 * context + 0.1 * torch.randn(800, 1, generator=generator)
    flow = AffineGaussian(1, context_features=1)
    nn.init.zeros_(flow.slope.weight)
    # All rows are trained on, so that the maximum is the least-squares line of them.
    everything = {"validation": x, "validation_context": context}
    fit(flow, x, context, max_steps=1000, learning_rate=3e-2, batch_size=200, **everything)
    line = torch.linalg.lstsq(torch.cat([context, torch.ones(800, 1)], 1), x)
    slope, shift = line.solution[:, 0].tolist()
    deviation = float((x - slope * context - shift).square().mean().sqrt())
    assert flow.slope.weight.item() == pytest.approx(slope, abs=0.01)
    assert flow.shift.item() == pytest.approx(shift, abs=0.01)
    assert flow.log_scale.exp().item() == pytest.approx(deviation, rel=0.05)


@pytest.mark.slow
def test_same_seed_same_weights_and_the_caller_keeps_the_random_state():
    x = gaussian_rows()
    flows = [small_maf() for _ in range(3)]
    torch.manual_seed(123)
    state = torch.get_rng_state()
    for flow, seed in zip(flows, (1, 1, 2), strict=True):
        fit(flow, x, max_steps=40, batch_size=100, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(weights(flows[0]), weights(flows[1]))
    assert not torch.equal(weights(flows[0]), weights(flows[2]))


def test_flow_is_left_in_eval_mode_unwrapped_and_holding_the_best():
    x = gaussian_rows()
    flow = small_maf()
    validation = gaussian_rows(157, seed=9)
    history = fit(flow, x, validation=validation, max_steps=60, batch_size=100)
    assert not flow.training
    assert all(p.grad is None for p in flow.parameters())
    assert float(evaluate(flow, validation, batch_size=50).double().mean()) == pytest.approx(
        history.best_held_out, abs=1e-6
    )
    for again in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        assert torch.equal(evaluate(again, validation), evaluate(flow, validation))
    assert history.rows == (600, 157)


def test_layers_that_initialize_themselves_do_so_before_the_weights_are_copied():
    class SelfInitializing(AffineGaussian):
        def __init__(self):
            super().__init__()
            self.register_buffer("initialized", torch.tensor(False))

        def log_prob(self, x, context=None):
            if self.training and not self.initialized:
                with torch.no_grad():
                    self.shift.copy_(x.mean(0))
                    self.initialized.fill_(True)
            return super().log_prob(x, context)

    flow = SelfInitializing()
    history = fit(flow, 1000 + gaussian_rows(), max_steps=1)
    assert history.held_out[0] > -20
    assert history.best_held_out == max(history.held_out)
    assert bool(flow.initialized) and flow.shift.min() > 900


def test_frames_are_matched_by_column_name():
    x = gaussian_rows()
    frame = pa.table({"a": x[:, 0].double().numpy(), "b": x[:, 1].double().numpy()})
    by_frame = fit(AffineGaussian(), frame, validation=frame.select(["b", "a"]), max_steps=20)
    by_tensor = fit(AffineGaussian(), x, validation=x, max_steps=20)
    assert by_frame.held_out == by_tensor.held_out


def test_early_stopping_restores_the_best_weights():
    flow = AffineGaussian()
    # What is held out is where the flow starts, so that training only leads away from it.
    history = fit(
        flow, gaussian_rows() + 20, validation=torch.zeros(10, 2), patience=3, evaluate_every=5, learning_rate=0.1
    )
    assert history.stopped == "early stopping"
    assert history.steps == 15
    assert history.best_step == 0
    assert torch.equal(weights(flow), torch.zeros(4))


@pytest.mark.slow
def test_without_limits_small_data_get_the_least_number_of_steps():
    history = fit(AffineGaussian(), gaussian_rows(40), patience=None)
    assert (history.steps, history.stopped) == (2000, "finished")
    assert history.epochs == 2000


def test_limits_are_met_exactly_and_the_rate_anneals():
    x = gaussian_rows()
    history = fit(AffineGaussian(), x, epochs=4, batch_size=100)
    assert (history.steps, history.epochs) == (24, 4.0)
    assert history.learning_rate[-1] < 0.02 * 1e-3
    assert history.step[0] == 0 and history.step[-1] == 24


@pytest.mark.slow
def test_time_limit_anneals_and_stops(monkeypatch):
    # A clock that goes on by a millisecond whenever somebody looks at it.
    ticks = itertools.count()
    clocks = SimpleNamespace(monotonic=lambda: next(ticks) / 1000, perf_counter=float, thread_time=float)
    monkeypatch.setattr(run, "time", clocks)
    history = fit(AffineGaussian(), gaussian_rows(), max_time=1.0, learning_rate=1e-2, patience=None)
    assert history.stopped == "time"
    assert 0.9 < history.total_seconds < 1.1
    assert history.learning_rate[-1] < 0.1 * max(history.learning_rate)
    assert len(history.step) > 5


def test_double_precision_is_kept():
    flow = small_maf()
    x = gaussian_rows().double().numpy()
    history = fit(flow, x, max_steps=30, precision="64-true")
    assert {p.dtype for p in flow.parameters()} == {torch.float64}
    assert float(np.float32(history.train[-1])) != history.train[-1]
    assert torch.get_default_dtype() == torch.float32


def test_mixed_precision_does_not_round_the_data():
    x = torch.cat([1000 + 0.5 * gaussian_rows(), gaussian_rows()], dim=0)[:600]
    seen = []

    class Recorder(AffineGaussian):
        def log_prob(self, x, context=None):
            seen.append(x.dtype)
            return super().log_prob(x, context)

    fit(Recorder(), x, max_steps=3, precision="bf16-mixed")
    assert set(seen) == {torch.float32}


def test_rounding_that_matters_is_said_and_standardized_flows_need_none():
    x = 1e6 + 0.01 * gaussian_rows().double()
    with pytest.warns(RuntimeWarning, match=r"coarse for x\[:, 0\]; pushforward.standardized keeps float64 data exact"):
        # An affine layer may overflow so far out.
        fit(AffineGaussian(), x, max_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(pushforward.standardized(small_maf(), x), x, max_steps=1)
        fit(small_maf(), gaussian_rows().double(), max_steps=1)


def test_log_is_a_readable_table(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(AffineGaussian(), gaussian_rows(), max_steps=30, evaluate_every=10, log_path=path)
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "step",
        "epoch",
        "seconds",
        "train_nats",
        "held_out_nats",
        "learning_rate",
        "gradient_norm",
    ]
    assert [int(line["step"]) for line in lines] == history.step == [0, 10, 20, 30]
    assert [float(line["held_out_nats"]) for line in lines] == history.held_out
    assert all(float(line["gradient_norm"]) > 0 for line in lines[1:])


def test_bar_shows_when_asked(capsys):
    fit(AffineGaussian(), gaussian_rows(), max_steps=30, progress=True)
    shown = capsys.readouterr()
    assert "held-out" in shown.err and "nats/row" in shown.err and shown.out == ""
    fit(AffineGaussian(), gaussian_rows(), max_steps=30)
    assert capsys.readouterr().err == ""


def test_history_in_words():
    history = fit(AffineGaussian(), gaussian_rows(), max_steps=30)
    assert str(history).startswith("30 steps in ")
    assert "(finished); best held-out log-likelihood -" in str(history)
    assert "nats per row at step 30 (540 training rows, 60 held out)" in str(history)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": torch.zeros(1, 2)}, "at least 2 are needed"),
        ({"x": torch.tensor([[0.0, math.nan]])}, r"x\[0, 1\] is nan"),
        ({"x": torch.zeros(5, 3)}, "3 columns"),
        ({"context": torch.zeros(5, 1)}, "not conditional"),
        ({"validation": torch.zeros(5, 3)}, "validation has 3 columns"),
        ({"validation": torch.zeros(0, 2)}, "validation 0"),
        ({"validation_context": torch.zeros(5, 3)}, "without validation"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"max_time": 0.0}, "max_time"),
        ({"average_decay": 1.0}, "average_decay"),
        ({"device": "tpu"}, "device must be one of"),
        ({"precision": "16-mixed"}, "precision must be one of"),
        ({"log_path": "/nowhere/log.csv"}, "cannot be written"),
    ],
)
def test_unusable_input_is_refused_in_a_sentence(options, message):
    options = {"x": torch.zeros(5, 2), "max_steps": 1, **options}
    with pytest.raises(InputError, match=message):
        fit(AffineGaussian(), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_device_is_said():
    with pytest.raises(InputError, match="no CUDA device"):
        fit(AffineGaussian(), torch.zeros(5, 2), device="cuda")


def test_nothing_to_train_is_refused():
    flow = AffineGaussian().requires_grad_(False)
    with pytest.raises(InputError, match="nothing to train"):
        fit(flow, gaussian_rows())


def test_evaluate_gives_every_row_and_puts_the_mode_back():
    flow = AffineGaussian()
    x = gaussian_rows(103)
    flow.train()
    values = evaluate(flow, x, batch_size=10)
    torch.testing.assert_close(values, flow.log_prob(x).detach())
    assert flow.training and not values.requires_grad
    assert evaluate(flow, x[:0]).shape == (0,)


@pytest.mark.parametrize("wrong", [3, None, "maf", pushforward.maf, torch.nn.Linear(2, 2), pushforward.Flow])
@pytest.mark.parametrize("what", ["fit", "fit_to_target", "check_bijection"])
def test_what_is_no_flow_is_refused_in_a_sentence(what, wrong):
    beside = {"fit": (torch.zeros(20, 2),), "fit_to_target": (lambda x: x.sum(-1),), "check_bijection": ()}[what]
    with pytest.raises(InputError, match=f"^{what} takes a .*, such as pushforward.*, and not (an object|the class)"):
        getattr(pushforward, what)(wrong, *beside)
