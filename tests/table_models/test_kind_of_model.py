"""Which tables get a model of any columns given any others: gaps, angles, categories among the given columns."""

import numpy as np
import pandas as pd
import pytest

from pushforward.table_models.preparation import prepare

N = 300
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "x": RANDOM.normal(size=N),
        "y": RANDOM.normal(size=N),
        "gap": np.where(np.arange(N) % 7 == 3, np.nan, RANDOM.normal(size=N)),
        "angle": RANDOM.uniform(0, 360, N),
        "flag": RANDOM.random(N) < 0.5,
        "site": RANDOM.choice(["a", "b", "c"], N),
        "grade": RANDOM.choice([1.0, 2.0, 5.0], N),
    }
)


@pytest.mark.parametrize(
    ("columns", "given", "options", "any_given_any"),
    [
        ("x y", "", {}, False),
        ("x y", "", {"arbitrary_conditions": True}, True),
        ("x gap", "", {}, True),
        ("x", "gap", {}, True),
        ("x angle", "", {}, True),
        ("x angle", "", {"flow": "nice"}, False),
        ("x", "angle", {}, True),
        ("x site", "", {}, False),
        ("x", "site", {}, True),
        ("x", "flag", {}, False),
        ("x", "grade", {}, False),
        ("x", "grade", {"schema": {"grade": "category"}}, True),
    ],
)
def test_a_table_gets_the_model_that_its_columns_need(columns, given, options, any_given_any):
    names = [*columns.split(), *given.split()]
    prepared = prepare(FRAME[names], columns=columns.split(), given=given.split(), **options)
    assert prepared.roles.allows_gaps is any_given_any
