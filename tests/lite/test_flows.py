"""Model files that numpy reads give the numbers of PyTorch, in both directions."""

import numpy as np
import pytest
import torch
from named_flows import FLOWS, IN_UNITS, made

import pushforward as pf
from pushforward import lite

# Of rows whose log-density is a number; both round differently.
TOLERANCE = 1e-9


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
