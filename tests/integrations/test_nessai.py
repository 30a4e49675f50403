"""Nested sampling of nessai with flows of ours: a known evidence."""

import importlib
import math

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf

pytest.importorskip("nessai", reason="pip install 'pushforward[nessai]' brings it")
from nessai.flowsampler import FlowSampler
from nessai.model import Model

from pushforward.integrations.nessai import NessaiFlow, flow_config
from pushforward.zoo.names import OTHERS
from pushforward.zoo.registry import build

DEVIATION = 0.5


class Gaussian(Model):
    """A Gaussian likelihood under a uniform prior on (-5, 5)²: its evidence is 1/100."""

    def __init__(self):
        self.names = ["x", "y"]
        self.bounds = {name: [-5.0, 5.0] for name in self.names}

    def log_prior(self, x):
        return np.log(self.in_bounds(x), dtype=float) - 2 * math.log(10)

    def log_likelihood(self, x):
        return sum(stats.norm.logpdf(x[name], scale=DEVIATION) for name in self.names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["realnvp", "nsf"])
def test_the_evidence_of_a_gaussian_is_found(name, tmp_path):
    options = {"kind": "coupling"} if name == "nsf" else {}
    sampler = FlowSampler(
        Gaussian(),
        output=str(tmp_path),
        nlive=500,
        flow_config=flow_config(name, layers=3, hidden=(16, 16), **options),
        seed=1,
        plot=False,
        resume=False,
        checkpointing=False,
        signal_handling=False,
    )
    sampler.run(plot=False, save=False)
    assert abs(sampler.log_evidence - math.log(1 / 100)) < 5 * sampler.log_evidence_error
    assert isinstance(sampler.ns.proposal.flow.model, NessaiFlow)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nsf", {"zz": 1}, "nsf has no option 'zz'"),
        ("nsf", {"layers": -1}, "nsf: option layers cannot be -1"),
        ("nsf", {"hidden": (0,)}, r"nsf: option hidden.0 cannot be 0"),
        ("nsf", {"features": 3}, "leave out the option 'features'"),
        ("arbitrary_conditional", {}, "arbitrary_conditional needs the option"),
        ("wavenet", {}, "wavenet is not a flow that can be made here"),
        ("bernstein", {"degree": 0}, "degree of Bernstein polynomials must be at least 1, got 0"),
        ("autoregressive", {"degree": 3}, "autoregressive has no option 'degree'"),
        ("autoregressive", {"univariate": "cubic"}, "there is no univariate family 'cubic'"),
        ("nsff", {}, "nsff"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(name, options, says):
    if name in ("arbitrary_conditional", "wavenet"):
        # Known by name once their modules are imported.
        importlib.import_module(OTHERS[name])
    with pytest.raises(pf.InputError, match=says):
        flow_config(name, **options)


def test_every_option_of_an_architecture_may_be_given():
    state = torch.get_rng_state()
    for name, options in (
        ("nsf", {"layers": 2, "hidden": (8, 8), "bins": 4, "kind": "coupling"}),
        ("maf", {"order": (2, 0, 1), "base": "logistic"}),
        ("sylvester", {"rank": 3}),
        ("bernstein", {"degree": 4, "hidden": [8]}),
        ("autoregressive", {}),
    ):
        config = flow_config(name, **options)
        assert build(config["architecture"] | {"features": 3}).features == 3
        torch.set_rng_state(state)
    flow_config("nsf", layers=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_methods_of_nessai_are_those_of_the_flow():
    flow = NessaiFlow(3, None, None, None, architecture={"architecture": "nsf", "layers": 2})
    x = torch.randn(5, 3)
    z, log_det = flow.forward(x)
    back, negative = flow.inverse(z)
    torch.testing.assert_close((back, negative), (x, -log_det), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(flow.log_prob(x), flow.base_distribution_log_prob(z) + log_det)
    draws, log_prob = flow.sample_and_log_prob(7)
    torch.testing.assert_close(log_prob, flow.log_prob(draws), rtol=1e-4, atol=1e-4)
    flow.freeze_transform()
    assert not any(parameter.requires_grad for parameter in flow.parameters())
    flow.unfreeze_transform()
    assert all(parameter.requires_grad for parameter in flow.parameters())
    assert flow.sample(4).shape == (4, 3) == flow.sample_latent_distribution(4).shape


@pytest.mark.parametrize("name", ["forward", "inverse", "log_prob", "base_distribution_log_prob"])
def test_wrong_shapes_are_named(name):
    flow = NessaiFlow(3, architecture={"architecture": "maf", "layers": 2})
    with pytest.raises(pf.InputError, match=r"shape \(..., 3\), got \(5, 4\)"):
        getattr(flow, name)(torch.zeros(5, 4))


def test_what_is_unknown_is_named():
    with pytest.raises(pf.InputError, match='did you mean "realnvp"'):
        flow_config("realnpv")
    with pytest.raises(pf.InputError, match="no option 'layer'"):
        NessaiFlow(2, **{key: value for key, value in flow_config("maf", layer=2).items() if key != "flow"})
    with pytest.raises(pf.InputError, match="an option of its architecture"):
        NessaiFlow(2, architecture={"architecture": "maf"}, distribution="uniform")
