"""Residual layers: a bound that holds, a log-determinant without bias, and an inverse to the last float."""

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections.residual import Residual, series_estimate
from pushforward.networks.linearized import Linearization, LinearizedMLP, norm_bound
from pushforward.solvers import SolverError, search_contraction, solve_contraction


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(features, context=0, scale=0.5, **options):
    return randomize(Residual(features, context, **options).double(), scale=scale)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (40, 7), (7, 40), (128, 128)])
def test_the_bound_of_a_matrix_is_above_its_norm_and_near(shape):
    matrix = normal(*shape)
    exact, bound = torch.linalg.matrix_norm(matrix, 2), norm_bound(matrix)
    assert exact * (1 - 1e-12) <= bound <= 1.04 * exact
    orthogonal = torch.linalg.qr(normal(128, 128)).Q
    assert 1 - 1e-12 <= float(norm_bound(orthogonal)) <= 1.04


@pytest.mark.parametrize("size", [0.0, 1e-150, 1e-20, 1e100])
def test_the_bound_and_its_gradient_are_finite(size):
    matrix = (size * normal(5, 4)).requires_grad_()
    (gradient,) = torch.autograd.grad(norm_bound(matrix), matrix)
    assert bool(gradient.isfinite().all())
    torch.testing.assert_close(norm_bound(matrix), torch.linalg.matrix_norm(matrix, 2), rtol=0.04, atol=0)


@pytest.mark.parametrize("activation", ["silu", "tanh"])
@pytest.mark.parametrize("hidden", [(6,), (6, 5), (6, 5, 7)])
def test_jacobian_and_trace_of_the_network_are_those_of_autograd(activation, hidden):
    network = randomize(LinearizedMLP(3, hidden, activation, conditions=2).double(), scale=0.7)
    x, conditions, vector = normal(4, 3), normal(4, 2, seed=1), normal(4, 3, seed=2)
    linearization = network.linearized(x, conditions)[1]
    jacobian = torch.stack(
        [torch.func.jacrev(lambda v, c=c: network(v, c))(row) for row, c in zip(x, conditions, strict=True)]
    )
    torch.testing.assert_close(linearization.matrix(), jacobian)
    torch.testing.assert_close(linearization.trace(), jacobian.diagonal(dim1=1, dim2=2).sum(1))
    torch.testing.assert_close(linearization.times(vector), (jacobian @ vector[..., None])[..., 0])


@pytest.mark.parametrize("activation", ["silu", "tanh"])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_no_parameters_break_the_bound(activation, scale):
    map_ = layer(3, hidden=(8, 8), scale=scale, activation=activation, lipschitz=0.9)
    x = 2 * normal(200, 3)
    step = torch.func.vmap(torch.func.jacrev(lambda v: map_.inverse(v)[0] - v))(x)
    assert float(torch.linalg.matrix_norm(step, 2).detach().max()) < 0.9
    z, log_det = map_.inverse(x)
    back, opposite = map_(z)
    torch.testing.assert_close(back, x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(opposite, -log_det, rtol=1e-10, atol=1e-10)


def test_the_inverse_is_exact_to_the_last_floats():
    map_ = layer(4, scale=3.0)
    for value, digits in ((normal(500, 4), 1e-14), (normal(500, 4).float(), 1e-6)):
        in_precision = map_.to(value.dtype)
        with torch.no_grad():
            x, _ = in_precision(value)
            again, _ = in_precision.inverse(x)
        assert float((again - value).abs().max()) < 8 * digits


@pytest.mark.parametrize("newton", [True, False])
def test_a_linear_contraction_has_a_closed_form(newton):
    matrix = normal(4, 4)
    matrix *= 0.8 / torch.linalg.matrix_norm(matrix, 2)
    matrix.requires_grad_()
    x = normal(6, 4, seed=1).requires_grad_()

    def linear(z):
        return z @ matrix.t(), lambda: matrix.expand(*z.shape[:-1], 4, 4)

    found = solve_contraction(linear, x, 0.8, newton=newton)
    truth = torch.linalg.solve(torch.eye(4) + matrix, x.mT).mT
    torch.testing.assert_close(found, truth, rtol=1e-13, atol=1e-13)
    for one, other in zip(*(torch.autograd.grad(z.square().sum(), (x, matrix)) for z in (found, truth)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_the_search_reports_its_steps():
    x = torch.cat([normal(3, 2), torch.full((1, 2), torch.nan)])
    slow = search_contraction(lambda z: (0.9 * z.sin(), lambda: torch.diag_embed(0.9 * z.cos())), x, 0.9, newton=False)
    quick = search_contraction(lambda z: (0.9 * z.sin(), lambda: torch.diag_embed(0.9 * z.cos())), x, 0.9)
    for z, report in (slow, quick):
        assert bool(report.converged.all()) and bool(z[3].isnan().all())
        assert float((z + 0.9 * z.sin() - x)[:3].abs().max()) < 1e-14 and float(report.residual[:3].max()) < 1e-14
    assert int(quick[1].steps.max()) < int(slow[1].steps.max())


def test_a_layer_says_how_its_inverse_converged():
    map_ = layer(3, context=1, scale=2.0)
    z, context = normal(6, 3), normal(6, 1, seed=1)
    z[2, 1] = torch.nan
    x, report = map_.forward_with_report(z, context)
    assert bool(report.converged.all()) and bool(x[2].isnan().all())
    assert float(report.residual[~z.isnan().any(-1)].max()) < 1e-14 and int(report.steps.max()) < 60
    rows = ~z.isnan().any(-1)
    torch.testing.assert_close(x[rows], map_(z[rows], context[rows])[0].detach(), rtol=1e-13, atol=1e-13)


def test_what_is_no_contraction_is_an_error_that_names_the_row():
    def steep(z):
        return 3 * (7 * z).sin(), lambda: torch.diag_embed(21 * (7 * z).cos())

    for newton in (True, False):
        with pytest.raises(SolverError, match=r"rows were not inverted, the first one row \[\d+\]: residual"):
            solve_contraction(steep, normal(50, 2), 0.9, newton=newton)
    with pytest.raises(SolverError, match=r"^1 of 3 rows were not inverted, the first one row \[1\]"):
        solve_contraction(
            lambda z: (torch.where(z > 5, torch.nan, 0.0 * z), lambda: torch.zeros(3, 1, 1)),
            torch.tensor([[1.0], [9.0], [2.0]]),
            0.9,
        )


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_second_derivatives_are_right(direction):
    map_ = layer(2, context=1, hidden=(4, 3), scale=0.8)
    value, context = normal(2, 2).requires_grad_(), normal(2, 1, seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda v, c: map_(v, c) if direction == "forward" else map_.inverse(v, c), (value, context), atol=1e-4
    )


@pytest.mark.slow
def test_the_series_has_no_bias_and_its_error_is_the_one_stated():
    map_ = layer(5, hidden=(16, 16), scale=2.0, log_det="series")
    exact = layer(5, hidden=(16, 16), scale=2.0)
    assert map_.estimates and not exact.estimates
    x = normal(3, 5).requires_grad_()
    truth = exact.inverse(x)[1]
    with torch.no_grad():
        mean, error = map_.log_det_with_error(x, repeats=500)
    assert float(((mean - truth.detach()) / error).abs().max()) < 5
    zero, none = exact.log_det_with_error(x)
    torch.testing.assert_close(zero, truth)
    assert not bool(none.any())
    # So have its gradients, by which it is trained.
    gradients = torch.stack([torch.autograd.grad(map_.inverse(x)[1].sum(), x)[0] for _ in range(300)])
    expected = torch.autograd.grad(truth.sum(), x)[0]
    assert float(((gradients.mean(0) - expected) / (gradients.std(0) / 300**0.5)).abs().max()) < 5


def test_the_series_of_a_steep_jacobian_has_a_finite_variance():
    # All directions are stretched by the bound itself, where chances of 1/2 would have no variance.
    chance = 0.9
    linearization = Linearization([torch.eye(3), 0.9 * torch.eye(3)], [torch.ones(3)])
    estimates = torch.stack([series_estimate(linearization, torch.zeros(3), chance) for _ in range(1500)]).double()
    truth = 3 * torch.tensor(1.9).log().double()
    # Σ 0.9^k / k² · 9 bounds the variance of what roulette adds.
    assert abs(float(estimates.mean() - truth)) < 5 * float(estimates.std()) / 1500**0.5
    assert float(estimates.std()) < 6


def test_many_features_go_by_the_series_and_come_back_by_the_fixed_point():
    map_ = layer(101, hidden=(16, 16))
    x = normal(4, 101)
    z, _ = map_.inverse(x)
    torch.testing.assert_close(map_(z)[0], x, rtol=1e-12, atol=1e-12)
    assert map_.estimates
    # Gradients of the fixed point are those of the exact map.
    z = z.detach().requires_grad_()
    row = torch.autograd.grad(map_(z)[0][0, 0], z)[0][0]
    jacobian = torch.func.jacrev(lambda v: map_.inverse(v)[0])(x[0])
    torch.testing.assert_close(row, torch.linalg.inv(jacobian)[0].detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lipschitz": 1.0}, "lipschitz"),
        ({"hidden": ()}, "at least one hidden layer"),
        ({"activation": "relu"}, "activation"),
        ({"log_det": "none"}, "log_det"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.residual(2, **options)
