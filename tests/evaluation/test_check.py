"""The examination: it catches planted faults, each by the right row, and lets what is right pass."""

import math

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.bijections import Affine, Autoregressive, Bijection, Compose, Inverse, Permutation
from pushforward.distributions import StandardNormal
from pushforward.evaluation.contracts import ContractError
from pushforward.networks import Conditioner
from pushforward.networks.made import MaskedLinear


class Scaling(Bijection):
    """x = shift + exp(log_scale) z, right as it is: every fault below changes one thing of it."""

    features = 3

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.5, -0.3, 1.0]))
        self.log_scale = nn.Parameter(torch.tensor([0.2, -0.4, 0.1]))

    def forward(self, z, context=None):
        return self.shift + self.log_scale.exp() * z, self.log_scale.sum().expand(z.shape[:-1])

    def inverse(self, x, context=None):
        return (x - self.shift) * (-self.log_scale).exp(), -self.log_scale.sum().expand(x.shape[:-1])


class WrongSign(Scaling):
    def inverse(self, x, context=None):
        z, log_det = super().inverse(x)
        return z, -log_det


class MissingFactor(Scaling):
    """Wrong in both directions alike, so that only a true Jacobian tells."""

    def forward(self, z, context=None):
        x, log_det = super().forward(z)
        return x, log_det / 2

    def inverse(self, x, context=None):
        z, log_det = super().inverse(x)
        return z, log_det / 2


class DeadParameter(Scaling):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))


class Identity(Bijection):
    features = 3

    def forward(self, z, context=None):
        return z, z.new_zeros(z.shape[:-1])

    inverse = forward


class Float32Inside(Scaling):
    def forward(self, z, context=None):
        x, log_det = super().forward(z.float().to(z.dtype))
        return x.float().to(z.dtype), log_det


class Float32Out(Scaling):
    def forward(self, z, context=None):
        x, log_det = super().forward(z)
        return x.float(), log_det


class NanGradient(Scaling):
    """x = z + shift, whose gradient goes through a square root at 0 in the tail."""

    def forward(self, z, context=None):
        x, log_det = super().forward(z)
        return torch.where(z.abs() < 100, x, x + (100 - z.abs()).sqrt().nan_to_num() * 0), log_det


class SeesItsNeighbours(Scaling):
    def forward(self, z, context=None):
        x, log_det = super().forward(z)
        return x + (z.mean(0, keepdim=True) if z.dim() > 1 else 0), log_det


class LooseTensor(Scaling):
    def __init__(self):
        super().__init__()
        self.extra = torch.ones(3)


class AnySize(Scaling):
    def forward(self, z, context=None):
        return super().forward(z[..., :3])


class Throws(Scaling):
    def forward(self, z, context=None):
        raise KeyError("no such layer")


class NotInverse(Scaling):
    def inverse(self, x, context=None):
        z, log_det = super().inverse(x)
        return z + 1e-6, log_det


class BreaksTheGraph(Scaling):
    def forward(self, z, context=None):
        if float(z.sum()) > 1e9:
            raise RuntimeError
        return super().forward(z)


class ContextIgnored(Scaling):
    context_features = 2


FAULTS = {
    WrongSign: {"opposite log_dets", "log_det by autograd", "log_det, as it is"},
    MissingFactor: {"log_det by autograd", "log_det, as it is"},
    DeadParameter: {"gradients reach parameters"},
    Identity: {"not the identity"},
    Float32Inside: {"round trip", "float64 stays"},
    Float32Out: {"float64 stays"},
    NanGradient: {"finite at |z| = 1000"},
    SeesItsNeighbours: {"batch of 7", "round trip"},
    LooseTensor: {"copies agree"},
    AnySize: {"other sizes refused"},
    Throws: {"evaluation", "round trip"},
    NotInverse: {"round trip"},
    BreaksTheGraph: {"compiles"},
    ContextIgnored: {"context matters"},
}


# What is wrong with these has no other consequence.
ONE_FAULT = (MissingFactor, DeadParameter, LooseTensor, NanGradient, ContextIgnored)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_faults_are_caught_by_the_right_row(fault):
    report = pf.check_bijection(fault())
    names = {check.name for check in report.failures}
    assert names & FAULTS[fault], str(report)
    assert names <= FAULTS[fault] or fault not in ONE_FAULT, str(report)
    assert not report.passed and "FAILED" in str(report)
    with pytest.raises(ContractError, match=fault.__name__):
        report.raise_if_failed()


@pytest.mark.slow
def test_a_lost_dependency_is_caught():
    layer = Autoregressive(6, Affine(), Conditioner((16, 16), "elu"))
    assert pf.check_bijection(layer).passed
    product = next(part for part in layer.conditioner.layers if isinstance(part, MaskedLinear))
    product.mask[:, 2] = False
    failures = pf.check_bijection(layer).failures
    found = [check.detail for check in failures if check.name == "dependencies"]
    assert any("does not depend on input 2" in detail for detail in found)


def test_a_dependency_too_many_is_caught():
    layer = Autoregressive(4, Affine(), Conditioner((16,), "elu"))
    layer.conditioner.layers[-1].mask[:] = True
    names = {check.name for check in pf.check_bijection(layer).failures}
    assert "dependencies" in names and "log_det by autograd" in names


def test_a_chain_of_dependencies_passes():
    chain = [[False, False, False], [True, False, False], [False, True, False]]
    assert pf.check_bijection(Autoregressive(3, Affine(), Conditioner((16,), "elu"), adjacency=chain)).passed


@pytest.mark.slow
def test_dependencies_can_be_declared():
    declared = torch.eye(3).bool()
    assert pf.check_bijection(Scaling(), dependencies=declared).passed
    assert not pf.check_bijection(Compose([Scaling(), Permutation([1, 2, 0])]), dependencies=declared).passed


def test_a_direction_that_is_not_offered_is_no_failure():
    class OneWay(Scaling):
        def inverse(self, x, context=None):
            raise NotImplementedError

    report = pf.check_bijection(OneWay())
    missing = [check for check in report.checks if check.passed is None]
    assert missing and all("not offered" in check.detail for check in missing)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_what_is_right_passes_and_is_left_alone(seed):
    for bijection in (Scaling(), Inverse(Scaling()), Autoregressive(3, Affine(), Conditioner((8,)), context=2)):
        before = {key: value.clone() for key, value in bijection.state_dict().items()}
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        report = pf.check_bijection(bijection, seed=seed)
        assert report.passed, str(report)
        assert str(report).endswith("checks ok")
        assert torch.equal(torch.rand(1), expected) and bijection.training
        assert all(torch.equal(value, before[key]) for key, value in bijection.state_dict().items())


# Tests of draws, which reject two in a thousand flows that are right.
STATISTICAL = {"samples follow the density", "samples resemble the rows given"}


def failures(flow, **options):
    """The names of the checks that fail, those of draws with two seeds: by chance, four in a million."""
    names = {check.name for check in pf.check_flow(flow, **options).failures}
    if names & STATISTICAL:
        names &= {check.name for check in pf.check_flow(flow, seed=1, **options).failures}
    return names


SLOW = pytest.mark.slow
AT_ONCE = [("maf", 2), ("planar", 1)]


class WideBase(StandardNormal):
    """Draws that are wider than the density says."""

    def rsample(self, shape=()):
        return 1.3 * super().rsample(shape)


class Unnormalized(StandardNormal):
    def log_prob(self, z):
        return super().log_prob(z) + math.log(1.1)


class OtherSampler(Scaling):
    """A forward that is right by itself, but not the inverse's inverse."""

    def forward(self, z, context=None):
        x, log_det = super().forward(z)
        return x + torch.tensor([0.5, 0, 0], dtype=x.dtype), log_det


FLOWS = {
    "draws wider than the density": (lambda: pf.Flow(Scaling(), WideBase(3)), {"samples follow the density"}),
    "not normalized": (lambda: pf.Flow(Scaling(), Unnormalized(3)), {"integrates to 1"}),
    "not each other's inverse": (
        lambda: pf.Flow(OtherSampler(), StandardNormal(3)),
        {"round trip", "density of a sample", "samples follow the density"},
    ),
    "missing factor": (lambda: pf.Flow(MissingFactor(), StandardNormal(3)), {"log_det by autograd", "integrates to 1"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_faults_of_flows_are_caught(name):
    make, expected = FLOWS[name]
    assert expected <= failures(make())


class Wide(Scaling):
    features = 6

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(6))
        self.log_scale = nn.Parameter(torch.linspace(-1, 1, 6))


@pytest.mark.slow
def test_faults_in_many_dimensions_are_caught_too():
    assert not failures(pf.Flow(Wide(), StandardNormal(6)))
    assert failures(pf.Flow(Wide(), Unnormalized(6))) == {"integrates to 1"}
    assert failures(pf.Flow(Wide(), WideBase(6))) >= {"samples follow the density"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "features"),
    [
        # A whole examination takes seconds: each kind of inverse once, and all in the slow tier.
        pytest.param(name, features, marks=[] if (name, features) in AT_ONCE else SLOW)
        for name in ("nice", "maf", "iaf", "planar", "radial")
        for features in (1, 2)
    ],
)
def test_flows_that_are_right_pass(name, features):
    torch.manual_seed(1)
    assert not failures(getattr(pf, name)(features, context=1, layers=2, hidden=(8,)))


@pytest.mark.slow
def test_samples_are_compared_with_rows_given():
    flow = pf.Flow(Scaling(), StandardNormal(3))
    with torch.no_grad():
        rows = flow.sample((2000,))
    assert not failures(flow, x=rows)
    assert failures(flow, x=1.5 * rows) == {"samples resemble the rows given"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_steep_layers_are_checked_where_float64_has_digits(seed):
    """Five mixtures of logistics with noise of size 1 have slopes of e^±30 in a row."""
    assert pf.check_bijection(pf.mixture_cdf(features=2).bijection, seed=seed).passed
