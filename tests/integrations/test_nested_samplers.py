"""The posterior of one experiment as the prior of the next, in dynesty and UltraNest: a known evidence."""

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf

as_prior = pytest.importorskip("pushforward.chains.prior").as_prior

# The first experiment leaves a Gaussian of this covariance, the second measures both parameters with this error.
COVARIANCE = np.array([[1.0, 0.7], [0.7, 1.0]])
ERROR, MEASURED = 0.5, np.array([0.8, -0.2])
TRUTH = stats.multivariate_normal(np.zeros(2), COVARIANCE + ERROR**2 * np.eye(2)).logpdf(MEASURED)


def log_likelihood(x):
    return float(stats.norm.logpdf(x, MEASURED, ERROR).sum())


@pytest.fixture(scope="module")
def prior():
    """A flow that is that Gaussian exactly: linear layers, set by hand."""
    flow = pf.autoregressive(features=2, layers=1, hidden=())
    draws = torch.from_numpy(np.random.default_rng(0).multivariate_normal(np.zeros(2), COVARIANCE, size=20_000))
    flow = pf.standardized(flow, draws)
    pf.fit(flow, draws, max_steps=200, seed=0)
    return as_prior(flow)


@pytest.mark.slow
def test_dynesty_finds_the_evidence(prior):
    dynesty = pytest.importorskip("dynesty", reason="pip install 'pushforward[dynesty]' brings it")
    sampler = dynesty.NestedSampler(log_likelihood, prior, 2, nlive=200, rstate=np.random.default_rng(0))
    sampler.run_nested(dlogz=0.1, print_progress=False)
    # 20,000 draws know the first posterior to one percent.
    assert abs(sampler.results.logz[-1] - TRUTH) < 5 * sampler.results.logzerr[-1] + 0.05


@pytest.mark.slow
def test_ultranest_finds_the_evidence(prior):
    ultranest = pytest.importorskip("ultranest", reason="pip install 'pushforward[ultranest]' brings it")

    def log_likelihoods(x):
        return stats.norm.logpdf(x, MEASURED, ERROR).sum(1)

    np.random.seed(0)  # noqa: NPY002 (UltraNest draws from it)
    sampler = ultranest.ReactiveNestedSampler(["x", "y"], log_likelihoods, prior, vectorized=True)
    result = sampler.run(min_num_live_points=200, show_status=False, viz_callback=False)
    assert abs(result["logz"] - TRUTH) < 5 * result["logzerr"] + 0.05
