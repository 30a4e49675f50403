"""The benchmark of regression on a set that is made here: splits, peers, an interrupted run, and the page."""

import sys

import numpy as np
import pytest
import regression
from scipy import stats


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    x = np.column_stack([generator.normal(size=(200, 2)), np.ones(200)])
    y = np.round(3 + 2 * x[:, 0] - x[:, 1] + 0.5 * generator.normal(size=200), 2)
    own = tmp_path / "sets" / "made"
    own.mkdir(parents=True)
    np.savetxt(own / "data.txt", np.column_stack([x, y]), fmt="%.17g")
    (own / "index_features.txt").write_text("0\n1\n2\n")
    (own / "index_target.txt").write_text("3\n")
    for split in range(2):
        order = generator.permutation(200)
        np.savetxt(own / f"index_train_{split}.txt", order[20:], fmt="%d")
        np.savetxt(own / f"index_test_{split}.txt", order[:20], fmt="%d")
    return own


def test_validation_reads_no_test_row(folder):
    every = {tuple(row) for row in np.loadtxt(folder / "data.txt")[:, :2]}
    fitted, _, judging, _ = (regression.load(folder, 0, True)[place] for place in range(4))
    test = {tuple(row) for row in regression.load(folder, 0)[2][:, :2]}
    seen = {tuple(row) for row in np.vstack([fitted, judging])[:, :2]}
    assert len(judging) == 36 and seen == every - test


def test_the_linear_regression_is_least_squares(folder):
    x, y, test_x, test_y = regression.load(folder, 0)
    found = regression.fit_linear(x, y, {}, 0)(test_x, test_y)
    weight = np.linalg.lstsq(x, y)[0]
    noise = np.sqrt(np.square(y - x @ weight).sum() / (len(y) - 3))
    truth = stats.norm(test_x @ weight, noise)
    np.testing.assert_allclose(found["nll"], -truth.logpdf(test_y).mean(), rtol=1e-9)
    recorded = np.log(truth.cdf(test_y + 0.005) - truth.cdf(test_y - 0.005))
    np.testing.assert_allclose(found["recorded"], -recorded.mean(), rtol=1e-9)
    z = (test_y - test_x @ weight) / noise
    crps = noise * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(found["crps"], crps.mean(), rtol=0.01)
    np.testing.assert_allclose(found["rmse"], np.sqrt(np.square(test_y - test_x @ weight).mean()), rtol=1e-9)
    for level in regression.LEVELS:
        inside = np.abs(z) <= stats.norm.ppf(0.5 + level / 2)
        assert abs(found[str(level)] - inside.mean()) <= 1 / len(z)


def test_the_step_of_targets_is_a_power_of_ten():
    assert regression.step_of(np.array([1.0, 20.0])) == 1.0
    assert regression.step_of(np.array([0.25, 20.0])) == 0.01
    assert regression.step_of(np.array([1 / 3, 20.0])) is None


def test_an_interrupted_run_goes_on_and_makes_the_page(folder, tmp_path, monkeypatch):
    results = tmp_path / "results" / "regression.jsonl"
    monkeypatch.setattr(regression, "FITS", {regression.LINEAR: regression.fit_linear})
    done = []

    def complete(jobs, run, processes, path):
        done.append([job["split"] for job in jobs])
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.writelines(regression.json.dumps(run(job)) + "\n" for job in jobs)

    monkeypatch.setattr(regression, "complete", complete)
    command = ["regression.py", "--data", str(folder.parent), "--results", str(results), "--processes", "2"]
    for more in (["--splits", "1"], [], ["--validation"]):
        monkeypatch.setattr(sys, "argv", command + more)
        regression.main()
    assert done == [[0], [1], [0, 1]] and len(regression.read(results)) == 4
    page = results.with_suffix(".md").read_text()
    assert "| made | linear regression | 2 |" in page and "validation" not in page


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["regression.py", "--data", str(tmp_path), "--sets", "x"])
    with pytest.raises(SystemExit, match="has no set x"):
        regression.main()
    monkeypatch.setattr(sys, "argv", ["regression.py", "--data", str(tmp_path), "--peers"])
    monkeypatch.setattr(regression, "PEERS", {"other": "no_such_package"})
    with pytest.raises(SystemExit, match="needs no_such_package"):
        regression.main()
