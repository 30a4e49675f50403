"""Copies with a jitter or rounded in a streamed table: its first rows are looked through, and a line says so."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.table_models import streamed

ROWS = 4000


def lines_of(monkeypatch, tmp_path, frame, **options):
    monkeypatch.setattr(streamed, "LARGEST_IN_MEMORY", 1000)
    path, lines = tmp_path / "t.parquet", []
    frame.to_parquet(path, row_group_size=500)
    pf.fit_table(path, max_steps=1, progress=False, announce=lines.append, **options)
    return [line for line in lines if "a jitter" in line]


def rows(kind):
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 3))
    if kind == "jitter":
        x[-ROWS // 5 :] = x[: ROWS // 5] + 1e-4 * random.normal(size=(ROWS // 5, 3))
    elif kind == "rounded":
        x = x.round(6)
        x[-ROWS // 5 :] = x[: ROWS // 5].round(3)
    return pd.DataFrame(x[random.permutation(ROWS)], columns=list("abc")).assign(level=random.choice(["u", "v"], ROWS))


@pytest.mark.parametrize("kind", ["jitter", "rounded"])
def test_the_share_is_said(monkeypatch, tmp_path, kind):
    (line,) = lines_of(monkeypatch, tmp_path, rows(kind).drop(columns="level"))
    share = float(line.split("%")[0])
    assert 19 < share < 21
    assert line.endswith(
        "repeat others up to a jitter or rounding: in a table that is streamed such copies stand on both sides of the "
        "split, so that the held-out nats are too high; --group holds them out together"
    )


def test_without_any_it_is_said_where_they_were_looked_for(monkeypatch, tmp_path):
    (line,) = lines_of(monkeypatch, tmp_path, rows("none"))
    assert line == "copies with a jitter, or rounded, were looked for among the first 16,384 rows alone"


@pytest.mark.slow
def test_identical_copies_are_not_among_them(monkeypatch, tmp_path):
    frame = rows("none")
    (line,) = lines_of(monkeypatch, tmp_path, pd.concat([frame, frame[:800]]).sample(frac=1, random_state=0))
    assert line.startswith("copies with a jitter, or rounded, were looked for")
