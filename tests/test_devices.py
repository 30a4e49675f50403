"""On a GPU everything stays there: no operation mixes devices, and few wait for a value on the processor."""

import pytest
import torch
from catalogue import CATALOGUE, make
from other_device import Elsewhere, moved

# A search for roots or a fixed point ends when all are found: it waits once a step, and once at its end. A continuous
# flow compares the errors of some rows with a limit. Others never wait.
SEARCHED = {
    *("bernstein", "logistic_mixture", "monotone_network", "sum_of_squares"),
    *("planar", "sylvester", "mixture_cdf", "residual", "continuous"),
}
# The others of the catalogue take a while.
QUICK = {"lu", "marginal spline", "affine coupling", "affine autoregressive, narrow", "spline autoregressive"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CATALOGUE]
)
def test_maps_stay_on_their_device(name):
    bijection = moved(make(name, 3, 2))
    with Elsewhere() as mode:
        value, context = (torch.empty(5, n, dtype=torch.float64, device="meta") for n in (3, 2))
        for direction in (bijection.forward, bijection.inverse):
            with torch.no_grad():
                direction(value, context)
            found = direction(value, context)
            assert all(part.is_meta and part.dtype is torch.float64 for part in found)
            if found[0].requires_grad:
                (found[0].sum() + found[1].sum()).backward()
    assert bool(mode.waits) <= (name.split()[0].strip(",") in SEARCHED)
