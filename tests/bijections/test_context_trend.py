"""Beyond the range of contexts: the linear regression of the rows, with the unit information prior of its slope."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from other_device import Elsewhere, moved
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.bijections.context_range import MARGIN
from pushforward.bijections.context_trend import ContextTrend, latents_of
from pushforward.zoo.gaussian import gaussian_like
from pushforward.zoo.linear_regression import linear_regression
from pushforward.zoo.students import student_for
from pushforward.zoo.trend import MOST_CONTEXTS, trend_of

ROWS = 300
# Contexts beyond the range in one or both of their columns, near and far.
BEYOND = torch.tensor([[3.2, 0.0], [12.0, 0.0], [-1.0, 40.0], [1000.0, -50.0]], dtype=torch.float64)


def rows(seed=0, targets=2):
    """Targets that are linear in two correlated contexts, and these."""
    generator = torch.Generator().manual_seed(seed)
    context = (
        torch.rand(ROWS, 2, generator=generator, dtype=torch.float64) @ torch.tensor([[3.0, 1.0], [0, 4]]).double()
    )
    noise = (
        torch.randn(ROWS, 2, generator=generator, dtype=torch.float64) @ torch.tensor([[0.5, 0.4], [0, 0.3]]).double()
    )
    x = 10 + context @ torch.tensor([[2.0, -1.0], [1.0, 0.5]]).double() + noise
    return x[:, :targets], context


def linear(targets=2):
    """The linear regression of the rows as a flow."""
    x, context = rows(targets=targets)
    units = pf.standardized(pf.maf(targets, context=2, layers=1), x, context)
    return gaussian_like(units, x, context).double().eval(), x, context


def far(context, at):
    """By hand: how far contexts lie beyond the end of the range, and the squared Mahalanobis distance of that."""
    context, at = context.numpy(), at.numpy()
    center, unit = context.mean(0), context.std(0)
    u, low, high = (at - center) / unit, (context.min(0) - center) / unit, (context.max(0) - center) / unit
    over = np.abs(u - u.clip(low, high))
    b = np.sign(u - u.clip(low, high)) * (over - MARGIN * over / (MARGIN + over))
    standard = (context - center) / unit
    share = 2 / (2 + ROWS)
    covariance = (1 - share) * standard.T @ standard / ROWS + share * np.eye(2)
    return b, np.einsum("ni,ij,nj->n", b, np.linalg.inv(covariance), b)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_linear_flow_goes_on_as_the_regression_with_a_slope_of_one_row(targets):
    flow, x, context = linear(targets)
    center, unit = context.mean(0), context.std(0, correction=0)
    weight, bias, covariance = linear_regression(x, (context - center) / unit)
    _, distance = far(context, BEYOND)
    for at, d in zip(BEYOND, distance, strict=True):
        mean = weight @ ((at - center) / unit) + bias
        expected = stats.multivariate_normal(mean, (1 + d) * covariance)
        asked = torch.from_numpy(expected.rvs(20, random_state=0).reshape(20, targets))
        found = flow.log_prob(asked, at)
        np.testing.assert_allclose(found.detach(), expected.logpdf(asked.numpy()), rtol=1e-5, atol=1e-5)


def random_flow(make, targets=2, **options):
    x, context = rows(targets=targets)
    flow = make(pf.nsf(targets, context=2, layers=2, hidden=(8,), bins=4), x, context, **options)
    generator = torch.Generator().manual_seed(1)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return flow.double().eval(), x, context


@pytest.mark.parametrize("make", [pf.standardized, pf.gaussianized])
def test_within_the_range_nothing_changes_to_the_last_bit(make):
    flow, x, context = random_flow(make)
    both = torch.cat([context, BEYOND])
    z = torch.randn(len(both), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = (
        flow.log_prob(torch.cat([x, x[: len(BEYOND)]]), both),
        flow.to_data(z, both),
        flow.to_data(z[:ROWS], context),
    )
    trend, flow.bijection.context_trend = flow.bijection.context_trend, None
    plain = flow.log_prob(x, context), flow.to_data(z[:ROWS], context)
    assert isinstance(trend, ContextTrend)
    assert torch.equal(found[2], plain[1])
    # Batches of another size may be summed in another order.
    torch.testing.assert_close(found[0][:ROWS], plain[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[1][:ROWS], plain[1], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found[1][ROWS:], flow.to_data(z[ROWS:], BEYOND))
    flow.bijection.context_trend = trend
    assert torch.equal(flow.train().to_data(z[ROWS:], BEYOND), flow.eval().to_data(z[ROWS:], BEYOND))
    # A training that has compared its contexts with the range does not ask again.
    bijection = moved(flow.bijection.train())
    given = torch.empty(3, 2, dtype=torch.float64, device="meta")
    for known in (True, False):
        bijection.context_range.holds_training = known
        with Elsewhere(answer=False) as mode:
            bijection(given, given)
        assert (mode.waits == 0) is known


@pytest.mark.slow
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("bounded", [False, True])
def test_it_is_a_map_by_every_contract(targets, bounded):
    flow, *_ = random_flow(pf.gaussianized, targets, **({"low": [0.0] * targets} if bounded else {}))
    # Contexts of the checks are normal: beyond a narrow range.
    for name in ("low", "high"):
        setattr(flow.bijection.context_range, name, 0.1 * getattr(flow.bijection.context_range, name))
    pf.check_bijection(flow.bijection).raise_if_failed()


@pytest.mark.parametrize("bounded", [False, True])
def test_log_dets_are_those_of_the_jacobian_and_both_directions_agree(bounded):
    flow, *_ = random_flow(pf.gaussianized, **({"low": [0.0] * 2} if bounded else {}))
    z = torch.randn(len(BEYOND), 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x, log_det = flow.bijection(z, BEYOND)
    again, backwards = flow.bijection.inverse(x, BEYOND)
    torch.testing.assert_close(again, z, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(backwards, -log_det, rtol=1e-8, atol=1e-8)
    for row, at, found in zip(z[:1], BEYOND, log_det, strict=False):
        jacobian = torch.func.jacrev(lambda v, at=at: flow.bijection(v, at)[0])(row)
        torch.testing.assert_close(jacobian.det().abs().log(), found, rtol=1e-9, atol=1e-9)


def test_features_by_themselves_multiply_to_the_whole():
    x, context = rows()
    flow = pf.gaussianized(pf.maf(2, context=2, layers=2, hidden=(8,), order="same"), x, context).double().eval()
    z, terms = flow.bijection.each_inverse(x[: len(BEYOND)], BEYOND)
    whole, log_det = flow.bijection.inverse(x[: len(BEYOND)], BEYOND)
    torch.testing.assert_close(terms.sum(-1), log_det)
    found, maps = flow.bijection.forward_with_maps(whole, BEYOND)
    torch.testing.assert_close(found, x[: len(BEYOND)])
    for one in maps:
        whole = one.each_forward(whole)[0]
    torch.testing.assert_close(whole, found)
    torch.testing.assert_close(flow.bijection.inverse_with_maps(found, BEYOND)[0], z)


def test_a_density_beyond_the_range_integrates_to_one_and_is_that_of_the_draws():
    flow, *_ = random_flow(pf.gaussianized, targets=1)
    levels = torch.tensor([[-1.0], [0.0], [1.5]], dtype=torch.float64)
    for at in BEYOND:
        center, deviation = _moments(flow, at, 1000)
        line = (center + deviation * torch.linspace(-60, 60, 20_001, dtype=torch.float64))[:, None]
        with torch.no_grad():
            below = torch.cumulative_trapezoid(flow.log_prob(line, at).exp(), line[:, 0])
            quantiles = flow.to_data(levels, at)
        assert float(below[-1]) == pytest.approx(1, abs=1e-3)
        found = below[torch.searchsorted(line[:, 0], quantiles[:, 0]) - 1]
        torch.testing.assert_close(found, torch.special.ndtr(levels[:, 0]), rtol=0, atol=5e-3)


def _moments(flow, at, draws):
    z = torch.special.ndtri((torch.arange(draws, dtype=torch.float64) + 0.5) / draws)[:, None]
    with torch.no_grad():
        x = flow.to_data(z, at)
    return x.mean(), x.std()


@pytest.mark.parametrize("make", [pf.standardized, pf.gaussianized])
def test_every_interval_is_at_least_as_wide_as_at_the_end_and_wider_farther_out(make):
    flow, _, context = random_flow(make, targets=1)
    end = context.max(0).values
    unit = context.std(0)
    z = torch.tensor([[0.3], [1.0], [2.5]], dtype=torch.float64)

    def widths(distance):
        at = end + distance * unit
        with torch.no_grad():
            return (flow.to_data(z, at) - flow.to_data(-z, at))[:, 0]

    distances = (0.1, 1.0, 10.0, 1e3, 1e5)
    found = [widths(distance) for distance in distances]
    trend, flow.bijection.context_trend = flow.bijection.context_trend, None
    as_at_end = [widths(distance) for distance in distances]
    flow.bijection.context_trend = trend
    assert all(bool((width > end).all()) for width, end in zip(found, as_at_end, strict=True))
    assert all(bool((b > a).all()) for a, b in pairwise(found))
    assert bool(widths(1e30).isfinite().all())


def test_bounded_targets_keep_their_location_and_widen_to_all_rows():
    x, context = rows(targets=1)
    x = (x / 10).exp()
    flow = pf.gaussianized(pf.maf(1, context=2, layers=1), x, context, low=[0.0])
    flow = gaussian_like(flow, x, context).double().eval()
    units = flow.bijection
    _, distance = far(context, BEYOND)
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for at, d in zip(BEYOND, distance, strict=True):
        seen = units.standardized_context(at, torch.float64)
        center, one = (units.bijection(torch.tensor([value]).double(), seen)[0] for value in (0.0, 1.0))
        deviation = one - center
        wider = (deviation**2 + (1 - deviation**2) * d / (1 + d)).sqrt()
        found = flow.to_data(z, at)
        torch.testing.assert_close(found, units.data(center + wider * z)[0], rtol=1e-6, atol=0)
        assert bool((found > 0).all())
    assert float(wider.detach()) == pytest.approx(1, abs=1e-3)


def test_a_file_gives_the_same_and_its_options_are_checked(tmp_path):
    flow, x, _ = random_flow(pf.gaussianized)
    pf.save(flow, tmp_path / "f.safetensors")
    again = pf.load(tmp_path / "f.safetensors")
    assert torch.equal(again.log_prob(x[:4], BEYOND), flow.log_prob(x[:4], BEYOND))
    for points in (0, 2.5, "4"):
        with pytest.raises(pf.InputError, match="context_trend"):
            pf.zoo.registry.build({**flow.config, "context_trend": points})
    student = student_for(flow, layers=1, hidden=(4,))
    assert torch.equal(student.bijection.context_trend.slope, flow.bijection.context_trend.slope)


@pytest.mark.slow
def test_gradients_reach_contexts_beyond_the_range():
    flow, x, _ = random_flow(pf.gaussianized)
    at = BEYOND.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: flow.log_prob(x[:4], c), at, atol=1e-5)


@pytest.mark.parametrize("features", [1, 2, 3, 7, 15, 16, 40])
def test_moments_of_linear_images_of_the_points_are_exact(features):
    points = latents_of(features)
    assert torch.equal(points.mean(0), torch.zeros(features).double())
    assert torch.equal(points.square().mean(0), torch.ones(features).double())
    if features < 16:
        torch.testing.assert_close(points.t() @ points / len(points), torch.eye(features).double())


def test_a_row_far_from_all_others_does_not_decide_the_trend():
    x, context = rows(targets=1)
    flow = pf.maf(1, context=2)
    standard = (context - context.mean(0)) / context.std(0, correction=0)
    plain = trend_of(flow.base, x, standard, [0])
    x[7] = 1e9
    found = trend_of(flow.base, x, standard, [0])
    torch.testing.assert_close(found.slope, plain.slope, rtol=0.02, atol=0)
    torch.testing.assert_close(found.noise, plain.noise, rtol=0.02, atol=0)
    assert trend_of(flow.base, x, torch.zeros(ROWS, MOST_CONTEXTS + 1), [0]) is None


def test_of_another_base_and_in_single_precision():
    x, context = rows()
    for base in ("logistic", "mixture"):
        flow = pf.standardized(pf.maf(2, context=2, base=base), x.float(), context.float()).eval()
        z = flow.base.sample((4,))
        torch.testing.assert_close(
            flow.to_latent(flow.to_data(z, BEYOND.float()), BEYOND.float()), z, rtol=1e-3, atol=1e-3
        )


def test_a_curve_is_followed_no_farther_than_is_known():
    """y = sin t + small noise: a straight line says little of it, so that the deviation soon is that of all rows."""
    generator = torch.Generator().manual_seed(0)
    t = 2 * math.pi * torch.rand(500, 1, generator=generator, dtype=torch.float64)
    y = t.sin() + 0.01 * torch.randn(500, 1, generator=generator, dtype=torch.float64)
    flow = pf.standardized(pf.maf(1, context=1, layers=1), y, t)
    flow = gaussian_like(flow, y, t).double().eval()
    slope, intercept, correlation, *_ = stats.linregress(t[:, 0], y[:, 0])
    noise = float(y.std(correction=0)) * math.sqrt(1 - correlation**2)
    at = t.max(0).values + 2 * t.std(0, correction=0)
    center, deviation = (float(part) for part in _moments(flow, at, 4000))
    assert center == pytest.approx(intercept + slope * float(at), rel=0.02)
    # A row's worth of slope at two deviations, and the residual deviation.
    assert deviation == pytest.approx(noise * math.sqrt(1 + (2 - MARGIN) ** 2), rel=0.02)
    draws = flow.sample((2000,), at)[:, 0].numpy()
    assert is_mean_of(draws, center)
