"""A flow as the model of harmonic: a known evidence from chains."""

import math

import numpy as np
import pytest
import torch

import pushforward as pf

harmonic = pytest.importorskip("harmonic", reason="pip install 'pushforward[harmonic]' brings it")

from pushforward.integrations.harmonic import FlowModel  # noqa: E402

CHAINS, LENGTH = 50, 200


def rosenbrock(x):
    """The logarithm of a posterior whose integral is π / √10, and draws from it."""
    return -(10 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (x[:, 0] - 1) ** 2)


def chains_of(seed):
    generator = np.random.default_rng(seed)
    first = 1 + math.sqrt(0.5) * generator.normal(size=CHAINS * LENGTH)
    x = np.stack([first, first**2 + math.sqrt(0.05) * generator.normal(size=len(first))], 1)
    chains = harmonic.Chains(2)
    chains.add_chains_3d(x.reshape(CHAINS, LENGTH, 2), rosenbrock(x).reshape(CHAINS, LENGTH))
    return chains


@pytest.fixture(scope="module")
def model():
    model = FlowModel(2, "nsf", layers=3, hidden=(32, 32))
    model.fit(chains_of(0).samples, max_steps=600, seed=0)
    return model


@pytest.mark.slow
def test_the_evidence_is_found(model):
    evidence = harmonic.Evidence(CHAINS, model)
    evidence.add_chains(chains_of(1))
    below, above = evidence.compute_ln_inv_evidence_errors()
    off = -float(evidence.ln_evidence_inv) - math.log(math.pi / math.sqrt(10))
    # harmonic computes in single precision.
    assert abs(off) < 5 * float(max(-below, above)) + 1e-3


@pytest.mark.slow
def test_it_is_a_density_of_lighter_tails_and_survives_being_written(model, tmp_path):
    axes = np.linspace(-3, 5, 201), np.linspace(-3, 20, 401)
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    assert np.exp(np.asarray(model.predict(grid))).sum() * 0.04 * 0.0575 == pytest.approx(1, abs=0.02)
    far = np.array([[4.5, 22.0]])
    assert model.predict(far).item() < model.flow.log_prob(torch.from_numpy(far)).item()
    model.serialize(tmp_path / "model")
    np.testing.assert_array_equal(FlowModel.deserialize(tmp_path / "model").predict(far), model.predict(far))


def test_at_temperature_one_it_is_the_flow():
    model = FlowModel(3, "maf", temperature=1.0, layers=2)
    assert not model.is_fitted()
    model.fit(np.random.default_rng(0).normal(size=(100, 3)), max_steps=2)
    x = np.random.default_rng(1).normal(size=(4, 3))
    np.testing.assert_allclose(model.predict(x), model.flow.log_prob(torch.from_numpy(x)).detach(), rtol=1e-5)
    assert model.predict(x[0]).shape == ()


def test_wrong_input_is_named():
    with pytest.raises(pf.InputError, match=r"shape \(n, 2\), got \(5, 3\)"):
        FlowModel(2).predict(np.zeros((5, 3)))
    with pytest.raises(pf.InputError, match="above 0 and at most 1; it is 1"):
        FlowModel(2, temperature=1.5)
    with pytest.raises(pf.InputError, match='did you mean "nsf"'):
        FlowModel(2, "nfs")
