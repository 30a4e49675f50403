"""Linear relations of columns: found in every company, named, and not taken for strong correlations."""

import numpy as np
import pandas as pd
import pytest

from pushforward.errors import InputError
from pushforward.table_models import streamed
from pushforward.table_models.preparation import prepare
from pushforward.tables.dependence import find_relation

RANDOM = np.random.default_rng(0)
ROWS = 2000
A, B, C = RANDOM.normal(100, 10, ROWS), RANDOM.normal(50, 5, ROWS), RANDOM.normal(size=ROWS)
SHARES = RANDOM.dirichlet([1, 2, 3, 4], ROWS)
COUNTS = RANDOM.poisson([20, 7], (ROWS, 2))


def with_gap(*columns):
    matrix = np.column_stack(columns)
    matrix[5, 0] = np.nan
    return matrix


def of_thirty(gaps):
    matrix = RANDOM.normal(size=(ROWS, 30))
    matrix[:, 7] = matrix[:, 3] + matrix[:, 4]
    return np.where(RANDOM.random(matrix.shape) < gaps, np.nan, matrix)


RELATED = {
    "a sum": (np.column_stack([A, B, A + B]), "c = a + b"),
    "a difference": (np.column_stack([A, C, B, A - B]), "a = c + d"),
    "three terms": (np.column_stack([A, B, C, 2 * A - 0.5 * B + 3 * C + 7]), "d = 2 a - 0.5 b + 3 c + 7"),
    "units": (np.column_stack([A, B, 1.8 * A + 32]), "c = 1.8 a + 32"),
    "a gap": (with_gap(A, B, A + B), "c = a + b"),
    "shares": (np.column_stack([SHARES, A]), "a + b + c + d = 1"),
    "percent, rounded": (np.round(100 * SHARES, 1), "a + b + c + d = 100"),
    "rounded parts": (np.round(np.column_stack([A, B, A + B]), 2), "c = a + b"),
    "rounded units": (np.round(np.column_stack([10 * C, 18 * C + 32]), 1), "b = 1.8 a + 32"),
    "single precision": (np.column_stack([A, B]).astype(np.float32) @ np.float32([[1, 0, 1], [0, 1, 1]]), "c = a + b"),
    "counts": (np.column_stack([COUNTS, COUNTS.sum(1), C]), "c = a + b"),
    "huge": (np.column_stack([1e300 * A, 1e300 * B, 1e300 * (A + B)]), "c = a + b"),
    "tiny": (np.column_stack([1e-300 * A, 1e-300 * B, 1e-300 * (A + B)]), "c = a + b"),
    "thirty columns": (of_thirty(0), "h = d + e"),
    "thirty columns with gaps": (of_thirty(0.2), "h = d + e"),
    "fewer rows than columns": (np.column_stack([of_thirty(0)[:25], 3 * C[:25], C[:25]]), "x30 = 3 x31"),
}
UNRELATED = {
    "independent": np.column_stack([A, B, C]),
    "a thousandth of noise": np.column_stack([A, B, A + B + 1e-2 * C]),
    "a millionth of noise": np.column_stack([C, C + 1e-6 * A]),
    "more noise than rounding": np.round(np.column_stack([A, B, A + B + 0.1 * C]), 2),
    "correlated counts": np.column_stack([COUNTS, COUNTS[:, 0] + RANDOM.integers(0, 2, ROWS)]),
    "indicators": np.column_stack([*(np.arange(ROWS) % 3 == k for k in range(3)), A]).astype(float),
    "one outlier in two columns": np.concatenate([np.column_stack([A, B, C]), [[1e12, 1e12, 0]]]),
    "heavy tails": RANDOM.standard_cauchy((ROWS, 5)),
    "fewer rows than columns": RANDOM.normal(size=(25, 30)),
    "gaps": np.where(RANDOM.random((ROWS, 30)) < 0.2, np.nan, RANDOM.normal(size=(ROWS, 30))),
}


@pytest.mark.parametrize("name", RELATED)
def test_relations_are_found_and_written_out(name):
    matrix, equation = RELATED[name]
    letters = [chr(ord("a") + place) if place < 26 else f"x{place}" for place in range(matrix.shape[1])]
    assert find_relation(matrix).equation(letters) == equation


@pytest.mark.parametrize("name", UNRELATED)
def test_strong_correlations_are_no_relations(name):
    assert find_relation(UNRELATED[name]) is None


SUM = pd.DataFrame({"a": A, "b": B, "total": A + B})
COMPANY = {
    "alone": SUM,
    "beside a category": SUM.assign(kind=np.where(C > 0, "u", "v")),
    "beside a count": SUM.assign(k=COUNTS[:, 1]),
    "beside a gap": SUM.assign(a=SUM.a.where(SUM.index != 5)),
    "beside gaps elsewhere": SUM.assign(c=np.where(C > 1, np.nan, C)),
    "with zeros": SUM.assign(a=np.where(C > 0, 0, A), total=np.where(C > 0, 0, A) + B),
    "counts": pd.DataFrame({"a": COUNTS[:, 0], "b": COUNTS[:, 1], "total": COUNTS.sum(1), "c": C}),
    "rounded": SUM.round(2),
}


@pytest.mark.parametrize("name", COMPANY)
def test_a_sum_is_refused_in_every_company(name):
    with pytest.raises(InputError, match=r'"a", "b", "total" of the table .* total = a \+ b .* with columns='):
        prepare(COMPANY[name])
    assert len(prepare(COMPANY[name].drop(columns="total")).roles.columns) == COMPANY[name].shape[1] - 1


def test_a_relation_of_conditions_is_said_and_does_no_harm():
    frame = SUM.assign(y=C)
    prepared = prepare(frame, given=["a", "b", "total"])
    assert any("total = a + b" in line and "no harm" in line for line in prepared.reasons)
    assert prepared.gaussian == pytest.approx(prepare(frame[["a", "b", "y"]], given=["a", "b"]).gaussian, abs=1e-9)
    with pytest.raises(InputError, match=r"total = a \+ b"):
        prepare(frame, given=["a", "b"])


def spans(unit, written):
    """Two times and what lies between them."""
    start, length = RANDOM.integers(0, 10**6, ROWS), RANDOM.integers(0, 5000, ROWS)
    first, last = (pd.Timestamp("2020-03-01") + pd.to_timedelta(k, unit=unit) for k in (start, start + length))
    if written == "dates":
        first, last = (pd.Timestamp("1900-01-01") + pd.to_timedelta(k // 30, unit="D") for k in (start, start + length))
        length = np.array((last - first).days)
        first, last = first.date, last.date
    return pd.DataFrame({"start": first, "end": last, "length": length, "x": RANDOM.normal(size=ROWS)})


def marked():
    """A sum whose first part is marked as missing in some rows."""
    a, b = RANDOM.gamma(4, 5, (2, ROWS))
    return pd.DataFrame({"a": np.where(RANDOM.random(ROWS) < 0.05, -999.0, a), "b": b, "total": a + b})


def marked_days():
    """Dates some of which are marked as missing, their distance, and the sum with whole numbers."""
    frame = spans("D", "dates")
    return frame.assign(end=np.where(RANDOM.random(ROWS) < 0.05, pd.Timestamp("9999-12-31").date(), frame["end"]))


HIDDEN = {
    "dates": (lambda: spans("D", "dates"), ["start", "end", "length"], "end = start + length"),
    "seconds": (lambda: spans("s", "times"), ["start", "end", "length"], "end = start + length"),
    "minutes": (lambda: spans("min", "times"), ["start", "end", "length"], " 60 "),
    "marks": (marked, ["a", "b", "total"], "total = a + b"),
    "marks among dates": (marked_days, ["start", "end", "length"], "end = start + length"),
}


@pytest.mark.parametrize("form", ["csv", "parquet", "streamed"])
@pytest.mark.parametrize("case", HIDDEN)
def test_relations_of_dates_and_beside_marks_are_refused_with_file_columns_and_option(
    monkeypatch, tmp_path, case, form
):
    make, columns, equation = HIDDEN[case]
    path = tmp_path / ("t.csv" if form == "csv" else "t.parquet")
    frame = make()
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, row_group_size=500)
    if form == "streamed":
        monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    with pytest.raises(InputError) as caught:
        prepare(path)
    said = str(caught.value)
    assert path.name in said and "--columns" in said and equation in said
    assert all(f'"{column}"' in said for column in columns)


def test_a_date_and_its_year_are_no_relation():
    days = pd.to_datetime(RANDOM.integers(0, 20000, ROWS), unit="D")
    prepare(pd.DataFrame({"day": days, "year": days.year, "x": RANDOM.normal(size=ROWS)}))


@pytest.mark.parametrize("rounded", ["single", "single, doubled", "six decimals"])
def test_a_column_and_its_rounded_copy_are_related(rounded):
    a, other = RANDOM.normal(10, 2, ROWS), RANDOM.normal(size=ROWS)
    copies = {"single": np.float32(a), "single, doubled": np.float32(2 * a), "six decimals": np.round(a, 6)}
    # Rounding decides which of them stands on the left.
    equation = "(a = 0.5 b|b = 2 a)" if "doubled" in rounded else "(a = b|b = a)"
    with pytest.raises(InputError, match=f"{equation} in every row up to rounding"):
        prepare(pd.DataFrame({"a": a, "b": copies[rounded], "c": other}))


def test_a_copy_with_few_decimals_leaves_a_density():
    a = RANDOM.normal(10, 2, ROWS)
    prepare(pd.DataFrame({"a": a, "b": np.round(a, 1), "c": RANDOM.normal(size=ROWS)}))
    noisy = np.float32(a + 1e-5 * RANDOM.normal(size=ROWS))
    assert find_relation(np.column_stack([a, noisy])) is None
