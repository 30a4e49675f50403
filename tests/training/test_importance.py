"""Pareto k of weights: infinite where nothing can be said, never a warning of another package."""

import math

import pytest
import torch

from pushforward.training.importance import LARGEST_PARETO_K, pareto_k


def log_weights(draws, scale, dtype, seed):
    return scale * torch.randn(draws, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("draws", [2, 4, 24, 25, 64, 256])
@pytest.mark.parametrize("scale", [30.0, 300.0, 3000.0, 1e5])
def test_weights_that_a_few_draws_have_alone_are_not_to_be_trusted(draws, scale, dtype):
    """Up to weights that are 0 beside the largest, which look like no tail at all to the fit."""
    for seed in range(3):
        shape = pareto_k(log_weights(draws, scale, dtype, seed))
        assert shape > LARGEST_PARETO_K and not math.isnan(shape)


@pytest.mark.filterwarnings("error")
def test_one_draw_with_all_the_weight_has_no_shape():
    for rest in (-50.0, -800.0, -1e6):
        weights = torch.full((256,), rest)
        weights[3] = 0
        assert pareto_k(weights) > LARGEST_PARETO_K


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_two_values_of_a_weight_have_no_tail(share):
    weights = torch.zeros(1000)
    weights[: round(1000 * share)] = math.log(3.0)
    assert pareto_k(weights) <= LARGEST_PARETO_K


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("k", [0.3, 1.0])
def test_the_shape_is_that_of_pareto_weights(k):
    """Weights u^(-k) have a tail of shape k; the standard error of its estimate is about (1 + k) / sqrt(tail)."""
    u = torch.rand(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tail = 3 * math.sqrt(len(u))
    assert pareto_k(-k * u.log()) == pytest.approx(k, abs=5 * (1 + k) / math.sqrt(tail))
