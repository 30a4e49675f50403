"""Models of any columns given any others, and of measurement errors, give in numpy what they give in torch."""

import copy
import math

import numpy as np
import pyarrow as pa
import pytest
import seed_offset
import torch
from test_tables import TOLERANCE, in_double, rows_of_kinds

import pushforward as pf
from pushforward import lite


def stored(model, folder):
    path = folder / "table.safetensors"
    model.save(path)
    # The points of the noise are those of the seed 0.
    with seed_offset.disabled():
        return pf.TableModel.load(path), lite.load(path)


def with_gaps(codes, seed=0):
    return np.where(np.random.default_rng(seed).uniform(size=codes.shape) < 0.3, np.nan, codes)


def known_at_random(codes, seed=1):
    return np.random.default_rng(seed).uniform(size=codes.shape) < 0.5


def codes_of_features(model, codes):
    return torch.from_numpy(codes[:, [model.names.index(name) for name in model.modeled]])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A model of columns of nearly every kind, some of which are conditions, in torch and in numpy; and the rows."""
    table = rows_of_kinds()
    options = {"max_steps": 20, "schema": {"angle": {"kind": "periodic", "period": 360}}, "progress": False}
    model = pf.fit_table(table, given=["share", "level"], arbitrary_conditions=True, **options).model
    torch_model, read = stored(model, tmp_path_factory.mktemp("any"))
    return torch_model, read, with_gaps(read.encode(table))


def test_log_densities_of_rows_with_gaps_are_those_of_torch(fitted):
    model, read, codes = fitted
    np.testing.assert_allclose(read.log_prob(codes), in_double(model)(codes), rtol=TOLERANCE, atol=TOLERANCE)
    assert np.isneginf(read.log_prob(np.where(np.arange(codes.shape[1]) == 0, np.inf, codes))).all()
    # A condition that was never seen is not known.
    place = read.names.index("level")
    unknown, missing = (np.where(np.arange(codes.shape[1]) == place, value, codes) for value in (np.inf, np.nan))
    np.testing.assert_array_equal(read.log_prob(unknown), read.log_prob(missing))


def test_any_columns_given_any_others_are_those_of_torch(fitted):
    model, read, codes = fitted
    known = known_at_random(codes)
    density = copy.deepcopy(model.density).double()
    places = [model.names.index(name) for name in model.modeled]
    with torch.no_grad():
        expected = density.log_prob_given(codes_of_features(model, codes), torch.from_numpy(known[:, places])).numpy()
    np.testing.assert_allclose(read.log_prob_given(codes, known), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_draws_and_quantiles_given_others_are_those_of_torch(fitted):
    model, read, codes = fitted
    density, features = copy.deepcopy(model.density).double(), codes_of_features(model, codes)
    noise = read.density.noise(len(codes), seed=0)
    given = codes[:, [read.names.index(name) for name in read.given]]
    with torch.no_grad():
        expected = density.draws_of(torch.from_numpy(noise), torch.from_numpy(given)).numpy()
    found = read.draws_of(noise, given)
    varying = [name for name in read.columns if name in model.modeled]
    ours, theirs = ([names.index(name) for name in varying] for names in (read.columns, model.modeled))
    # At the edge between two values of a discrete column a rounding decides.
    assert np.isclose(found[:, ours], expected[:, theirs], rtol=1e-6, atol=1e-6).mean() > 0.999
    for place, name in enumerate(model.modeled):
        with torch.no_grad():
            quantiles = density.quantiles(features, place, [0.1, 0.5, 0.9]).numpy()
        assert np.isclose(read.quantiles(codes, name, [0.1, 0.5, 0.9]), quantiles, rtol=1e-6, atol=1e-6).mean() > 0.999


def test_gaps_are_filled_and_values_stay(fitted):
    model, read, codes = fitted
    filled = read.fill(codes, seed=0)
    varying = [read.names.index(name) for name in model.modeled]
    assert np.isfinite(filled[:, varying]).all()
    there = ~np.isnan(codes)
    np.testing.assert_array_equal(filled[there], codes[there])
    np.testing.assert_array_equal(filled, read.fill(codes, seed=0))
    drawn = read.sample(given=codes[:, [read.names.index(name) for name in read.given]], seed=0)
    assert read.decode(drawn).column_names == read.columns
    with pytest.raises(pf.InputError, match="does not vary"):
        read.quantiles(codes, "same", [0.5])


def test_beyond_the_range_of_the_rows_a_linear_trend_goes_on_as_in_torch(tmp_path):
    random = np.random.default_rng(0)
    t = random.uniform(0, 10, 300)
    table = pa.table({"y": 2 * t + random.normal(size=300), "whole": np.round(5 * t).astype(int), "t": t})
    model, read = stored(pf.fit_table(table, arbitrary_conditions=True, max_steps=5, progress=False).model, tmp_path)
    codes = np.array([[40.0, 90.0, 20.0], [30.0, np.nan, 12.0], [2000.0, 5000.0, 1000.0], [math.nan, -20, -4.0]])
    known = np.zeros(codes.shape, bool)
    known[:, read.names.index("t")] = True
    density, features = copy.deepcopy(model.density).double(), codes_of_features(model, codes)
    with torch.no_grad():
        expected = density.log_prob_given(features, torch.from_numpy(known)).numpy()
        quantiles = density.quantiles(features, 0, [0.05, 0.5, 0.95]).numpy()
    assert density.values_beyond_range(features).any()
    np.testing.assert_allclose(read.log_prob_given(codes, known), expected, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(read.quantiles(codes, "y", [0.05, 0.5, 0.95]), quantiles, rtol=1e-8)


def test_a_density_of_true_values_is_averaged_over_the_errors_of_torch(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    error = random.uniform(0.1, 0.5, size=100)
    columns = {"flux": random.normal(size=100) + error * random.normal(size=100), "mass": random.normal(size=100)}
    table = pa.table({**columns, "e": error, "n": random.integers(0, 4, 100)})
    fit = pf.fit_table(table, errors={"flux": "e"}, flow="nice", max_steps=3, progress=False)
    model, read = stored(fit.model, tmp_path)
    assert read.errors == {"flux": "e"} and read.names[-1] == "e"
    codes = read.encode(table)
    np.testing.assert_array_equal(codes, model.encode(table))
    codes = codes[:10]
    np.testing.assert_allclose(read.log_prob(codes), in_double(model)(codes), rtol=TOLERANCE, atol=TOLERANCE)
    whole = read.log_prob(codes)
    monkeypatch.setattr("pushforward.lite.table.MOST_AT_ONCE", 3 * 2048)
    np.testing.assert_allclose(read.log_prob(codes), whole, rtol=1e-12)
    assert read.sample(5, seed=0).shape == (5, len(read.columns))
