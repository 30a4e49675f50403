"""Relations that a few rows break are said with their equation, their rows and the option that leaves a column out."""

import numpy as np
import pandas as pd
import pytest
from test_dependence import RELATED, UNRELATED

from pushforward.table_models import streamed
from pushforward.table_models.preparation import prepare
from pushforward.tables.broken_relations import find_broken_relation
from pushforward.tables.dependence import find_relation

ROWS = 1000


def letters(matrix):
    return [chr(ord("a") + place) if place < 26 else f"x{place}" for place in range(matrix.shape[1])]


def broken(matrix, share, seed=0):
    """A table with mistakes in a share of its rows, in a column of its relation, and the rows."""
    random, relation = np.random.default_rng(seed), find_relation(matrix)
    matrix = np.array(matrix, dtype=float)
    column = relation.columns[random.integers(len(relation.columns))]
    complete = np.flatnonzero(~np.isnan(matrix).any(1))
    rows = np.sort(random.permutation(complete)[: max(int(share * len(matrix)), 1)])
    size = np.nanmax(np.abs(matrix[:, column]))
    deviation = np.nanstd(matrix[:, column] / size) * size
    mistakes = deviation * random.normal(3, 0.5, len(rows))
    matrix[rows, column] += np.round(mistakes) if relation.rounded else mistakes
    return matrix, rows


@pytest.mark.parametrize("share", [1e-6, 0.02, 0.05])
@pytest.mark.parametrize("name", [name for name in RELATED if name != "fewer rows than columns"])
def test_a_few_mistakes_hide_no_relation(name, share):
    matrix, rows = broken(RELATED[name][0], share)
    assert find_relation(matrix) is None
    found, other = find_broken_relation(matrix)
    if name != "rounded units":  # of which either may stand on the left
        assert found.equation(letters(matrix)) == RELATED[name][1]
    assert other.tolist() == rows.tolist()


@pytest.mark.parametrize("name", UNRELATED)
def test_strong_correlations_are_no_broken_relations(name):
    assert find_broken_relation(UNRELATED[name]) is None


def unrelated(kind):
    random = np.random.default_rng(1)
    a, b, c = random.normal(size=(3, ROWS))
    rare = random.random(ROWS) < 0.06
    grade = random.integers(1, 6, ROWS)
    return {
        "zeros of both": [np.where(rare, np.abs(a), 0), np.where(rare, np.abs(b), 0), c],
        "rare flags": list((random.random((6, ROWS)) < 0.03).astype(float)),
        "grades of two judges": [grade.astype(float), np.where(rare, random.integers(1, 6, ROWS), grade)],
        "noise of every size": [a, a + 1e-4 * random.standard_cauchy(ROWS)],
        "readings that differ by a little": [np.round(5 * a, 1), np.round(5 * a + 0.1 * b, 1)],
        "a third of the rows": [a, np.where(random.random(ROWS) < 1 / 3, b, a)],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "zeros of both",
        "rare flags",
        "grades of two judges",
        "noise of every size",
        "readings that differ by a little",
        "a third of the rows",
    ],
)
def test_what_holds_in_rows_that_are_alike_or_roughly_is_no_relation(kind):
    assert find_broken_relation(np.column_stack(unrelated(kind))) is None


def sums(decimals=None):
    random = np.random.default_rng(3)
    a, b, c = random.normal(100, 10, (3, ROWS))
    frame = pd.DataFrame({"a": a, "b": b, "total": a + b, "c": c})
    frame = frame if decimals is None else frame.round(decimals).assign(total=lambda f: (f.a + f.b).round(decimals))
    frame.loc[7, "total"] += 5
    return frame


COMPANY = {
    "alone": sums().drop(columns="c"),
    "beside another": sums(),
    "beside a category": sums().assign(kind=np.where(sums().c > 100, "u", "v")),
    "beside a count": sums().assign(k=np.random.default_rng(0).poisson(9, ROWS)),
    "beside gaps": sums().assign(c=sums().c.where(sums().c > 95)),
    "in cents": sums(2),
}


@pytest.mark.parametrize("name", COMPANY)
def test_the_line_names_columns_equation_rows_and_option(name):
    lines = [line for line in prepare(COMPANY[name]).reasons if "determine each other" in line]
    assert len(lines) == 1
    for words in ('"a", "b", "total"', "total = a + b", "in 99.9", "not in row 8)", "with columns="):
        assert words in lines[0]
    assert not [line for line in prepare(COMPANY[name].drop(columns="total")).reasons if "determine" in line]


@pytest.mark.parametrize("form", ["csv", "streamed"])
def test_a_file_is_named_by_its_option_and_rows_by_their_numbers(monkeypatch, tmp_path, form):
    frame = sums()
    frame.loc[[20, 500], "total"] -= 30
    path = tmp_path / ("t.csv" if form == "csv" else "t.parquet")
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, row_group_size=500)
    if form == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    (line,) = [line for line in prepare(path).reasons if "determine each other" in line]
    # A stream shows a sample of its rows, which has no numbers.
    assert ("in 99.70% of the rows" if form == "csv" else "in 99.6") in line and "--columns" in line
    assert ("(not in rows 8, 21, 501)" in line) == (form == "csv")


def test_conditions_may_nearly_determine_each_other():
    frame = sums()
    assert not [line for line in prepare(frame, given=["a", "b", "total"]).reasons if "determine" in line]
    assert [line for line in prepare(frame, given=["a", "b"]).reasons if "total = a + b" in line]


def test_estimators_warn():
    from pushforward.estimator import FlowDensity

    frame = sums()[["a", "b", "total"]][:200]
    with pytest.warns(RuntimeWarning, match=r'"a", "b", "total" determine each other, total = a \+ b in 99'):
        FlowDensity(max_steps=1, validation_fraction=0.05, random_state=0).fit(frame)
