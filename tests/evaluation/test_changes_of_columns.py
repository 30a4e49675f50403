"""What is said of a column that differs between two tables."""

import re

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.evaluation.report.changes import change_of


@pytest.fixture(scope="module")
def model():
    random = np.random.default_rng(0)
    rows = pa.table({"x": random.normal(10, 2, 400), "kind": random.choice(["u", "v", "w"], 400)})
    return pf.fit_table(rows, flow="nice", max_steps=2, progress=False).model


def normal(mean, deviation, seed, rows=5000):
    return np.random.default_rng(seed).normal(mean, deviation, rows)


def test_a_number_moved_and_wider(model):
    said = change_of(model, "x", normal(10, 2, 1), normal(11, 3, 2))
    shift, ratio = re.fullmatch(r"(.*) standard deviations higher and (.*) times as wide", said).groups()
    # Medians have errors of 1.25 / sqrt(5000) = 0.02 and 0.03 deviations, ranges of 2 % each.
    assert abs(float(shift) - 0.5) < 0.2 and abs(float(ratio) - 1.5) < 0.2
    assert re.fullmatch(r".* standard deviations lower", change_of(model, "x", normal(11, 2, 1), normal(10, 2, 2)))


def test_nothing_stands_out_of_equal_columns(model):
    said = [change_of(model, "x", normal(10, 2, seed), normal(10, 2, 1000 + seed)) for seed in range(50)]
    # Two statements at three standard errors each.
    assert sum(map(bool, said)) <= 4
    assert change_of(model, "x", normal(0, 1, 0), np.empty(0)) == ""
    gaps = np.full(50, np.nan)
    assert change_of(model, "x", gaps, gaps) == ""


def test_a_level_and_gaps_are_named_with_their_shares(model):
    codes = model.encode(pa.table({"x": [10.0] * 3, "kind": ["u", "v", "w"]}))[:, model.names.index("kind")]
    a, b = np.repeat(codes, [500, 300, 200]), np.repeat(codes, [200, 300, 500])
    assert change_of(model, "kind", a, b) in ('"u" in 50%, then 20%', '"w" in 20%, then 50%')
    b[::5] = np.nan
    assert change_of(model, "kind", a, b).startswith('missing in 0%, then 20% and "')
