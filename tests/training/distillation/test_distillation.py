"""Distillation against exact answers."""

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

import pushforward as pf
from pushforward.bijections import Autoregressive, Compose, Inverse, LogisticMixture, Permutation
from pushforward.distributions import Logistic, StandardNormal
from pushforward.networks import Conditioner
from pushforward.support.modules import frozen
from pushforward.training.distillation import Divergence
from pushforward.zoo.units import in_units_of

ESTIMATORS = ("closed_form", "conditional_mc", "joint", "path")


def quiet(line):
    """An announcement that nobody hears."""


def random_flow(make, seed, size=0.25):
    """A smooth flow in float64, away from the identity."""
    torch.manual_seed(seed)
    flow = make().double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(size * torch.randn_like(parameter))
    return flow


def pair():
    """A Gaussian autoregressive teacher and student of two features in one order."""
    teacher = random_flow(lambda: pf.maf(2, layers=1, hidden=(8,), activation="tanh"), 0)
    student = random_flow(lambda: pf.iaf(2, layers=1, hidden=(8,), activation="tanh"), 1)
    # Both shifts are 0.5, of maps in opposite directions: the means are about one deviation apart.
    with torch.no_grad():
        for layer in (teacher.bijection[0], student.bijection[0].bijection):
            layer.conditioner.layers[-1].bias[::2] = 0.5
    return teacher, student


def mixture_pair():
    """Teacher and student with conditionals that are smooth and not Gaussian."""

    def layer():
        return Autoregressive(2, LogisticMixture(2), Conditioner((8,), "tanh"))

    teacher = random_flow(lambda: pf.Flow(layer(), Logistic(2)), 0)
    student = random_flow(lambda: pf.Flow(Inverse(layer()), StandardNormal(2)), 1)
    return teacher, student


def kl_by_quadrature(teacher, student, side=20.0, points=251):
    """KL(student || teacher) as a sum over a grid in x, differentiable in the student's weights.

    Of smooth densities that are all on the grid its error is that of rounding.
    """
    axis = torch.linspace(-side, side, points, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    log_q, log_p = student.log_prob(x), teacher.log_prob(x).detach()
    area = (axis[1] - axis[0]) ** 2
    assert float(log_q.detach().exp().sum() * area) == pytest.approx(1, abs=1e-6)  # all of it is on the grid
    return (log_q.exp() * (log_q - log_p)).sum() * area


def gradients(objective, count, repeats):
    """Values and gradients of repeated estimates, (repeats,) and (repeats, weights)."""
    parameters = list(objective.student.parameters())
    values, rows = [], []
    for _ in range(repeats):
        loss = objective(count).mean()
        values.append(loss.detach())
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    return torch.stack(values), torch.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_value_and_gradient_are_those_of_quadrature(estimator):
    teacher, student = pair()
    with frozen(teacher):
        exact = kl_by_quadrature(teacher, student)
        exact_gradient = torch.cat([g.flatten() for g in torch.autograd.grad(exact, list(student.parameters()))])
        torch.manual_seed(2)
        values, rows = gradients(Divergence(teacher, student, estimator, inner_samples=4), count=200, repeats=200)
    kl = float(exact.detach())
    assert kl > 0.1 and abs(float(values.mean()) - kl) < 5 * float(values.std()) / len(values) ** 0.5 + 1e-5
    error = rows.std(0) / len(rows) ** 0.5
    assert bool(((rows.mean(0) - exact_gradient).abs() < 5 * error + 1e-5).all())
    assert float(exact_gradient.abs().max()) > 20 * float(error.max())


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["conditional_mc", "joint", pytest.param("path", marks=pytest.mark.slow)])
def test_conditionals_that_are_not_gaussian(estimator):
    teacher, student = mixture_pair()
    with frozen(teacher):
        exact = kl_by_quadrature(teacher, student)
        exact_gradient = torch.cat([g.flatten() for g in torch.autograd.grad(exact, list(student.parameters()))])
        torch.manual_seed(2)
        values, rows = gradients(Divergence(teacher, student, estimator, inner_samples=4), count=50, repeats=100)
    assert abs(float(values.mean() - exact.detach())) < 5 * float(values.std()) / len(values) ** 0.5 + 1e-5
    error = rows.std(0) / len(rows) ** 0.5
    assert bool(((rows.mean(0) - exact_gradient).abs() < 5 * error + 1e-5).all())


@pytest.mark.slow
def test_averaging_out_each_feature_lowers_the_variance():
    teacher, student = pair()
    with frozen(teacher):
        spread = {}
        for estimator in ESTIMATORS:
            torch.manual_seed(0)
            spread[estimator] = float(gradients(Divergence(teacher, student, estimator, 32), 100, 100)[1].var(0).sum())
    assert spread["closed_form"] < spread["conditional_mc"] < spread["joint"]


def test_the_divergence_of_diagonal_gaussians_is_exact():
    shift, log_scale = torch.tensor([0.5, -1.0, 2.0]).double(), torch.tensor([0.3, -0.4, 0.1]).double()
    teacher = pf.Flow(pf.bijections.ElementwiseAffine(shift, log_scale.exp()), StandardNormal(3).double())
    student = random_flow(lambda: pf.iaf(3, layers=1, hidden=(4,)), 0, size=0.0)
    loss = Divergence(teacher, student, "closed_form")(5)
    exact = (log_scale + (1 + shift.square()) / (2 * (2 * log_scale).exp()) - 0.5).sum()
    torch.testing.assert_close(loss, exact.expand(5), atol=1e-6, rtol=0)
    report = pf.evaluate_student(teacher, student, draws=20_000, timing_rows=0)
    assert abs(report.kl - float(exact)) < 5 * report.kl_error


def linear_teacher(features=6):
    """x[t] = 0.9 x[t-1] - 0.5 x[t-2] + 0.4 e[t], as a normal density."""
    mixing = torch.eye(features, dtype=torch.float64)
    for t in range(1, features):
        mixing[t, t - 1] = -0.9
        if t > 1:
            mixing[t, t - 2] = 0.5
    factor = 0.4 * torch.linalg.inv(mixing)
    return MultivariateNormal(torch.zeros(features), scale_tril=factor.float())


class Density:
    """A density that is no module and knows nothing but its log_prob."""

    def __init__(self, distribution):
        self.distribution = distribution

    def log_prob(self, x, context=None):
        return self.distribution.log_prob(x)


@pytest.mark.slow
def test_a_linear_gaussian_teacher_is_matched():
    normal = linear_teacher()
    torch.manual_seed(0)
    # The conditionals are linear, and so are those of a student without a hidden layer: it can match them exactly.
    student = pf.iaf(6, layers=1, hidden=(), order="same")
    reference = normal.sample((4000,))
    report = pf.distill(
        Density(normal), student, estimator="path", max_steps=500, batch_size=128, learning_rate=5e-2,
        average_decay=None, reference=reference,
    )  # fmt: skip
    assert report.kl_per_dimension < 1e-3
    assert report.effective_sample_size > 0.98 and report.speed is None and report.nonfinite == 0
    assert report.spread.reference == "reference rows" and 0.9 < report.spread.middle < 1.1 and not report.alarms
    x = student.sample((50_000,))
    error = ((1 + 1) / 50_000) ** 0.5 * float(normal.variance.max())
    torch.testing.assert_close(x.T.cov(), normal.covariance_matrix, atol=5 * error + 0.01, rtol=0)


def test_the_teacher_is_as_it_was():
    torch.manual_seed(0)
    teacher = pf.maf(3, layers=1, hidden=(16,), dropout=0.2).train()
    next(teacher.parameters()).requires_grad_(False)
    wanted = [p.requires_grad for p in teacher.parameters()]
    before = copy.deepcopy(teacher.state_dict())
    modes = [module.training for module in teacher.modules()]
    student = pf.iaf(3, layers=1, hidden=(16,), order="same")
    first = copy.deepcopy(student.state_dict())
    pf.distill(teacher, student, max_steps=20, draws=100, announce=quiet)
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert [p.requires_grad for p in teacher.parameters()] == wanted and all(
        p.grad is None for p in teacher.parameters()
    )
    assert [module.training for module in teacher.modules()] == modes
    assert any(not torch.equal(first[key], value) for key, value in student.state_dict().items())


def test_a_run_repeats_and_leaves_the_random_state_alone():
    reports, states = [], []
    for _ in range(2):
        torch.manual_seed(0)
        teacher, student = pf.maf(2, layers=1, hidden=(8,)), pf.iaf(2, layers=1, hidden=(8,))
        torch.manual_seed(7)
        reports.append(pf.distill(teacher, student, max_steps=30, draws=500, timing_rows=0, seed=3, announce=quiet))
        states.append((student.state_dict(), torch.rand(1)))
    assert reports[0].to_dict() | {"seconds": 0} == reports[1].to_dict() | {"seconds": 0}
    assert all(torch.equal(states[0][0][key], states[1][0][key]) for key in states[0][0])
    torch.manual_seed(7)
    assert torch.equal(states[0][1], torch.rand(1))


def test_contexts_are_drawn_from_data():
    class Shifted:
        """x ~ N(context, 0.5²)."""

        def log_prob(self, x, context):
            return Normal(context, 0.5).log_prob(x).sum(-1)

    generator = torch.Generator().manual_seed(0)
    context = torch.randn(500, 2, generator=generator)
    torch.manual_seed(0)
    # Without a hidden layer the student is linear in the context, as the teacher is.
    student = pf.iaf(2, context=2, layers=1, hidden=())
    report = pf.distill(
        Shifted(), student, context=context, max_steps=300, learning_rate=0.1, average_decay=None, draws=4000
    )
    assert report.kl < 0.01
    at = torch.tensor([1.0, -1.0])
    drawn = student.sample((5000,), at)
    # Five standard errors of the mean are 0.035, and 0.01 nats a tenth of the deviation 0.5.
    torch.testing.assert_close(drawn.mean(0), at, atol=0.1, rtol=0)
    with pytest.raises(pf.InputError, match="context has no rows"):
        pf.distill(Shifted(), student, context=context[:0])


def test_penalties_see_the_draw_and_move_the_student():
    teacher = pf.Flow(pf.bijections.ElementwiseAffine([0.0, 0.0], [1.0, 1.0]), StandardNormal(2))
    context = torch.zeros(10, 1)
    seen = []

    def pull(draw):
        seen.append(draw)
        return (draw.x - 2).square().sum(-1)

    class WithContext(nn.Module):
        def log_prob(self, x, context=None):
            return teacher.log_prob(x)

    torch.manual_seed(0)
    student = pf.iaf(2, context=1, layers=1, hidden=())
    report = pf.distill(
        WithContext(), student, context=context, penalties=[(0.5, pull)], max_steps=300, learning_rate=5e-2,
        average_decay=None, draws=2000,
    )  # fmt: skip
    draw = seen[0]
    assert draw.x.shape == (512, 2) and draw.context.shape == (512, 1) and int(draw.rows.max()) < 10
    assert draw.student is None and draw.teacher is None
    # x² / 2 + (x - 2)² / 2 is least at 1 with precision 2.
    x = student.sample((20_000,), torch.zeros(1))
    assert float(x.mean()) == pytest.approx(1.0, abs=0.05) and float(x.var()) == pytest.approx(0.5, abs=0.05)
    # Minus the loss: KL to a normal density, and the penalty. Their sum is the same for every draw at the optimum.
    exact = -(2 * (0.5 * math.log(2) + (0.5 + 1) / 2 - 0.5) + 0.5 * 2 * (0.5 + 1))
    assert report.history.best_held_out == pytest.approx(exact, abs=0.1)


def test_the_regularization_of_log_scales_is_its_formula():
    teacher, student = pair()
    torch.manual_seed(0)
    plain = Divergence(teacher, student, "closed_form")(50)
    torch.manual_seed(0)
    regularized = Divergence(teacher, student, "closed_form", log_scale_regularization=4.0)(50)
    torch.manual_seed(0)
    z = student.base.rsample((50,))
    x, _ = student.bijection(z)
    # One layer each: log scales straight from the masked networks.
    log_q = student.bijection[0].bijection.conditioner(z)[..., 1]
    log_p = teacher.bijection[0].conditioner(x)[..., 1]
    bound = math.log(1e3)
    squeeze = [torch.atan(v * math.pi / 2 / bound) * 2 * bound / math.pi for v in (-log_q, log_p)]
    torch.testing.assert_close(regularized - plain, 4 * (squeeze[0] - squeeze[1]).square().sum(-1))
    with pytest.raises(pf.InputError, match="log_scale_regularization needs Gaussian conditionals"):
        pf.distill(*mixture_pair(), log_scale_regularization=1.0, announce=quiet)
    with pytest.raises(
        pf.InputError, match="in one order, and the student has no conditionals in one order: its layers do"
    ):
        pf.distill(pf.maf(3, layers=1), pf.realnvp(3), log_scale_regularization=1.0, announce=quiet)


@pytest.mark.parametrize(
    ("student", "teacher", "estimator", "word"),
    [
        (lambda: pf.iaf(3, layers=2, order="same"), lambda: pf.maf(3, layers=1), "closed_form", "Gaussian"),
        (
            lambda: pf.iaf(3, order="same"),
            lambda: pf.maf(3, layers=1, base="logistic"),
            "conditional_mc",
            "Transformed",
        ),
        (lambda: pf.realnvp(3), lambda: pf.maf(3, layers=1), "path", "one goes 0, 2, 1, another 1, 0, 2"),
        (lambda: pf.iaf(3), lambda: pf.maf(3, layers=1), "joint", "more than one pass"),
        (lambda: pf.iaf(3, layers=1), lambda: pf.maf(3), "joint", "the teacher has no conditionals"),
    ],
)
def test_auto_picks_and_says_which(student, teacher, estimator, word):
    said = []
    report = pf.distill(teacher(), student(), max_steps=2, draws=100, timing_rows=0, announce=said.append)
    assert report.estimator == estimator and word in report.reason
    assert said == [f"estimator {estimator}: {report.reason}"] and said[0] in str(report)


@pytest.mark.slow
def test_a_model_of_a_table_is_distilled_in_closed_form():
    rows = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).exp()
    teacher = pf.gaussianized(random_flow(lambda: pf.maf(3, layers=1, hidden=(8,)), 1).float(), rows)
    student = in_units_of(pf.iaf(3, layers=1, hidden=(16,), order="same"), teacher)
    before = pf.evaluate_student(teacher, student, draws=5000, timing_rows=0)
    options = {"max_steps": 200, "learning_rate": 1e-2, "draws": 5000, "timing_rows": 0, "announce": quiet}
    after = pf.distill(teacher, student, **options)
    assert after.estimator == "closed_form"
    assert "Gaussian conditionals in one order, transformed by the same maps" in after.reason
    assert after.kl < before.kl - 5 * math.hypot(before.kl_error, after.kl_error)
    # In the units of its own, the student's maps are not those of the teacher.
    other = pf.gaussianized(pf.iaf(3, layers=1, order="same"), rows.flip(1))
    assert pf.distill(teacher, other, **options | {"max_steps": 2}).estimator == "conditional_mc"
    with pytest.raises(pf.InputError, match="estimator='closed_form' needs Gaussian conditionals"):
        pf.distill(teacher, other, estimator="closed_form", **options)


@pytest.mark.parametrize(
    ("student", "teacher", "options", "message"),
    [
        (
            lambda: pf.iaf(3, layers=1, order=(2, 1, 0)), lambda: pf.maf(3, layers=1), {"estimator": "closed_form"},
            r"in one order, and the teacher's order \(0, 1, 2\) is not the student's, \(2, 1, 0\)",
        ),
        (
            lambda: pf.Flow(Compose([*pf.iaf(3, layers=1).bijection, Permutation([2, 0, 1]), *pf.iaf(3).bijection]),
                            StandardNormal(3)),
            lambda: pf.maf(3, layers=1), {"estimator": "closed_form"}, "no conditionals .*: its layer Permutation",
        ),
        (
            lambda: pf.iaf(3, layers=2), lambda: pf.maf(3, layers=1), {"estimator": "conditional_mc"},
            "the student has no conditionals in one order: its layers do not follow one order",
        ),
        (
            lambda: pf.iaf(3, layers=1, base="logistic"), lambda: pf.maf(3, layers=1), {"estimator": "closed_form"},
            "Gaussian conditionals of teacher and student, or .* they are Normal and TransformedConditionals; use",
        ),
        (
            lambda: pf.iaf(3), lambda: Density(linear_teacher(3)), {"estimator": "closed_form"},
            r"the teacher has no conditionals in one order: Density has no conditionals\(x, context\)",
        ),
        (lambda: pf.iaf(3), lambda: pf.maf(3), {"estimator": "closed"}, "estimator must be one of auto, closed_form"),
        (lambda: pf.iaf(3), lambda: pf.maf(2), {}, "maps vectors of 2 features"),
        (lambda: pf.iaf(3), lambda: 3, {}, r"A teacher needs log_prob\(x, context\); int has none"),
        (lambda: Density(linear_teacher(3)), lambda: pf.maf(3), {}, "A student is a module with rsample_with_log_prob"),
        (lambda: pf.iaf(3), lambda: pf.maf(3), {"inner_samples": 0}, "inner_samples must be at least 1"),
        (lambda: pf.iaf(3), lambda: pf.maf(3), {"draws": 1}, "draws must be at least 2"),
        (lambda: pf.iaf(3), lambda: pf.maf(3), {"learning_rate": -1.0}, "learning_rate must be more than 0"),
        (lambda: pf.iaf(3), lambda: Density(Normal(0.0, 1.0)), {}, r"must give \(rows,\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(student, teacher, options, message):
    with pytest.raises(ValueError, match=message):
        pf.distill(teacher(), student(), max_steps=1, announce=quiet, **options)


def test_shared_weights_and_teachers_without_gradient_are_refused():
    teacher = pf.maf(2, layers=1)
    with pytest.raises(pf.InputError, match="share weights"):
        pf.distill(teacher, pf.Flow(Inverse(teacher.bijection), teacher.base), max_steps=1)

    class Constant:
        def log_prob(self, x, context=None):
            return x.detach().sum(-1)

    with pytest.raises(pf.InputError, match="differentiable"):
        pf.distill(Constant(), pf.iaf(2), max_steps=1, announce=quiet)


def two_modes():
    """One feature with modes at ±1, three widths from the middle."""
    return MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-1.0, 1.0]), 1 / 3))


class TwoModes:
    """Independent features, each with two far modes."""

    def log_prob(self, x, context=None):
        return two_modes().log_prob(x).sum(-1)

    def sample(self, shape=(), context=None):
        return two_modes().sample((*shape, 2))


def test_two_far_modes_cost_an_affine_student_log_two_a_feature_and_raise_the_alarm():
    torch.manual_seed(0)
    # It starts near one mode, and so settles for it everywhere: else the mode of one feature may change with the other.
    nearby = pf.bijections.ElementwiseAffine([0.8, 0.8], [0.3, 0.3])
    student = pf.Flow(Compose([*pf.iaf(2, layers=1, hidden=()).bijection, nearby]), StandardNormal(2))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    with pytest.warns(RuntimeWarning, match=r"collapsed: dimension \d spreads 0\.\d+ times as wide as teacher draws"):
        report = pf.distill(
            TwoModes(),
            student,
            max_steps=400,
            batch_size=128,
            learning_rate=1e-2,
            draws=4000,
            timing_rows=10,
            announce=quiet,
        )
    assert report.kl_per_dimension == pytest.approx(math.log(2), abs=0.02)
    assert report.spread.ratios[0] == pytest.approx((1 / 3) / math.sqrt(1 + 1 / 9), abs=0.05)
    assert "Alarm: The student has collapsed" in str(report) and report.to_dict()["alarms"] == report.alarms
    assert report.speed.rows == 10 and report.speed.factor > 0


@pytest.mark.slow
def test_a_spline_student_finds_both_modes():
    torch.manual_seed(0)
    student = pf.nsf(2, kind="inverse_autoregressive", layers=1, hidden=(16,), order="same", bins=12, bound=3.0)
    report = pf.distill(
        TwoModes(), student, max_steps=500, batch_size=256, learning_rate=2e-2, draws=4000, announce=quiet
    )
    assert report.kl_per_dimension < 0.1
    assert 0.9 < report.spread.middle < 1.1 and not report.alarms


def test_draws_without_a_density_are_counted():
    class Half:
        """A teacher whose density is zero for negative x."""

        def log_prob(self, x, context=None):
            return torch.where(x[:, 0] < 0, -torch.inf, -x.square().sum(-1) / 2)

    student = pf.Flow(pf.bijections.ElementwiseAffine([0.0], [1.0]), StandardNormal(1))
    with pytest.warns(RuntimeWarning, match="of the student's draws the density 0: the divergence is infinite"):
        report = pf.evaluate_student(Half(), student, draws=4000)
    assert report.outside == pytest.approx(0.5, abs=5 * 0.5 / 4000**0.5) and report.nonfinite == 0
    # The others have equal weights.
    assert report.kl == math.inf and math.isnan(report.kl_error)
    assert report.effective_sample_size == pytest.approx(1 - report.outside)
    assert "KL(student || teacher) is infinite, and p is 0 at" in str(report)
    student = pf.Flow(pf.bijections.ElementwiseAffine([-50.0], [1.0]), StandardNormal(1))
    with pytest.raises(pf.InputError, match="share a support"):
        pf.evaluate_student(Half(), student, draws=100)


def test_figures_of_the_report_against_closed_forms():
    teacher = pf.Flow(pf.bijections.ElementwiseAffine([0.0], [1.1]), StandardNormal(1))
    student = pf.Flow(pf.bijections.ElementwiseAffine([0.0], [1.0]), StandardNormal(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = pf.evaluate_student(teacher, student, draws=50_000, timing_rows=100)
    exact = math.log(1.1) + 1 / (2 * 1.1**2) - 0.5
    assert abs(report.kl - exact) < 5 * report.kl_error
    # E_q[(p/q)²] of two centered normals of scales 1.1 and 1.
    second = 1 / (1.1 * math.sqrt(2 - 1.1**2))
    assert report.effective_sample_size == pytest.approx(1 / second, abs=0.01)
    assert report.spread.ratios == pytest.approx([1 / 1.1], abs=0.05)
    assert report.speed.rows == 100 and report.kl_per_dimension == report.kl
    assert f"{report.kl:.4f} ± {report.kl_error:.4f} nats" in str(report) and "times as fast" in str(report)
