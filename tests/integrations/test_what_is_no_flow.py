"""Every adapter that takes a flow, a model or the name of an architecture refuses anything else in one sentence."""

import importlib

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.integrations.torch_distributions import as_transform, base_of
from pushforward.zoo.flow_mixture import FlowMixture

FLOW = {"features": 2, "layers": 1, "hidden": (4,)}
ROWS = np.random.default_rng(0).normal(size=(20, 2))
COLUMNS = [pd.DataFrame(ROWS[:, k : k + 1]) for k in range(2)]
# Of each module: its package, and the calls of what it offers with something else than they take.
CALLS = {
    "zuko": ("zuko", {"as_zuko": lambda own, it: own.as_zuko(it)}),
    "from_zuko": ("zuko", {"from_zuko": lambda own, it: own.from_zuko(it)}),
    "nflows": ("nflows", {"from_nflows": lambda own, it: own.from_nflows(it)}),
    "pyro": (
        "pyro",
        {
            "PyroTransform": lambda own, it: own.PyroTransform(it),
            "PyroConditionalTransform": lambda own, it: own.PyroConditionalTransform(it),
        },
    ),
    "sbi": (
        "sbi",
        {
            "FlowEstimator": lambda own, it: own.FlowEstimator(it, (1,)),
            "architecture": lambda own, it: own.posterior_nn(it),
            "An architecture": lambda own, it: own.likelihood_nn(it),
        },
    ),
    "nessai": (
        "nessai",
        {
            "An architecture": lambda own, it: own.flow_config(it),
            "rchitecture": lambda own, it: own.NessaiFlow(2, architecture=it),
        },
    ),
    "harmonic": ("harmonic", {"architecture": lambda own, it: own.FlowModel(2, it)}),
    "shapiq": ("shapiq", {"model of a table": lambda own, it: own.FlowImputer(lambda x: x.sum(1), it)}),
    "pyod": ("pyod", {"architecture": lambda own, it: own.FlowDetector(flow=it).fit(ROWS)}),
    "skpro": (
        "skpro",
        {"architecture": lambda own, it: own.FlowRegressor(it).fit(*COLUMNS)},
    ),
    "sdgym": (
        "sdmetrics",
        {
            "data frame": lambda own, it: own.get_trained_synthesizer(it),
            "get_trained_synthesizer": lambda own, it: own.sample_from_synthesizer(it, 3),
        },
    ),
}  # fmt: skip


def others():
    """What is no flow: a number, text, a config, a map alone, a network, and a mixture of flows."""
    flow = pf.maf(**FLOW)
    return [3, [flow], {"architecture": ["maf"]}, flow.bijection, torch.nn.Linear(2, 2), FlowMixture([flow], [1.0])]


def refused(call, words):
    for it in others():
        with pytest.raises(pf.InputError) as caught:
            call(it)
        assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [as_transform, base_of, pf.as_prior])
def test_what_needs_no_package_takes_flows_alone(call):
    for it in others()[: -1 if call is pf.as_prior else None]:
        with pytest.raises(pf.InputError, match=rf"{call.__name__} takes a flow.*not .*{type(it).__name__}\.$"):
            call(it)


@pytest.mark.parametrize("name", CALLS)
def test_what_an_adapter_does_not_take_is_refused_in_one_sentence(name):
    package, calls = CALLS[name]
    pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    own = importlib.import_module(f"pushforward.integrations.{name}")
    for words, call in calls.items():
        refused(lambda it, call=call: call(own, it), words)
