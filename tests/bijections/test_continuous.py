"""Flows in continuous time: closed forms, exact divergences, gradients in two ways, and an honest error bar."""

import copy
import sys
import warnings

import pytest
import torch
from linear_field import LinearField

import pushforward as pf
from pushforward.bijections.continuous import Continuous
from pushforward.errors import AccuracyWarning
from pushforward.evaluation.contracts import randomized
from pushforward.solvers import SolverError, integrate
from pushforward.zoo.flow_mixture import FlowMixture

pytest.importorskip("torchdiffeq")
# Many solutions here are loose on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::pushforward.errors.AccuracyWarning")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moving(features=3, context=0, scale=1.5, hidden=(8, 8), **options):
    return randomized(Continuous(features, context, hidden=hidden, **options), scale=scale)


def random_flow(scale=1.5, hidden=(8, 8), **options):
    return randomized(pf.continuous(features=2, hidden=hidden, **options), scale=scale)


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-11])
def test_a_linear_field_is_a_matrix_exponential(start, tolerance):
    matrix = normal(4, 4)
    map_ = Continuous(4, tolerance=tolerance).double()
    map_.network = LinearField(matrix, lambda t: 0.0)
    value = normal(20, 4, seed=1)
    found, log_det = map_(value) if start == 0 else map_.inverse(value)
    sign = 1 if start == 0 else -1
    allowed = 100 * tolerance + 1e-12
    torch.testing.assert_close(found, value @ torch.linalg.matrix_exp(sign * matrix).t(), atol=allowed, rtol=allowed)
    torch.testing.assert_close(log_det, (sign * matrix.trace()).expand(20), atol=allowed, rtol=allowed)


def test_the_field_of_a_linear_path_takes_one_gaussian_to_another():
    mean, deviation = 3.0, 0.25

    def spread(t):
        return ((1 - t).square() + (t * deviation).square()).sqrt()

    def slope(t):
        return (t * deviation**2 - (1 - t)) / spread(t).square()

    flow = pf.continuous(features=2, tolerance=1e-9).double().eval()
    flow.bijection.network = LinearField(slope, lambda t: mean - slope(t) * t * mean)
    x = mean + deviation * normal(50, 2)
    truth = torch.distributions.Normal(torch.tensor(mean).double(), deviation).log_prob(x).sum(-1)
    value, error = pf.log_prob_with_error(flow, x)
    torch.testing.assert_close(value, truth, atol=1e-6, rtol=0)
    assert bool(((value - truth).abs() <= error + 1e-12).all())
    torch.testing.assert_close(flow.to_data(normal(50, 2)), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("hidden", [(8,), (8, 8), (6, 7, 8)])
@pytest.mark.parametrize("context", [0, 2])
def test_the_log_det_is_that_of_the_jacobian(hidden, context):
    map_ = moving(3, context, hidden=hidden, tolerance=1e-11)
    x, conditions = normal(3), normal(context, seed=1) if context else None
    for direction in (map_.forward, map_.inverse):
        jacobian = torch.autograd.functional.jacobian(lambda v, f=direction: f(v, conditions)[0], x)
        log_det = direction(x, conditions)[1].detach()
        torch.testing.assert_close(log_det, jacobian.slogdet()[1], atol=1e-8, rtol=1e-8)


def test_directions_are_inverse_to_the_tolerance():
    for tolerance in (1e-3, 1e-5, 1e-8):
        map_, x = moving(3, tolerance=tolerance), normal(30, 3)
        z, log_det = map_.inverse(x)
        back, opposite = map_(z)
        assert float((back - x).detach().abs().max()) < 200 * tolerance
        assert float((log_det + opposite).detach().abs().max()) < 200 * tolerance


def test_a_far_row_is_as_accurate_among_many_near_ones():
    exact, map_ = moving(2, tolerance=1e-9), moving(2, tolerance=1e-5)
    x = torch.cat([0.01 * normal(200, 2), 5 * normal(3, 2, seed=1)])
    errors = (map_.inverse(x)[1] - exact.inverse(x)[1]).detach().abs()
    assert float(errors.max()) < 1e-3


def test_first_and_second_derivatives_are_right():
    map_ = moving(2, 1, hidden=(3,), steps=2)
    value, context = normal(1, 2).requires_grad_(), normal(1, 1, seed=1).requires_grad_()
    for direction in (map_.forward, map_.inverse):
        assert torch.autograd.gradgradcheck(direction, (value, context), atol=1e-4)
    # Adaptive steps are constants to autograd: finite differences see them change, within the tolerance.
    adaptive = moving(2, 1, hidden=(3,), tolerance=1e-9)
    assert torch.autograd.gradcheck(adaptive.inverse, (value, context), eps=1e-4, atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_adjoint_and_direct_gradients_agree(direction):
    direct = moving(3, 2, tolerance=1e-10)
    adjoint = copy.deepcopy(direct)
    adjoint.gradient = "adjoint"
    gradients = []
    for map_ in (direct, adjoint):
        value, context = normal(5, 3).requires_grad_(), normal(5, 2, seed=1).requires_grad_()
        mapped, log_det = getattr(map_, direction)(value, context.square())
        loss = (mapped * torch.linspace(1, 2, 3)).sum() + log_det.square().sum()
        gradients.append(torch.autograd.grad(loss, [value, context, *map_.parameters()]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)
        assert bool((one != 0).any())


def test_gradients_by_the_adjoint_equation_are_right_and_have_none_in_turn():
    map_ = moving(2, 1, hidden=(3,), tolerance=1e-9, gradient="adjoint")
    value, context = normal(1, 2).requires_grad_(), normal(1, 1, seed=1).requires_grad_()
    for direction in (map_.forward, map_.inverse):
        assert torch.autograd.gradcheck(direction, (value, context), eps=1e-4, atol=1e-5)
    # Beside other terms, second derivatives would be there and wrong: the record leaves the equation out.
    mapped, log_det = map_.inverse(value, context)
    with pytest.raises(pf.InputError, match=r'have no gradients in turn \(create_graph\); use gradient="direct"'):
        torch.autograd.grad(mapped.square().sum() + log_det.sum() + value.square().sum(), value, create_graph=True)


@pytest.mark.parametrize("context", [0, 1])
def test_the_density_integrates_to_one(context):
    flow = random_flow(context=context, tolerance=1e-6, scale=1.0)
    axis = torch.sinh(torch.linspace(-3.5, 3.5, 121, dtype=torch.float64))
    given = normal(1) if context else None
    with torch.no_grad():
        density = flow.log_prob(torch.cartesian_prod(axis, axis), given).exp().view(121, 121)
    assert float(torch.trapezoid(torch.trapezoid(density, axis), axis)) == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize(
    ("tolerance", "scale"), [(0.9, 0.5), (0.1, 0.5), (0.1, 1.5), (1e-2, 0.5), (1e-2, 1.5), (1e-3, 1.5), (1e-5, 1.5)]
)
def test_the_error_bar_holds(tolerance, scale):
    flow = random_flow(scale, tolerance=tolerance)
    exact = copy.deepcopy(flow)
    exact.bijection.tolerance = 1e-10
    x = 2 * normal(100, 2)
    value, error = pf.log_prob_with_error(flow, x)
    truth = pf.evaluate(exact, x)
    assert bool(((value - truth).abs() <= error).all())
    # Nor is it much larger than the error of the coarser value that it is measured by.
    coarse = (pf.evaluate(flow, x) - truth).abs()
    assert float(error.mean()) < 3 * float(coarse.mean())


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_error_bar_of_float32_holds_rounding(tolerance, scale):
    """The tolerance of a solution in float32 has a floor, and rounding is in no difference of two of them."""
    exact = random_flow(scale, tolerance=1e-11)
    flow, x = copy.deepcopy(exact).float(), 2 * normal(300, 2).float()
    exact = copy.deepcopy(flow).double()
    flow.bijection.tolerance = tolerance
    value, error = pf.log_prob_with_error(flow, x)
    truth = pf.evaluate(exact, x.double())
    assert value.dtype == torch.float64
    assert bool(((value - truth).abs() <= error).all())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        off = (pf.evaluate(flow, x).double() - truth).abs()
    assert bool((off <= error).all()) and float(error.mean()) < 3 * float(off.mean())


@pytest.mark.parametrize("kind", ["standardized", "steps", "mixture"])
def test_the_error_bar_is_known_wherever_the_map_is(kind):
    x = 100 + 5 * normal(40, 2)
    options = {"steps": 4} if kind == "steps" else {"tolerance": 1e-2}
    flow = pf.standardized(random_flow(**options), x)
    if kind == "mixture":
        flow = FlowMixture([flow, pf.standardized(pf.nsf(2).double(), x)], [0.5, 0.5]).double()
    exact = copy.deepcopy(flow)
    for module in exact.modules():
        if isinstance(module, Continuous):
            module.tolerance, module.steps = 1e-10, None
    value, error = pf.log_prob_with_error(flow, x)
    assert bool(((value - pf.evaluate(exact, x)).abs() <= error).all()) and float(error.max()) > 1e-6


def test_an_exact_flow_has_no_error():
    value, error = pf.log_prob_with_error(pf.maf(3, layers=1), torch.zeros(4, 3))
    assert value.shape == error.shape == (4,) and not bool(error.any())
    assert [len(part) for part in pf.log_prob_with_error(pf.maf(3, layers=1), torch.zeros(0, 3))] == [0, 0]


def test_an_inaccurate_density_warns_when_it_is_evaluated():
    flow = random_flow(scale=2.0, tolerance=0.3)
    x = 2 * normal(50, 2)
    with pytest.warns(AccuracyWarning, match=r"errors of up to [\d.e+-]+ nats among 1\d rows .* lower its tolerance"):
        pf.evaluate(flow, x)
    with pytest.warns(AccuracyWarning, match="errors of up to"):
        flow.log_prob(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Neither where gradients by x are wanted nor where the errors are known.
        flow.log_prob(x.clone().requires_grad_())
        pf.log_prob_with_error(flow, x)
        flow.bijection.tolerance = 1e-6
        pf.evaluate(flow, x)
        pf.evaluate(flow, x[:1])
    flow.bijection.steps = 1
    with pytest.warns(AccuracyWarning, match="rows .* take more steps"):
        pf.evaluate(flow, x)


@pytest.mark.slow
def test_an_estimated_divergence_has_no_bias_and_states_its_error():
    flow = randomized(pf.continuous(features=4, hidden=(8, 8, 8), steps=3))
    exact = copy.deepcopy(flow)
    flow.bijection.estimates = True
    exact.bijection.refine()
    value, error = pf.log_prob_with_error(flow, normal(6, 4), repeats=100)
    assert float(((value - pf.evaluate(exact, normal(6, 4))) / error).abs().max()) < 5 and float(error.min()) > 0
    assert Continuous(101, hidden=(4, 4, 4)).estimates and not Continuous(101, hidden=(4, 4)).estimates


@pytest.mark.slow
def test_beyond_a_hundred_features_the_estimate_is_within_its_error():
    flow = randomized(pf.continuous(features=101, hidden=(6, 6, 6), steps=4), scale=0.3)
    exact = copy.deepcopy(flow)
    exact.bijection.estimates = False
    exact.bijection.refine()
    assert flow.bijection.estimates
    x = normal(8, 101)
    value, error = pf.log_prob_with_error(flow, x, repeats=64)
    difference = value - pf.evaluate(exact, x)
    assert float((difference / error).abs().max()) < 5 and float(error.min()) > 0
    again = pf.log_prob_with_error(flow, x, repeats=64)
    assert torch.equal(again[0], value) and torch.equal(again[1], error)


def test_rows_that_are_not_numbers_leave_the_others_alone():
    map_, x = moving(2), normal(4, 2)
    expected = map_.inverse(x)
    x = torch.cat([x, torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0]])])
    z, log_det = map_.inverse(x)
    assert bool(z[4:].isnan().all()) and bool(log_det[4:].isnan().all())
    torch.testing.assert_close(z[:4], expected[0], atol=1e-4, rtol=1e-4)
    none, empty = map_.inverse(x[:0])
    assert none.shape == (0, 2) and empty.shape == (0,)


def test_precision_limits_the_tolerance():
    map_ = moving(2, tolerance=1e-14).float()
    z, log_det = map_.inverse(normal(10, 2).float())
    assert z.dtype == log_det.dtype == torch.float32
    truth = map_.double().inverse(normal(10, 2).float().double())
    torch.testing.assert_close(z.double(), truth[0], atol=1e-4, rtol=1e-4)


def test_an_equation_that_cannot_be_solved_is_an_error():
    with pytest.raises(SolverError, match="was not solved from 0 to 1"):
        integrate(lambda t, state: state.square(), torch.full((1, 1), 1.5).double(), 0.0, 1.0)
    with pytest.raises(SolverError, match="too steep, or not finite"):
        integrate(lambda t, state: state * torch.nan, torch.ones(1, 1), 0.0, 1.0)


def test_steps_end_where_the_equation_ends():
    asked = []

    def rate(t, state):
        asked.append(float(t))
        return -state * t

    integrate(rate, torch.ones(2, 1).double(), 0.0, 1.0)
    integrate(rate, torch.ones(2, 1).double(), 1.0, 0.0, tolerance=1e-9)
    assert min(asked) >= 0 and max(asked) <= 1


def test_without_torchdiffeq_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    with pytest.raises(pf.InputError, match=r"need torchdiffeq; pip install 'pushforward\[ode\]' brings it"):
        pf.continuous(2).sample(3)


@pytest.mark.parametrize("steps", [None, 2])
def test_torch_func_is_refused_with_what_to_use_instead(steps):
    flow, x = random_flow(steps=steps), normal(3, 2)
    score = torch.func.grad(lambda row: flow.log_prob(row[None])[0])
    with pytest.raises(pf.InputError, match=r"use torch\.autograd, with all rows in one batch"):
        torch.func.vmap(score)(x)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"steps": 0}, "steps"),
        ({"gradient": "none"}, "gradient"),
        ({"hidden": ()}, "at least one hidden layer"),
        ({"activation": "relu"}, "activation"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.continuous(2, **options)
    if "activation" not in options:
        with pytest.raises(ValueError, match=match):
            Continuous(2, **options)


def test_a_model_file_brings_the_same_numbers(tmp_path):
    flow = random_flow(context=1, tolerance=1e-4, base="student_t").float()
    pf.save(flow, tmp_path / "flow.safetensors")
    again = pf.load(tmp_path / "flow.safetensors")
    x, context = normal(5, 2).float(), normal(5, 1).float()
    assert again.bijection.tolerance == 1e-4 and again.config == flow.config
    assert torch.equal(pf.evaluate(again, x, context), pf.evaluate(flow, x, context))
    assert "tolerance=0.0001" in repr(again)


def test_draws_have_the_density_that_comes_with_them():
    flow, context = random_flow(context=1, tolerance=1e-8), torch.tensor([0.3]).double()
    x, log_prob = flow.sample_with_log_prob((100,), context)
    torch.testing.assert_close(flow.log_prob(x, context).detach(), log_prob, atol=1e-5, rtol=0)
    assert flow.sample((3,), normal(4, 1)).shape == (3, 4, 2)
