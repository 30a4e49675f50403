"""Conditionals of flows whose layers follow one order, against autograd, quadrature and log_prob."""

import pytest
import torch
from torch.distributions import Normal

import pushforward as pf
from pushforward.bijections import ActNorm, Autoregressive, Compose, Inverse, LogisticMixture, Permutation
from pushforward.distributions import Logistic, StandardNormal, StudentT
from pushforward.networks import Conditioner
from pushforward.training.distillation import ConditionalStudent, ConditionalTeacher, FlowConditionals, NoConditionals
from pushforward.training.distillation.conditionals import TransformedConditionals

ORDER = (2, 0, 3, 1)


def rough(flow, seed=0):
    """The flow in float64 with weights far from the identity."""
    torch.manual_seed(seed)
    flow = flow.double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return flow


def mixed(context=0):
    """Masked and inverse layers, and fixed affine ones between them, in one order."""
    torch.manual_seed(0)
    affine = pf.bijections.Affine()
    layers = [
        Autoregressive(4, affine, Conditioner((8,)), context, ORDER),
        ActNorm(4),
        Inverse(Compose([Autoregressive(4, affine, Conditioner((8,)), context, ORDER), ActNorm(4)])),
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
}  # fmt: skip
DATA = 10 + 3 * torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", FLOWS)
def test_conditionals_multiply_to_the_density_both_ways(name):
    make, kind = FLOWS[name]
    flow = rough(make())
    context = torch.randn(7, 2, dtype=torch.float64) if flow.context_features else None
    of_flow = FlowConditionals(flow)
    assert of_flow.autoregressive_order == ORDER
    x, law = of_flow.rsample_with_conditionals((7,) if context is None else (), context)
    again = of_flow.conditionals(x, context)
    assert isinstance(law, kind) and isinstance(again, kind)
    # The flow's own density knows nothing of conditionals.
    expected = flow.log_prob(x, context)
    for one in (law, again):
        assert one.batch_shape == (7, 4)
        torch.testing.assert_close(one.log_prob(x).sum(-1), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FLOWS)
def test_a_conditional_depends_on_the_features_before_it_alone(name):
    flow = rough(FLOWS[name][0]())
    context = torch.randn(2, dtype=torch.float64) if flow.context_features else None
    of_flow = FlowConditionals(flow)
    x = flow.sample((), context)
    at = x + 0.1

    def log_probs(before):
        return of_flow.conditionals(before, context).log_prob(at)

    jacobian = torch.autograd.functional.jacobian(log_probs, x)
    place = torch.tensor(ORDER).argsort()
    earlier = place[:, None] > place
    assert float(jacobian[~earlier].abs().max()) < 1e-9
    assert bool((jacobian[earlier].abs() > 1e-9).any())


@pytest.mark.parametrize("name", ["three inverse layers", "logistic base", "inverse splines", "splines"])
def test_each_conditional_integrates_to_one_and_is_drawn_from(name):
    flow = rough(FLOWS[name][0]())
    x = flow.sample((1,))
    law = FlowConditionals(flow).conditionals(x)
    torch.manual_seed(1)
    drawn = law.rsample((20_000,))
    centre, width = drawn.mean(0), drawn.std(0)
    grid = centre + width * torch.linspace(-40, 40, 20_001, dtype=torch.float64)[:, None, None]
    density = law.log_prob(grid).exp()
    mass = torch.trapezoid(density, grid, dim=0)
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=2e-3, rtol=0)
    mean = torch.trapezoid(density * grid, grid, dim=0)
    assert bool(((centre - mean) / width).abs().max() < 5 / 20_000**0.5 + 2e-2)


def test_draws_come_with_their_log_densities():
    law = FlowConditionals(rough(FLOWS["inverse splines"][0]())).rsample_with_conditionals((3,))[1]
    x, log_prob = law.rsample_with_log_prob((5,))
    torch.testing.assert_close(law.log_prob(x), log_prob)


def test_precision_of_the_data_side_is_kept():
    flow = pf.standardized(pf.iaf(4, layers=2, hidden=(8,), order="same"), DATA)
    x, law = FlowConditionals(flow).rsample_with_conditionals((5,))
    assert x.dtype == law.loc.dtype == torch.float64
    torch.testing.assert_close(law.log_prob(x).sum(-1), flow.log_prob(x).double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (lambda: pf.maf(3), "do not follow one order of the features.*one goes 0, 1, 2, another 2, 1, 0"),
        (lambda: pf.realnvp(3), "its layer Coupling does not keep to one order"),
        (lambda: pf.nsf(3, order="same", linear="lu"), "its layer LU does not keep"),
        (
            lambda: pf.Flow(Compose([pf.maf(3, layers=1).bijection, Permutation([1, 0, 2])]), StandardNormal(3)),
            "its layer Permutation does not keep",
        ),
        (lambda: pf.maf(3, layers=1, base="mixture"), "its base, GaussianMixture, is not one fixed density"),
        (lambda: pf.Flow(pf.maf(3, layers=1).bijection, StudentT(3)), "its base, StudentT"),
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
