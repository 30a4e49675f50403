"""Models of tables that numpy reads give the log-densities, codes and quantiles of `TableModel`."""

import copy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import seed_offset
import torch

import pushforward as pf
from pushforward import lite
from pushforward.lite.even_points import uniform_points
from pushforward.support import even_points

GOLDEN = Path(__file__).parent.parent / "golden"
READ = sorted(path.stem for path in (GOLDEN / "tables").glob("*.safetensors"))
# A cell may be as short as 2^-26, and then has half of the digits of its ends.
TOLERANCE = 1e-7


def rows_of_kinds(count=400, seed=0):
    """A table with a column of nearly every kind."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(count, 3))
    rain = np.where(random.uniform(size=count) < 0.4, 0.0, np.exp(z[:, 0]))
    return pa.table(
        {
            "number": z[:, 0] + z[:, 1],
            "rounded": np.round(20 + 5 * z[:, 0], 1),
            "positive": np.exp(3 * z[:, 1]),
            "share": 1 / (1 + np.exp(-4 * z[:, 2])),
            "heavy": random.standard_t(1.5, count),
            "count": random.poisson(np.exp(0.5 * z[:, 0] + 1)),
            "whole": np.round(1000 * z[:, 1]).astype(int),
            "level": np.array(["a", "b", "c", "d"])[np.clip(np.round(z[:, 0] + 1.5), 0, 3).astype(int)],
            "rain": rain,
            "rounded rain": np.round(rain, 1),
            "angle": np.mod(360 * (0.3 * z[:, 2]), 360),
            "when": np.datetime64("2024-01-01") + random.integers(0, 300, count).astype("timedelta64[D]"),
            "same": np.full(count, 7.0),
        }
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Models of all kinds at once, alone and given some of them, and the table."""
    folder, table = tmp_path_factory.mktemp("tables"), rows_of_kinds()
    options = {"max_steps": 30, "flow": "maf", "schema": {"angle": {"kind": "periodic", "period": 360}}}
    found = {"alone": pf.fit_table(table, **options).model}
    given = ["level", "angle", "rain", "rounded"]
    found["given"] = pf.fit_table(table, columns=["number", "count", "heavy"], given=given, **options).model
    found["one target"] = pf.fit_table(table, columns=["positive"], given=given[:2], **options).model
    read = {}
    # The points of the noise are those of the seed 0.
    with seed_offset.disabled():
        for name, model in found.items():
            path = folder / f"{name}.safetensors"
            model.save(path)
            read[name] = pf.TableModel.load(path), lite.load(path)
    return read, table


def in_double(model):
    """The log-densities of a model in double precision; those it gives are of single-precision networks."""
    density = copy.deepcopy(model.density).double()

    def log_prob(codes):
        codes = model.roles.known(codes, model.names)
        with torch.no_grad():
            found = density.log_prob(*model.roles.inputs(torch.from_numpy(codes))).numpy()
        return np.where((codes == np.inf).any(1) | ~np.isfinite(found), -np.inf, found)

    return log_prob


@pytest.mark.parametrize("name", ["alone", "given", "one target"])
def test_a_table_of_all_kinds_has_the_log_densities_of_torch(fitted, name):
    (model, read), table = fitted[0][name], fitted[1]
    codes = read.encode(table)
    np.testing.assert_array_equal(codes, model.encode(table))
    np.testing.assert_allclose(read.log_prob(codes), in_double(model)(codes), rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(read.log_prob(codes), model.log_prob(codes), rtol=1e-2, atol=1e-2)
    assert np.isneginf(read.log_prob(np.where(np.arange(codes.shape[1]) == 0, np.inf, codes))).all()


@pytest.mark.parametrize("name", ["alone", "given"])
def test_draws_are_those_of_torch_for_the_same_noise(fitted, name):
    (model, read), table = fitted[0][name], fitted[1]
    given = read.encode(table, read.given) if read.given else None
    noise = np.random.default_rng(0).normal(size=(len(table), len(read.modeled)))
    density = copy.deepcopy(model.density).double()
    with torch.no_grad():
        expected = density.draws_of(torch.from_numpy(noise), None if given is None else torch.from_numpy(given)).numpy()
    found = read.draws_of(np.concatenate([np.zeros((len(noise), 1)), noise], 1), given)
    places = [read.columns.index(one) for one in read.modeled]
    # At the edge between two values of a discrete column a rounding decides.
    same = np.isclose(found[:, places], expected, rtol=1e-6, atol=1e-6)
    assert same.mean() > 0.999
    drawn = read.sample(None if read.given else 50, given, seed=0)
    assert read.decode(drawn).column_names == read.columns
    assert np.isfinite(drawn).all()


def test_quantiles_of_one_target_enclose_their_shares(fitted):
    (_, read), table = fitted[0]["one target"], fitted[1]
    given = read.encode(table, read.given)
    ends = [read.quantile(np.full(len(given), level), given) for level in (0.1, 0.5, 0.9)]
    assert (ends[0] < ends[1]).all() and (ends[1] < ends[2]).all()
    noise = np.array([[0.0, 1.2815515655446004]]) + np.zeros((len(given), 1))
    np.testing.assert_allclose(read.draws_of(noise, given)[:, 0], ends[2], rtol=1e-9)


@pytest.mark.recorded
@pytest.mark.parametrize("name", READ)
def test_stored_models_of_tables_are_read(name):
    model, read = (load(GOLDEN / "tables" / f"{name}.safetensors") for load in (pf.TableModel.load, lite.load))
    codes = read.encode(pq.read_table(GOLDEN / "tables" / f"{name}.parquet"))
    np.testing.assert_allclose(read.log_prob(codes), in_double(model)(codes), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.recorded
@pytest.mark.parametrize(("count", "features"), [(16, 1), (16, 2), (128, 5), (16, 40), (128, 1024)])
def test_the_points_of_the_noise_are_those_of_torch(count, features):
    np.testing.assert_array_equal(uniform_points(count, features), even_points.uniform_points(count, features).numpy())


def test_more_columns_than_there_are_points_for_are_refused():
    with pytest.raises(pf.InputError, match="1025 columns"):
        uniform_points(16, 1025)
