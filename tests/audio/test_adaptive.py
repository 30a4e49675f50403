"""The adaptive scale against scipy's filters, step by step against all at once, and against known processes."""

import json
import math

import numpy as np
import pytest
import scipy.signal
import torch

from pushforward.audio.models.adaptive import (
    AdaptiveScale,
    decaying_average,
    fit_adaptive_scale,
    linear_prediction,
)
from pushforward.audio.speech.baselines import Ladder, adaptive_scale_nll
from pushforward.errors import InputError

COEFFICIENTS = torch.tensor([1.2, -0.5, 0.1], dtype=torch.float64)


def sounds(rows=2, time=500, seed=0):
    """Loud at first, then nearly silent: what recordings do."""
    x = torch.randn(rows, time, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x * torch.logspace(-1, -5, time, dtype=torch.float64)


@pytest.mark.parametrize("time", [1, 63, 64, 65, 5000])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_averages_are_scipys_recursion(time, decay):
    values, start = sounds(3, time).square(), torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    expected, _ = scipy.signal.lfilter([1 - decay], [1, -decay], values.numpy(), zi=decay * start.numpy()[:, None])
    np.testing.assert_allclose(decaying_average(values, decay, start).numpy(), expected, rtol=1e-11)


def test_single_precision_averages_keep_their_digits_over_five_decades():
    values = sounds(1, 20000).square()
    exact = decaying_average(values, 1 - 1 / 32, torch.zeros(1, dtype=torch.float64))
    rounded = decaying_average(values.float(), 1 - 1 / 32, torch.zeros(1))
    assert float((rounded / exact - 1).abs().max()) < 1e-5


def test_location_and_scale_are_their_formulas():
    adaptive = AdaptiveScale(COEFFICIENTS, spans=(4.0, 20.0), gain=1.5, floor=1e-4, start=0.01, ceiling=0.003)
    x = sounds()
    location, log_scale, features = adaptive(x)
    for row in range(2):
        expected, power = np.zeros(500), 0.01
        scale = np.zeros(500)
        for t in range(500):
            expected[t] = sum(float(COEFFICIENTS[k]) * float(x[row, t - 1 - k]) for k in range(min(3, t)))
            scale[t] = 1.5 * math.sqrt(power * 0.003 / (power + 0.003) + 1e-8)
            power += ((float(x[row, t]) - expected[t]) ** 2 - power) / 4
        np.testing.assert_allclose(location[row], expected, atol=1e-15)
        np.testing.assert_allclose(log_scale[row].exp(), scale, rtol=1e-12)
    assert features.shape == (2, 500, adaptive.feature_count)


def test_step_by_step_is_all_at_once():
    adaptive = AdaptiveScale(COEFFICIENTS)
    x = sounds(3, 300)
    location, log_scale, features = adaptive(x)
    state = adaptive.initial_state(3)
    for t in range(300):
        here, scale = adaptive.predict(state)
        seen, state = adaptive.step(x[:, t], state)
        torch.testing.assert_close(here, location[:, t], atol=1e-14, rtol=0)
        torch.testing.assert_close(scale, log_scale[:, t], atol=1e-11, rtol=0)
        torch.testing.assert_close(seen, features[:, t], atol=1e-10, rtol=0)


def test_nothing_looks_ahead():
    adaptive = AdaptiveScale(COEFFICIENTS)
    x = sounds(1, 90)
    for number, strict in ((0, True), (1, True), (2, False)):
        jacobian = torch.func.jacrev(lambda x, n=number: adaptive(x)[n])(x)[0].reshape(90, -1, 90).abs().sum(1)
        ahead = torch.triu(jacobian, 0 if strict else 1)
        assert ahead.max() == 0
        assert torch.diagonal(jacobian, -1 if strict else 0).min() > 0


def test_features_are_ordinary_numbers_at_any_volume_and_gradients_live():
    adaptive = AdaptiveScale(COEFFICIENTS).float()
    for volume in (0.0, 1e-6, 1.0):
        x = (volume * sounds().float()).requires_grad_()
        location, log_scale, features = adaptive(x)
        assert features.abs().max() < 10 and log_scale.isfinite().all()
        (gradient,) = torch.autograd.grad((location + log_scale + features.sum(-1)).sum(), x)
        assert gradient.isfinite().all()
    onset = torch.cat([torch.zeros(1, 500), torch.ones(1, 1)], 1)
    assert adaptive(onset)[2].abs().max() < 20


@pytest.mark.slow
def test_a_sound_that_follows_its_own_scale_does_not_grow_without_bound():
    # With this gain a scale that has no ceiling grows by e to the power of several hundred.
    adaptive = AdaptiveScale(COEFFICIENTS, gain=2.0, ceiling=0.01)
    generator = torch.Generator().manual_seed(0)
    state = adaptive.initial_state(4)
    for _ in range(2000):
        location, log_scale = adaptive.predict(state)
        x = location + log_scale.exp() * torch.randn(4, generator=generator, dtype=torch.float64)
        features, state = adaptive.step(x, state)
        assert log_scale.exp().max() <= 0.2 + 1e-12
    assert x.abs().max() < 10 and features.abs().max() < 10


def autoregression(coefficients, samples, rng, scale=0.01):
    return scipy.signal.lfilter([scale], np.concatenate([[1], -np.asarray(coefficients)]), rng.normal(size=samples))


def test_linear_prediction_finds_the_process_that_made_the_sound():
    rng = np.random.default_rng(0)
    made = [autoregression([1.5, -0.8], 50_000, rng) for _ in range(4)]
    np.testing.assert_allclose(linear_prediction(made, 2), [1.5, -0.8], atol=0.01)
    np.testing.assert_allclose(linear_prediction(made, 5), [1.5, -0.8, 0, 0, 0], atol=0.015)
    with pytest.raises(InputError, match="silent"):
        linear_prediction([np.zeros(100)], 2)


def test_the_ladder_reaches_the_entropy_rate_of_an_autoregression():
    rng = np.random.default_rng(1)
    train, held_out = ([autoregression([1.5, -0.8], 40_000, rng) for _ in range(3)] for _ in range(2))
    independent, linear, adaptive = Ladder.fit(train, order=4).score(held_out).values()
    entropy_rate = math.log(0.01) + 0.5 * math.log(2 * math.pi * math.e)
    # Variance of this AR(2): (1 - a2) / ((1 + a2) ((1 - a2)² - a1²)) of the noise's.
    variance = 1e-4 * 1.8 / (0.2 * (1.8**2 - 1.5**2))
    assert linear == pytest.approx(entropy_rate, abs=5 * math.sqrt(0.5 / 120_000) + 1e-3)
    # The mean of x² over dependent samples: with the squares of their correlations.
    response = scipy.signal.lfilter([1], [1, -1.5, 0.8], np.eye(1, 400)[0])
    correlation = np.correlate(response, response, "full")[399:] / (response**2).sum()
    error = math.sqrt(0.5 / 120_000 * (1 + 2 * (correlation[1:] ** 2).sum()))
    expected = 0.5 * math.log(2 * math.pi * math.e * variance)
    assert independent == pytest.approx(expected, abs=5 * error + 1e-3)
    # A scale that is guessed from eight samples is worse where nothing changes.
    assert linear + 0.02 < adaptive < linear + 0.3


def test_a_changing_scale_is_worth_following():
    rng = np.random.default_rng(2)

    def made():
        # Known scales that go over four decades and back: the entropy rate is the mean of their logarithms.
        scales = 10 ** (-3 - 2 * np.sin(np.arange(80_000) * 2 * np.pi / 4000))
        return scales * rng.normal(size=80_000), np.log(scales).mean() + 0.5 * math.log(2 * math.pi * math.e)

    (train, _), (held_out, entropy_rate) = made(), made()
    independent, linear, adaptive = Ladder.fit([train], order=4).score([held_out]).values()
    assert entropy_rate < adaptive < entropy_rate + 0.5
    assert adaptive + 1 < min(independent, linear)


@pytest.mark.slow
def test_the_density_of_an_adaptive_scale_integrates_to_one_and_is_scored_by_hand():
    adaptive = AdaptiveScale(torch.tensor([0.5], dtype=torch.float64), spans=(2.0,), gain=1.0, floor=0.1, start=1.0)
    grid = torch.linspace(-40, 40, 4001, dtype=torch.float64)
    first, second = torch.meshgrid(grid, grid[::8], indexing="ij")
    x = torch.stack([first.flatten(), second.flatten()], 1)
    location, log_scale, _ = adaptive(x)
    log_prob = (-log_scale - ((x - location) * (-log_scale).exp()) ** 2 / 2 - math.log(2 * math.pi) / 2).sum(1)
    assert float(log_prob.exp().sum()) * 0.02 * 0.16 == pytest.approx(1, abs=1e-3)
    assert adaptive_scale_nll(adaptive, [x[7].numpy()]) == pytest.approx(-float(log_prob[7]) / 2)


def test_digital_silence_with_its_rounding_noise_has_a_finite_likelihood():
    rng = np.random.default_rng(0)
    train = [rng.uniform(-0.5, 0.5, 5000) / 32768, 0.1 * rng.normal(size=5000)]
    adaptive = fit_adaptive_scale(train, order=2).double()
    silence = adaptive_scale_nll(adaptive, [rng.uniform(-0.5, 0.5, 5000) / 32768])
    # A uniform step has -ln 32768 = -10.4; a Gaussian of its variance 0.18 more, and a guessed scale a little again.
    assert -10.397 < silence < -9.9


def test_a_ladder_is_written_down_and_read_again():
    sound = 0.1 * np.random.default_rng(0).normal(size=3000)
    ladder = Ladder.fit([sound], order=3)
    again = Ladder.from_dict(json.loads(json.dumps(ladder.to_dict())))
    assert again.score([sound]) == ladder.score([sound])


def test_nothing_to_fit_to_or_to_score_is_refused():
    with pytest.raises(InputError, match="sounds to score"):
        Ladder.fit([np.ones(100)]).score([])
    with pytest.raises(InputError, match="sounds to fit"):
        Ladder.fit([np.ones(0)])
