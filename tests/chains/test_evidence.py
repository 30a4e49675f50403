"""Evidences of densities whose normalizer is known, and the coverage of their errors."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import covers
from targets import banana_log_density, banana_rows, eight_schools_rows, funnel_rows
from walks import gaussian_chain, log_normalizer

import pushforward as pf

REPETITIONS = 100


def gaussian_case(features, generator, rows=4000):
    root = np.eye(features) + 0.5 * np.tril(np.ones((features, features))) / features**0.5
    inverse = torch.from_numpy(np.linalg.inv(root))
    chain = pa.table(gaussian_chain(rows, np.zeros(features), root, generator))
    return chain, lambda x: -0.5 * (x @ inverse.T).square().sum(-1), log_normalizer(root)


@pytest.mark.slow
@pytest.mark.parametrize("features", [2, 8, 20])
def test_errors_of_gaussians_cover(features):
    scores = {"reciprocal": [], "importance": [], "bridge": []}
    for repetition in range(REPETITIONS):
        chain, target, truth = gaussian_case(features, np.random.default_rng(repetition))
        found = pf.evidence(chain, log_density=target, flow="gaussian", seed=repetition)
        for name, of_method in scores.items():
            estimate = getattr(found, name)
            of_method.append((estimate.value - truth) / estimate.error)
    for name, of_method in scores.items():
        assert covers(np.array(of_method)), name


def test_samples_alone_and_the_target_agree_on_a_gaussian():
    chain, target, truth = gaussian_case(3, np.random.default_rng(0))
    alone = pf.evidence(chain, flow="gaussian")
    both = pf.evidence(chain, log_density=target, flow="gaussian")
    assert alone.method == "reciprocal" and both.method == "bridge" and not alone.warnings and not both.warnings
    for found in (alone, both):
        assert abs(found.log_evidence.value - truth) < 5 * found.log_evidence.error < 0.2
    assert json.loads(both.to_json())["bridge"]["value"] == both.bridge.value
    assert 300 < both.effective_size < 1200  # 4000 rows, each worth 1 / 9


def test_a_constant_in_the_log_posterior_is_one_of_the_evidence():
    chain, _, _ = gaussian_case(2, np.random.default_rng(0))
    moved = chain.set_column(2, "log_posterior", pa.array(chain.column("log_posterior").to_numpy() - 12_345.0))
    one, other = (pf.evidence(table, flow="gaussian").log_evidence for table in (chain, moved))
    assert other.value == pytest.approx(one.value - 12_345.0, abs=1e-6) and other.error == pytest.approx(one.error)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["banana", "funnel", "eight schools"])
def test_targets_with_known_evidences(name):
    generator = np.random.default_rng(0)
    if name == "banana":
        chain, truth, _ = banana_rows(4000, generator)
        target = banana_log_density
    else:
        chain, target, truth = {"funnel": funnel_rows, "eight schools": eight_schools_rows}[name](4000, generator)
    found = pf.evidence(chain, log_density=target, max_steps=300, progress=False)
    for estimate in (found.bridge, found.importance, found.reciprocal):
        if not estimate.warnings:
            assert abs(estimate.value - truth) < 5 * estimate.error
    assert not found.bridge.warnings and found.bridge.error < 0.1


@pytest.mark.slow
def test_an_end_of_the_prior_that_is_no_bound_is_told():
    """Uniform samples of [0, 1]² have the evidence 1; a Gaussian goes on beyond the ends."""
    x = np.random.default_rng(0).uniform(size=(4000, 2))
    chain = pa.table({"a": x[:, 0], "b": x[:, 1], "log_posterior": np.zeros(4000)})
    found = pf.evidence(chain, flow="gaussian")
    assert any("lies beyond all samples" in one for one in found.warnings)
    ends = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
    bounded = pf.evidence(chain, bounds=ends, flow="nice", max_steps=20, progress=False)
    assert not any("lies beyond" in one for one in bounded.warnings)
    assert abs(bounded.log_evidence.value) < 5 * bounded.log_evidence.error + 0.01


def test_weights_with_infinite_variance_are_told():
    """A Gaussian fitted to few samples of a Cauchy-like density by the center of it alone."""
    x = stats.t.rvs(2.0, size=(3000, 1), random_state=np.random.default_rng(0))
    chain = pa.table({"a": x[:, 0], "log_posterior": 30 * stats.norm.logpdf(x[:, 0])})
    found = pf.evidence(chain, flow="gaussian")
    assert any("not to be trusted" in one for one in found.warnings)


def test_what_has_no_evidence_is_refused():
    x = np.random.default_rng(0).normal(size=(200, 2))
    with pytest.raises(pf.InputError, match="needs the log-posterior"):
        pf.evidence(x)
    table = pa.table({"a": x[:, 0], "b": x[:, 1], "lp": x[:, 0]})
    with pytest.raises(pf.InputError, match="needs the log-posterior"):
        pf.evidence(table, columns=["a"])
    with pytest.raises(pf.InputError, match="shape"):
        pf.evidence(table, log_density=lambda x: x, flow="gaussian")
    with pytest.raises(pf.InputError, match="NaN"):
        pf.evidence(table, log_density=lambda x: x[:, 0] * math.nan, flow="gaussian")
    with pytest.raises(TypeError, match="steps"):
        pf.evidence(table, steps=3)
