"""Entropy, divergence and mutual information of densities that have them in closed form."""

import math

import numpy as np
import pyarrow as pa
import pytest
from significance import covers
from targets import banana_rows
from walks import gaussian_chain

import pushforward as pf
from pushforward.chains.information import Entropy, Information
from pushforward.chains.neighbors import latent_gap
from pushforward.chains.reading import read_chain
from pushforward.evaluation.report.contents import Estimate

REPETITIONS = 100
ROOT = np.array([[1.0, 0.0, 0.0], [0.6, 0.9, 0.0], [-0.3, 0.5, 1.2]])
COVARIANCE = ROOT @ ROOT.T
SHIFT, WIDER = np.array([0.7, 0.0, 0.0]), 1.3


def chains(generator, rows=4000):
    """A Gaussian, and a wider one that is shifted."""
    return [
        pa.table(gaussian_chain(rows, mean, root, generator)).drop(["log_posterior"])
        for mean, root in ((np.zeros(3), ROOT), (SHIFT, WIDER * ROOT))
    ]


def log_det(matrix):
    return float(np.linalg.slogdet(matrix)[1])


def entropy():
    return 1.5 * math.log(2 * math.pi * math.e) + 0.5 * log_det(COVARIANCE)


def divergence():
    wider = WIDER**2 * COVARIANCE
    squares = np.trace(np.linalg.solve(wider, COVARIANCE)) + SHIFT @ np.linalg.solve(wider, SHIFT)
    return 0.5 * (squares - 3 + log_det(wider) - log_det(COVARIANCE))


def shared():
    """I(p0; p1, p2)."""
    return 0.5 * (math.log(COVARIANCE[0, 0]) + log_det(COVARIANCE[1:, 1:]) - log_det(COVARIANCE))


GROUPS = [["p0"], ["p1", "p2"]]


def test_gaussians():
    a, b = chains(np.random.default_rng(0))
    found = pf.information(a, b, flow="gaussian")
    mutual = pf.information(a, groups=GROUPS, flow="gaussian").mutual_information
    for estimate, truth in (
        (found.entropy.bound, entropy()),
        (found.entropy_b.bound, entropy() + 3 * math.log(WIDER)),
        (found.divergence, divergence()),
        (mutual, shared()),
    ):
        assert abs(estimate.value - truth) < 5 * estimate.error < 0.6
    assert abs(found.entropy.gap.value) < 5 * found.entropy.gap.error


@pytest.mark.slow
def test_errors_of_gaussians_cover():
    scores = {"entropy": [], "divergence": [], "mutual information": []}
    for repetition in range(REPETITIONS):
        a, b = chains(np.random.default_rng(repetition))
        found = pf.information(a, b, flow="gaussian", seed=repetition)
        mutual = pf.information(a, groups=GROUPS, flow="gaussian", seed=repetition).mutual_information
        for name, estimate, truth in (
            ("entropy", found.entropy.bound, entropy()),
            ("divergence", found.divergence, divergence()),
            ("mutual information", mutual, shared()),
        ):
            scores[name].append((estimate.value - truth) / estimate.error)
    for name, of_name in scores.items():
        assert covers(of_name), name


@pytest.mark.slow
def test_a_banana_by_a_flow():
    chain, _, truth = banana_rows(4000, np.random.default_rng(0))
    found = pf.information(chain, columns=["p0", "p1"], max_steps=300, progress=False).entropy
    assert found.bound.value > truth - 5 * found.bound.error
    error = math.hypot(found.bound.error, found.gap.error)
    assert abs(found.bound.value - found.gap.value - truth) < 5 * error


def test_what_a_gaussian_misses_of_a_banana_is_told():
    chain, _, truth = banana_rows(4000, np.random.default_rng(0))
    found = pf.information(chain, columns=["p0", "p1"], flow="gaussian")
    assert any("misses" in one for one in found.warnings)
    gap = found.entropy.bound.value - truth
    assert found.entropy.gap.value == pytest.approx(gap, abs=0.2 * gap + 5 * found.entropy.gap.error)


@pytest.mark.parametrize("scale", [1.0, 1.3])
@pytest.mark.parametrize("features", [1, 5, 20])
def test_the_gap_of_a_wider_normal_density(features, scale):
    z = scale * np.random.default_rng(0).normal(size=(3000, features))
    truth = features * (0.5 * (scale**2 - 1) - math.log(scale))
    found = latent_gap(z, read_chain(z))
    assert abs(found.value - truth) < 5 * found.error


def test_tails_that_say_nothing_of_a_divergence_are_told():
    generator = np.random.default_rng(0)
    narrow, wide = generator.normal(size=(2000, 1)), 6 * generator.normal(size=(2000, 1))
    found = pf.information(wide, narrow, flow="gaussian")
    assert any("lies in the tails of B" in one for one in found.warnings)
    assert not pf.information(narrow, wide, flow="gaussian").warnings


def test_rows_beyond_the_bounds_of_the_other_have_an_infinite_divergence():
    generator = np.random.default_rng(0)
    a, b = (pa.table({"a": generator.uniform(0, high, size=400)}) for high in (2.0, 1.0))
    bounded = read_chain(b, bounds={"a": (0.0, 1.0)})
    found = pf.information(a, bounded, flow="nsf", max_steps=2, progress=False)
    assert found.divergence.value == math.inf and any("bounds of B" in one for one in found.warnings)


@pytest.mark.parametrize(
    ("gap", "says", "of_groups"),
    [
        (0.05, "by nearest neighbors it is lower by about 0.050 ± 0.010", "too small by about 0.050 ± 0.010"),
        (0.015, "nearest neighbors see no difference from it beyond their error (0.015 ± 0.010)", None),
        (-0.015, "nearest neighbors see no difference from it beyond their error (−0.015 ± 0.010)", None),
        (-0.05, None, "too large by about 0.050 ± 0.010"),
    ],
)
def test_sentences_of_gaps(gap, says, of_groups):
    """No gap is called an error, and no number is too small by less than none."""
    bound, found = Estimate(1.0, 0.1), Estimate(gap, 0.01)
    groups = {"mutual_information": bound, "mutual_information_gap": found, "groups": [["a"], ["b"]]}
    of_entropy, of_information = Information(Entropy(bound, found), **groups).sentences
    assert says is None or says in of_entropy
    assert (of_groups or says) in of_information


def test_warnings_of_groups_name_the_chain_and_stand_once():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(400, 2)), 0)
    said = pf.information(walk, groups=[["0"], ["1"]], flow="gaussian").warnings
    assert len(said) == len(set(said))
    assert any(one.startswith("for the mean of ") and "the chain is worth only" in one for one in said)
    assert "the chain is short for its autocorrelation; errors are too small." in said


@pytest.mark.parametrize(
    ("groups", "says"),
    [([["p0"], ["p0", "p1"]], "twice"), ([["p0"]], "at least two"), ([["p0"], ["q"]], "no parameter q")],
)
def test_groups_that_are_none_are_refused(groups, says):
    with pytest.raises(pf.InputError, match=says):
        pf.information(chains(np.random.default_rng(0))[0], groups=groups, flow="gaussian")
