"""Densities of tables on another device, as in a fit on a GPU: no operation mixes devices."""

import numpy as np
import pandas as pd
import pytest
import torch
from other_device import Elsewhere

import pushforward as pf
from pushforward.table_models.density import table_density
from pushforward.training.likelihood import evaluate

CASES = {
    "mixed": {},
    "conditional": {"given": ["grade"]},
    "errors": {"errors": {"a": "error"}},
    "gaps": {"arbitrary_conditions": True},
}


def table():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": random.normal(size=200),
            "b": random.exponential(size=200),
            "count": random.poisson(3.0, 200),
            "angle": random.uniform(0, 360, 200),
            "grade": random.choice(["low", "high"], 200),
            "error": random.uniform(0.1, 0.2, 200),
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_densities_of_tables(case):
    frame = table()[["a", "b", "error"]] if case == "errors" else table().drop(columns="error")
    if case == "gaps":
        frame.loc[::7, "a"] = np.nan
    model = pf.fit_table(frame, max_steps=2, device="cpu", **CASES[case]).model
    codes = torch.from_numpy(model.roles.known(model.encode(frame), model.names))
    x, context = (*model.roles.inputs(codes), None)[:2]
    density = model.density.to("meta").train()
    with Elsewhere() as mode:
        there = (part if part is None else part.to("meta") for part in (x, context))
        log_prob = density.log_prob(*there)
        log_prob.sum().backward()
        assert log_prob.is_meta
    # A density of any columns given any others asks which of them are discrete, and which are angles.
    assert mode.waits == 0 or model.roles.allows_gaps
    # After a fit only the flow lies there.
    density = table_density(model.flow, model.roles)
    with Elsewhere(answer=False):
        assert evaluate(density, x, context).shape == (len(x),)
