"""Sweeps against the incremental solution, and what happens when they do not settle."""

import pytest
import torch
from catalogue import randomize

from pushforward.bijections import Affine, Autoregressive
from pushforward.networks import MADE
from pushforward.solvers import solve_by_iteration, solve_sequentially


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solve(made, z, context=None, **options):
    seen = []
    with torch.no_grad():
        x, log_det = solve_by_iteration(
            made, Affine(), z, context, report=lambda sweeps, settled: seen.append((sweeps, settled)), **options
        )
        expected, expected_log_det = solve_sequentially(made, Affine(), z, context)
    torch.testing.assert_close(x, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det, expected_log_det, rtol=1e-10, atol=1e-10)
    return seen[0]


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", [1, 2, 7])
def test_as_many_sweeps_as_features_and_one_to_verify_are_enough(features, context):
    made = randomize(MADE(features, 2, (16, 16), context).double(), scale=0.5)
    sweeps, settled = solve(made, normal(30, features), normal(30, context) if context else None)
    assert settled and sweeps <= features + 1


def test_weakly_coupled_features_settle_in_a_few_sweeps():
    made = randomize(MADE(60, 2, (64,)).double(), scale=0.01)
    sweeps, settled = solve(made, normal(30, 60))
    assert settled and sweeps < 12


def test_the_cap_hands_over_to_the_exact_solution():
    made = randomize(MADE(20, 2, (64,)).double(), scale=0.3)
    assert solve(made, normal(30, 20), cap=3) == (3, False)


def test_a_value_that_is_not_finite_on_the_way_hands_over():
    class Fragile(MADE):
        def forward(self, x, context=None, dropout=True):
            parameters = super().forward(x, context, dropout)
            return torch.where(x[..., :1, None].abs() < 1e-9, torch.nan, parameters)

    made = randomize(Fragile(4, 2, (8,)).double())
    z = normal(3, 4)
    z[:, 0] = 0
    with torch.no_grad():
        seen = []
        x, _ = solve_by_iteration(made, Affine(), z, report=lambda *found: seen.append(found))
        assert seen == [(1, False)]
        torch.testing.assert_close(x, solve_sequentially(made, Affine(), z)[0])


def test_a_layer_may_be_told_to_sweep():
    layer = randomize(Autoregressive(6, Affine(), (16,), solver="jacobi").double())
    plain = Autoregressive(6, Affine(), (16,)).double()
    plain.load_state_dict(layer.state_dict())
    z = normal(10, 6).requires_grad_()
    with torch.no_grad():
        for ours, theirs in zip(layer(z), plain(z), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    (gradient,) = torch.autograd.grad(layer(z)[0].sum(), z)
    (expected,) = torch.autograd.grad(plain(z)[0].sum(), z)
    torch.testing.assert_close(gradient, expected)
    with pytest.raises(ValueError, match="solver"):
        Autoregressive(6, Affine(), solver="newton")
