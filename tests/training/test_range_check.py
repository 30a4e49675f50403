"""The warning that data lie outside the box of the splines."""

import re
import warnings

import pytest
import torch

import pushforward as pf

ROWS = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 10.0])


def small(**options):
    return pf.nsf(2, layers=2, hidden=(8,), **options)


@pytest.mark.parametrize("kind", ["autoregressive", "coupling"])
def test_the_share_outside_and_the_column_are_named(kind):
    with pytest.warns(RuntimeWarning, match=r"% of x\[:, 1\] lies outside the box of the splines \(±5 ") as caught:
        pf.fit(small(kind=kind), ROWS, max_steps=1)
    stated = float(re.search(r"([\d.]+)% of x", str(caught[0].message)).group(1)) / 100
    assert stated == pytest.approx(float((ROWS[:, 1].abs() > 5).double().mean()), abs=0.02)


def test_the_name_of_a_column_is_used():
    frame = pytest.importorskip("pandas").DataFrame(ROWS.numpy(), columns=["mass", "radius"])
    with pytest.warns(RuntimeWarning, match='of column "radius" lies outside'):
        pf.fit(small(), frame, max_steps=1)


@pytest.mark.parametrize(
    "flow",
    [
        pf.standardized(small(), ROWS),
        small(bound=40.0),
        pf.maf(2, layers=2, hidden=(8,)),
        pf.realnvp(2, layers=2, hidden=(8,)),
    ],
)
def test_no_warning_where_all_is_well(flow):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        pf.fit(flow, ROWS, max_steps=1)


def test_context_is_passed_on_and_nothing_is_initialized_on_the_way():
    flow = pf.Flow(
        pf.Compose(
            [
                pf.bijections.Autoregressive(
                    2, pf.bijections.RationalQuadraticSpline(4, 3.0), pf.networks.Conditioner((8,)), 1
                ),
                pf.bijections.ActNorm(2),
            ]
        ),
        pf.distributions.BASES["normal"](2),
    )
    from pushforward.training.range_check import warn_of_tails

    with pytest.warns(RuntimeWarning, match="lies outside"):
        warn_of_tails(flow.train(), ROWS, ROWS[:, :1], str)
    assert flow.training and not flow.bijection[1].initialized
