"""Held-out rows that say what new rows will: copies, groups of rows, and rows in the order of time."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from significance import is_mean_of

import pushforward as pf
from pushforward.errors import InputError
from pushforward.table_models import streamed
from pushforward.table_models.preparation import prepare
from pushforward.table_models.row_order import correlation_of_neighbors
from pushforward.tables import to_table

ENTROPY = 0.5 * np.log(2 * np.pi * np.e)


def oversampled(rows, copies, columns=3, seed=0):
    random = np.random.default_rng(seed)
    distinct = random.normal(size=(rows, columns))
    return random.permutation(np.concatenate([distinct, distinct[random.integers(0, rows, copies)]]))


@pytest.fixture
def large(monkeypatch):
    """A table of some thousand rows is streamed."""
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)


def written(path, matrix, names):
    pq.write_table(to_table(matrix, names), path, row_group_size=700)
    return path


def check_copies(prepared, rows):
    held_out, train = prepared.rows.held_out, prepared.rows.train
    assert len(np.unique(held_out, axis=0)) == len(held_out)
    assert not {tuple(row) for row in held_out} & {tuple(row) for row in train}
    assert any("% of the rows repeat others" in line for line in prepared.reasons)
    assert prepared.rows.copies == pytest.approx(0.3, abs=0.1)
    assert prepared.rows.training_rows == pytest.approx(0.9 * rows, rel=0.05)


@pytest.mark.parametrize("seed", [0, 1])
def test_copies_stand_on_one_side(seed):
    check_copies(prepare(pd.DataFrame(oversampled(2100, 900)), seed=seed), 3000)


@pytest.mark.parametrize("seed", [0, 1])
def test_copies_of_a_streamed_table_stand_on_one_side(large, tmp_path, seed):
    check_copies(prepare(written(tmp_path / "t.parquet", oversampled(2100, 900), list("abc")), seed=seed), 3000)


def coarse_table(kind, rows=2100, copies=900):
    """A table whose single columns take few values, or are times, with copies of some rows."""
    random = np.random.default_rng(0)
    seconds = random.integers(0, 10**7, rows)
    columns = {
        "five rounded columns": lambda: np.round(random.normal(size=(rows, 5)), 1),
        "six counts": lambda: random.integers(0, 50, (rows, 6)),
        "dates": lambda: {"t": pd.Timestamp("2022-01-01") + pd.to_timedelta(seconds, unit="s")},
        "texts": lambda: {f"text {i}": random.choice(list("abcdefghij"), rows) for i in range(8)},
        "days": lambda: {
            "t": pd.to_datetime(random.integers(0, 2000, rows), unit="D").date,
            "u": pd.to_datetime(random.integers(0, 2000, rows), unit="D"),
        },
    }[kind]()
    frame = pd.DataFrame(columns).rename(columns=str)
    frame = frame if kind == "texts" else frame.assign(x=np.round(random.normal(size=rows), 1))
    taken = random.permutation(np.concatenate([np.arange(rows), random.integers(0, rows, copies)]))
    return frame.iloc[taken].reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["memory", "streamed"])
@pytest.mark.parametrize("kind", ["five rounded columns", "six counts", "dates", "days", "texts"])
def test_copies_of_rows_of_few_values_stand_on_one_side(monkeypatch, tmp_path, kind, route):
    data = coarse_table(kind)
    if route == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
        data.to_parquet(tmp_path / "t.parquet", row_group_size=700)
        data = tmp_path / "t.parquet"
    check_copies(prepare(data), 3000)


def test_nearly_identical_rows_of_a_streamed_table_stand_on_one_side(large, tmp_path):
    random = np.random.default_rng(0)
    rows = oversampled(2100, 900) * (1 + 1e-13 * random.normal(size=(3000, 3)))
    prepared = prepare(written(tmp_path / "t.parquet", rows, list("abc")))
    held_out, train = (np.round(part, 9) for part in (prepared.rows.held_out, prepared.rows.train))
    assert len(np.unique(held_out, axis=0)) == len(held_out)
    assert not {tuple(row) for row in held_out} & {tuple(row) for row in train}
    assert prepared.rows.copies == pytest.approx(0.3, abs=0.1)


def test_copies_with_a_jitter_and_rounded_copies_stand_on_one_side():
    rows = oversampled(2100, 0, 5)
    moved = rows[:500] + 1e-4 * np.random.default_rng(1).normal(size=(500, 5))
    frame = pd.DataFrame(np.concatenate([rows, moved, np.round(rows[500:900], 2)]), columns=list("abcde"))
    prepared = prepare(frame.sample(frac=1, random_state=0))
    assert prepared.rows.copies == pytest.approx(0.3, abs=1e-3)
    held_out, train = prepared.rows.held_out, prepared.rows.train
    distance = np.abs(held_out[:, None] - train).max(-1)
    assert distance.min() > 0.01
    assert any("% of the rows repeat others" in line for line in prepared.reasons)


def test_identical_rows_of_categories_are_no_copies(large, tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"k": random.choice(["u", "v"], 2000), "n": random.poisson(2, 2000)})
    frame.to_parquet(tmp_path / "t.parquet")
    for data in (frame, tmp_path / "t.parquet"):
        prepared = prepare(data)
        assert prepared.rows.copies == 0 and not any("copies" in line for line in prepared.reasons)
        assert abs(len(prepared.rows.held_out) - 200) < 5 * np.sqrt(200 * 0.9)


def test_rows_at_an_atom_are_no_copies():
    """Of 3,000 rows, 30 are exactly 0 and 30 exactly 1: as many of them are held out as of others."""
    x = np.random.default_rng(0).random(3000)
    x[:30], x[30:60] = 0, 1
    prepared = prepare(pd.DataFrame({"x": x}))
    assert prepared.rows.copies == 0 and len(prepared.rows.held_out) == 300
    # Beside other measurements a row that is twice there is a copy, at an atom too.
    twice = pd.DataFrame({"x": x, "y": np.random.default_rng(1).random(3000)}).iloc[[*range(3000), *range(300)]]
    prepared = prepare(twice.reset_index(drop=True))
    assert prepared.rows.copies == pytest.approx(300 / 3300)


def test_oversampling_changes_neither_the_held_out_value_nor_p_values():
    fit = pf.fit_table(pd.DataFrame(oversampled(2100, 900), columns=list("abc")), max_steps=60, progress=False)
    assert fit.model.notes["copies"] == pytest.approx(0.3, abs=1e-3)
    held_out = fit.model.notes["rows"]["held_out"]
    # The log-density of three normal columns has a variance of 3/2; a short fit may lose a little, and gain nothing.
    error = np.sqrt(1.5 / held_out)
    assert -3 * ENTROPY - 5 * error - 0.1 < fit.held_out < -3 * ENTROPY + 5 * error
    fresh = fit.model.log_prob(np.random.default_rng(9).normal(size=(4000, 3)))
    unusual = fit.model.calibration.p_values(fresh) <= 0.05
    # The held-out rows have an error of their own.
    assert abs(unusual.mean() - 0.05) < 5 * np.sqrt(0.05 * 0.95 * (1 / 4000 + 1 / held_out))


def grouped(groups, size, seed=0):
    random = np.random.default_rng(seed)
    site = np.repeat(np.arange(groups), size)
    return pd.DataFrame({"site": site, "x": random.normal(size=groups)[site] + random.normal(size=groups * size)})


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("route", ["memory", "streamed"])
def test_groups_stand_on_one_side(monkeypatch, tmp_path, route, text):
    frame = grouped(60, 50)
    if text:
        frame["site"] = "s" + frame["site"].astype(str)
    # Every value occurs once, and tells its group.
    site_of = dict(zip(frame["x"], frame["site"], strict=True))
    if route == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
        frame.to_parquet(tmp_path / "t.parquet")
    prepared = prepare(frame if route == "memory" else tmp_path / "t.parquet", group="site")
    assert list(prepared.roles.columns) == ["x"] and (prepared.gaussian is not None)
    held_out, train = ({site_of[x] for x in part[:, 0]} for part in (prepared.rows.held_out, prepared.rows.train))
    assert not held_out & train and len(held_out) == 6 and len(held_out | train) == 60
    named = prepare(frame if route == "memory" else tmp_path / "t.parquet", group="site", columns=["site", "x"])
    assert list(named.roles.columns) == ["site", "x"]


@pytest.mark.parametrize("route", ["memory", "streamed"])
@pytest.mark.parametrize("option", ["group", "last"])
def test_copies_count_once_where_rows_are_held_out_by_groups_or_at_the_end(monkeypatch, tmp_path, route, option):
    # Half of all rows are copies of one of 1,500.
    rows = oversampled(1500, 1500)
    frame = pd.DataFrame(rows, columns=list("abc")).assign(site=np.arange(3000) // 50)
    if route == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
        frame.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    options = {"group": "site"} if option == "group" else {"hold_out": "last", "columns": list("abc")}
    prepared = prepare(frame if route == "memory" else tmp_path / "t.parquet", **options)
    held_out = prepared.rows.held_out
    assert len(held_out) == len(np.unique(held_out, axis=0)) < 300 and prepared.rows.copies > 0.01
    if route == "memory":
        assert not {tuple(row) for row in held_out} & {tuple(row) for row in prepared.rows.train}


def test_groups_that_cannot_be_divided_are_refused(large, tmp_path):
    few = grouped(9, 50)
    most = grouped(30, 10).assign(site=lambda frame: np.where(frame.site < 16, 0, frame.site))
    for frame, sentence in ((few, "has 9 groups; at least 10"), (most, "has 160 of 300 rows")):
        frame.to_parquet(tmp_path / "t.parquet")
        for data in (frame, tmp_path / "t.parquet"):
            with pytest.raises(InputError, match=sentence):
                prepare(data, group="site")
    with pytest.raises(InputError, match='no column "sight"; did you mean "site"'):
        prepare(few, group="sight")


@pytest.mark.parametrize("route", ["memory", "streamed", "streamed csv"])
def test_the_last_rows_are_held_out(monkeypatch, tmp_path, route):
    walk = np.random.default_rng(0).normal(size=(3000, 2)).cumsum(0)
    data = pd.DataFrame(walk, columns=["a", "b"])
    if route != "memory":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
        path = tmp_path / ("t.csv" if route.endswith("csv") else "t.parquet")
        data.to_csv(path, index=False) if route.endswith("csv") else data.to_parquet(path)
        data = path
    rows = prepare(data, hold_out="last").rows
    assert np.allclose(rows.held_out, walk[2700:]) and rows.training_rows == 2700
    assert not {tuple(row) for row in rows.train} & {tuple(row) for row in rows.held_out}


def test_a_way_to_hold_out_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="hold_out"):
        prepare(grouped(20, 5), hold_out="first")
    with pytest.raises(InputError, match="not both"):
        prepare(grouped(20, 5), hold_out="last", group="site")


def test_rows_in_the_order_of_time_are_noticed_and_sorted_ones_are_not():
    random = np.random.default_rng(0)
    noise = random.normal(size=(1000, 2))
    walk = noise.cumsum(0)
    assert correlation_of_neighbors(walk) > 0.9
    assert correlation_of_neighbors(np.column_stack([np.arange(1000.0), walk])) > 0.9
    assert correlation_of_neighbors(noise) == 0
    x = np.sort(random.normal(size=1000))
    assert correlation_of_neighbors(np.column_stack([x, x + 0.3 * noise[:, 0]])) == 0
    line = "rows look like a time series"
    assert any(line in reason for reason in prepare(pd.DataFrame(walk)).reasons)
    assert not any(line in reason for reason in prepare(pd.DataFrame(walk), hold_out="last").reasons)
    assert not any(line in reason for reason in prepare(pd.DataFrame(noise)).reasons)


def test_correlations_of_neighbors_of_independent_rows_are_explained_by_chance():
    found = [correlation_of_neighbors(np.random.default_rng(seed).normal(size=(40, 1))) for seed in range(200)]
    assert is_mean_of(np.array(found), 0, allowance=1e-3)


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e300])
def test_weights_count_relative_to_each_other(scale):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["a", "b"])
    weights = np.random.default_rng(1).exponential(size=400)
    found, expected = (prepare(table, weight=w) for w in (scale * weights, weights))
    assert np.array_equal(found.rows.held_out, expected.rows.held_out)
    assert found.gaussian == pytest.approx(expected.gaussian, abs=1e-9)
    fit = pf.fit_table(table, weight=scale * weights, max_steps=3, progress=False)
    assert np.isfinite(fit.held_out)


def test_a_row_with_all_of_the_weight_is_named():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["a", "b"])
    weights = np.ones(400)
    weights[5] = 1e300
    with pytest.raises(InputError, match="gives row 6 a share of 1 of the weight of all rows"):
        prepare(table, weight=weights)
