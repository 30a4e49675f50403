"""Flow: densities that integrate to one, samples that carry their density, and a real torch distribution."""

import copy
import math
import pickle
import subprocess
import sys

import pytest
import torch
from catalogue import randomize
from torch.distributions import Distribution, Independent, Normal

import pushforward as pf
from pushforward.zoo.registry import ARCHITECTURES, build

EVERY = pytest.mark.parametrize("name", ARCHITECTURES)


def make(name, features=2, context=0, **options):
    options = {"layers": 3, "hidden": (16, 16), **options}
    return randomize(build({"architecture": name, "features": features, "context": context, **options}).double())


@pytest.mark.parametrize(
    ("name", "base"),
    [
        # A map does not know its base: each map with one base and each base with one map are what is to be shown.
        pytest.param(name, base, marks=[pytest.mark.slow] if name != "maf" and base != "normal" else [])
        for name in ARCHITECTURES
        for base in ("normal", "student_t", "mixture", "logistic")
    ],
)
def test_the_density_integrates_to_one(name, base):
    flow = randomize(make(name, base=base), scale=0.15)
    if base == "student_t":
        torch.nn.init.constant_(flow.base.log_degrees_of_freedom, math.log(6))
    # The grid is fine in the middle and reaches far into the tails.
    reach = 400.0 if base == "student_t" else 60.0
    axis = torch.sinh(torch.linspace(-math.asinh(reach), math.asinh(reach), 401, dtype=torch.float64))
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_prob(grid).exp().reshape(401, 401)
    total = torch.trapezoid(torch.trapezoid(density, axis), axis)
    assert float(total) == pytest.approx(1, abs=5e-3)


@EVERY
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_the_density_returned_with_a_sample_is_that_of_the_sample(name, dtype, tolerance):
    torch.manual_seed(0)
    flow = make(name, features=5).to(dtype)
    x, log_prob = flow.sample_with_log_prob((500,))
    assert x.dtype == log_prob.dtype == dtype
    density = flow.log_prob(x)
    if name == "nsf" and dtype == torch.float32:
        # A steep spline makes much of a rounding: no more is asked than of the density itself.
        tolerance += 4 * float((make(name, features=5).log_prob(x.double()) - density).abs().max())
    assert float((density - log_prob).abs().max()) < tolerance


@EVERY
def test_samples_have_the_moments_of_the_density(name):
    torch.manual_seed(0)
    flow = make(name, features=1, context=1)
    context = torch.tensor([0.5]).double()
    axis = torch.linspace(-60, 60, 60_001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        density = flow.log_prob(axis, context).exp()
        draws = flow.sample((10_000,), context)[:, 0]
    mean = float(torch.trapezoid(density * axis[:, 0], axis[:, 0]))
    variance, fourth = (float(torch.trapezoid(density * (axis[:, 0] - mean) ** k, axis[:, 0])) for k in (2, 4))
    assert float(draws.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / 10_000))
    assert float(draws.var()) == pytest.approx(variance, abs=5 * math.sqrt((fourth - variance**2) / 10_000))


@EVERY
def test_shapes_with_and_without_context(name):
    flow, conditional = make(name, 3), make(name, 3, context=2)
    assert flow.sample().shape == (3,)
    assert flow.sample(4).shape == flow.sample((4,)).shape == (4, 3)
    assert flow.log_prob(torch.zeros(2, 4, 3).double()).shape == (2, 4)
    context = torch.zeros(4, 2).double()
    x, log_prob = conditional.sample_with_log_prob((2, 5), context)
    assert x.shape == (2, 5, 4, 3) and log_prob.shape == (2, 5, 4)
    assert conditional.log_prob(x, context).shape == (2, 5, 4)
    assert conditional.log_prob(torch.zeros(3).double(), context).shape == (4,)
    assert conditional.to_latent(x, context).shape == conditional.to_data(x, context).shape == x.shape


@EVERY
def test_latent_and_data_are_inverse(name):
    flow = make(name, 4)
    x = torch.randn(10, 4).double()
    torch.testing.assert_close(flow.to_data(flow.to_latent(x)), x, rtol=1e-9, atol=1e-9)


@EVERY
def test_the_context_matters(name):
    flow = make(name, 2, context=1)
    a, b = (flow.log_prob(torch.ones(2).double(), torch.tensor([c]).double()) for c in (-1.0, 1.0))
    assert abs(float(a - b)) > 1e-3


def test_a_context_that_does_not_fit_is_refused():
    flow, conditional = pf.maf(2), pf.maf(2, context=3)
    with pytest.raises(ValueError, match="takes no context"):
        flow.log_prob(torch.zeros(2), torch.zeros(3))
    for call in (lambda c: conditional.log_prob(torch.zeros(2), c), lambda c: conditional.sample(1, c)):
        with pytest.raises(ValueError, match=r"needs a context of shape \(..., 3\)"):
            call(None)
        with pytest.raises(ValueError, match=r"context of shape \(..., 3\), got \(2,\)"):
            call(torch.zeros(2))


def test_a_base_of_another_size_is_refused():
    with pytest.raises(ValueError, match="2 features, the base 3"):
        pf.Flow(pf.maf(2).bijection, pf.distributions.StandardNormal(3))


@EVERY
def test_samples_carry_gradients_only_when_asked(name):
    flow = make(name)
    assert not flow.sample(3).requires_grad
    x, log_prob = flow.rsample_with_log_prob(3)
    (x.sum() + log_prob.sum()).backward()
    assert any(p.grad is not None and bool((p.grad != 0).any()) for p in flow.parameters())
    assert flow.rsample(3).requires_grad


@EVERY
def test_copies_give_the_same_density(name):
    flow, x = make(name), torch.randn(5, 2).double()
    for copied in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        assert torch.equal(copied.log_prob(x), flow.log_prob(x))
        assert copied.config == flow.config


class TestDistribution:
    def test_is_a_torch_distribution(self):
        flow = make("maf", 3, context=2)
        distribution = flow.distribution(torch.zeros(4, 2).double())
        assert isinstance(distribution, Distribution)
        assert distribution.batch_shape == (4,) and distribution.event_shape == (3,)
        x = distribution.sample((5,))
        assert x.shape == (5, 4, 3) and distribution.log_prob(x).shape == (5, 4)
        assert distribution.has_rsample and distribution.rsample().requires_grad
        assert bool(distribution.support.check(x).all())

    def test_expands_and_joins_independent(self):
        for context in (None, torch.ones(2).double()):
            distribution = make("maf", 3, context=0 if context is None else 2).distribution(context).expand((4, 5))
            assert distribution.sample((2,)).shape == (2, 4, 5, 3)
            assert distribution.log_prob(torch.zeros(3).double()).shape == (4, 5)
            assert Independent(distribution, 1).log_prob(torch.zeros(4, 5, 3).double()).shape == (4,)

    def test_agrees_with_torch_where_torch_knows_the_answer(self):
        affine = pf.bijections.ElementwiseAffine(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0]))
        flow = pf.Flow(affine, pf.distributions.StandardNormal(2))
        reference = Independent(Normal(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])), 1)
        x = torch.randn(10, 2)
        torch.testing.assert_close(flow.distribution().log_prob(x), reference.log_prob(x))


class TestZoo:
    @EVERY
    def test_config_rebuilds_the_flow(self, name):
        flow = make(name, 3, context=1, base="student_t")
        rebuilt = build(flow.config).double()
        rebuilt.load_state_dict(flow.state_dict())
        x, context = torch.randn(4, 3).double(), torch.randn(4, 1).double()
        assert torch.equal(rebuilt.eval().log_prob(x, context), flow.log_prob(x, context))

    def test_nice_preserves_volume_up_to_its_rescaling(self):
        flow = make("nice", 4, layers=4)
        _, log_det = flow.bijection(torch.randn(6, 4).double())
        torch.testing.assert_close(log_det, flow.bijection[0].log_scale.sum().expand(6))

    def test_unknown_options_name_the_nearest(self):
        with pytest.raises(pf.InputError, match="no option 'layer'; did you mean \"layers\""):
            pf.maf(features=2, layer=3)
        with pytest.raises(pf.InputError, match="no architecture 'relnvp'; did you mean \"realnvp\""):
            build({"architecture": "relnvp", "features": 2})

    @pytest.mark.parametrize(
        "options", [{"features": 0}, {"features": 2, "hidden": "wide"}, {"features": 2, "base": "cauchy"}]
    )
    def test_values_of_the_wrong_kind_are_refused_by_name(self, options):
        with pytest.raises(pf.InputError, match="maf: option "):
            pf.maf(**options)

    @pytest.mark.parametrize("config", [{}, {"architecture": "maf"}, {"architecture": "standardized", "flow": 3}])
    def test_configs_that_describe_nothing_are_refused(self, config):
        with pytest.raises(pf.InputError):
            build(config)

    def test_one_feature_without_context_warns_that_it_is_only_its_base(self):
        with pytest.warns(UserWarning, match='base="mixture"') as record:
            pf.maf(features=1)
        assert record[0].filename == __file__


class TestStandardized:
    def test_density_is_in_the_units_of_the_data(self):
        # For a flow that is the identity, the answer is the Gaussian with the data's mean and deviation.
        identity = pf.nice(2, layers=1)
        for parameter in identity.parameters():
            torch.nn.init.zeros_(parameter)
        x = torch.tensor([5.0, -300.0]).double() + torch.tensor([0.1, 70.0]).double() * torch.randn(1000, 2).double()
        flow = pf.standardized(identity, x)
        expected = Independent(Normal(x.mean(0), x.std(0, correction=0)), 1).log_prob(x)
        torch.testing.assert_close(flow.log_prob(x).double(), expected, rtol=1e-4, atol=1e-4)

    def test_a_sample_carries_its_density_through_float64_units(self):
        torch.manual_seed(0)
        x = 1e5 + torch.randn(100, 3).double()
        flow = pf.standardized(pf.maf(3), x)
        draws, log_prob = flow.sample_with_log_prob((1000,))
        assert draws.dtype == torch.float64 and log_prob.dtype == torch.float32
        assert float((flow.log_prob(draws) - log_prob).abs().max()) < 1e-4

    def test_context_is_standardized_too(self):
        context = 1e6 + torch.randn(50, 1).double()
        flow = pf.standardized(make("maf", 2, context=1), torch.randn(50, 2).double(), context)
        inner = pf.Flow(flow.bijection.bijection, flow.base)
        torch.testing.assert_close(
            flow.bijection.context.inverse(context)[0].std(0, correction=0), torch.ones(1).double()
        )
        assert inner.log_prob(torch.zeros(2).double(), torch.zeros(1).double()).isfinite()

    def test_constant_columns_are_refused(self):
        with pytest.raises(ValueError, match="Column 1 of x is constant"):
            pf.standardized(pf.maf(2), torch.stack([torch.randn(9), torch.ones(9)], -1))


def test_importing_is_light():
    code = "import sys, pushforward; print([m for m in ('sklearn', 'pandas', 'matplotlib', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
