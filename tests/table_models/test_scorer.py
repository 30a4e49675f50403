"""A model as a picklable function of batches."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

import pushforward as pf
from pushforward.table_models import imputation
from pushforward.table_models.scorer import NOISE_ROWS, _read, noise_of_rows

ROWS = 300


def frame(rows=ROWS, seed=0, gaps=False):
    generator = np.random.default_rng(seed)
    mass = generator.normal(size=rows)
    found = pd.DataFrame(
        {
            "name": [f"star {number}" for number in range(rows)],
            "mass": mass,
            "radius": mass + 0.5 * generator.normal(size=rows),
            "sex": np.where(generator.random(rows) < 0.5, "m", "f"),
            "stars": generator.integers(1, 6, rows),
        },
        index=np.arange(rows)[::-1] * 10,
    )
    if gaps:
        found.loc[generator.random(rows) < 0.2, "mass"] = np.nan
        found.loc[generator.random(rows) < 0.2, "sex"] = None
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of models: of complete rows, of rows with gaps, and of some columns given others."""
    folder = tmp_path_factory.mktemp("models")
    columns = ["mass", "radius", "sex", "stars"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.zoo.recipe.LAYERS", 2)
        patch.setattr("pushforward.zoo.recipe.WIDTH", 16)
        fits = {
            "complete": {"data": frame(), "columns": columns},
            "gaps": {"data": frame(gaps=True), "columns": columns},
            "given": {"data": frame(), "columns": ["radius", "stars"], "given": ["mass"]},
            "numbers": {"data": frame(), "columns": ["mass", "radius"]},
        }
        for name, options in fits.items():
            pf.fit_table(**options, max_steps=5).model.save(folder / f"{name}.safetensors")
    return {name: str(folder / f"{name}.safetensors") for name in fits}


def arrow(data):
    return pa.Table.from_pandas(data, preserve_index=False)


@pytest.mark.parametrize("name", ["complete", "gaps", "given"])
def test_scores_are_those_of_the_command(models, tmp_path, name):
    data = frame(1500, seed=1, gaps=name == "gaps")
    data.loc[data.index[7], "radius"] = 1e6
    pyarrow.parquet.write_table(arrow(data), tmp_path / "t.parquet")
    pf.TableModel.load(models[name]).score(tmp_path / "t.parquet", tmp_path / "s.parquet")
    expected = pyarrow.parquet.read_table(tmp_path / "s.parquet")
    score = pickle.loads(pickle.dumps(pf.scorer(models[name])))
    found = score(arrow(data))
    assert isinstance(found, pa.Table) and found.column_names == expected.column_names
    for column in ("log_prob", "p_value", "unseen"):
        assert found.column(column).to_pylist() == expected.column(column).to_pylist()
    of_frame = score(data)
    assert list(of_frame.columns) == expected.column_names and of_frame.index.equals(data.index)
    assert (of_frame["log_prob"].to_numpy() == expected.column("log_prob").to_numpy()).all()
    pd.testing.assert_frame_equal(of_frame[data.columns], data)
    batch = arrow(data).to_batches()[0].slice(0, 20)
    of_batch = score(batch)
    assert isinstance(of_batch, pa.RecordBatch) and of_batch.schema.names == expected.column_names
    # Rows are scored alike in any batch, to the rounding of float32 sums in another order.
    np.testing.assert_allclose(of_batch.column("log_prob"), expected.column("log_prob")[:20], rtol=1e-5, atol=1e-4)


def test_what_gives_one_kind_of_column(models):
    data = frame(20)
    model = pf.TableModel.load(models["gaps"])
    matrix = model.encode(data)
    assert (pf.scorer(models["gaps"], "log_prob")(data)["log_prob"] == model.log_prob(matrix)).all()
    found = pf.scorer(models["gaps"], "p_value")(data)
    assert (found["p_value"] == model.p_values(matrix)).all() and "log_prob" not in found
    found = pf.scorer(models["gaps"], what="shares")(data)
    assert [name for name in found if name not in data] == [f"share_{name}" for name in model.modeled]
    assert (found.iloc[:, -len(model.modeled) :].to_numpy() == model.shares(matrix)).all()


@pytest.mark.parametrize("what", ["score", "log_prob", "p_value", "shares", "impute"])
def test_a_batch_without_rows_has_the_same_columns(models, what):
    do, data = pf.scorer(models["gaps"], what), frame(5)
    some, none = do(data), do(data[:0])
    assert list(none.columns) == list(some.columns) and len(none) == 0
    batch = do(arrow(data).to_batches()[0].slice(0, 0))
    assert batch.num_rows == 0 and batch.schema == do(arrow(data).to_batches()[0]).schema


def test_gaps_are_filled_as_by_the_command(models, tmp_path):
    data = frame(ROWS, seed=2, gaps=True)
    pyarrow.parquet.write_table(arrow(data), tmp_path / "t.parquet")
    imputation.impute(pf.TableModel.load(models["gaps"]), tmp_path / "t.parquet", tmp_path / "i.parquet")
    expected = pyarrow.parquet.read_table(tmp_path / "i.parquet")
    impute = pf.scorer(models["gaps"], "impute")
    assert impute(arrow(data)).to_pydict() == expected.to_pydict()
    found = impute(data)
    assert found.index.equals(data.index) and list(found.columns) == list(data.columns)
    assert found.to_dict("list") == expected.to_pydict() and data["mass"].isna().any()


def split(data, sizes):
    starts = np.cumsum([0, *sizes])
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


@pytest.mark.parametrize(("name", "what", "draws"), [("given", "sample", None), ("gaps", "impute", 3)])
def test_draws_by_row_number_do_not_depend_on_batches(models, name, what, draws):
    data = frame(ROWS, seed=3, gaps=name == "gaps")[["name", "mass", *(["radius", "sex", "stars"] if draws else [])]]
    data["id"] = np.random.default_rng(0).permutation(2 * NOISE_ROWS)[:ROWS]
    do = pf.scorer(models[name], what, draws=draws, row_number="id", seed=4)
    whole = do(data)
    parts = pd.concat([do(part) for part in split(data, [1, 20, 100])])
    assert list(whole["name"]) == list(parts["name"]) == list(np.repeat(data["name"], draws or 1))
    np.testing.assert_allclose(whole["radius"], parts["radius"], rtol=1e-4, atol=1e-4)
    # A whole number may be rounded to another side.
    assert (whole["stars"] == parts["stars"]).mean() > 0.99
    assert (whole["radius"] != do(data[::-1])["radius"][::-1]).mean() < 1
    other = pf.scorer(models[name], what, draws=draws, row_number="id", seed=5)(data)
    empty = np.ones(len(whole), bool) if draws is None else np.repeat(data["mass"].isna().to_numpy(), draws)
    column = "radius" if draws is None else "mass"
    assert (whole[column].to_numpy()[empty] != other[column].to_numpy()[empty]).all()
    if draws:
        assert list(whole["draw"][:4]) == [1, 2, 3, 1] and next(iter(whole)) == "draw"
        assert whole["mass"].to_numpy()[np.repeat(empty.reshape(-1, draws)[:, 0], draws)].std() > 0


def test_draws_without_given_columns_are_one_for_each_row(models):
    rows = pd.DataFrame({"id": np.arange(4 * NOISE_ROWS)})
    drawn = pf.scorer(models["numbers"], "sample", row_number="id")(rows)
    assert list(drawn.columns) == ["id", "mass", "radius"] and drawn["mass"].nunique() == len(rows)
    # Independent draws: correlations of neighbors are within five of their standard errors.
    for lag in (1, NOISE_ROWS):
        assert abs(np.corrcoef(drawn["mass"][lag:], drawn["mass"][:-lag])[0, 1]) < 5 / len(rows) ** 0.5
    fresh = pf.scorer(models["numbers"], "sample")
    assert (fresh(arrow(rows)).column("mass").to_numpy() != fresh(arrow(rows)).column("mass").to_numpy()).all()


def test_noise_depends_on_the_number_of_a_row_alone(models):
    density = pf.TableModel.load(models["numbers"]).density
    numbers = np.array([5, 3, NOISE_ROWS + 1, 5])
    before = torch.get_rng_state()
    noise = noise_of_rows(density, numbers, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(noise[0], noise[3]) and torch.equal(noise[1:2], noise_of_rows(density, numbers[1:2], 0))
    assert noise_of_rows(density, numbers[:0], 0).shape == (0, 2)


def test_the_file_is_read_once_in_a_process_and_again_if_it_changes(models, tmp_path):
    path = tmp_path / "m.safetensors"
    pf.TableModel.load(models["numbers"]).save(path)
    _read.cache_clear()
    score = pf.scorer(path)
    for _ in range(3):
        score(frame(3))
        pickle.loads(pickle.dumps(score))(frame(3))
    assert _read.cache_info().misses == 1 and len(pickle.dumps(score)) < 1000
    pf.TableModel.load(models["given"]).save(path)
    assert "log_prob" in score(frame(3)) and _read.cache_info().misses == 2


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("numbers", {"what": "draw"}, "what is one of score, log_prob, p_value, shares, impute, sample; it is 'draw'"),
        ("numbers", {"what": "impute"}, "--arbitrary-conditions"),
        ("complete", {"what": "shares"}, "This model has no shares"),
        ("numbers", {"draws": 2}, "for what='impute'"),
        ("gaps", {"what": "impute", "draws": 0}, "at least 1"),
        ("numbers", {"what": "sample", "seed": 1}, "A seed needs row_number"),
        ("numbers", {"row_number": "id"}, "row_number is for draws"),
    ],
    ids=str,
)
def test_what_a_model_cannot_do_is_refused_at_once(models, name, options, sentence):
    with pytest.raises(pf.InputError, match=sentence):
        pf.scorer(models[name], **options)


def test_batches_that_do_not_fit_are_refused(models, tmp_path):
    score = pf.scorer(models["numbers"])
    with pytest.raises(pf.InputError, match="not dict"):
        score({"mass": np.zeros(2)})
    with pytest.raises(pf.InputError, match='"radius"'):
        score(frame(3)[["mass"]])
    with pytest.raises(pf.InputError, match='already has a column "log_prob"'):
        score(score(frame(3)))
    with pytest.raises(pf.InputError, match='already has a column "mass"'):
        pf.scorer(models["numbers"], "sample")(frame(3))
    with pytest.raises(pf.InputError, match='"name" must number the rows'):
        pf.scorer(models["given"], "sample", row_number="name")(frame(3)[["name", "mass"]])
    with pytest.raises(pf.InputError, match="absent"):
        pf.scorer(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("kind", [lambda data: data, arrow, lambda data: arrow(data).to_batches()[0]])
def test_a_batch_without_columns_of_the_model_gets_a_draw_for_each_row(models, kind):
    rows = pd.DataFrame({"planet": ["b", "c", "d"]}, index=[7, 5, 3])
    drawn = pf.scorer(models["numbers"], what="sample")(kind(rows))
    assert list(getattr(drawn, "columns", None) if isinstance(drawn, pd.DataFrame) else drawn.schema.names) == [
        "planet", "mass", "radius",
    ]  # fmt: skip
    assert len(drawn) == 3 if isinstance(drawn, pd.DataFrame) else drawn.num_rows == 3
    if isinstance(drawn, pd.DataFrame):
        assert list(drawn.index) == [7, 5, 3] and np.isfinite(drawn[["mass", "radius"]].to_numpy()).all()


@pytest.mark.parametrize("kind", [lambda data: data, arrow])
def test_draws_do_not_take_the_place_of_columns(models, kind):
    with pytest.raises(pf.InputError, match='already has a column "mass"; rename or remove it first'):
        pf.scorer(models["numbers"], what="sample")(kind(frame(3)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"what": "sample", "draws": 3}, "draws is for what='impute', and what is 'sample'; leave draws out."),
        ({"what": "impute", "draws": 0}, "draws is a whole number of at least 1; it is 0."),
        ({"what": "impute", "draws": 1.5}, "draws is a whole number of at least 1; it is 1.5."),
    ],
)
def test_draws_are_refused_for_what_is_wrong(models, options, sentence):
    with pytest.raises(pf.InputError) as caught:
        pf.scorer(models["gaps"], **options)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_of_given_rows_gets_as_many_draws(models, tmp_path, ending):
    model = pf.TableModel.load(models["given"])
    given, output = tmp_path / f"given.{ending}", tmp_path / "draws.parquet"
    rows = frame(3)[["mass"]]
    rows.to_csv(given, index=False) if ending == "csv" else pa.parquet.write_table(arrow(rows), given)
    assert model.sample(output, given=given) == 3 == pa.parquet.read_table(output).num_rows
