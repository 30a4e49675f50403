"""Densities of rounded columns never claim more of fresh rows than the truth does, however many steps and clusters."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

import pushforward as pf


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [1, 2])
@pytest.mark.parametrize("steps", [2, 4, 10, 40])
def test_fresh_rows_are_no_likelier_than_in_truth(steps, clusters):
    generator = np.random.default_rng(10 * steps + clusters)
    centers = 100.0 * np.arange(clusters)

    def draw(rows):
        return np.round(steps * (generator.normal(size=rows) + generator.choice(centers, rows))) / steps

    result = pf.fit_table(pa.table({"x": draw(3000)}), max_steps=600, progress=False)
    fresh = draw(20_000)
    model = result.model
    found = model.log_prob(model.encode(pa.table({"x": fresh})))
    found = np.asarray(found, dtype=float)
    normal = torch.distributions.Normal(torch.from_numpy(centers), 1.0)
    ends = [normal.cdf(torch.from_numpy(fresh[:, None] + side / steps)).mean(1) for side in (0.5, -0.5)]
    truth = ((ends[0] - ends[1]) * steps).log().numpy()
    excess = found - truth
    assert math.isfinite(excess.mean()) and excess.mean() <= 5 * excess.std() / len(fresh) ** 0.5
