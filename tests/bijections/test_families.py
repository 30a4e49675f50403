"""Univariate families by their own truths: special cases in closed form, the literature's formula, quadrature."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from catalogue import FAMILIES

import pushforward as pf
import pushforward.bijections.univariate
from pushforward.bijections import UNIVARIATES, Bernstein, MonotoneNetwork, SinhArcsinh, SumOfSquares
from pushforward.bijections.univariate.base import Univariate, positive_slope, univariate

EVERY = pytest.mark.parametrize("name", FAMILIES)
BOXED = pytest.mark.parametrize("family", [Bernstein(7, 2.0), SumOfSquares(2, 3, 2.0), MonotoneNetwork(4, 2.0)])


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@EVERY
def test_zero_parameters_are_nearly_the_identity(name):
    family = UNIVARIATES[name]()
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    z, log_derivative = family.inverse(x, torch.zeros(61, family.parameter_count, dtype=torch.float64))
    assert float((z - x).abs().max()) < 0.1 and float(log_derivative.abs().max()) < 0.1


@EVERY
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_inside_and_far_outside(name, direction):
    family = FAMILIES[name]
    value = torch.tensor([-300.0, -2.7, -1.2, 0.1, 2.3, 800.0], dtype=torch.float64, requires_grad=True)
    parameters = normal(6, family.parameter_count).requires_grad_()
    apply = getattr(family, direction)
    assert torch.autograd.gradcheck(apply, (value, parameters), rtol=1e-4, fast_mode=True)
    results = apply(value, parameters)
    gradients = torch.autograd.grad(sum(part.sum() for part in results), (value, parameters))
    assert all(bool(part.isfinite().all()) for part in gradients)
    if name != "spline":  # its tails, by default, are the identity
        assert bool((gradients[1].abs().amax(1) > 0).all())


@EVERY
def test_values_that_are_not_numbers_come_out_so(name):
    family = FAMILIES[name]
    value, parameters = torch.tensor([math.nan, 1.0]), normal(2, family.parameter_count, dtype=torch.float32)
    for mapped in (family.forward(value, parameters)[0], family.inverse(value, parameters)[0]):
        assert math.isnan(mapped[0]) and math.isfinite(mapped[1])


@pytest.mark.slow
@EVERY
def test_a_flow_of_it_trains_is_saved_and_beats_the_base(name, tmp_path):
    torch.manual_seed(0)
    x = torch.randn(2000, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]) + 0.5
    flow = pf.autoregressive(2, name, layers=2, hidden=(16,))
    start = flow.log_prob(x).detach()
    pf.fit(flow, x, max_steps=40, learning_rate=1e-2, progress=False)
    # The truth is 0.25 + 0.5 · log(1 / 0.36) nats above the standard normal: more than a third of that is learned.
    gain = flow.log_prob(x).detach() - start
    assert float(gain.mean()) > 5 * float(gain.std()) / 2000**0.5 + (0.25 + 0.5 * math.log(1 / 0.36)) / 3
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    assert loaded.config == flow.config and loaded.config["univariate"] == name
    assert torch.equal(loaded.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize("name", ["bernstein", "monotone_network", "sinh_arcsinh", "sum_of_squares"])
def test_a_family_is_one_short_file(name):
    file = Path(pf.bijections.univariate.__file__).with_name(f"{name}.py")
    assert len(file.read_text().splitlines()) < 80


@BOXED
def test_outside_the_box_it_is_a_line_with_the_slope_of_the_end(family):
    parameters = normal(1, family.parameter_count).expand(6, -1)
    x = torch.tensor([-9.0, -5.0, -2.0, 2.0, 3.0, 1e3], dtype=torch.float64)
    z, log_derivative = family.inverse(x, parameters)
    for ends, out in ((2, (0, 1)), (3, (4, 5))):
        for k in out:
            torch.testing.assert_close(log_derivative[k], log_derivative[ends])
            torch.testing.assert_close(z[k] - z[ends], (x[k] - x[ends]) * log_derivative[ends].exp())


@BOXED
def test_the_derivative_integrates_to_the_map(family):
    parameters = 2 * normal(1, family.parameter_count)

    def slope(x):
        return float(family.inverse(torch.tensor([x], dtype=torch.float64), parameters)[1].exp())

    rise = scipy.integrate.quad(slope, -1.7, 1.9, epsabs=1e-12, epsrel=1e-12)[0]
    z, _ = family.inverse(torch.tensor([-1.7, 1.9], dtype=torch.float64), parameters)
    assert abs(float(z[1] - z[0]) - rise) < 1e-10 * max(1, rise)


@BOXED
def test_it_increases_with_the_largest_parameters(family):
    x = torch.linspace(-2, 2, 2001, dtype=torch.float64)
    for seed in range(20):
        parameters = 100 * normal(1, family.parameter_count, seed=seed)
        z, log_derivative = family.inverse(x, parameters)
        assert bool(log_derivative.isfinite().all()) and bool((z.diff() > 0).all())


class TestBernstein:
    def test_degree_1_is_linear(self):
        parameters, x = normal(9, 2), normal(9, seed=1)
        z, log_derivative = Bernstein(1, 3.0).inverse(x, parameters)
        slope = positive_slope(parameters[:, 1])
        torch.testing.assert_close(z, parameters[:, 0] + slope * x)
        torch.testing.assert_close(log_derivative, slope.log())

    def test_equal_slopes_are_linear_of_any_degree(self):
        parameters, x = torch.tensor([0.3] + [1.2] * 9, dtype=torch.float64).expand(7, -1), normal(7)
        z, _ = Bernstein(9).inverse(x, parameters)
        torch.testing.assert_close(z, 0.3 + positive_slope(parameters[:, 1]) * x)

    def test_the_formula(self):
        family, parameters = Bernstein(6, 2.0), normal(1, 7)
        slopes = positive_slope(parameters[0, 1:]).numpy()
        coefficients = np.concatenate([[0.0], slopes.cumsum()]) * 4 / 6
        coefficients += float(parameters[0, 0]) - coefficients[-1] / 2
        x = np.linspace(-2, 2, 31)
        t = (x + 2) / 4
        expected = sum(c * scipy.stats.binom.pmf(k, 6, t) for k, c in enumerate(coefficients))
        np.testing.assert_allclose(family.inverse(torch.tensor(x), parameters)[0], expected, rtol=1e-12, atol=1e-12)


class TestSumOfSquares:
    def test_degree_0_is_affine(self):
        parameters, x = normal(9, 4), normal(9, seed=1)
        z, log_derivative = SumOfSquares(3, 0).inverse(x, parameters)
        slope = 1e-3 + (1 - 1e-3) * (parameters[:, 1:] + 3**-0.5).square().sum(1)
        torch.testing.assert_close(z, parameters[:, 0] + slope * x)
        torch.testing.assert_close(log_derivative, slope.log())

    def test_the_formula(self):
        family, parameters = SumOfSquares(2, 3, 2.0), normal(1, 9)
        a = parameters[0, 1:].view(2, 4).numpy() + np.array([[1, -0.2, 0, 0], [1, 0.2, 0, 0]]) / 2**0.5
        squares = sum(np.polynomial.Polynomial(row) ** 2 for row in a)
        x = np.linspace(-2, 2, 31)
        z, log_derivative = family.inverse(torch.tensor(x), parameters)
        expected = float(parameters[0, 0]) + 1e-3 * x + (1 - 1e-3) * 2 * squares.integ()(x / 2)
        np.testing.assert_allclose(z, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(log_derivative.exp(), 1e-3 + (1 - 1e-3) * squares(x / 2), rtol=1e-12)


class TestSinhArcsinh:
    def test_the_density_of_jones_and_pewsey(self):
        """Equation 2 of the paper: φ(S(x)) δ C(x) / √(1 + x²), S and C the sinh and cosh of δ arcsinh(x) - ε."""
        skew, log_tail, shift, log_scale = 0.7, -0.4, 1.3, 0.2
        family = SinhArcsinh(log_scale_bound=1e6, log_tail_bound=1e6)
        parameters = torch.tensor([[shift, log_scale, skew, log_tail]], dtype=torch.float64)
        x = np.linspace(-30, 40, 101)
        z, log_derivative = family.inverse(torch.tensor(x), parameters)
        y = (x - shift) / math.exp(log_scale)
        angle = math.exp(log_tail) * np.arcsinh(y) - skew
        density = scipy.stats.norm.pdf(np.sinh(angle)) * math.exp(log_tail - log_scale) * np.cosh(angle)
        found = scipy.stats.norm.logpdf(z) + log_derivative.numpy()
        np.testing.assert_allclose(found, np.log(density / np.sqrt(1 + y**2)), rtol=1e-9, atol=1e-9)

    def test_without_skew_and_tail_it_is_affine(self):
        parameters = torch.tensor([0.5, 0.3, 0.0, 0.0], dtype=torch.float64).expand(9, -1)
        z = 5 * normal(9)
        expected = UNIVARIATES["affine"]().forward(z, parameters[:, :2])
        torch.testing.assert_close(SinhArcsinh().forward(z, parameters), expected)


class TestMonotoneNetwork:
    def test_the_derivative_is_the_network(self):
        """At the largest weights too, 40 nodes give the network itself to the last digits."""
        family = MonotoneNetwork(4, 2.0)
        for scale in (0.5, 3.0, 100.0):
            parameters, x = scale * normal(200, 14), 4 * torch.rand(200, dtype=torch.float64) - 2
            _, log_derivative = family.inverse(x, parameters)
            _, log_scale, w, c, s = parameters.split([1, 1, 4, 4, 4], 1)
            w = 3 * w / (1 + w.square().sum(1, keepdim=True)).sqrt()
            c = torch.tensor([-0.75, -0.25, 0.25, 0.75]) + 2 / math.pi * torch.atan(c * math.pi / 2)
            steepness = 3 * (2 / math.pi * math.log(2) * torch.atan(s * math.pi / 2 / math.log(2))).exp()
            bounded = 2 / math.pi * math.log(1e3) * torch.atan(log_scale[:, 0] * math.pi / 2 / math.log(1e3))
            expected = bounded + (w * torch.tanh(steepness * (x[:, None] / 2 - c))).sum(1)
            torch.testing.assert_close(log_derivative, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Bernstein(0), "degree of Bernstein polynomials must be at least 1, got 0"),
        (lambda: Bernstein(bound=-1.0), "bound of a box must be a positive number, got -1.0"),
        (lambda: SumOfSquares(0), "at least one polynomial"),
        (lambda: SumOfSquares(degree=-1), "of degree 0 or more"),
        (lambda: MonotoneNetwork(0), "at least one hidden unit, got 0"),
        (lambda: MonotoneNetwork(bound=math.inf), "bound of a box must be a positive number, got inf"),
    ],
)
def test_what_makes_no_family_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_two_families_of_one_name_are_refused():
    with pytest.raises(ValueError, match="already a univariate family 'spline', RationalQuadraticSpline"):
        univariate("spline")(Univariate)
