"""What a flow is shown of given columns: levels as flags, angles as points on a circle, gaps and atoms as flags."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import pushforward as pf
from pushforward.table_models.preparation import prepare
from pushforward.table_models.shown_context import ShownContext
from pushforward.tables.columns.kinds import Category, Continuous, Mixed, Periodic

ROWS = 600
FEW = {"max_steps": 5, "progress": False}


def category(count):
    return Category(levels=[f"level {k}" for k in range(count)], frequencies=[1 / count] * count)


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_each_kind_is_shown_as_numbers():
    kinds = [Continuous(), category(3), Periodic(period=360, low=-180), Mixed(atoms=[0.0], shares=[0.4]), category(2)]
    shown = ShownContext(kinds, [None] * 5)
    found = shown(double([2.5, 1, 0, 0, 1], [-1, 2, -90, 7, 0]))
    expected = double([2.5, 0, 1, 0, -1, 0, 0, 1, 1], [-1, 0, 0, 1, 0, 1, 7, 0, 0])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert (shown.width, shown.flags, shown.trivial) == (9, [1, 2, 3, 4, 5, 7], False)
    assert shown(torch.zeros(4, 3, 5)).shape == (4, 3, 9)


def test_a_gap_is_a_flag_beside_a_value():
    shown = ShownContext([Continuous(), category(3)], [1.5, 0.0])
    found = shown(double([torch.nan, 2], [4, torch.nan]))
    assert found.tolist() == [[1.5, 1, 0, 0, 1, 0], [4, 0, 1, 0, 0, 1]]
    assert shown.allows_gaps and not ShownContext([Continuous()], [None]).allows_gaps


def test_of_very_many_levels_each_has_signs_of_its_own():
    shown = ShownContext([category(1000)], [None])
    found = shown(torch.arange(1000.0, dtype=torch.float64)[:, None])
    assert shown.width == 64 and set(found.unique().tolist()) == {-1.0, 1.0}
    products = (found @ found.t()).fill_diagonal_(0)
    # Of independent signs a product has deviation 8.
    assert products.abs().max() < 8 * 6.5


def test_numbers_beyond_the_range_are_those_of_their_columns():
    shown = ShownContext([category(3), Continuous(), Mixed(atoms=[0.0], shares=[0.4])], [None, 0.0, None])
    marked = torch.tensor([[1, 1, 1, 0, 1, 0, 1], [0, 0, 0, 1, 0, 1, 0]], dtype=torch.bool)
    assert shown.columns_of(marked).tolist() == [[False, False, False], [False, True, True]]
    ends = shown.ends(double([0, -2, 0], [2, 5, 9]))
    assert ends.tolist() == [[-1, -1, -1, -2, -1, 0, -1], [1, 1, 1, 5, 1, 9, 1]]


def frame(seed=0, rows=ROWS):
    """y follows the site, the wind's direction, the rain and the pressure, which is missing in some rows."""
    generator = np.random.default_rng(seed)
    site = generator.integers(0, 4, rows)
    wind = generator.uniform(0, 360, rows)
    rain = np.where(generator.random(rows) < 0.4, 0.0, generator.exponential(size=rows) + 0.5)
    pressure = generator.normal(size=rows)
    gap = generator.random(rows) < 0.2
    noise = 0.1 * generator.normal(size=rows)
    mean = np.array([0.0, 3.0, -2.0, 1.0])[site] + 2 * np.cos(np.deg2rad(wind - 70)) + rain - 4 * (rain == 0)
    columns = {
        "site": np.array(["north", "east", "south", "west"])[site],
        "wind_direction": wind,
        "rain": rain,
        "pressure": pa.array(np.where(gap, np.nan, pressure), from_pandas=True),
        "y": mean + np.where(gap, 5.0, pressure) + noise,
    }
    return pa.table(columns)


GIVEN = ["site", "wind_direction", "rain", "pressure"]


@pytest.fixture(scope="module")
def model():
    return pf.fit_table(frame(), given=GIVEN, **FEW).model


def test_a_fit_starts_from_the_regression_on_what_is_shown(model):
    # Exactly linear in flags, cosine and sine, and the flag of a gap: noise of 0.1 is all that is left.
    found = model.log_prob(model.encode(frame(1)))
    best = -np.log(0.1 * np.sqrt(2 * np.pi)) - 0.5 * 0.4549  # by the median of a chi-squared number
    assert not model.arbitrary_conditions and np.median(found) > best - 0.2


def test_a_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    assert again.gap_values == model.gap_values and set(again.gap_values) == {"pressure"}
    codes = model.encode(frame(2))
    np.testing.assert_array_equal(again.log_prob(codes), model.log_prob(codes))


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_missing_is_shown_or_refused(model, tmp_path, name):
    rows = frame(3).slice(0, 20)
    place = rows.column_names.index(name)
    values = rows[name].to_pylist()
    values[4] = None
    pa.parquet.write_table(rows.set_column(place, name, pa.array(values, rows[name].type)), tmp_path / "r.parquet")
    if name != "pressure":
        for work in (model.score, lambda data, output: model.sample(output, given=data)):
            with pytest.raises(pf.InputError, match=f'column "{name}" of .* has no value in row 5'):
                work(tmp_path / "r.parquet", tmp_path / "out.parquet")
        return
    model.score(tmp_path / "r.parquet", tmp_path / "s.parquet")
    found = pa.parquet.read_table(tmp_path / "s.parquet")
    assert np.isfinite(found["log_prob"].to_numpy()).all() and found["pit_y"].null_count == 0
    model.sample(tmp_path / "d.parquet", given=tmp_path / "r.parquet", seed=0)
    drawn = pa.parquet.read_table(tmp_path / "d.parquet")
    assert drawn["pressure"][4].as_py() is None and drawn["y"].null_count == 0
    # Where the pressure is missing, y is 5 more than without one.
    mean = np.array([0.0, 3.0, -2.0, 1.0])[["north", "east", "south", "west"].index(drawn["site"][4].as_py())]
    rain = drawn["rain"][4].as_py()
    mean += 2 * np.cos(np.deg2rad(drawn["wind_direction"][4].as_py() - 70)) + rain - 4 * (rain == 0) + 5
    assert drawn["y"][4].as_py() == pytest.approx(mean, abs=1.5)


def test_a_level_that_was_never_seen_has_no_answer(model):
    rows = frame(4).slice(0, 3)
    strange = rows.set_column(0, "site", pa.array(["north", "nowhere", "west"]))
    assert np.isneginf(model.log_prob(model.encode(strange))).tolist() == [False, True, False]
    with pytest.raises(pf.InputError, match='"site" holds a value that was never seen in row 2'):
        model.draw(given=model.encode(strange, columns=GIVEN))


def test_conditions_beyond_the_range_are_said_by_their_columns(model, tmp_path):
    rows = frame(5).slice(0, 10)
    high = rows["rain"].to_pylist()
    high[2] = 1e4
    rows = rows.set_column(rows.column_names.index("rain"), "rain", pa.array(high))
    pa.parquet.write_table(rows, tmp_path / "r.parquet")
    summary = model.score(tmp_path / "r.parquet", tmp_path / "s.parquet")
    assert summary.strange.beyond_of["rain"] == 1 and not {"site", "wind_direction"} & {*summary.strange.beyond_of}


def test_with_an_architecture_of_ones_own_as_well():
    model = pf.fit_table(frame(), given=GIVEN, flow="nice", **FEW).model
    assert np.isfinite(model.log_prob(model.encode(frame(1)))).all()


@pytest.mark.slow
def test_of_several_targets_with_kinds_of_their_own():
    rows = frame().append_column("wet", pa.array(np.array(frame()["rain"]) > 1))
    model = pf.fit_table(rows, given=["site", "wind_direction", "pressure"], columns=["y", "wet"], **FEW).model
    assert not model.arbitrary_conditions and np.isfinite(model.log_prob(model.encode(rows))).all()


def test_levels_of_which_the_training_rows_show_none_do_no_harm():
    levels = ["north", "east", "south", "west", "elsewhere"]
    schema = {"site": {"kind": "category", "levels": levels}}
    model = pf.fit_table(frame().select(["site", "y"]), given=["site"], schema=schema, **FEW).model
    elsewhere = pa.table({"site": ["elsewhere"], "y": [0.0]})
    assert np.isfinite(model.log_prob(model.encode(elsewhere))).all()


def test_models_that_were_shown_codes_still_are():
    # Declared columns with atoms were numbers alone to earlier versions.
    schema = {"rain": {"kind": "mixed", "atoms": [0.0]}}
    prepared = prepare(frame().select(["rain", "y"]), columns=["y"], given=["rain"], schema=schema)
    flow = pf.maf(features=1, context=1, layers=1).double()
    model = pf.TableModel(flow, ["y"], ["rain"], schema=prepared.roles.schema)
    codes = model.encode(frame())
    expected = flow.log_prob(torch.from_numpy(codes[:, :1]), torch.from_numpy(codes[:, 1:]))
    np.testing.assert_allclose(model.log_prob(codes), expected.detach(), rtol=1e-12)


def test_an_angle_is_the_same_after_a_turn(model):
    rows = frame(6).slice(0, 5)
    turned = rows.set_column(1, "wind_direction", pa.array(rows["wind_direction"].to_numpy() + 360.0))
    np.testing.assert_allclose(model.log_prob(model.encode(turned)), model.log_prob(model.encode(rows)), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:The importance weights")
def test_a_distilled_model_is_shown_the_same(model, tmp_path):
    pa.parquet.write_table(frame(7).select(GIVEN), tmp_path / "given.parquet")
    from pushforward.table_models.distillation import distill_table

    options = {"max_steps": 3, "draws": 50, "timing_rows": 0, "progress": False}
    student, _ = distill_table(model, given=tmp_path / "given.parquet", **options)
    student.save(tmp_path / "s.safetensors")
    again = pf.TableModel.load(tmp_path / "s.safetensors")
    codes = student.encode(frame(1))
    np.testing.assert_array_equal(again.log_prob(codes), student.log_prob(codes))


def test_a_table_that_stays_in_its_file_is_shown_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 100)
    pa.parquet.write_table(frame(rows=1500), tmp_path / "rows.parquet")
    model = pf.fit_table(tmp_path / "rows.parquet", given=GIVEN, **FEW).model
    assert not model.arbitrary_conditions and set(model.gap_values) == {"pressure"}
    assert np.median(model.log_prob(model.encode(frame(1)))) > 0.5


@pytest.mark.parametrize("values", [{"pressure": "high"}, {"y": 1.0}, [1.0], {"pressure": True}])
def test_a_file_with_other_gap_values_is_damaged(model, tmp_path, values):
    model.save(tmp_path / "m.safetensors")
    notes = pf.describe(tmp_path / "m.safetensors")["notes"]
    pf.save(model.flow, tmp_path / "m.safetensors", **{**notes, "gap_values": values})
    with pytest.raises(pf.InputError, match="is damaged: what is shown where a given value is missing"):
        pf.TableModel.load(tmp_path / "m.safetensors")
