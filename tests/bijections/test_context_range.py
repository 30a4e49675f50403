"""Contexts beyond a range: a network sees the end of it, and densities stay exact."""

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.bijections.context_range import MARGIN, ContextRange

LINE = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]


def test_it_is_the_identity_inside_and_saturates_smoothly_beyond():
    limit = ContextRange(1).set(torch.tensor([[-1.0], [2.0]], dtype=torch.float64))
    context = LINE.clone().requires_grad_()
    seen = limit(context)
    (slope,) = torch.autograd.grad(seen.sum(), context)
    inside = (LINE >= -1) & (LINE <= 2)
    assert torch.equal(seen[inside], LINE[inside]) and bool((slope[inside] == 1).all())
    beyond = torch.where(LINE > 2, LINE - 2, -1 - LINE).clamp_min(0) / MARGIN
    end = torch.where(LINE > 2, 2.0, -1.0)
    expected = end + MARGIN * torch.where(LINE > 2, 1.0, -1.0) * beyond / (1 + beyond)
    torch.testing.assert_close(seen[~inside], expected[~inside])
    torch.testing.assert_close(slope[~inside], ((1 + beyond) ** -2)[~inside])
    far = limit(torch.tensor([[1e300], [-1e300]], dtype=torch.float64))
    torch.testing.assert_close(far, torch.tensor([[2 + MARGIN], [-1 - MARGIN]], dtype=torch.float64))


def test_it_knows_what_lies_beyond_and_what_is_rounding():
    limit = ContextRange(3).set(torch.tensor([[0.0, math.nan, math.nan], [1.0, 5.0, math.nan]]))
    rows = torch.tensor([[0.5, 5.0, 9.0], [1.0 + 1e-7, 5.1, 1e30], [-0.1, math.nan, math.nan]])
    expected = [[False, False, False], [False, True, False], [True, False, False]]
    assert limit.beyond(rows).tolist() == expected


@pytest.mark.parametrize("make", [pf.standardized, pf.gaussianized])
def test_flows_are_exact_beyond_the_range_and_survive_a_file(make, tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 2, generator=generator, dtype=torch.float64)
    context = 3 + 5 * torch.rand(100, 1, generator=generator, dtype=torch.float64)
    flow = make(pf.maf(features=2, context=1, layers=2, hidden=(8,)), x, context)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    pf.save(flow, tmp_path / "flow.safetensors")
    again = pf.load(tmp_path / "flow.safetensors")
    flow.double()
    asked = torch.tensor([[context.min()], [2.0], [-50.0], [context.max()], [1e12]], dtype=torch.float64)
    assert flow.beyond_range(asked)[:, 0].tolist() == [False, True, True, False, True]
    assert again.beyond_range(asked)[:, 0].tolist() == [False, True, True, False, True]
    z = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(flow.to_latent(flow.to_data(z, asked), asked), z)
    torch.testing.assert_close(again.double().log_prob(x[:5], asked), flow.log_prob(x[:5], asked))
    # As at the end of the range, but for the margin.
    near = flow.bijection.context.forward(flow.bijection.context_range.low[None] - MARGIN)[0]
    ends = torch.tensor([[-50.0]], dtype=torch.float64)
    closest = flow.bijection.context_range(flow.bijection.context.inverse(ends)[0])
    assert float(closest) == pytest.approx(float(flow.bijection.context.inverse(near)[0]), abs=0.01)


def test_a_flow_without_a_range_says_nothing_and_one_of_an_earlier_version_loads():
    assert not pf.maf(features=2, context=1).beyond_range(torch.tensor([[1e9]])).any()
    config = {"architecture": "standardized", "flow": pf.maf(features=2, context=1).config}
    flow = pf.zoo.registry.build(config)
    assert not flow.beyond_range(torch.tensor([[1e9]])).any()
    assert not any("context_range" in name for name in flow.state_dict())


DRAWS = 5000
# What a width of so many normal draws, from a level of 16 % to 84 %, may lose by chance beside another one.
FIVE_ERRORS = 5 * math.sqrt(2) * math.sqrt(2 * 0.16 * 0.68 / DRAWS) / (2 * 0.9945 * 0.2433)


def width(model, codes):
    """The distance that holds the middle 68 % of draws given some values, all of which have a density."""
    given = np.tile(np.array([codes], dtype=float), (DRAWS, 1))
    draws = model.draw(given=given)
    assert np.isfinite(draws).all()
    assert np.isfinite(model.log_prob(np.column_stack([draws[:50], given[:50]]))).all()
    low, high = np.quantile(draws, [0.16, 0.84])
    return high - low


def is_as_wide(found, expected):
    """Whether a width is at least another one, up to five standard errors, and the margin that a network sees more."""
    return found > (1 - FIVE_ERRORS - MARGIN) * expected


@pytest.mark.slow
@pytest.mark.parametrize("arbitrary", [False, True])
def test_a_model_is_no_surer_beyond_its_conditions_than_at_their_end(arbitrary, tmp_path):
    """y = 2 t + noise, t from 0 to 10."""
    import pyarrow as pa
    import pyarrow.parquet

    generator = np.random.default_rng(0)
    t = generator.uniform(0, 10, 800)
    y = 2 * t + generator.normal(size=800)
    model = pf.fit_table(
        pa.table({"y": y, "t": t}), given=["t"], arbitrary_conditions=arbitrary, max_steps=30, progress=False
    ).model
    ends = {0.0: (-0.5, -2, -10, -1000), 10.0: (10.5, 12, 20, 1000)}
    torch.manual_seed(0)
    for end, beyond in ends.items():
        at_end = width(model, [end])
        for value in beyond:
            assert is_as_wide(width(model, [value]), at_end)
    pa.parquet.write_table(pa.table({"y": y[:4], "t": [5.0, 12.0, 1000.0, -1.0]}), tmp_path / "rows.parquet")
    scores = model.score(tmp_path / "rows.parquet", tmp_path / "scores.parquet")
    assert (scores.strange.beyond, dict(scores.strange.beyond_of), scores.seen) == (3, {"t": 3}, 4)
    lines = []
    model.sample(tmp_path / "draws.parquet", given=tmp_path / "rows.parquet", announce=lines.append)
    assert lines == scores.strange.lines() and "3 of 4 rows hold a given value outside the range" in lines[0]
    pa.parquet.write_table(pa.table({"y": y, "t": t}), tmp_path / "rows.parquet")
    assert model.score(tmp_path / "rows.parquet", tmp_path / "scores.parquet").strange.beyond == 0


def conditions(kind, rows):
    """Columns of conditions, and codes of their end and beyond it."""
    generator = np.random.default_rng(1)
    if kind == "two numbers":
        given = {"t": generator.uniform(0, 10, rows), "u": generator.normal(size=rows)}
        return given, [10.0, 2.0], [[1000.0, 2.0], [10.0, 1e6], [-50.0, -50.0]]
    if kind == "whole numbers":
        return {"t": generator.integers(0, 12, rows)}, [11.0], [[12.0], [30.0], [-5.0]]
    days = np.datetime64("2022-01-01") + generator.integers(0, 365, rows)
    return {"t": days.astype("datetime64[s]")}, [364.0], [[366.0], [3000.0], [-40000.0]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two numbers", "whole numbers", "dates"])
def test_no_kind_of_condition_makes_a_model_surer_beyond_its_range(kind):
    import pyarrow as pa

    given, end, beyond = conditions(kind, 600)
    trend = np.linspace(0, 1, 600)[np.argsort(np.argsort(given["t"]))]
    y = 20 * trend + np.random.default_rng(0).normal(size=600)
    table = pa.table({"y": y, **given})
    model = pf.fit_table(table, given=list(given), max_steps=40, progress=False).model
    torch.manual_seed(0)
    at_end = width(model, end)
    for codes in beyond:
        assert is_as_wide(width(model, codes), at_end)
        assert bool(model.density.beyond_range(torch.tensor([codes], dtype=torch.float64)).any())
    assert not bool(model.density.beyond_range(torch.from_numpy(model.encode(table)[:, 1:])).any())
