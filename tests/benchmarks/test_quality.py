import json

import numpy as np
import pytest
import quality
from datasets import SETS
from scipy.stats import gaussian_kde


def run(name, method, seconds, test, seed=0, elapsed=None):
    entry = {"set": name, "method": method, "seconds": seconds, "seed": seed, "test": test, "validation": test}
    entry |= {"error": 0.01, "elapsed": seconds if elapsed is None else elapsed, "version": f"{method} 1"}
    return entry | {"date": "2026-01-01", "machine": "a machine", "python": "3.11"}


def keyed(*runs):
    return {quality.key(r["set"], r["method"], r["seconds"], r["seed"]): r for r in runs}


def row(text, name):
    """The cells of the first row that begins with a name."""
    return [
        c.strip() for c in next(line for line in text.splitlines() if line.startswith(f"| {name} ")).split("|")[1:-1]
    ]


def test_kernel_estimate_is_scipys_with_the_best_bandwidth():
    random = np.random.default_rng(0)
    skewed = np.array([[1.0, 0.4], [0.0, 0.3]])
    train, validation, x = (random.normal(size=(rows, 2)) @ skewed for rows in (400, 300, 50))
    values, bandwidth = quality.kernel_log_likelihood(train, validation, x)
    np.testing.assert_allclose(values, gaussian_kde(train.T, bandwidth).logpdf(x.T), rtol=1e-8)
    by_validation = {h: gaussian_kde(train.T, h).logpdf(validation.T).mean() for h in quality.BANDWIDTHS}
    assert bandwidth == max(by_validation, key=by_validation.get)


def test_aims_are_held_against_the_best_peer():
    results = keyed(
        run("COADS", "zuko", 90, 1.0),
        run("COADS", "flowjax", 90, 1.5),
        *(run("COADS", "pushforward", 30, 1.4 + 0.1 * seed, seed) for seed in range(3)),
        *(run("COADS", "pushforward", 90, 1.5, seed) for seed in range(3)),
    )
    cells = row(quality.tables(results), "COADS")
    assert cells[4:7] == ["1.000 ± 0.010", "-", "1.500 ± 0.010"]
    assert cells[7] == "1.500 ± 0.010 [1.400, 1.600]"
    # As good as the best peer in a third of the time, but no better in the same time.
    assert cells[-2:] == ["yes", "no"]
    assert "Not measured: nflows" in quality.tables(results)


def test_a_density_that_is_not_a_number_loses():
    results = keyed(run("COADS", "zuko", 90, 1.0), run("COADS", "pushforward", 90, float("nan")))
    assert row(quality.tables(results), "COADS")[-1] == "no"


def test_published_figures_stand_beside_power_alone():
    others = quality.tables(keyed(*(run(name, "zuko", 90, 1.0) for name in SETS if name != "POWER")))
    assert "RQ-NSF" not in others
    text = quality.tables(keyed(run("POWER", "pushforward", 1200, 0.3), run("POWER", "pushforward", 9000, 0.5)))
    assert row(text, "RQ-NSF (autoregressive)")[1] == "0.66 ± 0.01"
    assert "Aim 0.24 (published MAF(10), in 20 minutes): yes, 0.300 ± 0.010" in text
    assert "Aim 0.66 (published RQ-NSF, in a long run): no, 0.500 ± 0.010" in text


def test_a_run_over_its_time_is_named():
    assert "Over time" not in quality.tables(keyed(run("COADS", "zuko", 90, 1.0, elapsed=92)))
    late = quality.tables(keyed(run("COADS", "zuko", 90, 1.0, elapsed=120)))
    assert "measured again on an idle machine:** COADS | zuko | 90 s | seed 0." in late


def test_a_likelihood_above_what_the_entropy_allows_is_a_bug():
    text = quality.tables(
        keyed(
            run("moons", "pushforward", 60, -2.40),
            run("rings", "pushforward", 60, -2.61),
            run("circles", "pushforward", 60, -3.40),
            run("checkerboard", "pushforward", 60, -3.52),
        )
    )
    assert row(text, "moons")[-3:] == ["+0.0061 ± 0.0100", "over the entropy ≤ 0.05", "yes"]
    assert row(text, "rings")[-1] == "**bug: below the entropy**"
    assert row(text, "circles")[-1] == "no"
    assert row(text, "checkerboard")[-2:] == ["in all ≤ 3.52", "yes"]


def test_runs_that_are_stored_are_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "quality.json")
    asked = []

    def answer(function, name, *arguments):
        asked.append((name, *arguments))
        if arguments[0] == 90:
            raise RuntimeError("out of memory")
        return {"test": 1.0, "validation": 1.0, "error": 0.1, "elapsed": 1.0, "version": "1"}

    monkeypatch.setattr(quality, "alone", answer)
    options = quality.parse(["--sets", "COADS", "--ours-only", "--seeds", "1"])
    results = {}
    # One run that fails is named and does not stop the others.
    assert quality.measure(options, results) == ["COADS | pushforward | 90 s | seed 0"]
    stored = json.loads((tmp_path / "quality.json").read_text())
    assert list(stored) == list(results) == ["COADS | pushforward | 30 s | seed 0"]
    asked.clear()
    quality.measure(options, stored)
    assert asked == [("COADS", 90.0, 0, None, 2)]
    asked.clear()
    quality.measure(quality.parse(["--sets", "COADS", "--ours-only", "--seeds", "1", "--again"]), stored)
    assert [arguments[1] for arguments in asked] == [30.0, 90.0]


@pytest.mark.parametrize("arguments", [[], ["x", "--sets", "GAS"], ["--curve", "c.csv"], ["--toys", "--sets", "COADS"]])
def test_options_that_do_not_go_together_are_refused(arguments):
    with pytest.raises(SystemExit):
        quality.parse(arguments)
