"""A training compares its contexts with the range of those that a flow knows once, and not at every step."""

import pytest
import torch

import pushforward as pf
from pushforward.training import likelihood, maximum_likelihood
from pushforward.training.objectives import MaximumLikelihood
from pushforward.training.rows import Rows
from pushforward.zoo.flow_mixture import FlowMixture


def rows(count=60):
    generator = torch.Generator().manual_seed(0)
    context = torch.rand(count, 1, generator=generator, dtype=torch.float64)
    return context + 0.1 * torch.randn(count, 2, generator=generator, dtype=torch.float64), context


def conditional():
    return pf.standardized(pf.maf(2, context=1, layers=1, hidden=(8,)), *rows())


@pytest.fixture
def seen(monkeypatch):
    """Whether contexts were known to lie within the range, at the steps of a training and after it."""
    found = []
    train = maximum_likelihood.train

    def noted(fabric, objective, *arguments, **options):
        found.append([one.bijection.context_range.holds_training for one in flows_of(objective.flow)])
        return train(fabric, objective, *arguments, **options)

    monkeypatch.setattr(maximum_likelihood, "train", noted)
    return found


def flows_of(flow):
    return list(flow.flows) if isinstance(flow, FlowMixture) else [flow]


@pytest.mark.parametrize("far", [0.0, 5.0])
@pytest.mark.parametrize("mixed", [False, True])
def test_contexts_are_compared_once(far, mixed, seen):
    flow = FlowMixture([conditional(), conditional()]) if mixed else conditional()
    x, context = rows()
    context[7] += far
    pf.fit(flow, x, context, split=(torch.arange(50), torch.arange(50, 60)), max_steps=2, progress=False)
    assert seen == [[far == 0] * len(flows_of(flow))]
    assert not any(one.bijection.context_range.holds_training for one in flows_of(flow))


def test_held_out_contexts_beyond_the_range_follow_the_trend():
    x, context = rows()
    flow, away = conditional().double().eval(), context + 3
    expected = flow.log_prob(x, away).mean().detach()
    objective = MaximumLikelihood(flow)
    for module in flow.modules():
        if hasattr(module, "holds_training"):
            module.holds_training = True
    with torch.no_grad():
        found = likelihood.HeldOut(objective, Rows(x, away), torch.device("cpu"))()
    assert found == pytest.approx(float(expected))
