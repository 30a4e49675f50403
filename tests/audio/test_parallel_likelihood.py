"""The likelihood of parallel models: its value by the Jacobian, its gradient by a record of every step, and fits."""

import math

import numpy as np
import pytest
import torch
from random_models import FLOWS, context_of, normal, student
from torch import nn

import pushforward as pf
from pushforward.audio.models.inverse_gradient import solve_adjoint
from pushforward.audio.models.predictive_student import predictive_parallel_wavenet
from pushforward.audio.recordings.files import read_recordings, write_audio
from pushforward.audio.speech.fitting import fit_speech
from pushforward.audio.speech.model import SpeechModel

EVERY_FLOW = pytest.mark.parametrize("options", FLOWS.values(), ids=FLOWS)
TIME = 11


def voiced():
    """A student with a filter and a voice, and a context for two rows."""
    torch.manual_seed(0)
    made = predictive_parallel_wavenet(
        order=2, channels=4, layers=3, scale=0.1, context=3, hop=7, harmonics=2, univariate="relative_affine"
    ).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    made.coefficients.copy_(torch.tensor([1.2, -0.7]))
    return made, context_of("frames")


def by_every_step(made, x, scored, context):
    """Σ_t scored[t] log q(x[t] | x[before t]) from the densities of the beginnings of x, recorded step by step."""
    whole = [torch.zeros_like(x[:, 0]), *(made.log_prob(x[:, : time + 1], context) for time in range(x.shape[1]))]
    return sum(scored[:, time] * (whole[time + 1] - whole[time]) for time in range(x.shape[1]))


@EVERY_FLOW
def test_the_likelihood_is_that_of_the_jacobian(options):
    made = student(**options)
    x = normal(1, TIME, seed=3)
    jacobian = torch.func.jacrev(lambda z: made.to_data(z)[0])(made.to_latent(x))[:, 0]
    base = made._base_of(x).log_prob(made.to_latent(x)).sum()
    expected = base - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(made.scored_log_prob(x, torch.ones_like(x))[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@EVERY_FLOW
def test_its_gradient_is_that_through_all_steps(options):
    made, x, scored = student(**options), normal(2, TIME, seed=3), normal(2, TIME, seed=4).relu()
    check_gradient(made, x, scored, None)


@pytest.mark.slow
def test_the_gradient_reaches_the_voice():
    made, context = voiced()
    check_gradient(made, normal(2, TIME, seed=3) / 5, normal(2, TIME, seed=4).relu(), context)


def check_gradient(made, x, scored, context):
    found, expected = made.scored_log_prob(x, scored, context), by_every_step(made, x, scored, context)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    gradients = [
        torch.autograd.grad(value.sum(), list(made.parameters()), allow_unused=True) for value in (found, expected)
    ]
    for own, recorded in zip(*gradients, strict=True):
        # The last residual connection leads nowhere, and no weight else.
        assert (own is None) == (recorded is None)
        if own is not None:
            torch.testing.assert_close(own, recorded, rtol=1e-7, atol=1e-7 * max(1.0, float(recorded.abs().max())))
    assert sum(own is not None and bool(own.any()) for own in gradients[0]) > len(gradients[0]) // 2


def test_the_adjoint_equation_is_solved_where_the_past_matters_more_than_the_present():
    time = 30
    matrix = torch.tril(normal(time, time, seed=1)) / 2
    matrix.diagonal().copy_(0.5 + normal(time, seed=2).abs())
    z, g = torch.zeros(3, time, dtype=torch.float64, requires_grad=True), normal(3, time, seed=5)
    v = solve_adjoint(z @ matrix.T, z, matrix.diagonal().expand(3, -1), g)
    expected = torch.linalg.solve(matrix.T, g.T).T
    torch.testing.assert_close(v, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-3), (torch.float64, 1e-8)])
def test_the_adjoint_equation_is_solved_where_steps_for_all_times_overflow(dtype, error):
    """x[t] = z[t] - 1.85 z[t-1] + 0.9 z[t-2]: v stays of ordinary size, while steps grow 2.75 times each."""
    time = 300
    z, g = torch.zeros(2, time, dtype=dtype, requires_grad=True), normal(2, time, seed=5).to(dtype)
    past = nn.functional.pad(z, (2, 0))
    v = solve_adjoint(z - 1.85 * past[:, 1:-1] + 0.9 * past[:, :-2], z, torch.ones_like(g), g)
    ones = torch.ones(time, dtype=torch.float64)
    matrix = ones.diag() - 1.85 * ones[1:].diag(-1) + 0.9 * ones[2:].diag(-2)
    expected = torch.linalg.solve_triangular(matrix.T, g.double().T, upper=True).T
    torch.testing.assert_close(v.double(), expected, rtol=0, atol=error * float(expected.abs().max()))


def test_without_gradients_compiled_code_gives_the_same():
    made, context = voiced()
    x, scored = normal(2, TIME, seed=3) / 5, torch.ones(2, TIME, dtype=torch.float64)
    expected = made.scored_log_prob(x, scored, context).detach()
    made.float()
    with torch.inference_mode():
        found = made.scored_log_prob(x.float(), scored.float(), context.float())
        again = made.to_data(made.to_latent(x.float(), context.float()), context.float())
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(again, x.float(), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """White noise whose amplitude changes every 20 samples, which a constant scale does not follow."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    for number in range(8):
        swell = np.where(np.arange(6000) % 40 < 20, 0.1, 0.01)
        write_audio(folder / f"{number}.wav", swell * rng.normal(size=6000), 8000)
    return folder


@pytest.mark.slow
def test_a_fit_beats_the_autoregression_that_it_starts_from(sounds):
    fitted = fit_speech(
        [sounds], parallel=True, channels=8, layers=6, segment=600, max_steps=80, learning_rate=2e-2, progress=False
    )
    start = fitted.baselines["autoregressive, order 16"]
    assert fitted.history.held_out[0] == pytest.approx(-start, abs=0.05)
    entropy = math.log(0.1 * 0.01) / 2 + math.log(2 * math.pi * math.e) / 2
    assert entropy - 5 * math.sqrt(0.5 / 6000) < fitted.held_out < start - 0.1
    assert fitted.model.is_parallel and fitted.model.notes["held_out_nats_per_sample"] == fitted.held_out


@torch.no_grad()
def test_files_are_scored_whole(sounds):
    made = predictive_parallel_wavenet(order=1, channels=4, layers=3, scale=0.05)
    nn.init.normal_(made.networks[1].output.weight, std=0.1)
    model, recordings = SpeechModel(made, 8000), read_recordings([sounds]).take([0, 1, 2])
    recordings.samples[1] = recordings.samples[1][:4000]
    total = 0.0
    for x, scored, _ in model.tiles(recordings, seed=5):
        for row, kept in zip(x, scored, strict=True):
            assert bool(kept[: int(kept.sum())].all())
            total -= float(made.log_prob(row[None, : int(kept.sum())]))
    assert model.negative_log_likelihood(recordings, seed=5) == pytest.approx(total / 16_000, rel=1e-4)


def test_mixtures_are_refused(sounds):
    with pytest.raises(pf.InputError, match="no mixtures"):
        fit_speech([sounds], parallel=True, head="logistic_mixture")
