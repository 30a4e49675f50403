"""Values that a model has never seen: probability 0, said and counted, and no reason to refuse the other rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

import pushforward as pf
from pushforward.table_models.explanation import OddestRows, explain
from pushforward.table_models.imputation import impute
from pushforward.table_models.posterior import posterior
from pushforward.table_models.scoring import Scores
from pushforward.table_models.strangeness import Strangeness

ROWS = 400
STRANGE = {"children": 12, "wait": 0.0, "humidity": 100.3, "site": "c", "year": 2025, "share": 1.5}
FEW = {"max_steps": 5, "progress": False}


def table(seed=0, **changed):
    generator = np.random.default_rng(seed)
    columns = {
        "children": generator.integers(0, 10, ROWS),
        "wait": generator.exponential(5, ROWS) + 1e-4,
        "humidity": 100 * generator.beta(1, 1, ROWS),
        "site": generator.choice(["a", "b"], ROWS),
        "year": np.full(ROWS, 2024),
        "share": generator.normal(size=ROWS).round() * 2,
    }
    return pa.table(columns | changed)


SCHEMA = {"children": {"kind": "integer"}, "humidity": {"kind": "bounded", "low": 0, "high": 100},
          "wait": {"kind": "positive"}, "share": {"kind": "integer"}}  # fmt: skip


def with_value(rows, name, value, place=7):
    values = rows[name].to_pylist()
    values[place] = value
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))


@pytest.fixture(scope="module")
def model():
    return pf.fit_table(table(), schema=SCHEMA, **FEW).model


@pytest.fixture(scope="module")
def any_given():
    return pf.fit_table(table(), schema=SCHEMA, arbitrary_conditions=True, **FEW).model


def scored(model, rows, folder, **options):
    pa.parquet.write_table(rows, folder / "rows.parquet")
    summary = model.score(folder / "rows.parquet", folder / "scores.parquet", **options)
    return summary, pa.parquet.read_table(folder / "scores.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("kind", ["model", "any_given"])
def test_a_value_that_was_never_seen_has_no_density_and_all_other_rows_have(kind, name, request, tmp_path):
    model = request.getfixturevalue(kind)
    summary, scores = scored(model, with_value(table(), name, STRANGE[name]), tmp_path)
    expected = model.log_prob(model.encode(table()))
    others = np.arange(ROWS) != 7
    np.testing.assert_allclose(scores["log_prob"].to_numpy()[others], expected[others], rtol=1e-5)
    assert scores["log_prob"][7].as_py() == -np.inf
    assert scores["unseen"].to_pylist() == [row == 7 for row in range(ROWS)]
    assert scores["p_value"][7].as_py() == 1 / (model.calibration.rows + 1) <= pc.min(scores["p_value"]).as_py()
    assert (summary.rows, summary.seen, summary.strange.unseen) == (ROWS, ROWS - 1, 1)
    assert summary.mean == pytest.approx(expected[others].mean(), rel=1e-5)
    assert summary.smallest == pytest.approx(expected[others].min(), rel=1e-5)
    assert summary.strange.unseen_of == {name: 1}
    assert any(f'1 of {ROWS} rows holds a value that the model has never seen: column "{name}" (1)' in line
               for line in summary.strange.lines())  # fmt: skip


def test_a_value_of_another_type_is_refused(model):
    for name, value in (("children", "many"), ("wait", "long"), ("humidity", "wet")):
        rows = table().set_column(table().column_names.index(name), name, pa.array([value] * ROWS))
        with pytest.raises(pf.InputError, match=f'column "{name}"'):
            model.encode(rows)


def test_what_was_declared_is_refused_on_request_alone(model, tmp_path):
    assert model.notes["declared"] == ["wait", "humidity"]  # of the others only the kind
    for name in ("wait", "humidity"):
        rows = with_value(table(), name, -1.0)
        assert scored(model, rows, tmp_path)[0].strange.unseen == 1
        with pytest.raises(pf.InputError, match=f'column "{name}" of .* holds -1 in row 8'):
            scored(model, rows, tmp_path, strict=True)
    assert scored(model, with_value(table(), "site", "c"), tmp_path, strict=True)[0].strange.unseen == 1


def test_its_share_is_the_whole(any_given, tmp_path):
    rows = with_value(with_value(table(), "site", "c"), "year", 2025, 9)
    codes = any_given.encode(rows)
    shares, log_prob = any_given.shares(codes), any_given.log_prob(codes)
    np.testing.assert_allclose(shares.sum(1), log_prob, rtol=1e-4, atol=1e-4)
    site = any_given.roles.modeled.index("site")
    np.testing.assert_array_equal(shares[7], [-np.inf if place == site else 0 for place in range(shares.shape[1])])
    assert (shares[9] == -np.inf).all()  # the year is constant, and has no share


@pytest.mark.slow
def test_the_oddest_rows_name_it(model):
    rows = with_value(with_value(table(), "site", "c"), "children", 12)
    codes = model.encode(rows)
    oddest = OddestRows(2, model.names)
    oddest.add(1, codes, model.log_prob(codes), rows.combine_chunks().to_batches()[0])
    strange, odd = explain(model, oddest)
    assert (strange.row, strange.log_prob, strange.unseen) == (8, -np.inf, {"children": 12, "site": "c"})
    assert "never seen: children (12), site (c)" in str(strange)
    assert np.isfinite(odd.log_prob) and odd.columns
    oddest = OddestRows(1, model.names)
    oddest.add(1, codes, model.log_prob(codes), rows.combine_chunks().to_batches()[0])
    assert [row.row for row in explain(model, oddest)] == [8]


def test_gaps_beside_it_are_filled_as_if_it_was_missing(any_given, tmp_path):
    gap = with_value(table(), "wait", None)
    for ending in ("parquet", "csv"):
        filled, lines = [], []
        for value in ("c", None):
            rows = with_value(gap, "site", value)
            path, output = tmp_path / f"rows.{ending}", tmp_path / f"filled.{ending}"
            pa.parquet.write_table(rows, path) if ending == "parquet" else pa.csv.write_csv(rows, path)
            done = impute(any_given, path, output, announce=lines.append)
            assert done == (ROWS, 1 if value else 2)
            filled.append(pa.parquet.read_table(output) if ending == "parquet" else pa.csv.read_csv(output))
        assert lines == ['values that the model has never seen are treated as missing: column "site" (1)']
        assert filled[0]["site"][7].as_py() == "c" and filled[0]["wait"][7].as_py() == filled[1]["wait"][7].as_py()


def test_a_level_that_no_row_has_lies_outside_no_range(tmp_path):
    model = pf.fit_table(
        table(), schema={"site": {"kind": "category", "levels": ["a", "b", "c"]}}, arbitrary_conditions=True, **FEW
    ).model
    rows, lines = with_value(with_value(table(), "site", "c"), "wait", None), []
    pa.parquet.write_table(rows, tmp_path / "rows.parquet")
    impute(model, tmp_path / "rows.parquet", tmp_path / "filled.parquet", announce=lines.append)
    posterior(model, tmp_path / "rows.parquet", tmp_path / "p.parquet", of="wait", announce=lines.append)
    assert lines == []


@pytest.mark.parametrize("data", ["rows.parquet", "*.parquet", ".", ["rows.parquet", "more.parquet"]])
def test_no_answer_is_written_over_the_rows(any_given, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rows.parquet", "more.parquet"):
        pa.parquet.write_table(table(), name)
    before = (tmp_path / "rows.parquet").read_bytes()
    for answer in (
        any_given.score,
        lambda data, output: impute(any_given, data, output),
        lambda data, output: posterior(any_given, data, output, of="wait", quantiles=[0.5]),
    ):
        with pytest.raises(pf.InputError, match=r"rows.parquet would be written over a file that is read"):
            answer(data, "rows.parquet")
    conditional = pf.fit_table(table(), columns=["wait"], given=["humidity"], **FEW).model
    with pytest.raises(pf.InputError, match=r"rows.parquet would be written over a file that is read"):
        conditional.sample("rows.parquet", given=data)
    assert (tmp_path / "rows.parquet").read_bytes() == before


def test_a_posterior_leaves_it_open(any_given, tmp_path):
    found, lines = [], []
    for value in ("c", None):
        pa.parquet.write_table(with_value(table(), "site", value).slice(0, 10), tmp_path / "rows.parquet")
        posterior(any_given, tmp_path / "rows.parquet", tmp_path / "p.parquet", of="children", announce=lines.append)
        found.append(pa.parquet.read_table(tmp_path / "p.parquet"))
    assert found[0].equals(found[1]) and len(lines) == 1


@pytest.mark.slow
def test_as_a_condition_it_is_not_known_or_has_no_answer(tmp_path):
    rows, given = table().select(["wait", "site", "humidity"]), ["site", "humidity"]
    strange = with_value(rows, "site", "c")
    pa.parquet.write_table(strange, tmp_path / "rows.parquet")
    plain = pf.fit_table(rows, given=given, **FEW).model
    assert plain.log_prob(plain.encode(strange))[7] == -np.inf
    with pytest.raises(pf.InputError, match='"c" in row 8, which is not one of its 2 levels'):
        plain.sample(tmp_path / "draws.parquet", given=tmp_path / "rows.parquet")
    model = pf.fit_table(rows, given=given, arbitrary_conditions=True, **FEW).model
    summary, scores = scored(model, strange, tmp_path)
    expected = model.log_prob(model.encode(with_value(rows, "site", None)))
    np.testing.assert_allclose(scores["log_prob"], expected, rtol=1e-5)
    assert summary.strange.unseen == 0 and summary.strange.unknown_of == {"site": 1}
    lines = []
    model.sample(tmp_path / "draws.parquet", given=tmp_path / "rows.parquet", seed=0, announce=lines.append)
    assert pa.parquet.read_table(tmp_path / "draws.parquet")["site"].to_pylist() == strange["site"].to_pylist()
    assert lines == ['values that the model has never seen are treated as missing: column "site" (1)']


def test_a_given_level_that_was_never_seen_is_not_said_to_lie_beyond_a_range(tmp_path):
    rows = table().select(["site", "wait", "humidity"])
    model = pf.fit_table(
        rows, given=["site", "wait"], schema={"wait": {"kind": "continuous"}}, flow="nice", **FEW
    ).model
    strange = with_value(with_value(rows, "site", "c"), "wait", 1e4, place=9)
    summary, _ = scored(model, strange, tmp_path)
    assert dict(summary.strange.unseen_of) == {"site": 1}
    assert dict(summary.strange.beyond_of) == {"wait": 1} and summary.strange.beyond == 1


def test_a_given_column_that_is_constant_does_not_matter(tmp_path):
    rows = table().select(["wait", "year"])
    model = pf.fit_table(rows, given=["year"], **FEW).model
    summary, scores = scored(model, with_value(rows, "year", 2030), tmp_path)
    np.testing.assert_allclose(scores["log_prob"], model.log_prob(model.encode(rows)), rtol=1e-5)
    assert summary.strange.unknown_of == {"year": 1}


def test_a_summary_of_nothing_is_plain():
    scores = Scores()
    scores.add(np.array([-np.inf, -np.inf]))
    scores.add(np.array([-1.0, -np.inf, -3.0]))
    assert (scores.rows, scores.seen, scores.mean, scores.smallest, scores.largest) == (5, 2, -2.0, -3.0, -1.0)
    json.dumps(scores.strange.as_json(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("given", [["site"], ["wait"], ["children", "site"]])
def test_a_column_that_varies_in_one_row_alone_is_no_reason_to_refuse(given):
    held_out = pf.training.splitting.split_rows(ROWS, 0.1, seed=0)[1].numpy()[0]
    changed = {}
    for name, usual, other in (("site", "a", "b"), ("wait", 0.5, 7.5), ("children", 2, 5)):
        changed[name] = np.full(ROWS, usual)
        changed[name][held_out] = other
    rows = table(**{name: changed[name] for name in given})
    for conditions in (given, []):
        model = pf.fit_table(rows.select(["humidity", *given]), given=conditions, **FEW).model
        assert np.isfinite(model.log_prob(model.encode(rows))).all()


def test_lines_count_in_plain_words():
    strange = Strangeness()
    strange.rows, strange.unseen, strange.too_far, strange.beyond = 3, 2, 1, 1
    strange.unseen_of["a"] = strange.beyond_of["b"] = 1
    assert strange.lines() == [
        '1 of 3 rows holds a value that the model has never seen: column "a" (1); log_prob is -inf there',
        "1 of 3 rows lies too far from the data to have a density: log_prob is -inf there",
        "1 of 3 rows holds a given value outside the range of the training rows (33%), where the model is at "
        'least as uncertain as at its end: column "b" (1)',
    ]
    strange = Strangeness()
    strange.rows = strange.beyond = 1
    strange.beyond_of.update(dict.fromkeys("abcdef", 1))
    assert strange.lines()[0].startswith("1 of 1 row holds a given value outside the range of the training rows (100%)")
    assert strange.lines()[0].endswith("and 1 more column")
