"""What can be made by name: every name is known everywhere, options are checked, and configs build the same flow."""

import importlib
import json
from dataclasses import dataclass

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections import UNIVARIATES, Univariate
from pushforward.bijections.univariate import univariate
from pushforward.zoo import registry
from pushforward.zoo.names import ARCHITECTURES, IN_CONTINUOUS_TIME, OTHERS, univariate_names
from pushforward.zoo.registry import config_of

MAF = {"architecture": "maf", "features": 2}


@pytest.mark.parametrize(("name", "module"), (ARCHITECTURES | IN_CONTINUOUS_TIME | OTHERS).items())
def test_a_name_is_registered_by_its_module(name, module):
    importlib.import_module(module)
    assert registry._MAKERS[name].__module__ == module


def test_families_are_known_without_importing_them():
    assert univariate_names() == sorted(UNIVARIATES)


@pytest.mark.parametrize("architecture", ["autoregressive", "coupling"])
@pytest.mark.parametrize("name", UNIVARIATES)
def test_any_family_with_its_options(architecture, name, tmp_path):
    flow = randomize(getattr(pf, architecture)(3, name, context=1, layers=2, hidden=(8, 8)))
    assert json.loads(json.dumps(flow.config)) == flow.config
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    x, context = torch.randn(5, 3), torch.randn(5, 1)
    assert loaded.config == flow.config and torch.equal(loaded.log_prob(x, context), flow.log_prob(x, context))


def test_options_of_a_family_are_passed_on_and_kept():
    flow = pf.coupling(4, univariate="spline", bins=3, tails="linear")
    assert flow.bijection[0].univariate == UNIVARIATES["spline"](bins=3, tails="linear")
    assert {key: flow.config[key] for key in ("bins", "bound", "tails")} == {"bins": 3, "bound": 5.0, "tails": "linear"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"univariate": "berstein"}, "no univariate family 'berstein'; did you mean \"bernstein\""),
        ({"univariate": "spline", "bin": 3}, "autoregressive has no option 'bin'; did you mean \"bins\""),
        ({"univariate": "affine", "bins": 3}, "autoregressive has no option 'bins'"),
        ({"layer": 3}, "no option 'layer'; did you mean \"layers\""),
        ({"univariate": "spline", "bins": 0}, "autoregressive: A spline needs at least one bin"),
        ({"univariate": "spline", "bins": "many"}, "autoregressive: option bins cannot be 'many'"),
        ({"univariate": "spline", "tails": "none"}, "tails out of identity, linear, circular"),
        ({"univariate": "spline", "bins": 10**9}, "parameters for each feature; 10000 are the most"),
        ({"residual": True}, "autoregressive: A residual network has"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.autoregressive(3, **options)


@pytest.mark.parametrize(
    ("short", "general"),
    [
        (pf.maf(3), lambda: pf.autoregressive(3)),
        (pf.iaf(3, order="same"), lambda: pf.autoregressive(3, inverse=True, order="same")),
        (pf.nsf(3, linear="lu", bins=4), lambda: pf.autoregressive(3, "spline", linear="lu", bins=4)),
        (pf.nsf(3, kind="coupling"), lambda: pf.coupling(3, "spline")),
        (pf.mixture_cdf(3), lambda: pf.autoregressive(3, "logistic_mixture")),
        (pf.realnvp(3), lambda: pf.coupling(3, layers=6, linear="actnorm")),
    ],
)
def test_short_names_are_flows_of_the_general_architectures(short, general):
    flow = general()
    short = randomize(short)
    flow.eval().load_state_dict(short.state_dict())
    x = torch.randn(5, 3)
    assert torch.equal(flow.log_prob(x), short.log_prob(x))


def test_a_family_of_ones_own_is_a_flow_and_a_name():
    @univariate("doubled")
    @dataclass(frozen=True)
    class Doubled(Univariate):
        factor: float = 2.0
        parameter_count = 1

        def forward(self, z, parameters):
            x = self.factor * z + parameters[..., 0]
            return x, torch.full_like(x, self.factor).log()

        def inverse(self, x, parameters):
            z = (x - parameters[..., 0]) / self.factor
            return z, -torch.full_like(z, self.factor).log()

    try:
        assert config_of("doubled") == {"architecture": "autoregressive", "univariate": "doubled"}
        flow = pf.build({**config_of("doubled"), "features": 2, "layers": 1, "factor": 4.0})
        torch.testing.assert_close(flow.to_latent(torch.full((2,), 8.0)), torch.full((2,), 2.0))
    finally:
        del UNIVARIATES["doubled"]


def test_names_of_architectures_and_families():
    assert config_of("nsf") == {"architecture": "nsf"}
    with pytest.raises(pf.InputError, match="no architecture or univariate family 'splin'; did you mean \"spline\""):
        config_of("splin")
    with pytest.raises(pf.InputError, match="no architecture 'relnvp'; did you mean \"realnvp\""):
        pf.build({"architecture": "relnvp", "features": 2})


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"architecture": "maf"}, "maf: missing a required argument: 'features'"),
        ({"architecture": "standardized"}, "standardized: missing a required argument: 'flow'"),
        (
            {"architecture": "gaussianized", "flow": MAF, "knots": 3},
            "from 4 to 10000",
        ),
        ({"architecture": "gaussianized", "flow": 3, "knots": 8}, "gaussianized: option flow cannot be 3"),
        ({"architecture": "gaussianized", "knot": 8}, "gaussianized has no option 'knot'; did you mean \"knots\""),
    ],
)
def test_configs_that_describe_nothing(config, match):
    with pytest.raises(pf.InputError, match=match):
        pf.build(config)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("continuous", option) for option in ("steps", "tolerance")),
        *(("maf", "layers"), ("nsf", "bins"), ("residual", "lipschitz"), ("autoregressive", "degree")),
    ],
)
def test_a_number_is_neither_true_nor_false(name, option):
    config = {"architecture": name, "features": 2, option: True}
    if option == "degree":
        config["univariate"] = "bernstein"
    with pytest.raises(pf.InputError, match=f"{name}: option {option} cannot be True: Input should be a number"):
        pf.build(config)
    with pytest.raises(pf.InputError, match=f"option {option} cannot be True"):
        registry.check_config({key: value for key, value in config.items() if key != "features"}, ["features"])
    # Options that are one of the two take them.
    assert pf.residual(features=2, layers=1, hidden=(4,), actnorm=False).config["actnorm"] is False


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"steps": 4, "tolerance": 1e-3}, "a tolerance of adaptive steps or a number of equal steps, not both"),
        ({"tolerance": 10.0}, "option tolerance cannot be 10.0"),
        ({"tolerance": 0.0}, "option tolerance cannot be 0.0"),
        ({"steps": 0}, "option steps cannot be 0"),
    ],
)
def test_the_accuracy_of_a_continuous_flow_is_one_choice(options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.continuous(features=2, **options)
    assert pf.build(pf.continuous(features=2, hidden=(4,), steps=4).config).config["steps"] == 4
