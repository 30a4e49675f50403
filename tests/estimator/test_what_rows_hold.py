"""What is no number in the rows of an estimator is refused in one sentence that names the column and what to do."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pushforward as pf
from pushforward.errors import InputError

ROWS = 40
X = np.random.default_rng(0).normal(size=ROWS)
OPTIONS = {"max_steps": 2, "random_state": 0}
DAYS = pd.date_range("2020-01-01", periods=ROWS)
REFUSED = {
    "dates": (DAYS, "dates"),
    "with a zone": (DAYS.tz_localize("UTC"), "dates"),
    "durations": (pd.to_timedelta(np.arange(ROWS), "D"), "durations"),
    "periods": (pd.period_range("2020-01", periods=ROWS, freq="M"), "2020-01 in row 1"),
    "objects of dates": (np.array([datetime.date(2020, 1, 1)] * ROWS, dtype=object), "2020-01-01 in row 1"),
    "text": (["1.5"] * (ROWS - 1) + ["?"], f'the text "?" in row {ROWS}'),
    "categories": (pd.Categorical(["a", "b"] * (ROWS // 2), categories=["a", "b", "c"]), 'the text "a" in row 1'),
    "objects with None": (np.array([*X[1:], None], dtype=object), f"no value (NaN) in row {ROWS}"),
    "booleans with None": (pd.array([None, *[True, False] * (ROWS // 2)][:ROWS], "boolean"), "no value (NaN) in row 1"),
    "integers with NA": (pd.array([1, pd.NA] * (ROWS // 2), "Int64"), "no value (NaN) in row 2"),
    "gaps": (np.where(X[2] == X, np.nan, X), "no value (NaN) in row 3"),
    "infinite": (np.where(X[2] == X, np.inf, X), "infinite (inf) in row 3"),
    "lists": ([[1, 2]] * ROWS, "several values in row 1"),
    "complex": (X + 1j, "Complex data not supported"),
}
READ = {
    "text of numbers": ["1.5", "2"] * (ROWS // 2),
    "an unused category": pd.Categorical([1, 2] * (ROWS // 2), categories=[1, 2, 3]),
    "objects": np.array([1.0, 2.0] * (ROWS // 2), dtype=object),
    "booleans": np.array([True, False] * (ROWS // 2)),
    "decimals": [decimal.Decimal("1.5"), decimal.Decimal("2")] * (ROWS // 2),
    "nullable": pd.array([1, 2] * (ROWS // 2), "Int64"),
}


def frame_of(values):
    return pd.DataFrame({"x": X, "my column": values})


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("estimator", [pf.FlowDensity, pf.FlowOutlierDetector, pf.FlowTransformer])
def test_columns_without_numbers_are_named(case, estimator):
    values, words = REFUSED[case]
    with pytest.raises(InputError) as caught:
        estimator(**OPTIONS).fit(frame_of(values))
    assert 'column "my column" of X' in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize("case", READ)
def test_numbers_in_other_types_are_read(case):
    assert np.isfinite(pf.FlowDensity(**OPTIONS).fit(frame_of(READ[case])).score_samples(frame_of(READ[case]))).all()


def test_other_containers():
    dates = np.array([["2020-01-01", "2020-01-02"]] * ROWS, dtype="datetime64[D]")
    for values, words in (
        (dates, 'column "0" of X holds dates'),
        (np.array([["1", "a"]] * ROWS), 'column "1" of X holds the text "a"'),
        ([[1.0, "a"]] * ROWS, 'column "1" of X holds the text "a"'),
        (pd.DataFrame(np.ones((ROWS, 2)), columns=["a", "a"]), 'several columns named "a"'),
        (pl.DataFrame({"x": X, "t": ["a"] * ROWS}), 'column "t" of X holds the text'),
        (pl.DataFrame({"x": X, "t": [datetime.date(2020, 1, 1)] * ROWS}), 'column "t" of X holds dates'),
        (pl.LazyFrame({"x": X}), "X.collect()"),
        ("stars.csv", "fit_table"),
    ):
        with pytest.raises(InputError) as caught:
            pf.FlowDensity(**OPTIONS).fit(values)
        assert words in str(caught.value)


def test_conditions_and_targets():
    for rows, targets, words in (
        (frame_of(DAYS), X, 'column "my column" of X'),
        (X[:, None], DAYS, 'column "0" of y holds dates'),
        (X[:, None], ["a"] * ROWS, 'column "0" of y holds the text'),
        (X[:, None], np.append(X[1:], np.nan), f"y has no value (NaN) in row {ROWS}"),
    ):
        with pytest.raises(InputError) as caught:
            pf.ConditionalFlowDensity(**OPTIONS).fit(rows, targets)
        assert words in str(caught.value)


def test_rows_to_score_are_checked_like_those_of_the_fit():
    density = pf.FlowDensity(**OPTIONS).fit(frame_of(X**2))
    with pytest.raises(InputError, match='column "my column" of X holds dates'):
        density.score_samples(frame_of(DAYS))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, value) for name in ("epochs", "max_steps", "batch_size") for value in (1.5, "3", True)),
        *((name, value) for name in ("learning_rate", "max_time", "validation_fraction") for value in ("x", True)),
        *(("random_state", value) for value in ("a", -1, 1.5)),
    ],
)
def test_options_of_the_wrong_type_are_named(option, value):
    with pytest.raises(InputError, match=option):
        pf.FlowDensity(**{"max_steps": 2, "random_state": 0, option: value}).fit(X[:, None])


@pytest.mark.parametrize("value", [-1, 0, -0.5])
def test_a_time_that_is_shared_out_is_refused_as_it_was_given(value):
    sentence = rf"max_time must be more than 0 seconds; it is {value}\."
    with pytest.raises(InputError, match=sentence):
        pf.FlowDensity(max_time=value).fit(X[:, None])
    with pytest.raises(InputError, match=sentence):
        pf.ConditionalFlowDensity(max_time=value).fit(X[:, None], X)
    with pytest.raises(InputError, match=sentence):
        pf.fit_table(X[:, None], max_time=value)


def test_a_time_that_is_shared_out_is_a_number():
    for value in ("x", True):
        with pytest.raises(InputError, match=f"max_time must be a number; it is {value!r}"):
            pf.fit_table(X[:, None], max_time=value)


def test_a_share_of_outliers_is_a_number():
    with pytest.raises(InputError, match="contamination"):
        pf.FlowOutlierDetector(contamination="x").fit(X[:, None])
