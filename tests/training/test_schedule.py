import pytest

from pushforward.training.schedule import learning_rate_factor, run_progress


def test_progress_is_the_nearer_limit():
    assert run_progress(50, 100, 1.0, float("inf")) == 0.5
    assert run_progress(50, float("inf"), 9.0, 10.0) == 0.9
    assert run_progress(500, 100, 0.0, 10.0) == 1.0


def test_warm_up_is_linear_and_at_most_a_tenth_of_the_run():
    assert learning_rate_factor(0, 100, 0.0) == pytest.approx(0.01)
    assert learning_rate_factor(49, 100, 0.0) == pytest.approx(0.5)
    assert learning_rate_factor(2, 100, 0.1) > 0.97


def test_rate_ends_at_zero_without_warm_up_as_well():
    assert learning_rate_factor(10, 0, 1.0) == 0.0
    assert learning_rate_factor(0, 0, 0.0) == 1.0
