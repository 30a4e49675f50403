"""Which tables get a model of any columns given any others: those with gaps or angles among the modeled columns."""

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
        ("x", "gap", {}, False),
        ("x gap", "y", {}, True),
        ("x angle", "", {}, True),
        ("x angle", "", {"flow": "nice"}, False),
        ("x", "angle", {}, False),
        ("x angle", "y", {}, True),
        ("x site", "", {}, False),
        ("x", "site", {}, False),
        ("x", "site gap angle", {}, False),
        ("x", "site gap angle", {"flow": "nice"}, False),
        ("x", "site", {"arbitrary_conditions": True}, True),
        ("x", "flag", {}, False),
        ("x", "grade", {}, False),
        ("x", "grade", {"schema": {"grade": "category"}}, False),
    ],
)
def test_a_table_gets_the_model_that_its_columns_need(columns, given, options, any_given_any):
    names = [*columns.split(), *given.split()]
    prepared = prepare(FRAME[names], columns=columns.split(), given=given.split(), **options)
    assert prepared.roles.allows_gaps is any_given_any
