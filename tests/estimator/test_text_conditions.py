"""Columns of text in a data frame of conditions are levels, as if their positions had been declared as a category."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pushforward as pf

TEXTS, FEW = ["Bern", "Oslo", "Rome"], {"max_steps": 3, "random_state": 0}


def frame(count=200, gaps=False):
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, count).astype(float)
    X = pd.DataFrame({"size": random.normal(size=count), "city": np.array(TEXTS)[codes.astype(int)]})
    X.index = X.index + 7
    if gaps:
        X.loc[X.index[:20], "city"], codes[:20] = None, np.nan
    return X, X.assign(city=codes), 3 * np.nan_to_num(codes) + X["size"].to_numpy() + random.normal(size=count)


@pytest.mark.parametrize("gaps", [False, True])
def test_texts_are_levels(gaps):
    X, coded, y = frame(gaps=gaps)
    expected = pf.ConditionalFlowDensity(kinds={"city": "category"}, **FEW).fit(coded, y).score_samples(coded, y)
    same = [X, X.assign(city=X["city"].astype("category")), X.assign(city=X["city"].astype("string"))]
    for texts in (*same, pl.from_pandas(X), pa.Table.from_pandas(X, preserve_index=False)):
        density = pf.ConditionalFlowDensity(**FEW).fit(texts, y)
        assert density.feature_names_in_.tolist() == ["size", "city"]
        np.testing.assert_array_equal(density.score_samples(texts, y), expected)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(density)).score_samples(X, y), expected)


def test_a_text_that_was_not_seen_is_missing_and_said():
    X, _, y = frame()
    density = pf.ConditionalFlowDensity(**FEW).fit(X, y)
    most = X.assign(city=X["city"].value_counts().index[0])[:3]
    for new in (most.assign(city="Paris"), most.assign(city=None), most.assign(city=4.5)):
        with pytest.warns(RuntimeWarning, match=r'3 of 3 rows of X lack a value, or have a level .* \("city"\)'):
            found = density.predict(new)
        np.testing.assert_array_equal(found, density.predict(most))


def test_what_is_chosen_names_the_texts(capsys):
    X, _, y = frame()
    pf.ConditionalFlowDensity(verbose=True, **FEW).fit(X, y)
    assert 'column "city" of X: category, 3 levels: Bern, Oslo, Rome' in capsys.readouterr().err


def test_names_of_rows_and_text_among_numbers_are_refused():
    X, _, y = frame()
    with pytest.raises(pf.InputError, match=r'"city" of X holds 200 different texts in 200 rows, .* leave the column'):
        pf.ConditionalFlowDensity(**FEW).fit(X.assign(city=[f"row {k}" for k in range(len(X))]), y)
    density = pf.ConditionalFlowDensity(**FEW).fit(X, y)
    with pytest.raises(pf.InputError, match='column "size" of X holds the text "large" in row 1'):
        density.predict(X.assign(size="large"))
    # Text of numbers is of numbers, as before.
    numbers = X.assign(city=[str(0.5 * k) for k in range(len(X))])
    assert pf.ConditionalFlowDensity(**FEW).fit(numbers, y).predict(numbers).shape == y.shape
