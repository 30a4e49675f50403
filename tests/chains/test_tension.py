"""The probability of a parameter shift, against Gaussians, whose differences are normal."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from significance import covers
from walks import gaussian_chain

import pushforward as pf
from pushforward.chains.tension import sigmas_of

REPETITIONS = 100
ROOT = np.array([[1.0, 0.0], [0.6, 0.9]])


def pair(shift, generator, rows=4000):
    """Chains of two Gaussians with the same covariance, and the probability of their shift."""
    moved = np.array([shift, 0.0])
    a, b = (pa.table(gaussian_chain(rows, mean, ROOT, generator)) for mean in (np.zeros(2), moved))
    square = moved @ np.linalg.solve(2 * ROOT @ ROOT.T, moved)
    return a, b, stats.chi2.cdf(square, 2)


@pytest.mark.parametrize("shift", [0.5, 2.0, 3.0])
def test_gaussians(shift):
    a, b, truth = pair(shift, np.random.default_rng(0))
    found = pf.tension(a, b, flow="gaussian")
    assert abs(found.probability.value - truth) < 5 * found.probability.error < 0.3
    assert found.sigmas_low < found.sigmas < found.sigmas_high
    assert found.gaussian_sigmas == pytest.approx(sigmas_of(truth), abs=0.3)
    # The order of the chains does not matter.
    other = pf.tension(b, a, flow="gaussian")
    assert abs(other.probability.value - found.probability.value) < 5 * found.probability.error


@pytest.mark.slow
@pytest.mark.parametrize("shift", [1.0, 2.5])
def test_errors_of_gaussians_cover(shift):
    scores = []
    for repetition in range(REPETITIONS):
        a, b, truth = pair(shift, np.random.default_rng(repetition))
        found = pf.tension(a, b, flow="gaussian", seed=repetition).probability
        scores.append((found.value - truth) / found.error)
    assert covers(scores)


@pytest.mark.slow
def test_a_flow_sees_a_shift_that_gaussians_do_not():
    """Differences on a ring of radius 2 have the mean of no shift, but none of them is near it."""
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, 2 * np.pi, size=4000)
    ring = 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * generator.normal(size=(4000, 2))
    point = 0.1 * generator.normal(size=(4000, 2))
    found = pf.tension(ring, point, max_steps=400, progress=False)
    assert found.gaussian_sigmas < 0.2 and found.sigmas_low > 2


def test_chains_that_are_far_apart_have_a_lower_limit():
    generator = np.random.default_rng(0)
    found = pf.tension(generator.normal(size=(500, 1)), generator.normal(30.0, 1.0, size=(500, 1)), flow="gaussian")
    assert np.isinf(found.sigmas) and 2 < found.sigmas_low < 4 and "lower limit" in found.warnings[0]
    assert found.gaussian_sigmas == pytest.approx(30 / 2**0.5, rel=0.1)
    assert "more than" in found.sentences[0]


def test_different_parameters_are_named_and_shared_ones_chosen():
    generator = np.random.default_rng(0)
    a, b = ({name: generator.normal(size=300) for name in names} for names in (("h", "om"), ("h", "s8")))
    with pytest.raises(pf.InputError, match="only A has om; only B has s8"):
        pf.tension(pa.table(a), pa.table(b), flow="gaussian")
    assert pf.tension(pa.table(a), pa.table(b), columns=["h"], flow="gaussian").sigmas < 1
