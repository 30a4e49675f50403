"""A streamed CSV whose later rows have other digits than its first thousand is read as it would be in memory."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.errors import InputError
from pushforward.table_models import streamed

ROWS, FIRST = 3000, 1200
GENERATOR = np.random.default_rng(0)
NORMAL, WHOLE = GENERATOR.normal(5, 1, ROWS), GENERATOR.integers(1, 1000, ROWS)
BESIDE = [f"{x:.5f}" for x in GENERATOR.normal(size=ROWS)]


def late(first, later):
    return [first(row) if row < FIRST else later(row) for row in range(ROWS)]


def tens(row):
    return f"{WHOLE[row] % 90 + 10}.{WHOLE[-row] // 10:02d}0"


LATER = {
    "more decimals": late(lambda row: f"{NORMAL[row]:.3f}", lambda row: f"{NORMAL[row]:.6f}"),
    "one with more decimals": late(
        lambda row: f"{NORMAL[row]:.3f}", lambda row: f"{NORMAL[row]:.{3 + (row == 2500)}f}"
    ),
    "fractions": late(lambda row: str(5000 + WHOLE[row]), lambda row: f"{5000 + WHOLE[row] + NORMAL[row] % 1:.2f}"),
    "one fraction": late(lambda row: str(5000 + WHOLE[row]), lambda row: f"{5000 + WHOLE[row]}{'.5' * (row == 2500)}"),
    "thousands after hundreds": late(
        lambda row: str(WHOLE[row]), lambda row: tens(row) if row % 2 else str(WHOLE[row])
    ),
    "hundreds after thousands": late(tens, lambda row: tens(row) if row % 2 else str(WHOLE[row])),
    "a number of four decimals beside them": late(
        lambda row: str(WHOLE[row]), lambda row: "1.2345" if row == 2500 else tens(row)
    ),
    "a slip": late(lambda row: f"{10 * WHOLE[row]}", lambda row: "153" if row == 2500 else f"{10 * WHOLE[row]}"),
}


def fitted(texts, tmp_path, monkeypatch, memory):
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", memory)
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,y", *map(",".join, zip(texts, BESIDE, strict=True))]) + "\n")
    return pf.fit_table(path, max_steps=2, progress=False).model.schema["x"]


@pytest.mark.slow
@pytest.mark.parametrize("case", LATER)
def test_later_rows_are_read_as_in_memory(case, tmp_path, monkeypatch):
    streamed, whole = (fitted(LATER[case], tmp_path, monkeypatch, memory) for memory in (1000, 2**27))
    assert (streamed.numeric, streamed.format) == (whole.numeric, whole.format)
    # One row may be beside the sample: then draws have the zeros of the others.
    assert streamed.style == whole.style or case == "one with more decimals"
    assert (streamed.format is not None) == ("thousands" in case)


def test_points_that_later_rows_make_ambiguous_are_refused(tmp_path, monkeypatch):
    texts = late(lambda row: f"{WHOLE[row] % 9 + 1}.{WHOLE[-row]:03d}", lambda row: f"{row % 9 + 1}")
    texts[7] = "4.567"
    for memory in (1000, 2**27):
        with pytest.raises(
            InputError, match="may stand between thousands or before decimals; say which with --decimal"
        ):
            fitted(texts, tmp_path, monkeypatch, memory)
