"""Conditionals of flows whose layers follow one order, against autograd, quadrature and log_prob."""

import pytest
import torch
from torch.distributions import Normal

import pushforward as pf
from pushforward.bijections import (
    ActNorm,
    Affine,
    Autoregressive,
    Compose,
    Coupling,
    Inverse,
    LogisticMixture,
    MarginalSpline,
    Permutation,
    TailTransform,
)
from pushforward.distributions import Logistic, StandardNormal, StudentT
from pushforward.networks import Conditioner
from pushforward.training.distillation import ConditionalStudent, ConditionalTeacher, FlowConditionals, NoConditionals
from pushforward.training.distillation.conditionals import TransformedConditionals, gaussians_behind
from pushforward.zoo.units import in_units_of

ORDER = (2, 0, 3, 1)
AFFINE = Affine()


def rough(flow, seed=0, size=0.3):
    """The flow in float64 with weights far from the identity."""
    torch.manual_seed(seed)
    flow = flow.double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return flow


def mixed(context=0):
    """Masked and inverse layers, and fixed affine ones between them, in one order."""
    torch.manual_seed(0)
    layers = [
        Autoregressive(4, AFFINE, Conditioner((8,)), context, ORDER),
        ActNorm(4),
        Inverse(Compose([Autoregressive(4, AFFINE, Conditioner((8,)), context, ORDER), ActNorm(4)])),
    ]
    return pf.Flow(Compose(layers), StandardNormal(4))


FLOWS = {
    "one masked layer": (lambda: pf.maf(4, layers=1, hidden=(8,), order=ORDER), Normal),
    "three masked layers": (lambda: pf.maf(4, layers=3, hidden=(8,), order=ORDER), Normal),
    "three inverse layers": (lambda: pf.iaf(4, layers=3, hidden=(8,), order=ORDER), Normal),
    "with a context": (lambda: pf.iaf(4, context=2, layers=2, hidden=(8,), order=ORDER), Normal),
    "masked and inverse": (mixed, Normal),
    "masked and inverse with a context": (lambda: mixed(2), Normal),
    "in units of data": (lambda: pf.standardized(pf.maf(4, layers=2, hidden=(8,), order=ORDER), DATA), Normal),
    "logistic base": (lambda: pf.iaf(4, layers=2, hidden=(8,), order=ORDER, base="logistic"), TransformedConditionals),
    "inverse splines": (
        lambda: pf.nsf(4, kind="inverse_autoregressive", layers=2, hidden=(8,), order=ORDER), TransformedConditionals,
    ),
    "splines": (lambda: pf.nsf(4, layers=2, hidden=(8,), order=ORDER), TransformedConditionals),
    "through the quantiles of data": (lambda: gaussianized(pf.maf(4, layers=2, hidden=(8,), order=ORDER)),
                                      TransformedConditionals),
    "through the quantiles of data, with bounds and a context": (
        lambda: gaussianized(pf.iaf(4, context=2, layers=2, hidden=(8,), order=ORDER), low=[0.0] * 4),
        TransformedConditionals,
    ),
    "with heavy tails": (lambda: pf.Flow(Compose([mixed().bijection, TailTransform(4, 0.2)]), StandardNormal(4)),
                         TransformedConditionals),
    "a base with a parameter for each feature": (
        lambda: pf.Flow(pf.maf(4, layers=1, hidden=(8,), order=ORDER).bijection, StudentT(4)), TransformedConditionals,
    ),
    "with a coupling": (lambda: pf.Flow(Compose([mixed().bijection, Coupling([1, 1, 0, 1], AFFINE, Conditioner((8,)))]),
                                        StandardNormal(4)), Normal),
}  # fmt: skip
DATA = 10 + 3 * torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def gaussianized(flow, **bounds):
    """The flow behind splines through the quantiles of skewed data."""
    context = DATA[:, :2] if flow.context_features else None
    return pf.gaussianized(flow, (DATA / 10).exp(), context, knots=8, **bounds)


def rough_flow(name):
    """A flow of the list; behind the quantiles of data, rougher weights lead beyond what float64 can tell apart."""
    return rough(FLOWS[name][0](), size=0.1 if "quantiles" in name else 0.3)


@pytest.mark.parametrize("name", FLOWS)
def test_conditionals_multiply_to_the_density_both_ways(name):
    flow, kind = rough_flow(name), FLOWS[name][1]
    context = torch.randn(40, 2, dtype=torch.float64) if flow.context_features else None
    of_flow = FlowConditionals(flow)
    assert of_flow.autoregressive_order == ORDER
    x, law = of_flow.rsample_with_conditionals((40,) if context is None else (), context)
    again = of_flow.conditionals(x, context)
    assert isinstance(law, kind) and isinstance(again, kind)
    # The flow's own density knows nothing of conditionals.
    expected = flow.log_prob(x, context)
    # Far out, and next to a bound, a draw has fewer digits than the noise that it was made of.
    ordinary = ((x.abs() > 1e-3) & (x.abs() < 1e3)).all(-1)
    assert int(ordinary.sum()) >= 5
    for one in (law, again):
        assert one.batch_shape == (40, 4)
        torch.testing.assert_close(one.log_prob(x).sum(-1)[ordinary], expected[ordinary], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FLOWS)
def test_a_conditional_depends_on_the_features_before_it_alone(name):
    flow = rough_flow(name)
    context = torch.randn(2, dtype=torch.float64) if flow.context_features else None
    of_flow = FlowConditionals(flow)
    place = torch.tensor(ORDER).argsort()
    earlier = place[:, None] > place
    alive = torch.zeros(4, 4, dtype=torch.bool)
    # At one place alone all rectifiers may be off.
    for x in flow.sample((10,), context):

        def log_probs(before, at=x + 0.1):
            return of_flow.conditionals(before, context).log_prob(at)

        jacobian = torch.autograd.functional.jacobian(log_probs, x)
        assert float(jacobian[~earlier].abs().max()) < 1e-9
        alive |= jacobian.abs() > 1e-9
    assert bool(alive[earlier].any())


@pytest.mark.parametrize(
    "name",
    [
        "three inverse layers",
        "logistic base",
        "inverse splines",
        "splines",
        "through the quantiles of data",
        "with a coupling",
    ],
)
def test_each_conditional_integrates_to_one_and_is_drawn_from(name):
    flow = rough_flow(name)
    x = flow.sample((1,))
    law = FlowConditionals(flow).conditionals(x)
    torch.manual_seed(1)
    drawn = law.rsample((20_000,))
    # By quantiles, since moments of heavy tails need not exist, and on a grid that is fine near the median.
    low, center, high = drawn.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), 0)
    grid = center + (high - low) * torch.linspace(-15, 15, 40_001, dtype=torch.float64)[:, None, None].sinh()
    mass = torch.cumulative_trapezoid(law.log_prob(grid).exp(), grid, dim=0)
    torch.testing.assert_close(mass[-1], torch.ones_like(center), atol=2e-3, rtol=0)
    # Kolmogorov's statistic of 20 000 draws exceeds 2.5 / √n once in a hundred thousand times.
    ranks = torch.linspace(0, 1, 20_000, dtype=torch.float64)
    for d in range(flow.features):
        place = torch.searchsorted(grid[1:, 0, d].contiguous(), drawn[:, 0, d].sort().values.contiguous())
        below = mass[place.clamp(max=len(mass) - 1), 0, d].detach()
        assert float((below - ranks).abs().max()) < 2.5 / 20_000**0.5 + 2e-3


def test_conditionals_of_a_table_are_ratios_of_marginals():
    flow = rough(
        pf.gaussianized(pf.maf(2, layers=2, hidden=(8,), order="same"), (DATA[:, :2] / 10).exp(), knots=8), size=0.1
    )
    x = flow.sample((3,))
    law = FlowConditionals(flow).conditionals(x)
    # p(x₁ | x₀) = p(x₀, x₁) / ∫ p(x₀, x₁) dx₁, the integral by the trapezoidal rule over sinh(t).
    # The tails beyond the data are heavy, and reach far.
    t = torch.linspace(-75, 75, 80_001, dtype=torch.float64)
    grid = x[:, None].repeat(1, len(t), 1)
    grid[..., 1] = 3 + t.sinh()
    marginal = torch.trapezoid(flow.log_prob(grid).exp() * t.cosh(), t)
    expected = torch.stack([marginal.log(), flow.log_prob(x) - marginal.log()], -1)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=0, atol=1e-3)


def test_the_divergence_of_transformed_laws_is_that_of_the_gaussians_behind_them():
    teacher = rough(gaussianized(pf.maf(4, layers=2, hidden=(8,), order=ORDER)))
    student = rough(in_units_of(pf.iaf(4, layers=1, hidden=(8,), order=ORDER), teacher), seed=1)
    x, of_student = FlowConditionals(student).rsample_with_conditionals((3,))
    of_teacher = FlowConditionals(teacher).conditionals(x)
    found = torch.distributions.kl_divergence(*gaussians_behind(of_student, of_teacher))
    torch.manual_seed(1)
    drawn = of_student.rsample((40_000,))
    ratios = of_student.log_prob(drawn) - of_teacher.log_prob(drawn)
    assert bool(((ratios.mean(0) - found).abs() < 5 * ratios.std(0) / len(ratios) ** 0.5).all())


def test_only_the_same_fixed_maps_are_left_out_of_a_divergence():
    flow = rough(gaussianized(pf.maf(4, layers=1, hidden=(8,), order=ORDER)))
    other = rough(pf.gaussianized(pf.maf(4, layers=1, hidden=(8,), order=ORDER), DATA, knots=8))
    trained = rough(pf.Flow(Compose([mixed().bijection, TailTransform(4)]), StandardNormal(4)))
    fixed = rough(pf.Flow(Compose([mixed().bijection, TailTransform(4).requires_grad_(False)]), StandardNormal(4)))
    laws = [FlowConditionals(one).conditionals(flow.sample((2,))) for one in (flow, other, trained, fixed)]
    assert isinstance(flow.bijection.data, MarginalSpline)
    for first, one in enumerate(laws):
        for second, another in enumerate(laws):
            same = first == second and one is not laws[2]
            assert (gaussians_behind(one, another) is not None) == same
    assert gaussians_behind(laws[0], FlowConditionals(rough(mixed())).conditionals(DATA)) is None


def test_draws_come_with_their_log_densities():
    law = FlowConditionals(rough(FLOWS["inverse splines"][0]())).rsample_with_conditionals((3,))[1]
    x, log_prob = law.rsample_with_log_prob((5,))
    torch.testing.assert_close(law.log_prob(x), log_prob)


def test_precision_of_the_data_side_is_kept():
    flow = pf.standardized(pf.iaf(4, layers=2, hidden=(8,), order="same"), DATA)
    x, law = FlowConditionals(flow).rsample_with_conditionals((5,))
    assert x.dtype == law.loc.dtype == torch.float64
    torch.testing.assert_close(law.log_prob(x).sum(-1), flow.log_prob(x).double(), rtol=1e-4, atol=1e-4)
    # Splines in float32 behind maps in float64.
    flow = gaussianized(pf.nsf(4, layers=2, hidden=(8,), order="same"))
    x, law = FlowConditionals(flow).rsample_with_conditionals((5,))
    assert x.dtype == law.rsample((2,)).dtype == torch.float64
    torch.testing.assert_close(law.log_prob(x).sum(-1), flow.log_prob(x).double(), rtol=1e-4, atol=1e-4)


ONE_FEATURE = {
    "continuous": {"hidden": (8,), "steps": 4}, "residual": {"layers": 2, "hidden": (8,)}, "planar": {"layers": 2},
    "radial": {"layers": 2}, "maf": {"layers": 2}, "iaf": {"layers": 2}, "nsf": {"layers": 2},
    "mixture_cdf": {"layers": 1},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.* can only shift and scale its base")
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("name", ONE_FEATURE)
def test_flows_of_one_feature_behind_maps_of_another_precision(name, context):
    if name == "continuous":
        pytest.importorskip("torchdiffeq")
    torch.manual_seed(0)
    given = DATA[:, 2:] if context else None
    flow = pf.gaussianized(getattr(pf, name)(features=1, context=context, **ONE_FEATURE[name]), DATA[:, :1], given)
    of_flow = FlowConditionals(flow.eval())
    law = of_flow.conditionals(DATA[:, :1], given)
    assert law.batch_shape == (50, 1)
    expected = flow.log_prob(DATA[:, :1], given)
    torch.testing.assert_close(law.log_prob(DATA[:, :1])[:, 0].double(), expected.double(), rtol=1e-4, atol=1e-4)
    # Several values under one law, as the divergence takes them.
    inner = DATA[:, :1].expand(3, 50, 1)
    torch.testing.assert_close(law.log_prob(inner)[1, :, 0].double(), expected.double(), rtol=1e-4, atol=1e-4)
    drawn, log_prob = law.rsample_with_log_prob((3,))
    assert drawn.shape == log_prob.shape == (3, 50, 1) and drawn.dtype == torch.float64


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (lambda: pf.maf(3), "do not follow one order of the features.*one goes 0, 1, 2, another 2, 1, 0"),
        (lambda: pf.realnvp(3), "do not follow one order of the features.*one goes 0, 2, 1, another 1, 0, 2"),
        (lambda: pf.planar(3, layers=1), "its layer Planar does not keep to one order"),
        (lambda: pf.nsf(3, order="same", linear="lu"), "its layer LU does not keep"),
        (
            lambda: pf.Flow(Compose([pf.maf(3, layers=1).bijection, Permutation([1, 0, 2])]), StandardNormal(3)),
            "its layer Permutation does not keep",
        ),
        (lambda: pf.maf(3, layers=1, base="mixture"), "the features of its base, GaussianMixture, are not independent"),
    ],
)
def test_flows_without_conditionals_say_why(flow, words):
    with pytest.raises(NoConditionals, match=words):
        FlowConditionals(flow())


def test_the_protocols_know_their_own():
    flow = pf.Flow(Inverse(Autoregressive(2, LogisticMixture(3), Conditioner((8,)))), Logistic(2))
    assert isinstance(FlowConditionals(flow), ConditionalTeacher) and isinstance(
        FlowConditionals(flow), ConditionalStudent
    )
    assert not isinstance(flow, ConditionalTeacher | ConditionalStudent)
