"""Values that a model has never seen: named by column, level and rows, in reports and under drift."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import pushforward as pf
from pushforward.evaluation.report.contents import UnseenValues
from pushforward.evaluation.report.sampled_rows import sample_rows
from pushforward.evaluation.report.unseen import sentence_of, unseen_values


def table(rows=300, seed=0, levels=("x", "y"), **replaced):
    """A number, a level and a count; of columns in `replaced` the first values are others."""
    random = np.random.default_rng(seed)
    found = {
        "a": random.normal(size=rows),
        "kind": np.array(levels)[random.integers(0, 2, rows)].astype(object),
        "size": random.integers(0, 4, rows).astype(float),
    }
    for name, values in replaced.items():
        found[name][: len(values)] = values
    return pa.table(found)


@pytest.fixture(scope="module")
def model():
    return pf.fit_table(table(), flow="nice", max_steps=3, progress=False).model


@pytest.fixture(scope="module")
def given_kind():
    return pf.fit_table(table(), given=["kind"], flow="nice", max_steps=3, progress=False).model


def test_levels_are_counted_the_most_frequent_first(model):
    rows = table(200, 1, kind=["new"] * 3 + ["newer"] * 5)
    sampled = sample_rows(model, rows, 1000, 0)
    assert unseen_values(model, sampled) == [UnseenValues("kind", 8, {"newer": 5, "new": 3}, True, False)]
    np.testing.assert_array_equal(sampled.seen, np.arange(200) >= 8)
    np.testing.assert_array_equal(sampled.never, (sampled.codes == np.inf))
    kept = sampled.only(np.arange(200) < 4)
    assert unseen_values(model, kept) == [UnseenValues("kind", 4, {"new": 3, "newer": 1}, True, False)]
    assert unseen_values(model, sample_rows(model, table(200, 1), 1000, 0)) == []


def test_conditions_that_were_never_seen_are_named_though_they_are_taken_for_missing(given_kind):
    found = unseen_values(given_kind, sample_rows(given_kind, table(200, 1, kind=["new"] * 3), 1000, 0))
    needed = "kind" in given_kind.roles.needed
    assert found == [UnseenValues("kind", 3, {"new": 3}, True, not needed)]


def test_many_values_and_many_columns_are_summed_up():
    of_one = UnseenValues("kind", 10, {"p": 4, "q": 3, "r": 1, "s": 1, "t": 1}, True, False)
    assert sentence_of([of_one]) == (
        'Never seen by the model: column kind has the level "p" in 4 rows, "q" in 3 rows, "r" in 1 row and 2 others in '
        "2 rows."
    )
    others = [UnseenValues(str(place), 1, {"9": 1}, False, False) for place in range(7)]
    assert sentence_of(others, " in the table").endswith('column 4 has the value "9" in 1 row; 2 more columns.')
    assert sentence_of([]) == ""


@pytest.mark.slow
def test_a_table_without_a_row_that_has_a_density_has_drifted(model, tmp_path):
    everything = table(200, 2, levels=("p", "q"))
    pyarrow.csv.write_csv(everything, tmp_path / "renamed.csv")
    found = pf.drift(model, table(200, 1), str(tmp_path / "renamed.csv"), progress=False)
    assert found.rows_a == 200 and found.rows_b == 0 and found.unseen_b == 200
    # Fisher's exact test of 0 of 200 against 200 of 200: two tables in all of the ways to choose 200 of 400.
    assert found.p_value < 1e-100 and found.columns[0].column == "kind"
    counts = {level: everything["kind"].to_pylist().count(level) for level in ("p", "q")}
    assert found.unseen[0].values == counts
    assert any("in the second table (renamed.csv)" in one and '"p"' in one and '"q"' in one for one in found.sentences)
    assert any("All 200 rows of the second table (renamed.csv) have" in one for one in found.sentences)
    as_read = json.loads(found.to_json())
    assert as_read["two_sample"] is None and as_read["odd"]["value"] is None and as_read["nats_b"]["value"] is None
    # Other columns are still compared: these have not drifted.
    assert all(one.adjusted > 1e-6 for one in found.columns if one.column != "kind")
    with pytest.raises(pf.InputError, match=r"Too few rows of both tables.*\(renamed.csv\).*level \"[pq]\""):
        pf.drift(model, str(tmp_path / "renamed.csv"), str(tmp_path / "renamed.csv"), progress=False)


@pytest.mark.slow
def test_one_new_level_in_a_few_rows_is_drift_of_its_column(model):
    found = pf.drift(model, table(300, 1), table(300, 2, kind=["new"] * 12), progress=False)
    assert [one.column for one in found.columns if one.adjusted < 0.05] == ["kind"]
    said = next(one for one in found.sentences if one.startswith("Never seen"))
    assert said.startswith(
        'Never seen by the model in the second table: column kind has the level "new" in 12 rows. The first table has '
        "none of them."
    )
    both = pf.drift(model, table(300, 1, kind=["new"] * 2), table(300, 2, kind=["new"] * 2), progress=False)
    said = next(one for one in both.sentences if one.startswith("Never seen"))
    assert "none of them" not in said and said.count("2 of 300 rows") == 2


@pytest.mark.slow
def test_a_report_names_what_has_no_density(model, tmp_path):
    found = pf.report(model, table(200, 3, kind=["new"] * 6), progress=False)
    assert found.verdict.unseen == 6
    assert found.verdict.unseen_values == [UnseenValues("kind", 6, {"new": 6}, True, False)]
    said = found.verdict.sentences
    assert 'Never seen by the model: column kind has the level "new" in 6 rows.' in said
    pyarrow.csv.write_csv(table(200, 2, levels=("p", "q")), tmp_path / "renamed.csv")
    with pytest.raises(pf.InputError, match=r"200 rows of 200 hold.*in the table \(renamed.csv\): column kind has"):
        pf.report(model, str(tmp_path / "renamed.csv"), progress=False)


@pytest.mark.slow
def test_rows_too_far_from_the_data_are_not_called_unseen(model):
    found = pf.report(model, table(200, 3, a=[1e300] * 2), progress=False)
    if found.verdict.unseen:
        assert any("too far from the data" in one for one in found.verdict.sentences)
    assert not any("never seen" in one for one in found.verdict.sentences)
