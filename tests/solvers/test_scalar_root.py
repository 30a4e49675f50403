"""Scalar roots against closed forms, bisection by brentq, and derivatives by finite differences."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from pushforward.bijections.planar import tanh_root
from pushforward.solvers import SolverError, find_root, monotone_root

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def cubic(target):
    return lambda a: (a**3 + a - target, 3 * a**2 + 1)


@DTYPES
def test_roots_to_the_last_float(dtype):
    truth = torch.linspace(-50, 50, 1001, dtype=dtype)
    target = (truth.double() ** 3 + truth.double()).to(dtype)
    root = monotone_root(cubic(target), torch.full_like(truth, -1000.0), torch.full_like(truth, 1000.0))
    assert root.dtype == dtype
    # The target is rounded itself: one rounding of it and a few of the evaluation are all that may be lost.
    eps = torch.finfo(dtype).eps
    assert float(((root - truth).abs() / (truth.abs() + 1)).max()) < 4 * eps


@DTYPES
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_shapes(dtype, shape):
    target = torch.full(shape, 10.0, dtype=dtype)
    root, report = find_root(cubic(target), torch.zeros(shape, dtype=dtype), torch.full(shape, 9.0, dtype=dtype))
    torch.testing.assert_close(root, torch.full(shape, 2.0, dtype=dtype))
    assert bool(report.converged.all()) and report.steps.shape == report.residual.shape == shape


def test_against_brentq_on_hard_equations():
    values = [0.0, 1e-20, -1e-20, 0.3, -0.3, 5.0, -5.0, 700.0, -1e4, 1e8, -1e8]
    factors = [-1 + 2e-15, -1 + 1e-9, -0.999, -0.5, -1e-20, 0.0, 1e-20, 0.7, 10.0, 1e4]
    right, factor = (
        t.flatten()
        for t in torch.meshgrid(*(torch.tensor(v, dtype=torch.float64) for v in (values, factors)), indexing="ij")
    )
    s = tanh_root(right, factor)
    for r, c, found in zip(right.tolist(), factor.tolist(), s.tolist(), strict=True):
        reach = abs(c) * (1 + 1e-9) + 1e-12 * (1 + abs(r))
        truth = brentq(lambda t, r=r, c=c: t + c * np.tanh(t) - r, r - reach, r + reach, xtol=1e-300, rtol=1e-15)
        slope = 1 + c / np.cosh(min(abs(truth), 300)) ** 2
        # A rounding of either term moves the root by itself over the slope, or the cube root of it where that is 0.
        rounding = 4e-16 * (1 + abs(c) + abs(r))
        assert abs(found - truth) <= 8 * min(rounding / slope, rounding ** (1 / 3))


def test_one_root_does_not_depend_on_its_neighbors():
    right = torch.tensor([0.1, 1e8, 3.0, -700.0], dtype=torch.float64)
    factor = torch.tensor([-1 + 1e-12, 5.0, 0.0, 1e4], dtype=torch.float64)
    together = tanh_root(right, factor)
    for index in range(4):
        assert torch.equal(tanh_root(right[index], factor[index]), together[index])


def test_first_and_second_derivatives_reach_everything_in_the_function():
    right, factor = torch.randn(6).double().requires_grad_(), torch.linspace(-0.9, 4, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(tanh_root, (right, factor))
    assert torch.autograd.gradgradcheck(tanh_root, (right, factor))


def test_forward_mode_derivatives_with_and_without_recording():
    right, factor = torch.tensor(0.7).double(), torch.tensor(-0.6).double()
    truth = torch.func.jacrev(tanh_root, (0, 1))(right, factor)
    torch.testing.assert_close(torch.func.jacfwd(tanh_root, (0, 1))(right, factor), truth)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.jacfwd(tanh_root, (0, 1))(right, factor), truth)
    curvature = torch.func.hessian(tanh_root)(right, factor)  # forward over reverse
    torch.testing.assert_close(curvature, torch.func.jacrev(torch.func.jacrev(tanh_root))(right, factor))


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e9, 1e30])
def test_units_of_the_function_do_not_matter(unit):
    target = torch.linspace(-50, 50, 1001).double()

    def scaled(a):
        value, slope = cubic(target)(a)
        return unit * value, unit * slope

    ends = torch.full_like(target, -100), torch.full_like(target, 100)
    torch.testing.assert_close(monotone_root(scaled, *ends), monotone_root(cubic(target), *ends), rtol=1e-15, atol=0)


def test_derivatives_against_the_closed_form_of_a_cube_root():
    target = torch.tensor([8.0, 27.0]).double().requires_grad_()
    root = monotone_root(lambda a: (a**3 - target, 3 * a**2), torch.ones(2).double(), torch.full((2,), 9.0).double())
    (first,) = torch.autograd.grad(root.sum(), target, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), target)
    truth = target.detach()
    torch.testing.assert_close(first.detach(), truth ** (-2 / 3) / 3)
    torch.testing.assert_close(second, -2 / 9 * truth ** (-5 / 3))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda a: (torch.where(torch.arange(3) == 1, -a, a), torch.where(torch.arange(3) == 1, -1.0, 1.0)), "falls"),
        (lambda a: (torch.where(torch.arange(3) == 1, a + 9, a), torch.ones(3)), "has no root in the bracket"),
        (lambda a: (torch.where(torch.arange(3) == 1, torch.nan, a), torch.ones(3)), "is not finite"),
    ],
)
def test_a_row_without_a_root_is_an_error_that_names_it(function, what):
    with pytest.raises(SolverError, match=r"1 of 3 roots were not found, the first in row \[1\]: residual"):
        monotone_root(function, torch.full((3,), -1.0), torch.full((3,), 2.0))
    _, report = find_root(function, torch.full((3,), -1.0), torch.full((3,), 2.0))
    assert report.converged.tolist() == [True, False, True]


def test_what_comes_in_not_finite_goes_out_as_nan_alone():
    right = torch.tensor([1.0, torch.nan, torch.inf, 2.0])
    s = tanh_root(right, torch.full((4,), 0.5))
    assert s.isnan().tolist() == [False, True, True, False]


def test_few_evaluations_are_enough():
    right = 3 * torch.randn(10_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factor = torch.linspace(-0.99, 10, 10_000).double()

    def residual(s):
        h = s.tanh()
        return s + factor * h - right, 1 + factor * (1 - h**2)

    _, report = find_root(residual, right - 2 * factor.abs(), right + 2 * factor.abs())
    assert float(report.steps.double().mean()) < 10 and int(report.steps.max()) < 30
