"""Evaluations of the likelihood that the evidence of a second experiment takes, from the first posterior or afresh.

    python benchmarks/integrations/second_experiment.py

needs `pip install 'pushforward[dynesty]'`, for UltraNest `pip install 'pushforward[ultranest]'` too, and takes a few
minutes. The first experiment leaves two bananas of two parameters each; a sum over a grid gives the evidence.
"""

import json
import time

import numpy as np
import torch
from scipy import stats
from scipy.special import logsumexp

import pushforward as pf
from pushforward.chains.prior import as_prior

# The parameters are pairs (x, y) under a uniform prior on a box; the first experiment measures x and y - x², the second
# x + y.
PAIRS, BOUND = 2, 20.0
FIRST_ERRORS, SECOND, SECOND_ERROR = (1.0, 0.3), 1.5, 0.4
FEATURES = 2 * PAIRS
LIVE = 400


def first(x):
    along, across = x[..., 0::2], x[..., 1::2] - x[..., 0::2] ** 2
    return (stats.norm.logpdf(along, 0, FIRST_ERRORS[0]) + stats.norm.logpdf(across, 0, FIRST_ERRORS[1])).sum(-1)


def second(x):
    return stats.norm.logpdf(x[..., 0::2] + x[..., 1::2], SECOND, SECOND_ERROR).sum(-1)


def both(x):
    return first(x) + second(x)


def wide(u):
    return BOUND * (2 * u - 1)


def evidence_of_second():
    """log p(second | first), by a sum over a grid for one pair."""
    x, across = np.meshgrid(np.linspace(-8, 8, 4001), np.linspace(-2.4, 2.4, 801))
    pair = np.stack([x, x**2 + across], -1)
    return PAIRS * (logsumexp(both(pair)) - logsumexp(first(pair)))


def evidence_of_first():
    """log p(first): the density of the measurements integrates to 1 inside the box."""
    return -FEATURES * np.log(2 * BOUND)


def chain(count):
    """Draws of the first posterior."""
    generator = np.random.default_rng(0)
    x = generator.normal(0, FIRST_ERRORS[0], (count, PAIRS))
    y = x**2 + generator.normal(0, FIRST_ERRORS[1], (count, PAIRS))
    return np.stack([x, y], -1).reshape(count, FEATURES)


def flow_prior(rows):
    rows = torch.from_numpy(rows)
    flow = pf.standardized(pf.nsf(features=FEATURES, layers=4, hidden=(64, 64)), rows)
    pf.fit(flow, rows, max_steps=3_000, seed=0, progress=False)
    return as_prior(flow)


def gaussian_prior(rows):
    mean, root = rows.mean(0), np.linalg.cholesky(np.cov(rows.T))
    return lambda u: mean + stats.norm.ppf(u) @ root.T


def by_dynesty(log_likelihood, prior):
    import dynesty

    sampler = dynesty.NestedSampler(
        lambda x: float(log_likelihood(x)),
        prior,
        FEATURES,
        nlive=LIVE,
        sample="rslice",
        rstate=np.random.default_rng(0),
    )
    sampler.run_nested(dlogz=0.1, print_progress=False)
    results = sampler.results
    return results.logz[-1], results.logzerr[-1], int(np.sum(results.ncall))


def by_ultranest(log_likelihood, prior):
    import ultranest

    np.random.seed(0)  # noqa: NPY002 (UltraNest draws from it)
    names = [f"x{k}" for k in range(FEATURES)]
    sampler = ultranest.ReactiveNestedSampler(names, log_likelihood, prior, vectorized=True)
    found = sampler.run(min_num_live_points=LIVE, show_status=False, viz_callback=False)
    return found["logz"], found["logzerr"], found["ncall"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    rows = chain(20_000)
    began = time.process_time()
    prior = flow_prior(rows)
    print(json.dumps({"fit of the first posterior, processor seconds": round(time.process_time() - began)}), flush=True)
    starts = {
        "the first posterior, a flow": (second, prior, evidence_of_second()),
        "a Gaussian of its mean and covariance": (second, gaussian_prior(rows), evidence_of_second()),
        "the wide prior": (both, wide, evidence_of_first() + evidence_of_second()),
    }
    for sampler, run in {"dynesty": by_dynesty, "UltraNest": by_ultranest}.items():
        for name, (log_likelihood, prior, truth) in starts.items():
            began = time.process_time()
            try:
                log_evidence, error, evaluations = run(log_likelihood, prior)
            except ModuleNotFoundError as missing:
                print(f"{sampler} is left out: {missing}.")
                break
            row = {"sampler": sampler, "from": name, "off": round(log_evidence - truth, 3)}
            row |= {"error stated": round(error, 3), "evaluations": evaluations}
            print(json.dumps({**row, "processor seconds": round(time.process_time() - began)}), flush=True)
