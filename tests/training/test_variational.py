"""Variational fits against densities that are known exactly."""

import math

import pytest
import torch
from torch.distributions import LogNormal, MultivariateNormal, Normal, constraints

import pushforward as pf
from pushforward.bijections import Constrained, ordered
from pushforward.evaluation.targets import linear_regression
from pushforward.training.reverse_kl import AnnealedDraws, ReverseKL
from pushforward.training.variational_fit import log_weights


def affine_flow(mean, scale):
    """x = mean + scale · z, exactly normal."""
    flow = pf.Flow(
        pf.bijections.ElementwiseAffine(torch.zeros(len(mean)), torch.ones(len(mean))),
        pf.distributions.StandardNormal(len(mean)),
    )
    rescaling = pf.bijections.ActNorm(len(mean))
    rescaling.initialized.fill_(True)
    with torch.no_grad():
        rescaling.shift.copy_(torch.as_tensor(mean))
        rescaling.log_scale.copy_(torch.as_tensor(scale).log())
    return pf.Flow(rescaling, flow.base)


def linear_flow(features):
    """x = L U z + shift: every Gaussian is reached, and a fit has one optimum."""
    return pf.Flow(pf.bijections.LU(features), pf.distributions.StandardNormal(features))


# As long as it takes any run to get there, without an average over weights from before.
LONG = {"max_steps": 300, "learning_rate": 5e-2, "average_decay": None}


def gradients(flow, log_density, estimator, count, samples=1, repeats=300):
    """Independent gradients of the mean loss of so many draws."""
    objective = ReverseKL(flow, log_density, estimator, samples)
    parameters = list(flow.parameters())
    torch.manual_seed(0)
    rows = [torch.autograd.grad(objective(count, 1.0).mean(), parameters) for _ in range(repeats)]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 5])
def test_both_estimators_have_the_same_expectation(samples):
    flow = affine_flow([0.3, -0.2], [0.7, 1.2])
    target = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    path, plain = (gradients(flow, target.log_prob, e, 100 * samples, samples) for e in ("path", "plain"))
    error = ((path.var(0) + plain.var(0)) / len(path)).sqrt()
    assert bool(((path.mean(0) - plain.mean(0)).abs() < 5 * error).all())
    assert float(path.mean(0).abs().max()) > 0.05


def test_the_path_gradient_vanishes_draw_by_draw_where_the_fit_is_perfect():
    flow = affine_flow([0.3, -0.2], [0.7, 1.2])
    target = Normal(torch.tensor([0.3, -0.2]), torch.tensor([0.7, 1.2]))

    def log_density(x):
        return target.log_prob(x).sum(-1) + 5.0

    assert float(gradients(flow, log_density, "path", 1, repeats=50).abs().max()) < 1e-5
    assert float(gradients(flow, log_density, "plain", 1, repeats=50).abs().max()) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["path", "plain"])
def test_a_gaussian_is_recovered(estimator):
    covariance = torch.tensor([[1.0, 0.8], [0.8, 2.0]])
    target = MultivariateNormal(torch.tensor([0.5, -0.5]), covariance)
    torch.manual_seed(0)
    flow = linear_flow(2)
    fit = pf.fit_to_target(
        flow, lambda x: target.log_prob(x) + 7.0, estimator=estimator, log_normalizer=7.0, **LONG
    )  # fmt: skip
    assert -5 * fit.elbo_error - 1e-5 < fit.kl < 1e-3
    assert abs(fit.log_normalizer - 7) < 5 * fit.log_normalizer_error + 1e-5
    assert fit.effective_sample_size > 0.99
    x, _ = flow.bijection(torch.cat([torch.zeros(1, 2), torch.eye(2)]))
    torch.testing.assert_close(x[0], target.mean, atol=0.05, rtol=0)
    torch.testing.assert_close((x[1:] - x[0]).T @ (x[1:] - x[0]), covariance, atol=0.1, rtol=0)
    assert fit.history.best_held_out == pytest.approx(fit.elbo, abs=0.01)
    assert "Pareto k" in str(fit) and "KL" in str(fit)


@pytest.mark.slow
def test_regression_moments_and_evidence():
    target = linear_regression(4, rows=15)
    torch.manual_seed(0)
    flow = linear_flow(4)
    fit = pf.fit_to_target(flow, target.log_density, log_normalizer=target.log_normalizer, **LONG)
    assert -5 * fit.elbo_error - 1e-4 < fit.kl < 1e-3
    # Five standard errors of a mean are 0.035 deviations, of a deviation 0.025 of it.
    x = flow.sample((20_000,))
    assert float(((x.mean(0) - target.mean) / target.deviation).abs().max()) < 0.1
    assert float((x.std(0) / target.deviation - 1).abs().max()) < 0.1


def test_the_importance_weighted_bound_is_tighter():
    flow = affine_flow([0.0], [0.5])
    target = Normal(0.0, 1.0)
    torch.manual_seed(0)
    losses = [
        ReverseKL(flow, lambda x: target.log_prob(x[:, 0]), e, k)(20_000, 1.0).detach()
        for e, k in (("plain", 1), ("plain", 10), ("path", 10))
    ]
    bounds = [-float(loss.mean()) for loss in losses]
    error = max(float(loss.std()) / len(loss) ** 0.5 for loss in losses)
    exact = -math.log(2) - 0.5 * (0.25 - 1)
    assert abs(bounds[0] - exact) < 5 * error
    # The gap of one draw is 0.32 nats, of ten no more than a half of that.
    assert bounds[0] + 0.1 < bounds[1] < 5 * error and abs(bounds[2] - bounds[1]) < 5 * 2**0.5 * error


def test_a_bad_fit_warns_and_a_good_one_does_not(recwarn):
    # Too narrow in fifty features: the logarithms of the weights have a deviation of 4.5.
    wide = Normal(0.0, 1.0)
    with pytest.warns(RuntimeWarning, match="Pareto k"):
        bad = pf.evaluate_on_target(affine_flow([0.0] * 50, [0.3] * 50), lambda x: wide.log_prob(x).sum(-1))
    assert bad.pareto_k > 0.7 and "do not trust it" in str(bad)
    recwarn.clear()
    good = pf.evaluate_on_target(affine_flow([0.0], [1.05]), lambda x: Normal(0.0, 1.0).log_prob(x[:, 0]))
    assert good.pareto_k < 0.5 and not recwarn.list
    exact = math.log(1.05) + 0.5 * (1 - 1.05**2)
    assert good.elbo == pytest.approx(exact, abs=5 * good.elbo_error)
    assert good.log_normalizer == pytest.approx(0.0, abs=5 * good.log_normalizer_error)


def test_draws_repeat_and_leave_the_random_state_alone():
    flow = affine_flow([0.0], [1.0])
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (log_weights(flow, lambda x: -x.square().sum(-1), 5000, seed=3) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(torch.rand(1), expected)


def test_annealing_multiplies_the_temperature_by_the_same_factor_in_each_step():
    draws = AnnealedDraws(7, annealing_steps=4, first_temperature=1e-2, steps=3)
    taken = [temperature for _ in range(2) for _, temperature in draws]
    assert taken == pytest.approx([1e-2, 10**-1.5, 1e-1, 10**-0.5, 1.0, 1.0])
    assert [temperature for _, temperature in AnnealedDraws(7, 0, 1e-2, 2)] == [1.0, 1.0]


def test_layers_that_start_from_data_are_not_started_by_draws():
    flow = pf.realnvp(2, layers=2, hidden=(8,))
    pf.fit_to_target(flow, lambda x: -x.square().sum(-1) / 2, max_steps=5)
    assert not any(bool(m.initialized) for m in flow.modules() if isinstance(m, pf.bijections.ActNorm))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log_density": lambda x: x}, r"\(3,\) for \(3, 2\), not \(3, 2\)"),
        ({"log_density": lambda x: x.detach().sum(-1)}, "differentiable"),
        ({"log_density": lambda x: 1.0}, "not float"),
        ({"estimator": "score"}, "estimator must be one of path, plain"),
        ({"importance_samples": 3}, "divide batch_size"),
        ({"annealing_steps": -1}, "annealing_steps"),
        ({"first_temperature": 0.0}, "first_temperature"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_unusable_options_are_refused(options, message):
    options = {"log_density": lambda x: -x.square().sum(-1), "max_steps": 1, **options}
    with pytest.raises(pf.InputError, match=message):
        pf.fit_to_target(pf.nice(2), **options)


def test_a_target_that_is_zero_somewhere_is_named():
    with pytest.raises(pf.InputError, match=r"log p̃ - log q is -inf at draw \d+ of"):
        pf.evaluate_on_target(
            affine_flow([0.0], [1.0]), lambda x: torch.where(x[:, 0] > 2, -torch.inf, -x.square().sum(-1))
        )


BLOCKS = {
    "positive": ([constraints.positive] * 2, 2),
    "interval": ([(constraints.interval(-1.0, 3.0), 2)], 2),
    "simplex": ([(constraints.simplex, 4)], 3),
    "ordered": ([(ordered, 3)], 3),
    "real": ([(constraints.real, 2)], 2),
    "mixed": ([constraints.positive, (constraints.simplex, 3), constraints.real], 4),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_supports(name):
    blocks, free = BLOCKS[name]
    support = Constrained(blocks)
    assert support.features == free
    z = torch.randn(20, free, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, log_det = support(z)
    start = 0
    for constraint, size in support.blocks:
        block = x[:, start : start + size]
        assert bool(constraint.check(block).all())
        start += size
    back, log_det_back = support.inverse(x)
    torch.testing.assert_close(back, z)
    torch.testing.assert_close(log_det_back, -log_det)
    # A simplex's last coordinate is one less the others: it is no coordinate of its own.
    dependent, start = [], 0
    for constraint, size in support.blocks:
        dependent += [start + size - 1] if constraint is constraints.simplex else []
        start += size
    own = [k for k in range(start) if k not in dependent]
    for row in range(3):
        jacobian = torch.func.jacrev(lambda v: support(v)[0])(z[row])[own]
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(jacobian).logabsdet)


def test_supports_pickle_and_are_refused_in_a_sentence():
    import pickle

    support = Constrained([(constraints.simplex, 3)])
    x, _ = support(torch.randn(2, 2))
    support.inverse(x)
    assert torch.equal(pickle.loads(pickle.dumps(support)).inverse(x)[0], support.inverse(x)[0])
    with pytest.raises(ValueError, match="no map"):
        Constrained([constraints.boolean])
    with pytest.raises(ValueError, match="at least one"):
        Constrained([])
    with pytest.raises(ValueError, match=r"expected shape \(..., 3\)"):
        support.inverse(torch.zeros(2, 2))


@pytest.mark.slow
def test_a_log_normal_is_fitted_on_its_support():
    target = LogNormal(0.5, 0.7)
    torch.manual_seed(0)
    flow = pf.constrained(linear_flow(1), [constraints.positive])
    fit = pf.fit_to_target(flow, lambda x: target.log_prob(x[:, 0]), log_normalizer=0.0, **LONG)
    x = flow.sample((20_000,))
    assert -5 * fit.elbo_error - 1e-5 < fit.kl < 1e-3 and bool((x > 0).all())
    # Five standard errors of the mean of log x are 0.025, of its deviation 0.018.
    assert float(x.log().mean()) == pytest.approx(0.5, abs=0.05) and float(x.log().std()) == pytest.approx(
        0.7, abs=0.05
    )
