"""Splines through the quantiles of data: normal marginals, densities, ties, outliers, and the flow around them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.distributions import StandardNormal

KINDS = {
    "normal": lambda z: 3 + 2 * z,
    "lognormal": lambda z: (2 * z).exp(),
    "heavy": lambda z: z.sinh() * z.abs().exp(),
    "uniform": lambda z: torch.special.ndtr(z),
    "two peaks": lambda z: z + 10 * z.sign(),
    "tiny": lambda z: 1e-9 * z,
    "far": lambda z: 1e5 + 1e-3 * z,
}


def draws(rows, seed=0):
    return torch.randn(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def density_of(x, **options):
    return pf.Flow(MarginalSpline.from_data(x[:, None], **options), StandardNormal(1).double())


def test_whole_weights_are_repetitions():
    x = draws(500).exp()
    weights = torch.randint(1, 5, (500,), generator=torch.Generator().manual_seed(0))
    # Weights are relative: of N rows, so that the end knots stand where those of N rows do.
    weighted = MarginalSpline.from_data(x[:, None], weights=weights)
    repeated = MarginalSpline.from_data(x.repeat_interleave(weights)[:, None])
    inner = torch.linspace(-2, 2, 50, dtype=torch.float64)[:, None]
    torch.testing.assert_close(weighted(inner)[0], repeated(inner)[0], rtol=0.05, atol=0.01)
    alike = MarginalSpline.from_data(x[:, None], weights=torch.full((500,), 3.0))
    plain = MarginalSpline.from_data(x[:, None])
    assert all(torch.equal(one, other) for one, other in zip(alike.buffers(), plain.buffers(), strict=True))


def test_one_row_that_weighs_nearly_everything_leaves_a_spline():
    x = draws(100)
    weights = torch.full((100,), 1e-9)
    weights[50] = 1
    spline = MarginalSpline.from_data(x[:, None], weights=weights)
    back = spline(spline.inverse(x[:, None])[0])[0]
    torch.testing.assert_close(back, x[:, None])


@pytest.mark.parametrize("kind", KINDS)
def test_marginals_become_nearly_normal_for_fresh_rows_too(kind):
    # Of 80,000 rows, five standard errors of the largest difference between two samples are 0.014.
    x, fresh = KINDS[kind](draws(80_000)), KINDS[kind](draws(80_000, seed=1))
    spline = MarginalSpline.from_data(x[:, None])
    for rows in (x, fresh):
        z = spline.inverse(rows[:, None])[0][:, 0].numpy()
        # A gap lies between two knots, and rows on both sides of it at the ends of that piece.
        assert stats.kstest(z, "norm").statistic < (0.06 if kind == "two peaks" else 0.02)
        assert np.quantile(abs(z), 0.9999) < 6


@pytest.mark.parametrize("kind", ["normal", "lognormal", "heavy", "uniform"])
def test_the_density_is_near_the_true_one(kind):
    z = draws(50_000, seed=1).requires_grad_()
    fresh = KINDS[kind](z)
    (slope,) = torch.autograd.grad(fresh.sum(), z)
    truth = torch.distributions.Normal(0.0, 1.0).log_prob(z.detach()) - slope.log()
    found = density_of(KINDS[kind](draws(50_000))).log_prob(fresh.detach()[:, None])
    # The spline itself is no more than 0.02 off.
    assert is_mean_of(truth - found, 0, allowance=0.02)


@pytest.mark.parametrize("kind", [*KINDS, "zeros", "outliers", "integers", "three rows"])
@pytest.mark.parametrize("knots", [4, 5, 32, 101])
def test_the_density_integrates_to_one(kind, knots):
    z = draws(3000)
    columns = {
        "zeros": z.clamp_min(0),
        "outliers": torch.cat([z, torch.tensor([1e12, -1e12, 1e12])]),
        "integers": (3 * z).round(),
        "three rows": z[:3],
    }
    flow = density_of(columns.get(kind, KINDS.get(kind, torch.neg)(z)), knots=knots)
    spline = flow.bijection
    # Between any two knots, and far beyond the outermost, by Gauss-Legendre: within a piece the density is smooth.
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(64))
    edges = spline.x_knots[0]
    ends = [edges[:1] - 12 * spline.slopes[0, :1], edges[-1:] + 12 * spline.slopes[0, -1:]]
    edges = torch.cat([ends[0], edges, ends[1]])
    # Cut each piece where z is a quarter on, so that pieces long in z count as many.
    inner = spline(torch.linspace(-9, 9, 145, dtype=torch.float64)[:, None])[0][:, 0]
    edges = torch.cat([edges, inner[(inner > edges[0]) & (inner < edges[-1])]]).sort().values
    middle, half = (edges[1:] + edges[:-1]) / 2, edges.diff() / 2
    x = middle[:, None] + half[:, None] * nodes
    total = (flow.log_prob(x[..., None]).exp() * weights * half[:, None]).sum()
    assert float(total) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9, 0.999])
def test_where_rows_are_alike_the_density_is_bounded(dtype, share):
    z = draws(5000)
    x = torch.where(torch.arange(5000) < share * 5000, 2.0, 2 + z).to(dtype)[:, None]
    spline = MarginalSpline.from_data(x)
    own = min(1.0, max(float(x.quantile(0.84) - x.quantile(0.16)) / 2, 1e-2))
    there, log_det = spline.inverse(x)
    assert there.dtype == dtype and bool(there.isfinite().all())
    assert float(log_det.max()) < math.log(1600 / own)
    everywhere = torch.linspace(-6, 6, 20_001, dtype=dtype)[:, None]
    assert float(spline(everywhere)[1].min()) > -math.log(1600 / own)
    alike = there[x[:, 0] == 2, 0]
    assert len(alike.unique()) == 1 and abs(float(alike[0])) < 0.2
    torch.testing.assert_close(spline(there)[0], x, rtol=1e-4 if dtype == torch.float32 else 1e-9, atol=1e-5)


def test_nearly_equal_values_are_as_good_as_equal():
    z = draws(4000)
    x = torch.where(z.abs() < 0.5, 1e-13 * z, z)[:, None]
    log_det = MarginalSpline.from_data(x).inverse(x)[1]
    assert float(log_det.max()) < math.log(1600)


def test_outliers_leave_the_rest_as_it_was_and_beyond_them_the_density_is_sensible():
    z = draws(5000)
    plain = MarginalSpline.from_data(z[:, None])
    spiked = MarginalSpline.from_data(torch.cat([z, torch.tensor([1e12, -1e12])])[:, None])
    middle = z[z.abs() < 2, None]
    torch.testing.assert_close(spiked.inverse(middle)[0], plain.inverse(middle)[0], rtol=0, atol=0.02)
    beyond, log_det = spiked.inverse(torch.tensor([[2e12], [-2e12], [1e12], [5.0]], dtype=torch.float64))
    assert float(beyond.abs().max()) < 10 and bool(log_det.isfinite().all())
    # Twice as far out as anything seen, of a normal and of a heavy tail.
    for kind in ("normal", "heavy", "uniform", "lognormal"):
        x = KINDS[kind](draws(5000))
        further = torch.stack([2 * x.max() - x.median(), 2 * x.min() - x.median()])[:, None]
        assert float(MarginalSpline.from_data(x[:, None]).inverse(further)[0].abs().max()) < 50


def test_a_value_far_beyond_all_data_is_improbable_and_no_more():
    spline = MarginalSpline.from_data(draws(5000)[:, None])
    x = torch.tensor([[-1e15], [-1e6], [-20.0], [20.0], [1e6], [1e15], [1e300]], dtype=torch.float64)
    z, log_det = spline.inverse(x)
    assert bool((z.diff(dim=0) > 0).all()) and float(z[:-1].abs().max()) < 60
    back, log_det_back = spline(z)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=0)
    torch.testing.assert_close(log_det_back, -log_det)
    slope = torch.func.vmap(torch.func.jacrev(lambda x: spline.inverse(x)[0]))(x)
    torch.testing.assert_close(slope[:, 0, 0].log(), log_det)


def test_features_with_few_knots_go_on_along_their_tails():
    z = draws(1000)
    x = torch.stack([z, (z > 0).double(), (z > 1).double() + (z > 0).double()], 1)
    spline = MarginalSpline.from_data(x)
    assert spline.z_knots.shape == spline.x_knots.shape == spline.slopes.shape == (3, 32)
    assert all(bool((knots.diff(dim=1) > 0).all()) for knots in (spline.z_knots, spline.x_knots))
    far = torch.tensor([[0.0, 5.0, 9.0], [0.0, 6.0, 10.0], [0.0, 7.0, 12.0]], dtype=torch.float64)
    there, log_det = spline.inverse(far)
    torch.testing.assert_close(there[2, 1:] - there[0, 1:], (far[2, 1:] - far[0, 1:]) / spline.slopes[1:, -1])
    torch.testing.assert_close(log_det, log_det[:1].expand(3))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(1, 2), "at least two rows"),
        (torch.randn(9), "at least two rows"),
        (torch.stack([torch.arange(9.0), torch.ones(9)], 1), "Column 1 of x is constant or not finite"),
        (1e8 + torch.tensor([[0.0], [8.0], [16.0]]), "Column 0 of x is constant or not finite"),
        (torch.tensor([[1.0], [math.nan]]), "Column 0 of x is constant or not finite"),
        (torch.tensor([[1.0], [math.inf]]), "Column 0 of x is constant or not finite"),
    ],
)
def test_refuses_what_has_no_quantiles(x, message):
    with pytest.raises(ValueError, match=message):
        MarginalSpline.from_data(x)
    with pytest.raises(ValueError, match="at least four knots, got 3"):
        MarginalSpline(2, 3)


class TestGaussianized:
    def test_float64_data_about_a_float32_flow(self):
        x = torch.stack([1e6 + 1e-3 * draws(500), draws(500, seed=1).exp()], 1)
        flow = pf.gaussianized(pf.maf(2, layers=2, hidden=(8,)), x).eval()
        assert flow.sample((5,)).dtype == torch.float64 and flow.to_latent(x).dtype == torch.float32
        torch.testing.assert_close(flow.to_data(flow.to_latent(x)), x, rtol=1e-10, atol=1e-5)

    def test_log_prob_is_that_of_the_flow_and_the_splines(self):
        x, context = draws(600).exp().view(200, 3), 50 + draws(400).view(200, 2)
        inner = pf.maf(3, context=2, layers=2, hidden=(8,)).double().eval()
        flow = pf.gaussianized(inner, x, context, knots=9)
        z, log_det = MarginalSpline.from_data(x, 9).inverse(x)
        given = (context - context.mean(0)) / context.std(0, correction=0)
        torch.testing.assert_close(flow.log_prob(x, context), inner.log_prob(z, given) + log_det)

    @pytest.mark.parametrize("context", [0, 2])
    def test_saved_and_loaded_it_is_the_same(self, tmp_path, context):
        x, given = draws(300).exp().view(100, 3), draws(200).view(100, 2) if context else None
        flow = pf.gaussianized(pf.nsf(3, context=context, layers=2, hidden=(8,)), x, given, knots=12).eval()
        assert flow.config["architecture"] == "gaussianized" and flow.config["knots"] == 12
        pf.save(flow, tmp_path / "flow.safetensors")
        loaded = pf.load(tmp_path / "flow.safetensors")
        assert loaded.config == flow.config and loaded.bijection.data.x_knots.dtype == torch.float64
        assert torch.equal(loaded.log_prob(x, given), flow.log_prob(x, given))

    @pytest.mark.parametrize("knots", [3, 10_001, 3.5, "8", None])
    def test_a_wrong_number_of_knots_is_refused(self, knots):
        with pytest.raises(pf.InputError, match="knots must be a number from 4 to 10000"):
            pf.gaussianized(pf.maf(2), torch.randn(50, 2), knots=knots)
        config = {"architecture": "gaussianized", "flow": {"architecture": "maf", "features": 2}, "knots": knots}
        with pytest.raises(pf.InputError, match="option knots must be a number from 4 to 10000"):
            pf.build(config)

    @pytest.mark.parametrize("config", [{"flow": 3, "knots": 4}, {"flow": {"architecture": "maf", "features": 2}}, {}])
    def test_a_config_that_is_none_is_refused(self, config):
        with pytest.raises(pf.InputError, match="gaussianized: "):
            pf.build({"architecture": "gaussianized", **config})

    @pytest.mark.slow
    def test_it_learns_what_depends_on_what_behind_bad_marginals(self):
        torch.manual_seed(0)
        z = torch.randn(4000, 2, dtype=torch.float64)
        z[:, 1] = 0.8 * z[:, 0] + 0.6 * z[:, 1]
        x = torch.stack([(3 * z[:, 0]).exp(), z[:, 1].sinh() * z[:, 1].abs().exp()], 1)
        scores = []
        for wrap in (pf.standardized, pf.gaussianized):
            flow = wrap(pf.maf(2, layers=2, hidden=(16,)), x[:3000])
            pf.fit(flow, x[:3000], max_steps=200, learning_rate=5e-3)
            scores.append(float(flow.eval().log_prob(x[3000:]).detach().mean()))
        assert scores[1] > scores[0] + 1


def test_a_column_that_float32_can_hardly_tell_from_a_constant_has_knots_apart():
    x = (1e6 + 30 * draws(2000)).float()[:, None]
    spline = MarginalSpline.from_data(torch.cat([x, (x > 1e6).float() * 20 + 1e6], 1), knots=64)
    assert bool((spline.x_knots.diff(dim=1) > 0).all())
    values = torch.linspace(0.99e6, 1.01e6, 1001)[:, None].expand(-1, 2)
    z, log_det = spline.inverse(values)
    assert bool(z.isfinite().all() and log_det.isfinite().all() and (z.diff(dim=0) >= 0).all())


def test_a_smallest_value_near_a_bound_by_chance_attracts_no_draws():
    """The smallest of 2,000 exponential numbers lies a hundred times nearer to 0 than expected."""
    x = -torch.rand(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log()
    x[x.argmin()] = 0.01 / 2000
    spline = MarginalSpline.from_data(x[:, None], 8, low=[0.0])
    near = torch.logspace(-12, -3, 100, dtype=torch.float64)[:, None]
    z, log_slope = spline.each_inverse(near)
    log_prob = log_slope - 0.5 * z.square() - 0.5 * math.log(2 * math.pi)
    # The true density is 1; within a bound of twice the slope of a constant density it grows as the root of 1 / x.
    assert bool((log_prob < 0.5 * math.log(1e-3) - 0.5 * near.log() + 1.5).all())


def test_a_row_on_a_bound_is_as_likely_as_those_next_to_it():
    x = torch.from_numpy(np.random.default_rng(0).weibull(2, (3000, 1)))
    for rows in (0, 1):
        x[:rows] = 0
        spline = MarginalSpline.from_data(x, low=[0.0])
        nearest = torch.stack([torch.zeros(1), spline.x_knots[:, 0] / 2])
        z, log_det = spline.inverse(nearest.double())
        torch.testing.assert_close(z[0], z[1])
        torch.testing.assert_close(log_det[0], log_det[1])
        # Of 3000 rows the outermost is seldom further out, and where the density falls to 0, so does its score.
        assert -6 < float(z[0]) < -3


def test_normal_features_are_left_as_they_are_far_beyond_the_data():
    x = torch.stack([draws(100), draws(100, seed=1).exp()], 1)
    spline = MarginalSpline.from_data(x, 8, normal=[0])
    far = torch.tensor([[-30.0, 0.0], [3.5, 0.0], [30.0, 0.0]], dtype=torch.float64)
    for mapped, log_det in (spline.each_forward(far), spline.each_inverse(far + x.mean(0) * torch.tensor([0.0, 1.0]))):
        torch.testing.assert_close(mapped[:, 0], far[:, 0])
        torch.testing.assert_close(log_det[:, 0], torch.zeros(3, dtype=torch.float64))
