"""Missing values are what the file or the user says: only the text of a CSV is read by a list of words."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables import as_json, encode, infer_schema, parse_schema, read_columns, table_from_frame
from pushforward.tables.files.row_groups import RowGroups
from pushforward.tables.missing import MISSING_TEXT, WRITTEN, Marks, plain
from pushforward.tables.schema.inference import columns_of_text

# Every word of the list in three spellings.
CELLS = [spelling for word in MISSING_TEXT for spelling in (word, word.upper(), f" {word.title()} ")]
COLUMNS = {
    "words": ("f", "m"),
    "numbers": ("1.5", "2.5"),
    "whole": ("1", "2"),
    "days": ("2024-01-01", "2024-01-03"),
    "flags": ("True", "False"),
}


def rows(cell):
    """Three rows in four have a value; the others have the cell."""
    return {name: [values[k % 2] if k % 4 else cell for k in range(400)] for name, values in COLUMNS.items()}


def check(table, cell, source, marks=WRITTEN):
    schema = infer_schema(table, source=source, marks=marks)
    codes = encode(table, schema, list(COLUMNS), source=source, written=marks.written)
    for place, name in enumerate(COLUMNS):
        assert schema[name].missing_share == 0.25, (name, cell)
        assert np.isnan(codes[:, place]).mean() == 0.25, (name, cell)
        np.testing.assert_array_equal(np.isnan(codes[:, place]), np.arange(400) % 4 == 0)
    return schema


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_a_word_of_the_list_is_a_missing_value_in_a_csv_and_a_level_elsewhere(tmp_path, cell):
    frame = pd.DataFrame(rows(cell))
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    schema = check(read_columns(path), cell, "t.csv")
    assert [column.kind for column in schema.values()] == ["category", "category", "integer", "date-time", "category"]
    # A streamed CSV has numbers in some columns and text in others, by its first rows.
    text = columns_of_text(read_columns(path).slice(0, 100), {}, source="t.csv")
    assert text == ["words", "days", "flags"]
    batches = [batch for _, batch in RowGroups(path, list(COLUMNS), text).read(0, 64)]
    assert check(pa.Table.from_batches(batches), cell, "t.csv") == schema
    for typed in (table_from_frame(frame), pa.Table.from_pandas(frame), table_from_frame(frame.astype("category"))):
        column = infer_schema(typed.select(["words"]), source="the table")["words"]
        assert set(column.levels) == {"f", "m", cell.strip()} and column.missing_share == 0
        assert not np.isnan(encode(typed, {"words": column}, ["words"], source="the table")).any()


@pytest.mark.parametrize("cell", ["?", " -", "n.d.", "-999", "-999.0"])
def test_what_a_user_lists_is_missing_in_every_table(tmp_path, cell):
    marks = ("?", "-", "n.d.", "-999")
    frame = pd.DataFrame(rows(cell))
    frame.to_csv(tmp_path / "t.csv", index=False)
    schema = check(read_columns(tmp_path / "t.csv"), cell, "t.csv", Marks(True, marks))
    assert schema["words"].missing == list(marks)
    assert check(table_from_frame(frame), cell, "the table", Marks(False, marks)) == schema
    # The model's schema says it to whoever reads a later file.
    again = parse_schema(json.loads(json.dumps(as_json(schema))))
    assert again == schema
    codes = encode(table_from_frame(frame), again, list(COLUMNS), source="t")
    assert np.isnan(codes).mean() == 0.25


def test_a_list_replaces_the_words_but_not_empty_cells():
    column = pa.array(["NA", "", "?", "Na", "f"])
    assert plain(column, WRITTEN).to_pylist() == [None, None, "?", None, "f"]
    assert plain(column, Marks(True, ("?",))).to_pylist() == ["NA", None, None, "Na", "f"]
    # Capitals count in what a user lists: Na is sodium.
    assert plain(column, Marks(True, ("NA",))).to_pylist() == [None, None, "?", "Na", "f"]
    assert plain(column, Marks(True, ())).to_pylist() == ["NA", None, "?", "Na", "f"]
    assert plain(column, Marks(False, ("", "NA"))).to_pylist() == [None, None, "?", "Na", "f"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5, -999.0, 3.0]),
        pa.array([1.5, -999.0, 3.0], pa.float32()),
        pa.array([1, -999, 3]),
        pa.array([1, -999, 3], pa.int16()),
        pa.array(["1.5", "-999.00", "3"]),
        pa.array(["1.5", " -9.99e2", "3"]),
    ],
)
@pytest.mark.parametrize("mark", [-999, -999.0, "-999"])
def test_numbers_compare_as_numbers(column, mark):
    declared = parse_schema({"x": {"missing": [mark]}})
    schema = infer_schema(pa.table({"x": column}), declared, source="t")
    assert schema["x"].missing_share == pytest.approx(1 / 3) and schema["x"].missing == [mark]
    assert np.isnan(encode(pa.table({"x": column}), schema, ["x"], source="t")[:, 0]).tolist() == [False, True, False]


def test_a_mark_in_the_precision_of_its_column():
    column = pa.array([-999.9, 1.0, 2.0], pa.float32())
    assert plain(column, Marks(listed=(-999.9,))).null_count == 1
    assert plain(pa.array([2**53 + 1, 5]), Marks(listed=(10**400, "x", 5))).null_count == 1


def test_dates_as_marks():
    days = pa.array(np.array(["2024-01-01", "9999-12-31"], dtype="datetime64[D]"))
    for column in (days, days.cast(pa.timestamp("s")), days.cast(pa.string())):
        assert pc_nulls(plain(column, Marks(listed=("9999-12-31", "?")))) == [False, True]


def pc_nulls(column):
    return [value is None for value in column.to_pylist()]


def test_declared_levels_are_never_missing():
    table = pa.table({"region": ["NA", "EU", "", "null"] * 10})
    declared = parse_schema({"region": {"kind": "category", "levels": ["NA", "EU"]}})
    schema = infer_schema(table, declared, source="t", marks=WRITTEN)
    assert schema["region"].missing_share == 0.5
    assert encode(table, schema, ["region"], source="t", written=True)[:2, 0].tolist() == [0.0, 1.0]
    constant = parse_schema({"region": {"kind": "constant", "value": "NA"}})
    assert infer_schema(table.slice(0, 1), constant, source="t", marks=WRITTEN)["region"].missing_share == 0


def test_an_earlier_schema_has_the_share_where_the_marks_are_now():
    old = {"x": {"kind": "continuous", "missing": 0.1, "heavy": False}, "n": {"kind": "integer", "missing": 0.0}}
    schema = parse_schema(old)
    assert (schema["x"].missing, schema["x"].missing_share, schema["n"].missing_share) == (None, 0.1, 0.0)
    assert parse_schema(as_json(schema)) == schema
    with pytest.raises(pf.InputError, match="missing cannot be -999"):
        parse_schema({"x": {"kind": "continuous", "missing": -999}})


def frame_with_regions(count=300):
    generator = np.random.default_rng(0)
    region = generator.choice(["NA", "EU", "AS"], count)
    return pd.DataFrame({"x": generator.normal(size=count) + 3 * (region == "NA"), "region": region})


def test_a_level_that_reads_na_stays_one_from_fit_to_imputation(tmp_path):
    from pushforward.table_models.imputation import impute

    frame = frame_with_regions()
    frame.loc[:9, "region"] = None
    frame.to_parquet(tmp_path / "d.parquet")
    model = pf.fit_table(tmp_path / "d.parquet", max_steps=5, progress=False).model
    assert set(model.schema["region"].levels) == {"NA", "EU", "AS"}
    assert model.schema["region"].missing_share == pytest.approx(10 / 300)
    assert impute(model, tmp_path / "d.parquet", tmp_path / "i.parquet") == (300, 10)
    imputed = pd.read_parquet(tmp_path / "i.parquet").region
    assert (imputed[10:] == frame.region[10:]).all() and imputed[:10].isin(["NA", "EU", "AS"]).all()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_declared_marks_are_imputed(tmp_path, ending):
    from pushforward.table_models.imputation import impute

    frame = frame_with_regions()
    frame.loc[:4, "x"] = -999.0
    frame.loc[5:9, "region"] = "?"
    path = tmp_path / f"d.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    schema = {"x": {"missing": [-999]}, "region": {"kind": "category", "missing": ["?"]}}
    model = pf.fit_table(path, schema=schema, max_steps=5, progress=False).model
    assert set(model.schema["region"].levels) == {"NA", "EU", "AS"}
    model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    assert (again.schema["x"].missing, again.schema["region"].missing) == ([-999], ["?"])
    for output in ("o.csv", "o.parquet"):
        assert impute(again, path, tmp_path / output) == (300, 10)
        whole = read_columns(tmp_path / output).to_pandas()
        assert (whole.x.astype(float) > -900).all() and set(whole.region) == {"NA", "EU", "AS"}
        assert (whole.region[10:] == frame.region[10:]).all()


def test_the_list_of_a_fit_is_that_of_its_model():
    frame = frame_with_regions()
    frame.loc[:4, "region"] = "?"
    model = pf.fit_table(frame, missing=["?"], max_steps=5, progress=False).model
    assert [column.missing for column in model.schema.values()] == [["?"], ["?"]]
    assert np.isnan(model.encode(frame)).sum() == 5
