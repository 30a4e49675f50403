"""Base densities against scipy, quadrature and their own samples."""

import pytest
import scipy.optimize
import scipy.stats
import torch
from catalogue import randomize

from pushforward.distributions import BASES, GaussianMixture, Logistic, StandardNormal, StudentT, Uniform

EVERY = pytest.mark.parametrize("name", BASES)
GRID = torch.linspace(-40, 40, 801, dtype=torch.float64)[:, None]


def make(name, features):
    base = BASES[name](features).double()
    return randomize(base, seed=2) if name == "mixture" else base


def test_closed_forms():
    for base, reference in (
        (StandardNormal(1), scipy.stats.norm),
        (Logistic(1), scipy.stats.logistic),
        (StudentT(1, 3.5), scipy.stats.t(3.5)),
        (StudentT(1, 1e7), scipy.stats.t(1e7)),
        (Uniform(1, -2, 3), scipy.stats.uniform(-2, 5)),
    ):
        expected = torch.from_numpy(reference.logpdf(GRID[:, 0].numpy()))
        torch.testing.assert_close(base.double().log_prob(GRID), expected, rtol=1e-7, atol=1e-7)


def test_mixture_against_scipy():
    base = make("mixture", 2)
    weights, scales = base.logits.softmax(0), base.log_scales.exp()
    x = torch.randn(20, 2, dtype=torch.float64)
    density = sum(
        float(w) * scipy.stats.multivariate_normal(m.detach(), torch.diag(s.detach() ** 2)).pdf(x.numpy())
        for w, m, s in zip(weights, base.means, scales, strict=True)
    )
    torch.testing.assert_close(base.log_prob(x).exp(), torch.from_numpy(density))


@EVERY
def test_features_are_independent_copies_that_integrate_to_one(name):
    base = make(name, 1)
    # Far into the tails, and of the edges of the uniform density no more than half a step is lost.
    grid = torch.linspace(-9, 9, 100_001, dtype=torch.float64).sinh()[:, None]
    total = torch.trapezoid(base.log_prob(grid).exp().detach(), grid[:, 0])
    assert float(total) == pytest.approx(1, abs=2e-3 if name == "uniform" else 1e-6)


@EVERY
def test_samples_follow_the_density(name):
    torch.manual_seed(0)
    base = make(name, 3)
    draws = base.sample((20_000,))
    assert draws.shape == (20_000, 3) and draws.dtype == torch.float64
    for d in range(3):
        if name == "mixture":
            weights = base.logits.softmax(0).detach()
            means, scales = base.means[:, d].detach(), base.log_scales[:, d].exp().detach()
            cdf = lambda v, w=weights, m=means, s=scales: (  # noqa: E731
                (w * torch.special.ndtr((torch.from_numpy(v)[:, None] - m) / s)).sum(-1).numpy()
            )
        else:
            reference = {
                "normal": scipy.stats.norm,
                "logistic": scipy.stats.logistic,
                "uniform": scipy.stats.uniform,
                "student_t": scipy.stats.t(10),
            }
            cdf = reference[name].cdf
        # The p-value of five standard deviations.
        assert scipy.stats.kstest(draws[:, d].numpy(), cdf).pvalue > 5.7e-7


@EVERY
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
def test_shapes_precision_and_gradients(name, shape):
    for dtype in (torch.float32, torch.float64):
        base = make(name, 2).to(dtype)
        z = base.rsample(shape)
        assert z.shape == (*shape, 2) and z.dtype == dtype
        assert base.log_prob(z).shape == shape and base.log_prob(z).dtype == dtype
        assert not base.sample(shape).requires_grad
        if list(base.parameters()) and shape == (4,):
            (z.square().sum() + base.log_prob(z).sum()).backward()
            assert all(bool(torch.isfinite(p.grad).all()) for p in base.parameters())


@EVERY
def test_the_far_tails_are_finite_or_honestly_minus_infinity(name):
    base = make(name, 2)
    z = torch.tensor([[1e3, -1e3], [1e12, 0.0]], dtype=torch.float64, requires_grad=True)
    log_prob = base.log_prob(z)
    if name == "uniform":
        assert log_prob.tolist() == [-torch.inf, -torch.inf]
        return
    log_prob.sum().backward()
    assert bool(torch.isfinite(log_prob).all()) and bool(torch.isfinite(z.grad).all())


def test_uniform_passes_nan_on():
    assert bool(Uniform(2).log_prob(torch.tensor([0.5, torch.nan])).isnan())


def test_student_t_learns_its_degrees_of_freedom():
    torch.manual_seed(0)
    data = torch.distributions.StudentT(3.0).sample((20_000, 1))
    base = StudentT(1)
    optimizer = torch.optim.Adam(base.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (-base.log_prob(data).mean()).backward()
        optimizer.step()
    # The most likely degrees of freedom of these very rows.
    found = scipy.optimize.minimize_scalar(
        lambda degrees: -scipy.stats.t(degrees).logpdf(data.double().numpy()).mean(), bounds=(1, 10), method="bounded"
    )
    assert float(base.log_degrees_of_freedom.exp()) == pytest.approx(found.x, rel=0.01)


def test_gradients_through_mixture_samples_match_the_gradient_of_the_exact_moment():
    # E|z|² = Σ weight (|mean|² + Σ scale²), so its gradient is known in closed form.
    torch.manual_seed(0)
    base = randomize(GaussianMixture(2, components=3).double(), seed=4, scale=0.8)
    weights = base.logits.softmax(0)
    exact = (weights * (base.means.square() + (2 * base.log_scales).exp()).sum(-1)).sum()
    estimates = [
        torch.autograd.grad(base.rsample((2000,)).square().sum(-1).mean(), list(base.parameters())) for _ in range(200)
    ]
    truths = torch.autograd.grad(exact, list(base.parameters()))
    for estimated, truth in zip(map(torch.stack, zip(*estimates, strict=True)), truths, strict=True):
        error = estimated.std(0) / 200**0.5
        assert bool(((estimated.mean(0) - truth).abs() < 5 * error + 1e-12).all())
        # The estimates are precise enough to tell a wrong gradient.
        assert float(error.max()) < 0.1 * (1 + float(truth.abs().max()))


@pytest.mark.parametrize(
    ("make_base", "message"),
    [
        (lambda: Uniform(1, 2.0, 1.0), "low must be below high"),
        (lambda: StudentT(1, -1.0), "positive and finite"),
        (lambda: GaussianMixture(1, 0), "at least 1"),
    ],
)
def test_bad_parameters_are_refused(make_base, message):
    with pytest.raises(ValueError, match=message):
        make_base()
