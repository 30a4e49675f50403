"""Few different numbers, each of many rows, that no grid explains, are levels: exact probabilities, and no others."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from significance import FIVE_SIGMA
from small_fits import small_flows

import pushforward as pf
from pushforward.estimator.kinds import learn_kinds
from pushforward.support.even_points import uniform_points
from pushforward.tables import decode, encode, infer_schema, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.scattered import CHANCE_OF_UNSEEN, are_scattered, chance_of_unseen

GENERATOR = np.random.default_rng(0)
ROWS = 2500


def shares(count, exponent):
    weights = np.arange(1.0, count + 1) ** -exponent
    return weights / weights.sum()


def drawn(levels, rows=ROWS, exponent=0.0):
    """Rows that have each of some levels at least once."""
    levels = GENERATOR.permutation(levels)
    return np.append(levels, GENERATOR.choice(levels, rows - len(levels), p=shares(len(levels), exponent)))


FRACTIONS, CODES = GENERATOR.random(30) * 3000, GENERATOR.choice(np.arange(501, 99999), 100, replace=False)
SCATTERED = {
    "fractions": drawn(FRACTIONS),
    "codes": drawn(CODES),
    "codes of unequal shares": drawn(CODES, exponent=0.7),
    "many fractions": drawn(GENERATOR.normal(size=900), 30_000),
    "prices": drawn(np.round(GENERATOR.random(40) * 200, 2)),
    "powers of two": drawn(2.0 ** np.arange(24)),
    "ratios": GENERATOR.integers(0, 11, 5000) / GENERATOR.integers(1, 11, 5000),
    "single precision": drawn(FRACTIONS).astype(np.float32),
}


def schema_of(values):
    return infer_schema(pa.table({"x": values}), source="t")


@pytest.mark.parametrize("case", SCATTERED)
def test_they_are_levels_with_the_probabilities_of_their_rows(case):
    values = SCATTERED[case]
    schema = schema_of(values)
    different, counts = np.unique(values, return_counts=True)
    column = schema["x"]
    assert column.kind == "category" and len(column.levels) == len(different)
    # Half a row more for each.
    assert column.frequencies == pytest.approx((counts + 0.5) / (len(values) + 0.5 * len(counts)))
    assert parse_schema({"x": column.as_json()}) == schema
    codes = encode(pa.table({"x": different}), schema, ["x"], source="t")
    np.testing.assert_allclose(np.asarray(decode(codes, schema, ["x"])["x"]), different, rtol=1e-6)
    # The probabilities of all levels add up to 1: the lengths of their intervals under a normal distribution.
    low, high, log_term = Columns(schema, ["x"]).intervals(torch.from_numpy(codes))
    mass = torch.special.ndtr(high) - torch.special.ndtr(low)
    assert bool((log_term == 0).all()) and float(mass.sum()) == pytest.approx(1, abs=1e-12)
    assert mass[:, 0].numpy() == pytest.approx(np.array(column.frequencies), abs=1e-12)


def figures(numbers, count):
    return np.array([float(f"{number:.{count - 1}e}") for number in numbers])


AGES = np.clip(np.round(GENERATOR.gamma(6, 7, 5000)), 0, 99)
HEAPED = np.where(GENERATOR.random(5000) < 0.5, 5 * np.round(AGES / 5), AGES)
INCOMES = [10, 12, 15, 18, 20, 22, 24, 25, 28, 30, 32, 35, 36, 38, 40, 42, 45, 48, 50, 55, 60, 65, 70, 75, 80, 85, 90]
CENTERS = GENERATOR.choice(100_000, 40, replace=False)
MEASURED = {
    "counts": GENERATOR.poisson(30, ROWS),
    "counts of unequal rates": GENERATOR.negative_binomial(2, 0.02, 20_000),
    "heavy-tailed counts": GENERATOR.zipf(2.0, 20_000),
    "counts with a light head and a heavy tail": np.round(np.exp(GENERATOR.normal(3, 1, 20_000))),
    "waiting times": GENERATOR.geometric(0.05, 20_000),
    "ages": AGES,
    "heaped ages": HEAPED,
    "ages and a mark": np.where(np.arange(5000) % 10, AGES, -9999.0),
    "tenths": np.round(GENERATOR.normal(20, 1, ROWS), 1),
    "hundredths": np.round(GENERATOR.normal(20, 0.1, 20_000), 2),
    "halves": GENERATOR.integers(2, 60, 3000) / 2,
    "thirds": GENERATOR.integers(0, 60, 3000) / 3,
    "grades": GENERATOR.integers(0, 101, 5000),
    "years": GENERATOR.integers(1960, 2021, 3000),
    "tens of a wide range": 10 * np.round(GENERATOR.gamma(1, 10, 100_000)),
    "one significant figure": figures(np.exp(GENERATOR.normal(5, 2, 20_000)), 1),
    "two significant figures": figures(np.exp(GENERATOR.normal(5, 2, 20_000)), 2),
    "round incomes": 1000.0 * GENERATOR.choice([*INCOMES, 100, 110, 120, 125, 150, 175, 200, 250, 300, 500], 5000),
    "clusters of tenths": np.round(GENERATOR.normal(0, 0.5, 9000), 1) + GENERATOR.choice([0, 100, 10_000], 9000),
    "pairs of neighbors": GENERATOR.choice(CENTERS, 6000) + GENERATOR.integers(0, 2, 6000),
    "zeros and few amounts": np.where(np.arange(10_000) < 9950, 0.0, np.exp(GENERATOR.normal(7, 1, 10_000))),
    "two frequent values and few amounts": np.where(
        np.arange(20_000) < 19_900, np.arange(20_000) % 2 * 50.0, np.exp(GENERATOR.normal(7, 1, 20_000))
    ),
    "amounts": np.exp(GENERATOR.normal(7, 1, ROWS)),
    "half in tenths": np.where(np.arange(5000) % 2, np.round(GENERATOR.normal(size=5000), 1), GENERATOR.random(5000)),
    "few rows of each": drawn(FRACTIONS, 300),
}


@pytest.mark.parametrize("case", MEASURED)
def test_what_was_measured_or_counted_is_none(case):
    assert schema_of(MEASURED[case])["x"].kind != "category"


def test_none_are_found_by_chance():
    found = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        counts = generator.negative_binomial(generator.uniform(0.3, 5), generator.uniform(0.01, 0.5), 20_000)
        heavy = generator.zipf(generator.uniform(1.5, 3), 20_000).clip(max=2**40)
        rounded = np.round(generator.standard_t(generator.uniform(1.5, 5), 20_000) * generator.uniform(1, 5), 1)
        found += sum(are_scattered(*np.unique(some, return_counts=True)) for some in (counts, heavy, rounded))
    assert found == 0


def test_the_chance_of_a_new_value_is_that_of_values_seen_once():
    # Good-Turing against the truth: 1,000 rows of 2,000 equally likely values, and the share that is not seen.
    unseen, estimates = [], []
    for _ in range(200):
        counts = np.unique(GENERATOR.integers(0, 2000, 1000), return_counts=True)[1]
        unseen.append(1 - len(counts) / 2000)
        estimates.append(chance_of_unseen(counts))
    exceeded = np.mean(np.array(unseen) > np.array(estimates))
    assert exceeded < 0.05 + 5 * np.sqrt(0.05 * 0.95 / 200)
    assert chance_of_unseen(np.full(30, 80)) == 0 and chance_of_unseen(np.append(np.full(30, 80), [1] * 24)) > (
        CHANCE_OF_UNSEEN
    )


@pytest.mark.slow
def test_values_never_seen_have_probability_zero_however_near(monkeypatch):
    small_flows(monkeypatch)
    table = pd.DataFrame({"y": GENERATOR.normal(size=ROWS), "d": SCATTERED["fractions"], "zip": SCATTERED["codes"]})
    lines = []
    model = pf.fit_table(table, max_steps=40, progress=False, announce=lines.append).model
    assert all(any(f"category, {count} levels" in line for line in lines) for count in (30, 100))
    drawn_rows = model.decode(model.draw(500)).to_pandas()
    assert drawn_rows["d"].isin(FRACTIONS).all() and drawn_rows["zip"].isin(CODES).all()
    seen = table[:4]
    middle, beside = np.sort(FRACTIONS)[:2].mean(), CODES[0] + (1 if CODES[0] + 1 not in CODES else -1)
    unseen = [seen.assign(d=middle), seen.assign(zip=beside), seen.assign(zip=CODES[0] + 0.5)]
    assert np.isfinite(model.log_prob(model.encode(seen))).all()
    for rows in unseen:
        np.testing.assert_array_equal(model.log_prob(model.encode(rows)), -np.inf)


def test_whole_levels_are_no_others_in_half_or_single_precision():
    codes = np.array([12_345, 70_001, 2**24 + 1, *(GENERATOR.choice(400, 20, replace=False) ** 2 + 13)])
    schema = schema_of(drawn(codes))
    assert schema["x"].kind == "category"
    never = pa.table({"x": [float(np.float16(12_345)), float(np.float32(2**24 + 1)), 70_000.0]})
    with pytest.raises(pf.InputError, match="not one of its 23 levels"):
        encode(never, schema, ["x"], source="t")
    # 12,345 in half precision is 12,344, which is another number, but not of a column in single precision.
    single = encode(pa.table({"x": codes.astype(np.float32)}), schema, ["x"], source="t")
    np.testing.assert_array_equal(np.asarray(decode(single, schema, ["x"])["x"]), codes)


def test_probabilities_of_all_levels_add_up_to_one_in_a_fit(monkeypatch):
    small_flows(monkeypatch)
    table = pd.DataFrame({"y": GENERATOR.normal(size=ROWS), "d": SCATTERED["fractions"]})
    model = pf.fit_table(table[["d"]], max_steps=40, progress=False).model
    values = model.log_prob(model.encode(pd.DataFrame({"d": FRACTIONS})))
    # Averages over points of the noise.
    assert np.exp(values).sum() == pytest.approx(1, abs=0.02)
    truth = np.array([(table["d"] == level).mean() for level in FRACTIONS])
    assert np.abs(np.exp(values) - truth).max() < 0.02


def test_estimators_learn_them_from_arrays():
    rows = np.column_stack([GENERATOR.normal(size=ROWS), SCATTERED["fractions"], SCATTERED["codes"]])
    kinds = learn_kinds(rows, ["y", "d", "zip"], None)
    assert [kind.kind for kind in kinds.kinds] == ["continuous", "category", "category"]
    codes = kinds.encode(np.array([[0.0, FRACTIONS[0], CODES[0]], [0.0, FRACTIONS[0] + 0.01, CODES[0] + 0.5]]))
    assert np.isfinite(codes[0]).all() and np.isinf(codes[1, 1:]).all()
    points = uniform_points(64, 3).numpy()
    drawn_rows = kinds.decode(np.clip(np.sqrt(2) * 3 * (points - 0.5), -4, 4))
    assert np.isin(drawn_rows[:, 1], FRACTIONS).all() and np.isin(drawn_rows[:, 2], CODES).all()


def test_a_streamed_table_knows_levels_that_its_sample_lacks(tmp_path, monkeypatch):
    small_flows(monkeypatch)
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr("pushforward.tables.files.scan.MOST_SAMPLED", 2000)
    values = np.append(drawn(FRACTIONS, 5999), 5000.5)
    table = pa.table({"y": GENERATOR.normal(size=6000), "d": values})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=1000)
    model = pf.fit_table(path, max_steps=5, progress=False).model
    assert len(model.schema["d"].levels) == 31
    assert np.isfinite(model.log_prob(model.encode(table.slice(5990)))).all()


def test_shares_of_draws_are_those_of_the_rows():
    schema = schema_of(SCATTERED["codes of unequal shares"])
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(20_000, 1, dtype=torch.float64, generator=generator)
    found = np.bincount(Columns(schema, ["x"]).decode(normal)[:, 0].long().numpy(), minlength=100)
    expected = 20_000 * np.array(schema["x"].frequencies)
    assert stats.chisquare(found, expected).pvalue > FIVE_SIGMA


DATES = np.datetime64("2020-01-01") + np.sort(GENERATOR.choice(3000, 30, replace=False))
MOMENTS = np.datetime64("2020-01-01T00:00:00.25") + GENERATOR.choice(10**8, 40, replace=False).astype("timedelta64[s]")
FEW_DATES = np.array(["2020-01-05", "2020-02-11", "2020-03-09", "2020-05-20", "2020-06-30"], "datetime64[D]")


@pytest.mark.parametrize(
    ("levels", "type_"),
    [
        (DATES, pa.date32()),
        (DATES, pa.timestamp("s")),
        (DATES, pa.timestamp("us", "Europe/Berlin")),
        (DATES, pa.string()),
        (MOMENTS, pa.timestamp("ms")),
        (MOMENTS, pa.timestamp("ns", "UTC")),
        (FEW_DATES, pa.date32()),
    ],
)
def test_scattered_dates_are_levels_of_their_type(levels, type_):
    column = pa.array(drawn(levels))
    if not pa.types.is_date(type_):
        column = column.cast(pa.timestamp("ns")) if pa.types.is_timestamp(type_) else column.cast(type_)
    table = pa.table({"x": column.cast(type_)})
    schema = infer_schema(table, source="t")
    kind, count = schema["x"], len(levels)
    assert kind.kind == "date-category" and kind.describe().startswith(f"category of dates, {count} levels: 2020-0")
    assert parse_schema({"x": kind.as_json()}) == schema
    codes = encode(table, schema, ["x"], source="t")
    again = decode(codes, schema, ["x"])["x"]
    assert again.cast(type_).equals(table["x"]) and again.type.id in (type_.id, pa.date32().id)
    assert getattr(again.type, "tz", None) == getattr(type_, "tz", None)
    assert sum(kind.frequencies) == pytest.approx(1)
    rows = np.unique(codes, return_counts=True)[1]
    assert kind.frequencies == pytest.approx((rows + 0.5) / (ROWS + 0.5 * count))
    # Under a condition, any other date may come.
    assert kind.as_condition().kind == "date-time"


def test_dates_of_a_calendar_are_none():
    days = np.datetime64("2020-01-01")
    for some in (
        days + GENERATOR.integers(0, 300, 8000),
        (np.datetime64("2015-01") + GENERATOR.integers(0, 60, 4000)).astype("datetime64[D]"),
        days + 7 * GENERATOR.integers(0, 50, 4000),
        np.busday_offset("2020-01-01", GENERATOR.integers(0, 90, 4000), roll="forward"),
        np.array(["2000-01-01", "2003-01-01", "2004-01-01", "2010-01-01"], "datetime64[D]")[np.arange(400) % 4],
        np.where(np.arange(8000) % 10, days + GENERATOR.integers(0, 300, 8000), np.datetime64("9999-12-31")),
    ):
        assert schema_of(some)["x"].kind == "date-time"


def test_dates_never_seen_have_probability_zero(monkeypatch):
    small_flows(monkeypatch)
    table = pa.table({"y": GENERATOR.normal(size=ROWS), "x": drawn(DATES)})
    model = pf.fit_table(table, max_steps=20, progress=False).model
    assert np.isin(np.asarray(model.decode(model.draw(300))["x"]), DATES).all()
    between = DATES[0] + 1 if DATES[0] + 1 not in DATES else DATES[0] - 1
    rows = pa.table({"y": [0.0, 0.0], "x": np.array([DATES[3], between])})
    np.testing.assert_array_equal(np.isfinite(model.log_prob(model.encode(rows))), [True, False])
    given = pf.fit_table(table, given=["x"], max_steps=5, progress=False).model
    assert given.schema["x"].kind == "date-time"


def test_dates_can_be_declared_levels():
    table = pa.table({"x": np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")[np.arange(60) % 2]})
    declared = parse_schema({"x": {"kind": "date-category", "levels": ["2020-01-01", "2020-01-02", "2020-01-03"]}})
    column = infer_schema(table, declared, source="t")["x"]
    assert column.frequencies == pytest.approx([30.5 / 61.5, 30.5 / 61.5, 0.5 / 61.5])
    with pytest.raises(pf.InputError, match="2020-02-01 in row 1, which is not one of its 3 dates"):
        encode(pa.table({"x": np.array(["2020-02-01"], "datetime64[D]")}), {"x": column}, ["x"], source="t")
