"""Whole numbers up to 2^53, such as bytes and microseconds, are whole, with probabilities that keep their digits."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import is_mean_of
from small_fits import small_flows

import pushforward as pf
from pushforward.tables import infer_schema, parse_schema
from pushforward.tables.columns.columns import Columns

GENERATOR = np.random.default_rng(0)
ROWS = 1000
POWERS = [40, 42, 46, 50, 53]


def bytes_up_to(power):
    return np.round(2.0 ** (power - 1) * (1 + GENERATOR.random(ROWS))).astype(np.int64)


@pytest.mark.parametrize("power", POWERS)
def test_they_are_whole_numbers_to_the_last_one(power):
    column = infer_schema(pa.table({"x": bytes_up_to(power)}), source="t")["x"]
    assert column.kind == "integer" and column.describe().startswith("integer, from 0") and column.remark is None
    assert parse_schema({"x": column.as_json()})["x"] == column


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("arbitrary", [False, True])
def test_draws_are_whole_and_fractions_were_never_seen(power, arbitrary, monkeypatch):
    small_flows(monkeypatch)
    values = bytes_up_to(power)
    table = pd.DataFrame({"b": values, "y": GENERATOR.normal(size=ROWS)})
    options = {"arbitrary_conditions": True} if arbitrary else {}
    model = pf.fit_table(table, max_steps=10, progress=False, **options).model
    drawn = model.decode(model.draw(300))["b"]
    assert drawn.type == pa.int64() and min(drawn.to_pylist()) >= 0
    # The density of a uniform number on [2^(power - 1), 2^power], and of a normal one.
    log_p = model.log_prob(model.encode(table))
    truth = -(power - 1) * np.log(2) + stats.norm.logpdf(table["y"])
    assert np.isfinite(log_p).all() and is_mean_of(log_p - truth, 0.0, allowance=0.7)
    if power < 53:
        never = table[:1].assign(b=float(values[0]) + 0.5)
        assert model.log_prob(model.encode(never))[0] == -np.inf
    smaller = infer_schema(pa.table({"b": [0, 1, 5, 90] * 10}), source="t")
    assert model.schema["b"].arrow_type == smaller["b"].arrow_type


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_probabilities_are_those_of_the_steps(power, share):
    # Columns of whole numbers, with zeros as an atom or without: P(value) is the density there, since a step is short.
    values = np.where(GENERATOR.random(ROWS) < share, 0, bytes_up_to(power))
    schema = infer_schema(pa.table({"x": values}), source="t")
    assert schema["x"].kind == ("mixed" if share else "integer") and schema["x"].discrete
    columns = Columns(schema, ["x"])
    codes = torch.from_numpy(values[values > 0].astype(float))[:, None]
    y, log_term = columns.encode(codes, torch.full((1,), 0.5, dtype=torch.float64))
    if not share:
        assert bool((log_term == 0).all()) and bool((columns.decode(y) == codes).all() or power == 53)
        return
    base = stats.norm.logpdf(y.numpy()) + log_term.numpy()
    assert np.isfinite(base).all()
    expected = np.log(1 - share) - (power - 1) * np.log(2)
    assert is_mean_of(base[:, 0], expected, allowance=0.2)
    drawn = columns.decode(y).numpy()
    assert np.array_equal(drawn, np.round(drawn))
    low, high, log_term = columns.intervals(codes)
    assert bool((low <= high).all()) and bool(log_term.isfinite().all())


def test_microseconds_of_a_year_keep_their_noise():
    moments = 1_700_000_000_000_000 + GENERATOR.integers(0, 3 * 10**13, ROWS)
    schema = infer_schema(pa.table({"x": moments}), source="t")
    assert schema["x"].kind == "integer"
    columns = Columns(schema, ["x"])
    codes = torch.from_numpy(moments.astype(float))[:, None]
    for noise in (0.0, 0.25, 0.99):
        y, _ = columns.encode(codes, torch.tensor([noise], dtype=torch.float64))
        np.testing.assert_array_equal(columns.decode(y).numpy(), codes.numpy())


def test_a_constant_is_whole_too():
    assert infer_schema(pa.table({"x": [2**45] * 50}), source="t")["x"].arrow_type == pa.int64()


def test_beyond_it_is_said():
    with pytest.raises(pf.InputError, match="9007199254740993"):
        infer_schema(pa.table({"x": [1, 2, 2**53 + 1] * 20}), source="t")
    some = np.append(np.round(np.exp(GENERATOR.normal(20, 2, 300))), 1e17 * np.arange(1, 30) + 128)
    column = infer_schema(pa.table({"x": some}), source="t")["x"]
    assert not column.discrete and "beyond 2^53, which float64 does not tell apart" in column.remark
    # Where there are no fractions, whole numbers mean nothing.
    assert infer_schema(pa.table({"x": 1e20 * GENERATOR.random(300)}), source="t")["x"].remark is None
