"""Rows without a value in any column, as spreadsheets leave them: no part of a fit, and answered in their place."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.table_models import streamed
from pushforward.table_models.imputation import impute

ROWS = 120
FEW = {"max_steps": 2, "progress": False}
GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(GENERATOR.normal(size=(ROWS, 2)) @ [[1, 0.5], [0, 1]], columns=["a", "b"]).round(6)
FRAME["site"] = GENERATOR.choice(["x", "y"], ROWS)
LINES = [",".join(map(str, row)) for row in FRAME.to_numpy()]
BLANK = {"separators": ",,", "spaces": " , ,", "marks": "NA,,nan"}


def csv(path, lines, header="a,b,site"):
    path.write_text("\n".join([header, *lines, ""]))
    return path


def with_blank_rows(lines, blank=",,"):
    """One after ten rows, and two at the end."""
    return [*lines[:10], blank, *lines[10:], blank, blank]


def fit(data, said=None, **options):
    lines = []
    found = pf.fit_table(data, announce=lines.append, **FEW | options)
    assert [line for line in lines if "without any value" in line] == ([] if said is None else [said])
    return found


@pytest.fixture(scope="module")
def plain():
    return fit(FRAME)


def assert_same(found, plain):
    assert (found.held_out, found.model.roles.allows_gaps) == (plain.held_out, False)
    assert found.model.schema == plain.model.schema
    np.testing.assert_array_equal(*(one.model.log_prob(one.model.encode(FRAME)) for one in (found, plain)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", BLANK)
def test_a_fit_is_that_of_the_other_rows(tmp_path, plain, kind):
    typed, missing = csv(tmp_path / "t.csv", LINES), csv(tmp_path / "m.csv", with_blank_rows(LINES, BLANK[kind]))
    found = fit(missing, "3 rows without any value are left out, first row 11")
    assert_same(found, fit(typed))


@pytest.mark.slow
def test_a_wholly_empty_line_is_not_counted(tmp_path):
    found = fit(csv(tmp_path / "m.csv", with_blank_rows(LINES, "")))
    assert_same(found, fit(csv(tmp_path / "t.csv", LINES)))


@pytest.mark.slow
def test_frames_and_several_files_are_alike(tmp_path, plain):
    nothing = pd.DataFrame([[None] * 3], columns=FRAME.columns)
    frame = pd.concat([FRAME[:10], nothing, FRAME[10:], nothing, nothing]).astype({"a": float, "b": float})
    assert_same(fit(frame, "3 rows without any value are left out, first row 11"), plain)
    assert_same(fit(frame[:-2], "1 row without any value is left out: row 11"), plain)
    files = [csv(tmp_path / "1.csv", [*LINES[:50], ",,"]), csv(tmp_path / "2.csv", [*LINES[50:], ",,"])]
    found = fit(files, "2 rows without any value are left out, first row 51")
    assert found.held_out == fit(csv(tmp_path / "t.csv", LINES)).held_out


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_streamed_table_is_alike(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 100)
    lines = [f"{a},{b}" for a, b in GENERATOR.normal(size=(500, 2)).round(6)]
    blank, whole = csv(tmp_path / "b.csv", with_blank_rows(lines, ","), "a,b"), csv(tmp_path / "w.csv", lines, "a,b")
    if ending == "parquet":
        for path in (blank, whole):
            pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))
        blank, whole = blank.with_suffix(".parquet"), whole.with_suffix(".parquet")
    found, plain = fit(blank, "3 rows without any value are left out, first row 11"), fit(whole)
    assert not found.model.roles.allows_gaps and found.model.notes["rows"] == plain.model.notes["rows"]
    assert found.model.schema == plain.model.schema


@pytest.mark.parametrize("memory", [2**27, 100])
def test_bad_rows_have_their_numbers_in_the_file(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", memory)
    lines = with_blank_rows([*LINES[:50], "many,1,x", *LINES[50:]])
    with pytest.raises(pf.InputError, match=r'column "a" .* in row 52'):
        fit(csv(tmp_path / "t.csv", lines))

    lines[51] = ",1,x"
    with pytest.raises(pf.InputError, match=r'column "a" of .* has no value in row 52, which nsf does not take'):
        fit(csv(tmp_path / "t.csv", lines), flow="nsf")


@pytest.mark.slow
def test_weights_of_blank_rows_do_not_count(tmp_path):
    lines = [f"{line},{1 + number % 2}" for number, line in enumerate(LINES)]
    header = "a,b,site,w"
    whole = fit(csv(tmp_path / "t.csv", lines, header), weight="w")
    for blank in (",,,", ",,,3"):
        found = fit(csv(tmp_path / "m.csv", with_blank_rows(lines, blank), header),
                    "3 rows without any value are left out, first row 11", weight="w")  # fmt: skip
        assert found.held_out == whole.held_out
    nothing = pd.DataFrame([[None] * 3], columns=FRAME.columns)
    frame = pd.concat([FRAME[:10], nothing, FRAME[10:]]).astype({"a": float, "b": float})
    weights = np.insert(1.0 + np.arange(ROWS) % 2, 10, 7.0)
    found = fit(frame, "1 row without any value is left out: row 11", weight=weights)
    assert found.held_out == fit(FRAME, weight=np.delete(weights, 10)).held_out
    with pytest.raises(pf.InputError, match="in row 22; weights are numbers"):
        fit(csv(tmp_path / "m.csv", with_blank_rows([*lines[:20], "1,1,x,-1", *lines[20:]], ",,,"), header), weight="w")


def test_too_few_other_rows_are_refused(tmp_path):
    with pytest.raises(pf.InputError, match="without its blank rows has 15 rows, and at least 20 are needed"):
        fit(csv(tmp_path / "t.csv", with_blank_rows(LINES[:15], ",,") + [",,"] * 10))


def test_rows_keep_their_order_in_an_answer(tmp_path, plain):
    path, output = csv(tmp_path / "t.csv", with_blank_rows(LINES)), tmp_path / "s.csv"
    with pytest.raises(pf.InputError, match=r"row 11 of .*t.csv has no value in any column, .* remove it, or fit with"):
        plain.model.score(path, output)
    any_given = fit(FRAME, arbitrary_conditions=True).model
    any_given.score(path, output)
    found = pd.read_csv(output)
    blank = np.isin(np.arange(ROWS + 3), [10, ROWS + 1, ROWS + 2])
    assert (found["log_prob"][blank] == 0).all() and found.loc[blank, ["a", "b", "site"]].isna().all(axis=None)
    np.testing.assert_allclose(found["log_prob"][~blank], any_given.log_prob(any_given.encode(FRAME)), rtol=1e-6)
    assert impute(any_given, path, output) == (ROWS + 3, 9)
    filled = pd.read_csv(output)
    np.testing.assert_array_equal(filled.loc[~blank, "a"], FRAME["a"])
    assert not filled.isna().any(axis=None)
