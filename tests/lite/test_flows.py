"""Model files that numpy reads give the numbers of PyTorch, in both directions."""

import sys
import types

import numpy as np
import pytest
import scipy.stats
import torch
from named_flows import FLOWS, IN_UNITS, made, shaken

import pushforward as pf
from pushforward import lite
from pushforward.zoo.flow_mixture import FlowMixture

# Of rows whose log-density is a number; both round differently.
TOLERANCE = 1e-10


def loaded(flow, folder):
    path = folder / "flow.safetensors"
    pf.save(flow, path)
    return lite.load(path)


def near(found, expected, tolerance=TOLERANCE):
    expected = expected.detach().numpy()
    assert found.dtype == np.float64 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def maps_latents(flow):
    """Whether a density is a map of latents."""
    parts = [part for _, part in flow.parts]
    return len(parts) == 1 or (flow.features == 1 and all(type(p.base).__name__ == "StandardNormal" for p in parts))


@pytest.mark.parametrize("name", [*FLOWS, *IN_UNITS])
def test_every_named_flow_gives_the_numbers_of_torch(name, tmp_path):
    flow, x, context = made(name)
    model = loaded(flow, tmp_path)
    given = None if context is None else context.numpy()
    near(model.log_prob(x.numpy(), given), flow.log_prob(x, context))
    first = None if context is None else given[:1]
    near(model.log_prob(x.numpy()[:1], first), flow.log_prob(x[:1], None if context is None else context[:1]))
    assert model.log_prob(x.numpy()[:0], None if context is None else given[:0]).shape == (0,)
    if maps_latents(flow):
        z = flow.to_latent(x, context)
        near(model.to_latent(x.numpy(), given), z)
        z = torch.randn_like(z) if type(flow.base).__name__ != "Uniform" else torch.rand_like(z)
        near(model.to_data(z.numpy(), given), flow.to_data(z, context))


def student(degrees_of_freedom):
    flow = shaken(pf.maf(features=1, base="student_t", layers=1, hidden=(4,)))
    torch.nn.init.constant_(flow.base.log_degrees_of_freedom, float(np.log(degrees_of_freedom)))
    return flow


@pytest.mark.parametrize("degrees_of_freedom", [0.7, 4.0, 50.0])
def test_quantiles_of_a_base_of_student_t_are_those_of_scipy(degrees_of_freedom, tmp_path):
    flow, level = student(degrees_of_freedom), np.array([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
    model = loaded(flow, tmp_path)
    z = torch.from_numpy(scipy.stats.t.ppf(level, np.exp(flow.base.log_degrees_of_freedom.item())))
    near(model.quantile(level), flow.to_data(z[:, None])[:, 0])
    with pytest.raises(pf.InputError, match="SciPy alone"):
        model.quantile(level, xp=types.SimpleNamespace(**vars(np)))


def test_quantiles_of_a_mixture_of_student_t_enclose_their_shares(tmp_path):
    flow = FlowMixture([student(2.0), student(9.0)], [0.3, 0.7]).double().eval()
    model, level = loaded(flow, tmp_path), np.array([0.02, 0.4, 0.97])
    x = torch.from_numpy(model.quantile(level))[:, None]
    each = [part.to_latent(x)[:, 0].detach().numpy() for _, part in flow.parts]
    nu = [np.exp(part.base.log_degrees_of_freedom.item()) for _, part in flow.parts]
    # As they are stored, in single precision.
    share = sum(float(w) * scipy.stats.t.cdf(z, v) for (w, _), z, v in zip(flow.parts, each, nu, strict=True))
    np.testing.assert_allclose(share, level, rtol=1e-9)


def test_a_missing_scipy_is_named(tmp_path, monkeypatch):
    model = loaded(student(4.0), tmp_path)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(pf.InputError, match="pip install scipy"):
        model.quantile(np.array([0.5]))
