"""What the commands do with good input."""

import csv
import dataclasses
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from known import NAMES, NOISE, SLOPE, make_kinds, make_rows, read_matrix, write
from scipy import stats
from significance import is_mean_of
from small_fits import default_steps

import pushforward as pf
from pushforward.cli.fit import gain
from pushforward.kernels import native
from pushforward.training.splitting import split_rows
from pushforward.zoo.registry import ARCHITECTURES

ENDINGS = ["csv", "parquet", "feather"]
# Of the columns' own Gaussian: Σ log scale + 3/2 (1 + log 2π).
ENTROPY = np.log(NOISE).sum() + 1.5 * (1 + np.log(2 * np.pi))


@pytest.mark.parametrize("ending", ENDINGS)
def test_fit_score_sample_and_info_on_every_format(run, tmp_path, ending):
    rows = make_rows(200)
    write(tmp_path / f"data.{ending}", rows, note=[f"row {n}" for n in range(200)])
    names = ",".join(NAMES)
    fit = run("fit", f"data.{ending}", "-o", "m.safetensors", "--columns", names)
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
    assert after.column_names == [*before.column_names, "log_prob", "p_value", "unseen"]
    assert after.drop(["log_prob", "p_value", "unseen"]).equals(before)


def test_p_values_rank_rows_among_those_held_out(run, fitted, tmp_path):
    write(tmp_path / "t.csv", make_rows(1000, seed=3))
    score = run("score", fitted / "model.safetensors", "t.csv", "-o", "s.parquet", "--json")
    assert "p-values: ranks among 200 rows that the fit held out" in score.err and score.json()["held_out_rows"] == 200
    log_prob, p_value = read_matrix("s.parquet", ["log_prob", "p_value"])[0].T
    held_out = read_matrix(fitted / "data.csv", NAMES)[0][split_rows(2000, 0.1, seed=0)[1].numpy()]
    known = pf.TableModel.load(fitted / "model.safetensors").log_prob(held_out)
    ranks = (known <= log_prob[:, None]).sum(1)
    # Rows of the file may be one rounding from those in memory.
    np.testing.assert_allclose(p_value, (1 + ranks) / 201, atol=1.01 / 201)
    # The share of fresh rows has the error of both samples.
    error = np.sqrt(0.1 * 0.9 * (1 / 200 + 1 / 1000))
    assert abs((p_value <= 0.1).mean() - 0.1) < 5 * error


def test_explain_names_the_columns_of_the_oddest_rows(run, fitted, tmp_path):
    rows = make_rows(50, seed=3)
    rows[17, 2] += 20 * NOISE[1]
    write(tmp_path / "t.csv", rows)
    command = ("score", fitted / "model.safetensors", "t.csv", "-o", "s.csv", "--explain", 2)
    score = run(*command, "--json")
    found = score.json()["oddest"]
    assert len(found) == 2 and found[0]["row"] == 18 and found[0]["p_value"] == 1 / 201
    assert found[0]["columns"][0]["column"] in ("flux", "mass")
    assert sum(one["share"] for one in found[0]["columns"]) == pytest.approx(1)
    lines = score.err.splitlines()
    assert len(lines) == 5 and lines[3].startswith("  row 18: log_prob ") and "flux" in lines[3]
    assert run(*command, "-q").err == ""
    assert "row 18" not in run(*command[:-2]).err
    # The first condition of the given model is mass: only the rest is explained.
    given = run("score", fitted / "given.safetensors", "t.csv", "-o", "s.csv", "--explain", 1, "--json").json()
    assert {one["column"] for one in given["oddest"][0]["columns"]} == {"radius", "flux"}
    assert given["oddest"][0]["columns"][0]["column"] == "flux"


def test_a_model_without_held_out_rows_has_no_p_values_and_says_so(run, fitted, tmp_path):
    write(tmp_path / "t.csv", make_rows(30))
    model = pf.TableModel.load(fitted / "model.safetensors")
    dataclasses.replace(model, calibration=None).save(tmp_path / "m.safetensors")
    score = run("score", "m.safetensors", "t.csv", "-o", "s.csv", "--json")
    assert "no p-values" in score.err and score.json()["held_out_rows"] is None
    assert (tmp_path / "s.csv").read_text().splitlines()[0] == "mass,radius,flux,log_prob,unseen"
    assert "calibration.rows" in run("info", fitted / "model.safetensors").out
    assert "calibration" not in run("info", "m.safetensors").out


def test_held_out_nats_are_the_negative_entropy_of_a_known_density(run, fitted):
    result = run("score", fitted / "model.safetensors", fitted / "data.csv", "-o", "s.csv", "--json").json()
    notes = run("info", fitted / "model.safetensors", "--json").json()["notes"]["fit"]
    # Five standard errors of the mean of 2000 and of 200 log-densities, whose variance is D/2, and 0.05 for the fit.
    assert abs(result["mean_log_prob"] + ENTROPY) < 5 * np.sqrt(1.5 / 2000) + 0.05
    assert abs(notes["held_out_nats"] + ENTROPY) < 5 * np.sqrt(1.5 / 200) + 0.05
    assert notes["rows"] == {"training": 1800, "held_out": 200}


@pytest.mark.slow
def test_every_kind_of_column_is_said_scored_and_drawn(run, kinds, tmp_path):
    model = kinds / "model.safetensors"
    shown = {
        "mass": "positive",
        "sex": "category, 2 levels: f, m",
        "stars": "integer, 1 to 5",
        "rain": f"mixed, {np.mean(np.equal(pa.parquet.read_table(kinds / 'data.parquet')['rain'], 0)):.0%} 0",
        "share": "bounded, 0 to 1",
        "phase": "periodic, 360 from 0",
        "time": "date-time, to the second",
        "alive": "category, 2 levels: True, False",
        "site": "constant, X",
        "remark": "all-missing",
    }
    info = run("info", model).out
    for name, words in shown.items():
        assert any(line.split()[0] == f"column.{name}" and words in line for line in info.splitlines()), name
    result = run("score", model, kinds / "data.parquet", "-o", "s.parquet", "--json")
    assert result.status == 0 and "probability of discrete ones" in result.json()["log_prob"] + result.err
    # Independent columns but for mass given sex: the mean is the negative entropy.
    entropy = {
        "sex": stats.bernoulli(0.4).entropy(), "mass": 1 + 0.6 * np.log(3), "stars": np.log(5), "share": 0,
        "rain": stats.bernoulli(0.4).entropy() + 0.6, "phase": np.log(360), "time": np.log(1e7),
        "alive": stats.bernoulli(0.7).entropy(),
    }  # fmt: skip
    log_prob = read_matrix("s.parquet", ["log_prob"])[0][:, 0]
    assert result.json()["mean_log_prob"] == pytest.approx(log_prob.mean())
    assert is_mean_of(log_prob, -sum(entropy.values()), allowance=0.2)
    assert run("sample", model, "-n", 2000, "-o", "d.parquet", "--seed", 1).status == 0
    before, drawn = pa.parquet.read_table(kinds / "data.parquet"), pa.parquet.read_table("d.parquet")
    assert [field.type for field in drawn.schema if field.name != "time"] == [
        field.type for field in before.schema if field.name != "time"
    ]
    values = {name: drawn[name].to_pylist() for name in drawn.column_names}
    assert min(values["mass"]) > 0 and set(values["sex"]) == {"f", "m"} and set(values["stars"]) == {1, 2, 3, 4, 5}
    # Of 2000 draws from what 1500 rows have taught.
    zeros, error = np.mean(np.array(values["rain"]) == 0), np.sqrt(0.4 * 0.6 * (1 / 2000 + 1 / 1500))
    assert min(values["rain"]) == 0 and abs(zeros - 0.4) < 5 * error + 0.02
    assert min(values["share"]) >= 0 and max(values["share"]) <= 1 and min(values["phase"]) >= 0
    assert max(values["phase"]) < 360 and set(values["site"]) == {"X"} and set(values["remark"]) == {None}
    # A draw scores again, from CSV as well.
    assert run("sample", model, "-n", 50, "-o", "d.csv").status == 0
    assert run("score", model, "d.csv", "-o", "s.csv").status == 0


def test_a_table_with_gaps_is_fitted_scored_and_filled(run, gappy, tmp_path):
    model, data = gappy / "model.safetensors", gappy / "data.csv"
    assert "arbitrary_conditions" in run("info", model).out
    score = run("score", model, data, "-o", "s.parquet", "--json")
    assert score.status == 0 and "left out" in score.json()["log_prob"] and np.isfinite(score.json()["mean_log_prob"])
    with open(data, newline="") as file:
        before = list(csv.reader(file))
    gaps = sum(cell == "" for row in before for cell in row)
    median = run("impute", model, data, "-o", "i.csv", "--json")
    assert median.status == 0 and median.json() == {"output": "i.csv", "rows": 1000, "filled": gaps, "draws": None}
    with open("i.csv", newline="") as file:
        after = list(csv.reader(file))
    cells = [(old, new) for one, other in zip(before, after, strict=True) for old, new in zip(one, other, strict=True)]
    # What was there is there still, to the letter; what was not is a number.
    assert all(old in ("", new) for old, new in cells)
    assert all(np.isfinite(float(new)) for old, new in cells if old == "")
    draws = [run("impute", model, data, "-o", f"d{seed}.parquet", "--draws", 2, "--seed", seed) for seed in (1, 1, 2)]
    assert all(result.status == 0 for result in draws)
    table = pa.parquet.read_table("d1.parquet")
    assert table.num_rows == 2000 and set(table["draw"].to_pylist()) == {1, 2} and table["mass"].null_count == 0
    assert not table.equals(pa.parquet.read_table("d2.parquet"))


def test_posteriors_are_densities_and_quantiles_increase(run, gappy, tmp_path):
    model = gappy / "model.safetensors"
    mass = np.linspace(9, 11, 6)
    write(tmp_path / "t.csv", np.column_stack([mass, [np.nan, *(mass[1:] * 2)]]), ["mass", "radius"])
    options = ["--of", "flux", "--given", "mass", "--grid", "-25,5,3001"]
    assert run("posterior", model, "t.csv", "-o", "p.parquet", *options).status == 0
    density, names = read_matrix("p.parquet")
    assert names == ["row", "flux", "density"] and len(density) == 6 * 3001
    value = density.reshape(6, 3001, 3)
    np.testing.assert_allclose(np.trapezoid(value[..., 2], value[..., 1], axis=1), 1, atol=0.01)
    assert np.array_equal(value[:, 0, 0], np.arange(1, 7))
    # Given mass, flux is normal about -mass: more than half of the slope is learned.
    means = np.trapezoid(value[..., 1] * value[..., 2], value[..., 1], axis=1)
    assert -1.5 < np.polyfit(mass, means, 1)[0] < -0.5
    assert run("posterior", model, "t.csv", "-o", "q.csv", "--of", "flux", "--quantiles", "0.1,0.5,0.9").status == 0
    matrix, names = read_matrix("q.csv", ["flux_q0.1", "flux_q0.5", "flux_q0.9"])
    assert (np.diff(matrix, axis=1) > 0).all()
    assert (tmp_path / "q.csv").read_text().startswith("mass,radius,flux_q0.1,flux_q0.5,flux_q0.9\n")


@pytest.mark.slow
def test_probabilities_of_a_category_given_others(run, tmp_path):
    pa.parquet.write_table(make_kinds(400), tmp_path / "t.parquet")
    assert run("fit", "t.parquet", "-o", "m.safetensors", "--arbitrary-conditions").status == 0
    assert run("posterior", "m.safetensors", "t.parquet", "--of", "sex", "-o", "p.parquet").status == 0
    table = pa.parquet.read_table("p.parquet")
    assert table.column_names == ["row", "sex", "probability"] and table.num_rows == 800
    np.testing.assert_allclose(table["probability"].to_numpy().reshape(400, 2).sum(1), 1, atol=1e-5)
    assert run("impute", "m.safetensors", "t.parquet", "-o", "i.parquet").status == 0


@pytest.mark.slow
def test_weights_and_errors_are_kept_apart(run, tmp_path):
    rows = np.column_stack([make_rows(200), np.full((200, 2), 0.5)])
    write(tmp_path / "t.csv", rows, [*NAMES, "w", "e"])
    options = ["--weight", "w", "--error", "flux=e", "--flow", "nice"]
    assert run("fit", "t.csv", "-o", "m.safetensors", *options).status == 0
    notes = run("info", "m.safetensors", "--json").json()["notes"]
    assert notes["columns"] == NAMES and notes["errors"] == {"flux": "e"}
    assert run("score", "m.safetensors", "t.csv", "-o", "s.csv").status == 0
    assert run("sample", "m.safetensors", "-n", 3, "-o", "-").out.startswith("mass,radius,flux\n")


@pytest.mark.slow
def test_a_schema_overrides_what_is_learned(run, tmp_path):
    pa.parquet.write_table(make_kinds(200), tmp_path / "t.parquet")
    (tmp_path / "s.json").write_text('{"stars": {"kind": "integer", "low": 0, "high": 10}, "share": "continuous"}')
    fit = run("fit", "t.parquet", "-o", "m.safetensors", "--schema", "s.json", "--flow", "nice")
    assert fit.status == 0 and 'column "stars": integer, 0 to 10' in fit.err and '"share"' not in fit.err
    schema = run("info", "m.safetensors", "--json").json()["notes"]["schema"]
    assert schema["share"]["kind"] == "continuous" and len(schema["stars"]["frequencies"]) == 11
    # What a model says of its columns is itself a schema.
    (tmp_path / "again.json").write_text(json.dumps(schema))
    again = run("fit", "t.parquet", "-o", "a.safetensors", "--schema", "again.json", "--flow", "nice")
    assert again.status == 0 and run("info", "a.safetensors", "--json").json()["notes"]["schema"] == schema


@pytest.mark.slow
def test_densities_are_in_the_units_of_the_data(run, tmp_path):
    rows = make_rows(200)
    means = []
    # A power of two rounds nothing, so that both fits take the same steps.
    for name, scale in (("one", 1.0), ("many", 1024.0)):
        write(tmp_path / f"{name}.csv", rows * [scale, 1, 1])
        assert run("fit", f"{name}.csv", "-o", f"{name}.safetensors", "--flow", "nice").status == 0
        result = run("score", f"{name}.safetensors", f"{name}.csv", "-o", "-")
        assert result.status == 0
        means.append(np.mean([float(row["log_prob"]) for row in csv.DictReader(result.out.splitlines())]))
    assert means[0] - means[1] == pytest.approx(np.log(1024), abs=1e-4)


def test_draws_follow_the_condition(run, fitted, tmp_path):
    mass = np.linspace(8, 12, 4000)
    write(tmp_path / "masses.csv", mass[:, None], ["mass"], note=np.arange(4000))
    sample = run("sample", fitted / "given.safetensors", "--given-file", "masses.csv", "-o", "s.parquet", "--seed", 0)
    assert sample.status == 0
    matrix, names = read_matrix("s.parquet")
    assert names == NAMES and np.array_equal(matrix[:, 0], mass)
    residual = matrix[:, 1:] - mass[:, None] * SLOPE
    middle = np.abs(mass - 10) < 1
    # Five standard errors of some 2000 rows, and a sixth of a deviation for the fit; without the condition it is three.
    error = 5 / np.sqrt(middle.sum())
    assert np.all(np.abs(residual[middle].mean(0)) / NOISE < error + 0.15)
    assert np.all(np.abs(residual[middle].std(0) / NOISE - 1) < error + 0.15)


def test_a_conditional_model_scores_the_rest_given_the_columns(run, fitted, tmp_path):
    write(tmp_path / "t.csv", make_rows(3000, seed=5))
    joint, given = (
        run("score", fitted / f"{model}.safetensors", "t.csv", "-o", "s.csv", "--json").json()["mean_log_prob"]
        for model in ("model", "given")
    )
    # p(rest | mass) = p(all) / p(mass), and mass is standard normal about 10: five standard errors of 3000 rows, and
    # 0.05 for the two fits.
    error = 5 * np.sqrt(0.5 / 3000) + 0.05
    assert given - joint == pytest.approx(0.5 * (1 + np.log(2 * np.pi)), abs=error)


@pytest.mark.parametrize(
    "flow",
    [name if name in ("nsf", "realnvp") else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES],
)
def test_every_architecture_can_be_asked_for(run, tmp_path, flow):
    write(tmp_path / "t.csv", make_rows(60))
    result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", flow, "--json", "-q")
    assert result.status == 0 and result.err == "" and result.json()["flow"] == flow
    assert flow in run("info", "m.safetensors").out
    drawn = run("sample", "m.safetensors", "-n", 3, "-o", "-").out.splitlines()
    assert drawn[0] == "mass,radius,flux" and len(drawn) == 4


@pytest.mark.slow
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
    result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice", "--json")
    assert result.json()["metrics"] == "m.metrics.csv"
    with open("m.metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert set(lines[0]) == {
        "step", "epoch", "seconds", "train_nats", "held_out_nats", "learning_rate", "gradient_norm",
    }  # fmt: skip
    assert max(float(line["held_out_nats"]) for line in lines) == pytest.approx(result.json()["held_out_nats"])


def test_standard_output_carries_nothing_but_the_rows(run, fitted):
    result = run("score", fitted / "model.safetensors", fitted / "data.csv", "-o", "-")
    lines = result.out.splitlines()
    assert lines[0] == "mass,radius,flux,log_prob,p_value,unseen" and len(lines) == 2001


@pytest.mark.parametrize(
    "command",
    [
        ["score", "data.csv"],
        ["impute", "data.csv"],
        ["posterior", "data.csv", "--of", "flux"],
        ["sample", "-n", "3"],
    ],
)
def test_a_table_and_json_on_standard_output_are_refused(run, fitted, command):
    name, *rest = command
    rest = [fitted / part if part == "data.csv" else part for part in rest]
    result = run(name, fitted / "model.safetensors", *rest, "-o", "-", "--json")
    assert result.status == 2 and not result.out
    assert result.err == "Error: -o - and --json would both write to standard output; name a file with -o.\n"


def test_version_and_help(run):
    kernels = "without compiled kernels" if native is None else f"compiled kernels: {native.instructions}"
    assert run("--version").out.strip() == f"pushforward {pf.__version__} ({kernels})"
    for arguments in (
        ["--help"],
        ["fit", "--help"],
        ["score", "--help"],
        ["sample", "--help"],
        ["distill", "--help"],
        ["info", "--help"],
    ):
        assert run(*arguments).status == 0


@pytest.mark.slow
def test_shares_are_columns_that_sum_to_log_prob_or_are_refused(run, fitted, tmp_path):
    run("fit", fitted / "data.csv", "-o", "realnvp.safetensors", "--flow", "realnvp")
    refused = run("score", "realnvp.safetensors", fitted / "data.csv", "-o", "s.csv", "--shares")
    assert refused.status == 2 and "layers mix columns or run in different orders" in refused.err
    assert not (tmp_path / "s.csv").exists()
    run("fit", fitted / "data.csv", "-o", "any.safetensors", "--arbitrary-conditions")
    assert run("score", "any.safetensors", fitted / "data.csv", "-o", "s.csv", "--shares").status == 0
    shares, _ = read_matrix("s.csv", [f"share_{name}" for name in NAMES])
    log_prob, _ = read_matrix("s.csv", ["log_prob"])
    np.testing.assert_allclose(shares.sum(1), log_prob[:, 0], atol=1e-6)


def test_a_fit_that_keeps_a_gaussian_says_so_and_what_it_is_compared_with(run, tmp_path, monkeypatch):
    # A flow that is no good: its training is replaced by none, and its start by a wrong one.
    monkeypatch.setattr("pushforward.zoo.recipe.decorrelate", lambda *arguments: None)
    default_steps(monkeypatch, 1)
    write(tmp_path / "t.csv", make_rows(200))
    fit = run("fit", "t.csv", "-o", "m.safetensors", "--json")
    assert fit.status == 0 and fit.json()["flow"] == "gaussian"
    assert re.search(r"a Gaussian of the (columns made normal|encoded columns) has .* per held-out row: it is", fit.err)
    assert "Gaussian over 3 columns of t.csv" in fit.err and "autoregressive over" not in fit.err


@pytest.mark.slow
def test_the_last_line_says_that_the_machine_was_busy(run, tmp_path, monkeypatch):
    default_steps(monkeypatch, 1)
    monkeypatch.setattr(
        "pushforward.training.history.History.shortage", property(lambda history: "the machine was busy")
    )
    write(tmp_path / "t.csv", make_rows(200))
    assert run("fit", "t.csv", "-o", "m.safetensors").err.endswith("; model in m.safetensors\nthe machine was busy\n")
    assert run("fit", "t.csv", "-o", "n.safetensors", "--flow", "realnvp").err.endswith("\nthe machine was busy\n")
    distilled = run("distill", "n.safetensors", "-o", "d.safetensors", "--max-time", 0.1)
    assert distilled.err.endswith("\nmodel in d.safetensors\nthe machine was busy\n")


@pytest.mark.slow
def test_commands_that_fit_raise_an_alarm_if_they_took_no_step(run, tmp_path):
    write(tmp_path / "t.csv", make_rows(200))
    assert "Alarm" not in run("fit", "t.csv", "-o", "n.safetensors", "--flow", "nice", "--max-time", 1).err
    for command in (["fit", "t.csv", "--flow", "nice"], ["distill", "n.safetensors"]):
        said = run(*command, "-o", "m.safetensors", "--max-time", 1e-9).err
        assert said.splitlines()[-1].startswith("Alarm: the training took no step in ")
        assert run(*command, "-o", "m.safetensors", "--max-time", 1e-9, "--quiet").err == ""


def test_a_difference_that_is_none_has_no_sign():
    assert gain(-12.3451, -12.3450) == ", as much as a Gaussian of the columns as they are"
    assert gain(-12.0, -12.345) == ", +0.345 compared with a Gaussian of the columns as they are"
    assert gain(-12.0, None) == ""


def test_draws_have_the_digits_of_the_table(run, tmp_path):
    rows = make_rows(400)
    write(tmp_path / "t.csv", np.round(rows / rows.std(0) * 100, 1))
    assert run("fit", "t.csv", "-o", "m.safetensors").status == 0
    assert run("sample", "m.safetensors", "-n", 200, "-o", "s.csv").status == 0
    drawn = (tmp_path / "s.csv").read_text().splitlines()[1:]
    assert len(drawn) == 200 and all(
        re.fullmatch(r"-?[0-9]+(\.[0-9])?", cell) for row in drawn for cell in row.split(",")
    )


def test_one_gap_one_column_and_one_step_are_said_as_one(run, tmp_path):
    x = make_rows(200)[:, :2]
    x[:20, 0] = np.nan
    write(tmp_path / "t.csv", x, ["a", "b"])
    fit = run("fit", "t.csv", "-o", "m.safetensors")
    assert 'gaps in 1 column, "a", 10% of the rows' in fit.err and "1 columns" not in fit.err
