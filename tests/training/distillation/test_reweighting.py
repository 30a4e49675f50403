"""Exact expectations under a teacher from draws of a student that is wrong."""

import math

import pytest
import torch
from torch.distributions import Normal

import pushforward as pf
from pushforward.distributions import StandardNormal


def normal(shift, scale):
    return pf.Flow(pf.bijections.ElementwiseAffine(shift, scale), StandardNormal(len(shift)))


class Exponential:
    """p̃(x) = 7 exp(-x) for x > 0."""

    def log_prob(self, x, context=None):
        return torch.where(x[:, 0] > 0, math.log(7.0) - x[:, 0], -torch.inf)


def test_weights_give_the_moments_of_the_teacher():
    teacher, student = normal([1.0, 0.0], [1.0, 0.5]), normal([0.5, 0.1], [1.5, 0.8])
    found = pf.reweight(teacher, student, 50_000)
    assert float(found.weights.sum()) == pytest.approx(1) and found.pareto_k < 0.5
    for function, exact in (
        (None, [1.0, 0.0]),
        (torch.square, [2.0, 0.25]),
        (lambda x: (x > 0).double(), [0.8413447, 0.5]),
    ):
        mean, error = found.expectation(function)
        assert bool(((mean - torch.tensor(exact)).abs() < 5 * error).all()) and float(error.max()) < 0.05
    # E_q[w²] of two normals, feature by feature.
    second = 1.0
    for (m_p, s_p), (m_q, s_q) in (((1.0, 1.0), (0.5, 1.5)), ((0.0, 0.5), (0.1, 0.8))):
        grid = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
        p, q = Normal(m_p, s_p).log_prob(grid), Normal(m_q, s_q).log_prob(grid)
        second *= float(torch.trapezoid((2 * p - q).exp(), grid))
    assert found.effective_sample_size == pytest.approx(50_000 / second, rel=0.03)


def test_standard_errors_are_right():
    teacher, student = normal([0.3], [1.0]), normal([0.0], [1.3])
    deviations = [
        float((mean - 0.3) / error)
        for mean, error in (pf.reweight(teacher, student, 500, seed=seed).expectation() for seed in range(400))
    ]
    # Five standard errors of a deviation from 400 numbers are 0.18.
    assert 0.8 < float(torch.tensor(deviations).std()) < 1.2


def test_a_teacher_without_a_normaliser_and_with_an_edge():
    found = pf.reweight(Exponential(), normal([1.0], [2.0]), 50_000)
    mean, error = found.expectation()
    assert abs(float(mean) - 1) < 5 * float(error) and bool((found.weights[found.x[:, 0] < 0] == 0).all())
    # A function that has no value where p is 0: E ln x is minus Euler's constant.
    mean, error = found.expectation(torch.log)
    assert abs(float(mean) + 0.5772157) < 5 * float(error) < 0.1


def test_a_student_that_misses_a_part_raises_the_alarm():
    with pytest.warns(RuntimeWarning, match="Pareto k .* are worth"):
        pf.reweight(normal([0.0], [1.0]), normal([0.0], [0.4]))
    with pytest.raises(pf.InputError, match="fewer than two"):
        pf.reweight(Exponential(), normal([-90.0], [1.0]))
    with pytest.raises(pf.InputError, match="at least 2"):
        pf.reweight(Exponential(), normal([1.0], [1.0]), 1)


def test_chains_have_the_law_of_the_teacher():
    found = pf.independence_metropolis(Exponential(), normal([1.0], [2.0]), steps=1000, chains=64, seed=1)
    x = found.x[..., 0].double()
    assert x.shape == (1000, 64) and bool((x > 0).all())
    # Chains are independent: the means of 64, after the first steps, give the standard error.
    x = x[100:]
    for function, exact in (
        (lambda v: v, 1.0), (torch.square, 2.0), (lambda v: (v > 2).double(), math.exp(-2)),
    ):  # fmt: skip
        means = function(x).mean(0)
        assert abs(float(means.mean()) - exact) < 5 * float(means.std()) / 8
    assert 0.2 < found.acceptance_rate < 0.7 and found.longest_stay >= 3


def test_the_acceptance_rate_is_that_of_the_formula():
    # E min(1, w'/w) by quadrature over x ~ p and x' ~ q.
    teacher, student = normal([0.0], [1.0]), normal([0.0], [1.5])
    grid = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    p, q = Normal(0.0, 1.0).log_prob(grid), Normal(0.0, 1.5).log_prob(grid)
    ratio = ((p - q)[None, :] - (p - q)[:, None]).clamp_max(0).exp()
    exact = float((p.exp()[:, None] * q.exp() * ratio).sum() * (grid[1] - grid[0]) ** 2)
    found = pf.independence_metropolis(teacher, student, steps=800, chains=64)
    # A chain has moved where its value changed: the shares of 64 chains give the standard error.
    rates = (found.x[1:] != found.x[:-1]).any(-1).double().mean(0)
    assert abs(float(rates.mean()) - exact) < 5 * float(rates.std()) / 8
    assert found.acceptance_rate == pytest.approx(float(rates.mean()), abs=5e-3)


@pytest.mark.parametrize("chains", [8, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decisions_do_not_depend_on_the_noise_of_proposals(chains, dtype):
    """Of one feature in float64, decisions and proposals would be made of the same random numbers by one seed."""
    teacher, student = (normal([0.0], [scale]).to(dtype) for scale in (1.0, 1.5))
    found = [pf.independence_metropolis(teacher, student, 1500, chains=chains, seed=seed).x for seed in range(8)]
    means = torch.cat([x.double().square().mean(0)[:, 0] for x in found])
    assert abs(float(means.mean()) - 1) < 5 * float(means.std()) / len(means) ** 0.5


def test_draws_repeat_by_seed_and_leave_the_random_state_alone():
    teacher, student = normal([0.0], [1.0]), normal([0.0], [1.5])
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    chains = [pf.independence_metropolis(teacher, student, steps=20, seed=seed).x for seed in (1, 1, 2)]
    weights = [pf.reweight(teacher, student, 100, seed=seed).weights for seed in (1, 1, 2)]
    for first, second, third in (chains, weights):
        assert torch.equal(first, second) and not torch.equal(first, third)
    assert torch.equal(torch.rand(1), expected)


def test_one_context():
    class Shifted:
        def log_prob(self, x, context):
            return Normal(context, 1.0).log_prob(x).sum(-1)

    torch.manual_seed(0)
    student = pf.standardized(pf.iaf(1, context=1, layers=1, hidden=(4,)), 2 * torch.randn(100, 1), torch.randn(100, 1))
    mean, error = pf.reweight(Shifted(), student, 20_000, context=[0.5]).expectation()
    assert abs(float(mean) - 0.5) < 5 * float(error)
    found = pf.independence_metropolis(Shifted(), student, steps=500, chains=64, context=torch.tensor([0.5]))
    means = found.x[100:, :, 0].mean(0)
    assert abs(float(means.mean()) - 0.5) < 5 * float(means.std()) / 8


def test_numbers_out_of_range_are_refused():
    with pytest.raises(pf.InputError, match="steps and chains must be at least 1"):
        pf.independence_metropolis(Exponential(), normal([1.0], [1.0]), steps=0)
    with pytest.raises(pf.InputError, match="A chain has met no proposal"):
        pf.independence_metropolis(Exponential(), normal([-90.0], [1.0]), steps=10)
