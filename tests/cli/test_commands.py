"""What the commands do with good input."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from known import NAMES, NOISE, SLOPE, make_rows, write

import pushforward as pf
from pushforward.kernels import native
from pushforward.tables import read_matrix
from pushforward.zoo import ARCHITECTURES

ENDINGS = ["csv", "parquet", "feather"]
# Of the columns' own Gaussian: Σ log scale + 3/2 (1 + log 2π).
ENTROPY = np.log(NOISE).sum() + 1.5 * (1 + np.log(2 * np.pi))


@pytest.mark.parametrize("ending", ENDINGS)
def test_fit_score_sample_and_info_on_every_format(run, tmp_path, ending):
    rows = make_rows(200)
    write(tmp_path / f"data.{ending}", rows, note=[f"row {n}" for n in range(200)])
    names = ",".join(NAMES)
    fit = run("fit", f"data.{ending}", "-o", "m.safetensors", "--columns", names, "--max-time", 1)
    assert fit.status == 0 and fit.out == "" and "nats per row" in fit.err
    score = run("score", "m.safetensors", f"data.{ending}", "-o", f"scores.{ending}")
    assert score.status == 0 and score.out == "" and "200 rows, mean log-density" in score.err
    sample = run("sample", "m.safetensors", "-n", 50, "-o", f"samples.{ending}")
    assert sample.status == 0 and sample.out == "" and "50 rows drawn" in sample.err

    matrix, columns = read_matrix(f"scores.{ending}", [*NAMES, "log_prob"])
    assert np.array_equal(matrix[:, :3], rows)
    expected = pf.load("m.safetensors").log_prob(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(matrix[:, 3], expected, rtol=1e-5, atol=1e-4)
    drawn, columns = read_matrix(f"samples.{ending}")
    assert drawn.shape == (50, 3) and columns == NAMES

    info = run("info", "m.safetensors")
    assert info.status == 0 and "mass, radius, flux" in info.out and "gaussianized" in info.out


def test_score_keeps_order_and_other_columns(run, fitted, tmp_path):
    write(tmp_path / "t.parquet", make_rows(30, seed=1), note=[f"row {n}" for n in range(30)], day=[3] * 30)
    assert run("score", fitted / "model.safetensors", "t.parquet", "-o", "s.parquet", "-q").err == ""
    before, after = pa.parquet.read_table("t.parquet"), pa.parquet.read_table("s.parquet")
    assert after.column_names == [*before.column_names, "log_prob"]
    assert after.drop(["log_prob"]).equals(before)


def test_held_out_nats_are_the_negative_entropy_of_a_known_density(run, fitted):
    result = run("score", fitted / "model.safetensors", fitted / "data.csv", "-o", "s.csv", "--json").json()
    notes = run("info", fitted / "model.safetensors", "--json").json()["notes"]["fit"]
    # Standard error of the mean of 2000 and of 200 log-densities, whose variance is D/2.
    assert abs(result["mean_log_prob"] + ENTROPY) < 4 * np.sqrt(1.5 / 2000) + 0.05
    assert abs(notes["held_out_nats"] + ENTROPY) < 4 * np.sqrt(1.5 / 200) + 0.05
    assert notes["rows"] == {"training": 1800, "held_out": 200}


def test_densities_are_in_the_units_of_the_data(run, tmp_path):
    rows = make_rows(200)
    means = []
    for name, scale in (("kilo", 1.0), ("gram", 1000.0)):
        write(tmp_path / f"{name}.csv", rows * [scale, 1, 1])
        assert run("fit", f"{name}.csv", "-o", f"{name}.safetensors", "--flow", "nice").status == 0
        result = run("score", f"{name}.safetensors", f"{name}.csv", "-o", "-", "--json")
        assert result.status == 0
        means.append(np.mean([float(row["log_prob"]) for row in csv.DictReader(result.out.splitlines())]))
    assert means[0] - means[1] == pytest.approx(np.log(1000), abs=0.02)


def test_draws_follow_the_condition(run, fitted, tmp_path):
    mass = np.linspace(8, 12, 4000)
    write(tmp_path / "masses.csv", mass[:, None], ["mass"], note=np.arange(4000))
    sample = run("sample", fitted / "given.safetensors", "--given-file", "masses.csv", "-o", "s.parquet", "--seed", 0)
    assert sample.status == 0
    matrix, names = read_matrix("s.parquet")
    assert names == NAMES and np.array_equal(matrix[:, 0], mass)
    residual = matrix[:, 1:] - mass[:, None] * SLOPE
    middle = np.abs(mass - 10) < 1
    assert np.all(np.abs(residual[middle].mean(0)) < 0.15 * NOISE)
    assert np.all(np.abs(residual[middle].std(0) / NOISE - 1) < 0.15)


def test_a_conditional_model_scores_the_rest_given_the_columns(run, fitted, tmp_path):
    write(tmp_path / "t.csv", make_rows(3000, seed=5))
    joint, given = (
        run("score", fitted / f"{model}.safetensors", "t.csv", "-o", "s.csv", "--json").json()["mean_log_prob"]
        for model in ("model", "given")
    )
    # p(rest | mass) = p(all) / p(mass), and mass is standard normal about 10.
    assert given - joint == pytest.approx(0.5 * (1 + np.log(2 * np.pi)), abs=0.1)


@pytest.mark.parametrize("flow", ARCHITECTURES)
def test_every_architecture_can_be_asked_for(run, tmp_path, flow):
    write(tmp_path / "t.csv", make_rows(60))
    result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", flow, "--max-time", 0.5, "--json", "-q")
    assert result.status == 0 and result.err == "" and result.json()["flow"] == flow
    assert flow in run("info", "m.safetensors").out
    drawn = run("sample", "m.safetensors", "-n", 3, "-o", "-").out.splitlines()
    assert drawn[0] == "mass,radius,flux" and len(drawn) == 4


def test_a_seed_repeats_a_fit_and_draws(run, tmp_path):
    write(tmp_path / "t.csv", make_rows(40))
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert run("fit", "t.csv", "-o", f"{name}.safetensors", "--flow", "nice", "--seed", seed).status == 0
    weights = [pf.load(f"{name}.safetensors").state_dict() for name in "abc"]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert any(not torch.equal(weights[0][key], weights[2][key]) for key in weights[0])
    draws = [run("sample", "a.safetensors", "-n", 5, "-o", "-", *seed).out for seed in (["--seed", 1],) * 2 + ([],) * 2]
    assert draws[0] == draws[1] and len({*draws}) == 3


def test_metrics_stand_beside_the_model(run, tmp_path):
    write(tmp_path / "t.csv", make_rows(60))
    result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice", "--max-time", 0.5, "--json")
    assert result.json()["metrics"] == "m.metrics.csv"
    with open("m.metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert set(lines[0]) == {
        "step", "epoch", "seconds", "train_nats", "held_out_nats", "learning_rate", "gradient_norm",
    }  # fmt: skip
    assert max(float(line["held_out_nats"]) for line in lines) == pytest.approx(result.json()["held_out_nats"])


def test_standard_output_carries_nothing_but_the_rows(run, fitted):
    result = run("score", fitted / "model.safetensors", fitted / "data.csv", "-o", "-", "--json")
    lines = result.out.splitlines()
    assert lines[0] == "mass,radius,flux,log_prob" and len(lines) == 2001


def test_version_and_help(run):
    kernels = native.instructions if native else "none"
    assert run("--version").out.strip() == f"pushforward {pf.__version__} (kernels: {kernels})"
    for arguments in (
        ["--help"],
        ["fit", "--help"],
        ["score", "--help"],
        ["sample", "--help"],
        ["distill", "--help"],
        ["info", "--help"],
    ):
        assert run(*arguments).status == 0
