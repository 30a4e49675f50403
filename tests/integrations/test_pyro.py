"""Flows as guides and transforms of Pyro."""

import pytest
import torch

import pushforward as pf

pyro = pytest.importorskip("pyro", reason="pip install 'pushforward[pyro]' brings it")
from coached_schools import eight_schools, evidence_bounds, fitted, log_evidence  # noqa: E402
from pyro import distributions as dist  # noqa: E402
from pyro.infer.autoguide import AutoNormalizingFlow  # noqa: E402

from pushforward.integrations.pyro import PyroConditionalTransform, PyroTransform  # noqa: E402


@pytest.mark.slow
def test_a_guide_of_a_flow_nearly_reaches_the_evidence_of_eight_schools():
    made = []

    def make(size):
        made.append(PyroTransform(pf.iaf(features=size, layers=3, hidden=(32, 32))))
        return made[-1]

    pyro.clear_param_store()
    guide = fitted(AutoNormalizingFlow(eight_schools, make), steps=800)
    bounds, truth = evidence_bounds(guide), log_evidence()
    error = bounds.std() / len(bounds) ** 0.5
    assert bounds.mean() < truth + 5 * error
    assert bounds.mean() > truth - 1.5  # a Gaussian guide stays 10 below
    assert {id(p) for p in made[0].parameters()} <= {id(p) for p in guide.parameters()}


def test_a_guide_scores_its_own_draws():
    pyro.clear_param_store()
    guide = AutoNormalizingFlow(eight_schools, lambda size: PyroTransform(pf.nsf(size, kind="coupling", layers=2)))
    guide()
    posterior = guide.get_posterior()
    draws = posterior.sample((5,))
    transform = posterior.transforms[-1]
    assert posterior.log_prob(draws).shape == (5,)
    torch.testing.assert_close(transform.inv(transform(draws)), draws, rtol=1e-3, atol=1e-4)
    assert transform.with_cache(0).flow is transform.flow


def test_a_conditional_transform_gives_the_density_of_the_flow():
    flow = pf.nsf(features=2, context=3, layers=2)
    density = dist.ConditionalTransformedDistribution(
        dist.Normal(torch.zeros(2), 1.0).to_event(1), [PyroConditionalTransform(flow)]
    )
    context, x = torch.randn(5, 3), torch.randn(5, 2)
    torch.testing.assert_close(density.condition(context).log_prob(x), flow.log_prob(x, context))
    assert density.condition(context).sample().shape == (5, 2)


def test_flows_that_do_not_fit_are_refused():
    with pytest.raises(pf.InputError, match=r"context of shape \(..., 3\)"):
        PyroTransform(pf.maf(features=2, context=3))
    with pytest.raises(pf.InputError, match="takes no context"):
        PyroConditionalTransform(pf.maf(features=2))
    with pytest.raises(pf.InputError, match=r"Expected a context of shape \(..., 3\), got \(5, 4\)"):
        PyroConditionalTransform(pf.maf(features=2, context=3)).condition(torch.zeros(5, 4))
