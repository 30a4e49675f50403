"""The benchmark of outlier detection on a set that is made here: its protocol, a fit, and the table."""

import sys

import numpy as np
import outliers
import pytest


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3))
    y = np.zeros(300, dtype=int)
    x[:30] += 6
    y[:30] = 1
    np.savez(tmp_path / "7_made.npz", X=np.column_stack([x, y, np.ones(300)]), y=y)
    (tmp_path / "published_semi_aucroc.csv").write_text("set,kNN,LOF\nmade,90.0,100.0\n")
    return tmp_path


def test_the_protocol_draws_few_rows_again_and_trains_on_half_of_the_normal_ones(folder):
    path = outliers.sets_of(folder)["made"]
    train, test, outlier = outliers.split_of(path, 0)
    assert len(train) + len(test) == 1000
    assert abs(len(train) - (~outlier).sum()) <= 1 and len(test) == len(outlier)
    # The fourth column is the label: no outlier trains.
    assert (train[:, 3] == 0).all() and (test[outlier, 3] == 1).all() and (test[:, 4] == 0).all()
    np.testing.assert_allclose(train[:, :3].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(train[:, :3].std(0), 1)
    again, other = outliers.split_of(path, 0)[0], outliers.split_of(path, 1)[0]
    np.testing.assert_array_equal(train, again)
    assert len(other) != len(train) or not np.array_equal(other, train)


def test_a_fit_finds_outliers_and_the_table_ranks_it(folder, monkeypatch):
    monkeypatch.setattr("pushforward.zoo.recipe.LAYERS", 1)
    job = {"set": "made", "path": str(folder / "7_made.npz"), "seed": 0, "limit": 0.1, "score": "combined"}
    result = outliers.run(job)
    assert result["auroc"] > 99 and result["auprc"] > 95
    peer = outliers.run({**job, "score": "kNN"})
    assert peer["auroc"] > 99
    lines = list(outliers.table([{**result, "auroc": 95.0}], folder, [{**peer, "auroc": 97.0}]))
    assert any(line.startswith("| made |") and "| 95.0 | 97.0 | 90.0 | 100.0 LOF | 2 |" in line for line in lines)
    beside = "of the nearest neighbors in the same splits 97.00, and ours is ahead of them on 0 of 1"
    assert f"Mean AUROC of ours over 1 sets: 95.00; {beside}" in lines
    assert "| pushforward | 95.00 | 2.00 |" in lines and "| LOF | 100.00 | 1.00 |" in lines


def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["outliers.py", "--data", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="There is no folder"):
        outliers.main()
    monkeypatch.setattr(sys, "argv", ["outliers.py", "--data", str(tmp_path), "--sets", "x"])
    with pytest.raises(SystemExit, match="has no set x"):
        outliers.main()
