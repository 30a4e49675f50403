"""The tail transform: its density in closed form, its quantiles, its tails, and what it gains."""

import math

import pytest
import torch
from scipy import special

import pushforward as pf
from pushforward.bijections import Compose, TailTransform
from pushforward.distributions import StandardNormal


def layer_with(lower, upper, shift=0.0, scale=1.0, dtype=torch.float64):
    layer = TailTransform(1).to(dtype)
    tails = torch.tensor([[lower, upper]], dtype=torch.float64) - 1e-6
    with torch.no_grad():
        layer.raw_tails.copy_(torch.expm1(tails).log())
        layer.shift.fill_(shift)
        layer.log_scale.fill_(math.log(scale))
    return layer


@pytest.mark.parametrize(("lower", "upper"), [(0.05, 0.05), (0.5, 2.0), (1e-4, 0.3)])
def test_of_a_normal_it_makes_two_generalized_pareto_halves(lower, upper):
    flow = pf.Flow(layer_with(lower, upper, shift=1.5, scale=0.3), StandardNormal(1).double())
    x = torch.cat([torch.logspace(-6, 6, 200), -torch.logspace(-6, 6, 200)]).double() + 1.5
    y, tail = (x - 1.5).abs() / 0.3, (x > 1.5).double() * (upper - lower) + lower
    expected = math.log(0.5 / 0.3) - (1 / tail + 1) * torch.log1p(tail * y)
    torch.testing.assert_close(flow.log_prob(x[:, None]), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tail", [1e-3, 0.05, 1.0])
def test_values_are_those_of_scipy(tail):
    layer = layer_with(tail, tail)
    z = torch.tensor([-10.0, -3.0, -1e-3, 1e-200, 0.2, 0.7071, 1.0, 5.0, 9.0], dtype=torch.float64)
    t = -torch.from_numpy(special.log_ndtr(-z.abs().numpy())) - math.log(2)
    t = torch.where(z.abs() < 0.5, -torch.log1p(-torch.from_numpy(special.erf(z.abs().numpy() / math.sqrt(2)))), t)
    x, log_det = layer(z[:, None])
    torch.testing.assert_close(x[:, 0], z.sign() * torch.expm1(tail * t) / tail, rtol=1e-12, atol=0)
    hazard = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - torch.from_numpy(special.log_ndtr(-z.abs().numpy()))
    torch.testing.assert_close(log_det, tail * t + hazard, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("tail", [1e-3, 0.05, 0.5, 3.0])
def test_returns_where_it_began_however_far_out(tail, dtype, tolerance):
    layer = layer_with(tail, tail, dtype=dtype)
    # Up to where the logarithm of the probability is -1e4 and lower.
    z = torch.cat([torch.logspace(-30, 2.3, 500), -torch.logspace(-30, 2.3, 500), torch.zeros(1)]).to(dtype)[:, None]
    x, log_det = layer(z)
    back, log_det_back = layer.inverse(x)
    assert bool(x.isfinite().all())
    torch.testing.assert_close(back, z, rtol=tolerance, atol=0)
    torch.testing.assert_close(log_det_back, -log_det, rtol=tolerance, atol=tolerance)
    x = torch.tensor([1e6, -1e6, 1e30, 1e-30], dtype=dtype)[:, None]
    z, log_det = layer.inverse(x)
    assert bool(z.isfinite().all() and log_det.isfinite().all())
    # log E = log(1 + λ x) / λ is compared with scipy where that is a probability it can tell.
    expected = -special.ndtri_exp(-math.log1p(tail * 1e6) / tail - math.log(2))
    assert float(z[0].detach()) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("direction", "far"), [("forward", 30.0), ("forward", 1e3), ("inverse", 30.0), ("inverse", 1e6), ("inverse", 1e30)]
)
def test_a_batch_of_tails_alone_is_finite_with_its_gradients(dtype, direction, far):
    layer = layer_with(0.05, 2.0, dtype=dtype)
    value = torch.tensor([[far], [-far]], dtype=dtype, requires_grad=True)
    there, log_det = layer(value) if direction == "forward" else layer.inverse(value)
    assert bool(there.isfinite().all() and log_det.isfinite().all())
    gradients = torch.autograd.grad(there.sum() + log_det.sum(), [value, *layer.parameters()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_the_derivative_at_zero_is_the_same_from_both_sides():
    layer = layer_with(0.1, 1.0, shift=3.0, scale=0.7)
    for z in (0.0, 1e-12, -1e-12):
        z = torch.tensor([z], dtype=torch.float64)
        slope = torch.func.jacrev(lambda v: layer(v)[0])(z)
        assert float(slope.detach()) == pytest.approx(0.7 * math.sqrt(2 / math.pi), rel=1e-10)
        assert float(layer(z)[1].detach()) == pytest.approx(math.log(0.7 * math.sqrt(2 / math.pi)), rel=1e-10)
        back = torch.func.jacrev(lambda v: layer.inverse(v)[0])(layer(z)[0].detach())
        assert float(back.detach()) == pytest.approx(1 / (0.7 * math.sqrt(2 / math.pi)), rel=1e-10)


@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_of_the_parameters(backwards):
    layer = layer_with(0.2, 0.8, shift=0.3, scale=1.7)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def apply(value, *weights):
        state = {f"bijection.{name}": weight for name, weight in zip(names, weights, strict=True)}
        turned = pf.Inverse(layer) if backwards else pf.Inverse(pf.Inverse(layer))
        if not backwards:
            state = {f"bijection.{name}": weight for name, weight in state.items()}
        return torch.func.functional_call(turned, state, (value,))

    value = torch.tensor([[-9.0], [-0.4], [0.1], [1.1], [6.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(apply, (value, *weights))
    assert torch.autograd.gradgradcheck(apply, (value[1:4].detach().requires_grad_(), *weights))


def test_the_survival_function_falls_with_the_power_of_the_tail():
    layer = layer_with(0.25, 0.75)
    x = torch.logspace(-2, 8, 60, dtype=torch.float64)
    for sign, tail in ((-1, 0.25), (1, 0.75)):
        with torch.no_grad():
            z = layer.inverse(sign * x[:, None])[0][:, 0]
        # P(X > x) = P(Z > z) = (1 + λ x)^(-1/λ) / 2.
        survival = torch.special.log_ndtr(-sign * z)
        torch.testing.assert_close(survival, -torch.log1p(tail * x) / tail - math.log(2), rtol=1e-9, atol=1e-9)


class TestFromData:
    def test_finds_the_tails_of_what_it_is_given(self):
        truth = layer_with(0.4, 1.2, shift=-7.0, scale=3.0)
        # The quantiles of 100,000 rows in the place of draws.
        levels = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
        with torch.no_grad():
            x = truth(torch.special.ndtri(levels)[:, None])[0]
        found = TailTransform.from_data(x)
        torch.testing.assert_close(found.tails, truth.tails, rtol=0.25, atol=0)
        torch.testing.assert_close(found.shift, truth.shift, rtol=0, atol=0.1)
        torch.testing.assert_close(found.log_scale, truth.log_scale, rtol=0, atol=0.2)
        assert found.shift.dtype == torch.float64

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (torch.randn(19, 1), "at least 20 rows"),
            (torch.randn(50), "at least 20 rows"),
            (
                torch.stack([torch.arange(50.0), torch.full((50,), math.nan)], 1),
                "Column 1 of x has values that are not finite",
            ),
            (torch.stack([torch.arange(50.0), torch.ones(50)], 1), "Column 1 of x has a quartile equal to its median"),
        ],
    )
    def test_refuses_what_gives_no_estimate(self, x, message):
        with pytest.raises(ValueError, match=message):
            TailTransform.from_data(x)


@pytest.mark.parametrize("tail", [0.0, -1.0, math.inf, math.nan])
def test_a_tail_that_is_none_is_refused(tail):
    with pytest.raises(ValueError, match="A tail must be more than 1e-06 and finite"):
        TailTransform(2, tail)


@pytest.mark.slow
def test_a_spline_flow_with_it_fits_heavy_tails_better_than_without():
    torch.manual_seed(0)
    x, fresh = (torch.distributions.StudentT(2.0).sample((5000, 2)) for _ in range(2))
    scores = []
    for last in (None, TailTransform.from_data(x)):
        inner = pf.nsf(2, layers=1, hidden=(16,))
        flow = inner if last is None else pf.Flow(Compose([inner.bijection, last]), inner.base)
        pf.fit(flow, x, max_steps=100, learning_rate=3e-3)
        scores.append(flow.eval().log_prob(fresh).detach())
    # Without it the tails are normal, and the mean square of this density has no bound.
    assert float(scores[1].mean() - scores[0].mean()) > 1
    missing = torch.distributions.StudentT(2.0).log_prob(fresh).sum(1) - scores[1]
    assert float(missing.mean()) < 0.05 + 5 * float(missing.std()) / 5000**0.5
