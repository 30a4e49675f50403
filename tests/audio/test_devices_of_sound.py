"""Models of sound on another device, as in a fit on a GPU: no operation mixes devices."""

import pytest
import torch
from other_device import Elsewhere, moved
from random_models import FLOWS, HEADS, context_of, student, teacher

MODELS = {
    **{
        f"teacher, {name}": lambda options=options: teacher(context=3, hop=7, **options)
        for name, options in HEADS.items()
    },
    **{
        f"student, {name}": lambda options=options: student(context=3, hop=7, **options)
        for name, options in FLOWS.items()
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_densities_and_draws(name):
    density = moved(MODELS[name]())
    with Elsewhere() as mode:
        x = torch.empty(2, 14, dtype=torch.float64, device="meta")
        context = context_of("frames", frames=2).to("meta")
        log_prob = density.log_prob(x, context)
        log_prob.sum().backward()
        assert log_prob.is_meta and log_prob.dtype is torch.float64
        if name.startswith("student"):
            draws, log_prob = density.rsample_with_log_prob((), context)
            assert draws.is_meta and log_prob.is_meta
    assert mode.waits == 0 or name.startswith("student")
