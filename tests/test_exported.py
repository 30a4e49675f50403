"""log_prob of every named flow as one graph, by torch.compile and torch.export, with any number of rows."""

import pytest
import torch

import pushforward as pf
from pushforward.evaluation.contracts import randomized
from pushforward.zoo.names import ARCHITECTURES, univariate_names

NAMED = {
    **{name: {"architecture": name} for name in ARCHITECTURES},
    "nsf coupling": {"architecture": "nsf", "kind": "coupling", "linear": "lu"},
    "nsf inverse autoregressive": {"architecture": "nsf", "kind": "inverse_autoregressive"},
}
FAMILIES = {
    f"{layer} {family}": {"architecture": layer, "univariate": family}
    for layer in ("autoregressive", "coupling")
    for family in univariate_names()
}
OPTIONS = NAMED | FAMILIES
# The others take seconds each.
QUICK = ("nice", "realnvp")


def each(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


EXPORTED = [
    pytest.param(name, context, marks=[] if name in QUICK else pytest.mark.slow)
    for context, names in ((2, OPTIONS), (0, QUICK))
    for name in names
]


def made(name, context, layers=2):
    """A flow with random weights, rows and contexts to trace it with, and others to compare."""
    torch.manual_seed(0)
    flow = randomized(pf.build({"features": 3, "context": context, "layers": layers, **OPTIONS[name]}), scale=0.5)
    rows = [torch.randn(count, 3, dtype=torch.float64) for count in (7, 9, 1)]
    contexts = [torch.randn(len(x), context, dtype=torch.float64) for x in rows]
    return flow, *([(x, c) if context else (x,) for x, c in zip(rows, contexts, strict=True)])


class LogProb(torch.nn.Module):
    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def forward(self, x, context=None):
        return self.flow.log_prob(x, context)


@pytest.mark.parametrize("name", each(NAMED))
def test_log_prob_is_one_compiled_graph(name):
    torch.compiler.reset()
    flow, inputs, *_ = made(name, context=2, layers=1)
    compiled = torch.compile(flow.log_prob, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(*inputs), flow.log_prob(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "context"), EXPORTED)
def test_log_prob_is_exported_for_any_number_of_rows(name, context):
    flow, example, *others = made(name, context)
    rows = torch.export.Dim("rows")
    with torch.no_grad():
        exported = torch.export.export(LogProb(flow), example, dynamic_shapes=({0: rows},) * len(example)).module()
        for inputs in (example, *others):
            torch.testing.assert_close(exported(*inputs), flow.log_prob(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_gradients_of_a_compiled_flow_are_those_of_the_flow():
    torch.compiler.reset()
    flow, inputs, *_ = made("maf", 2)
    compiled = torch.compile(flow.log_prob, fullgraph=True, backend="aot_eager")
    found, expected = (
        torch.autograd.grad(log_prob(*inputs).sum(), list(flow.parameters())) for log_prob in (compiled, flow.log_prob)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_a_compiled_search_says_that_it_found_no_root():
    torch.compiler.reset()

    def search(shift):
        return pf.solvers.monotone_root(lambda a: (a.exp() + shift, a.exp()), -torch.ones(2), torch.ones(2))

    compiled = torch.compile(search, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(-torch.ones(2)), torch.zeros(2))
    with pytest.raises(RuntimeError, match="a root was not found"):
        compiled(torch.ones(2))
