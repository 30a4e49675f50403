"""Levels of quantiles, and codes of rows, that cannot be; tables without rows."""

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from named_flows import shaken

import pushforward as pf
from pushforward import lite

TABLES = Path(__file__).parent.parent / "golden" / "tables"


@pytest.fixture(scope="module")
def one_feature(tmp_path_factory):
    path = tmp_path_factory.mktemp("levels") / "m.safetensors"
    pf.save(shaken(pf.nsf(features=1, layers=1, hidden=(4,))), path)
    return lite.load(path)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (1, 1), (2, 1, 3), (0,)])
def test_quantiles_have_the_shape_of_their_levels(shape, one_feature):
    levels = np.random.default_rng(0).uniform(size=shape)
    x = one_feature.quantile(levels)
    assert x.shape == shape
    np.testing.assert_array_equal(x.ravel(), one_feature.quantile(levels.ravel()))


def test_quantiles_of_contexts_have_the_shape_of_both(tmp_path):
    pf.save(shaken(pf.nsf(features=1, context=2, layers=1, hidden=(4,))), tmp_path / "m.safetensors")
    model, context = lite.load(tmp_path / "m.safetensors"), np.random.default_rng(0).normal(size=(3, 2))
    each = [model.quantile([0.2, 0.8], np.stack([own] * 2)) for own in context]
    found = model.quantile(np.array([0.2, 0.8]), context[:, None])
    np.testing.assert_allclose(found, each, rtol=1e-12)


@pytest.mark.parametrize("level", [-0.1, 1.1, np.nan, np.inf, -np.inf])
def test_levels_beyond_0_and_1_are_refused(level, one_feature):
    with pytest.raises(pf.InputError, match="numbers from 0 to 1"):
        one_feature.quantile(np.array([0.5, level]))
    any_given = lite.load(TABLES / "any_given.safetensors")
    with pytest.raises(pf.InputError, match="numbers from 0 to 1"):
        any_given.quantiles(np.full((2, len(any_given.names)), np.nan), any_given.features[0], [0.5, level])


def test_jax_has_nan_for_them(one_feature):
    jax = pytest.importorskip("jax")
    levels = np.array([0.25, -0.1, 1.1, np.nan, 0.75], np.float32)
    found = np.asarray(jax.jit(lambda level: one_feature.quantile(level, xp=jax.numpy))(levels))
    assert np.isnan(found).tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(found[[0, 4]], one_feature.quantile(levels[[0, 4]]), rtol=1e-4)


def test_the_ends_stay_quantiles(one_feature):
    assert one_feature.quantile([0.0, 1.0]).tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("name", sorted(path.stem for path in TABLES.glob("*.safetensors")))
def test_a_table_without_rows_has_codes_without_rows(name):
    model, table_model = lite.load(TABLES / f"{name}.safetensors"), pf.TableModel.load(TABLES / f"{name}.safetensors")
    table = pyarrow.parquet.read_table(TABLES / f"{name}.parquet")
    for rows in (table[:0], table[:0].to_pandas()):
        codes = model.encode(rows)
        assert codes.shape == (0, len(model.names)) == table_model.encode(rows).shape
    assert model.log_prob(codes).shape == (0,)


@pytest.mark.parametrize("texts", [["2024-02-29", "2024-03-01"], ["2024-02-29 13:05:00", "2024-02-29 13:05:01"]])
def test_dates_that_are_text_may_have_no_rows(texts, tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=80), "day": texts * 40})
    pf.fit_table(frame, flow="maf", max_steps=2, progress=False).model.save(tmp_path / "m.safetensors")
    for model in (pf.TableModel.load(tmp_path / "m.safetensors"), lite.load(tmp_path / "m.safetensors")):
        assert model.encode(frame[:0]).shape == (0, 2)


def test_codes_that_stand_for_nothing_are_refused():
    model = lite.load(TABLES / "kinds.safetensors")
    codes = model.sample(3, seed=0)
    with pytest.raises(pf.InputError, match="Expected a matrix of codes"):
        model.decode(codes[:, :-1])
    codes[1, model.columns.index("sex")] = 7
    with pytest.raises(pf.InputError, match='Column "sex" has no level of the code 7'):
        model.decode(codes)


@pytest.mark.parametrize("rows", [[[None, 1.0, 2.0]], [[1j, 0, 0]], [["1", "2", "3"]]], ids=["gap", "complex", "text"])
def test_what_is_no_number_is_not_made_one(rows, tmp_path):
    pf.save(pf.maf(features=3, layers=1, hidden=(4,)), tmp_path / "m.safetensors")
    model = lite.load(tmp_path / "m.safetensors")
    for array in (rows, np.array(rows)):
        with pytest.raises(pf.InputError, match="Expected an array of numbers as rows"):
            model.log_prob(array)
    with pytest.raises(pf.InputError, match="number of draws is a whole number"):
        model.sample(None)


def test_levels_and_what_is_known_have_their_dimensions():
    model = lite.load(TABLES / "any_given.safetensors")
    codes = np.full((2, len(model.names)), np.nan)
    with pytest.raises(pf.InputError, match="one dimension"):
        model.quantiles(codes, model.features[0], 0.5)
    with pytest.raises(pf.InputError, match="Expected known of"):
        model.log_prob_given(codes, np.zeros(len(model.names), bool))


@pytest.mark.parametrize("load", [pf.TableModel.load, lite.load])
@pytest.mark.parametrize("shape", [(3,), (2, 9), (1, 2, 3), ()])
def test_a_row_is_not_a_matrix(shape, load):
    with pytest.raises(pf.InputError, match="Expected a matrix of codes of 3 columns"):
        load(TABLES / "plain.safetensors").log_prob(np.zeros(shape))
