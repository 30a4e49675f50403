"""Automatic mixed precision: networks are rounded, maps and their log-determinants are not."""

import pytest
import torch
from catalogue import CATALOGUE, make
from significance import is_mean_of

import pushforward as pf

NETWORKLESS = (
    "lu",
    "householder",
    "householder, two reflections",
    "sylvester",
    "sylvester, rank 1",
    "planar",
    "radial",
)
DRAWS = torch.Generator()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=DRAWS.manual_seed(seed))


@pytest.mark.parametrize("name", CATALOGUE)
def test_values_and_log_determinants_stay_in_float32(name):
    bijection, value, context = make(name, 3, 2).float(), normal(6, 3), normal(6, 2, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        for direction in (bijection.forward, bijection.inverse):
            assert [part.dtype for part in direction(value, context)] == [torch.float32, torch.float32]


@pytest.mark.parametrize("name", NETWORKLESS)
def test_maps_without_networks_are_not_rounded(name):
    bijection, value = make(name).float(), normal(6, 3)
    expected = bijection(value)
    with torch.autocast("cpu", torch.bfloat16):
        found = bijection(value)
        back = bijection.inverse(found[0])[0]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    torch.testing.assert_close(back, value, rtol=1e-4, atol=1e-4)


def test_a_network_is_rounded():
    bijection, value = make("affine coupling").float(), normal(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = bijection(value)[1]
    difference = (rounded - bijection(value)[1]).abs().max()
    assert 0 < float(difference) < 0.05


@pytest.mark.slow
def test_held_out_nats_are_those_of_single_precision():
    z = normal(1200, 2)
    x = torch.stack([z[:, 0], 0.5 * z[:, 0] ** 2 + 0.3 * z[:, 1]], 1)
    found, gains = [], []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        flow = pf.nsf(features=2, layers=2, hidden=(32, 32))
        history = pf.fit(flow, x[:900], validation=x[900:], max_steps=150, precision=precision, device="cpu")
        assert {parameter.dtype for parameter in flow.parameters()} == {torch.float32}
        found.append(flow.eval().log_prob(x[900:]).detach())
        gains.append(history.best_held_out - history.held_out[0])
    # The same rows: five standard errors of the difference, and a twentieth of what is learned for the two fits.
    assert is_mean_of(found[0] - found[1], 0, allowance=min(gains) / 20)
