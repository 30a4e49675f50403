"""pushforward distill: good input and bad."""

import csv
import warnings

import numpy as np
import pytest
import torch
from known import NAMES, NOISE, SLOPE, make_rows, read_matrix, write

import pushforward as pf
from pushforward.table_models.distillation import distill_table

# Nats that mass tells about the two others, which are independent given it.
INFORMATION = 0.5 * np.log(1 + (SLOPE / NOISE) ** 2).sum()


def is_near_teacher(report):
    """Whether KL(student || teacher) is at least 0, and less than a twentieth of what there is to learn."""
    error = 5 * report["kl_error"]
    return -error < report["kl"] < error + INFORMATION / 20


@pytest.mark.slow
def test_a_model_is_distilled_scored_and_sampled(run, fitted, tmp_path, many_steps):
    # A named flow: a Gaussian would take the place of the default one, and it is distilled in closed form.
    teacher = tmp_path / "teacher.safetensors"
    assert run("fit", fitted / "data.csv", "-o", teacher, "--flow", "nsf").status == 0
    result = run("distill", teacher, "-o", "fast.safetensors", "--json")
    assert result.status == 0, result.err
    report = result.json()
    assert report["model"] == "fast.safetensors" and report["dimensions"] == 3 and report["estimator"] == "joint"
    assert is_near_teacher(report)
    assert report["kl_per_dimension"] == pytest.approx(report["kl"] / 3)
    assert 0.5 < report["effective_sample_size"] <= 1 and report["speed"]["rows"] == 1000
    for words in (
        "chosen: student nsf",
        "estimator joint",
        "KL(student || teacher)",
        "times as fast",
        "fast.safetens",
    ):
        assert words in result.err
    with open(report["metrics"], newline="") as file:
        held_out = max(float(line["held_out_nats"]) for line in csv.DictReader(file) if line["held_out_nats"])
    # Of the student that was kept, on other draws: 4096 of them, and 20,000 for the report.
    assert abs(held_out + report["kl"]) < 5 * report["kl_error"] * (1 + 20_000 / 4096) ** 0.5

    # The student's density of its own draws against the teacher's, outside of any training code.
    assert run("sample", "fast.safetensors", "-n", 2000, "-o", "drawn.csv", "--seed", 1).status == 0
    log_prob = {}
    for name, model in (("q", "fast.safetensors"), ("p", teacher)):
        assert run("score", model, "drawn.csv", "-o", f"{name}.csv").status == 0
        log_prob[name] = read_matrix(f"{name}.csv", ["log_prob"])[0][:, 0]
    difference = log_prob["q"] - log_prob["p"]
    error = np.hypot(difference.std() / len(difference) ** 0.5, report["kl_error"])
    assert difference.mean() == pytest.approx(report["kl"], abs=5 * error)

    info = run("info", "fast.safetensors")
    assert info.status == 0 and "mass, radius, flux" in info.out and "inverse_autoregressive" in info.out
    assert "distilled_from" in info.out


@pytest.mark.slow
def test_an_alarm_and_the_estimator_are_said_once(run, fitted, monkeypatch):
    assert run("fit", fitted / "data.csv", "-o", "teacher.safetensors", "--flow", "nsf").status == 0
    monkeypatch.setattr("pushforward.training.distillation.measurement.alarms_of", lambda report: ["All is odd."])
    for options, said, warned in (((), 1, 0), (("-q",), 0, 1)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = run("distill", "teacher.safetensors", "-o", "f.safetensors", *options)
        assert result.status == 0 and result.err.count("Alarm: All is odd.") == said
        assert result.err.count("estimator joint") == said
        # Quiet leaves out what is said, and not what is wrong.
        assert [str(warning.message) for warning in caught].count("All is odd.") == warned


@pytest.mark.slow
def test_a_conditional_model_is_distilled_over_the_conditions_of_a_file(run, fitted, tmp_path, many_steps):
    write(tmp_path / "masses.csv", make_rows(1000)[:, :1], ["mass"], note=np.arange(1000))
    result = run("distill", fitted / "given.safetensors", "-o", "f.safetensors", "--given-file", "masses.csv", "--json")
    assert result.status == 0 and is_near_teacher(result.json())
    masses = np.full((4000, 1), 10.5)
    write(tmp_path / "one.csv", masses, ["mass"])
    drawn = []
    for model in ("f.safetensors", fitted / "given.safetensors"):
        assert run("sample", model, "--given-file", "one.csv", "-o", "s.csv", "--seed", 0).status == 0
        matrix, names = read_matrix("s.csv")
        assert names == NAMES and np.array_equal(matrix[:, :1], masses)
        drawn.append(matrix[:, 1:])
    student, teacher = drawn
    # Five standard errors of 4000 draws each, and a fifth of a deviation for the fit.
    error = 5 * np.sqrt(2 / 4000) + 0.2
    assert np.all(np.abs(student.mean(0) - teacher.mean(0)) < error * teacher.std(0))
    assert np.all(np.abs(student.std(0) / teacher.std(0) - 1) < error)
    # Without the condition a mean would be off by half of the slope.
    assert np.all(np.abs(student.mean(0) - 10.5 * SLOPE) < 5 * student.std(0) / np.sqrt(4000) + np.abs(SLOPE) / 4)


@pytest.mark.slow
def test_quiet_says_nothing_and_a_seed_repeats(run, tmp_path):
    write(tmp_path / "t.csv", make_rows(60))
    assert run("fit", "t.csv", "-o", "m.safetensors", "--flow", "maf").status == 0
    teacher = pf.TableModel.load("m.safetensors")
    before = {key: value.clone() for key, value in teacher.flow.state_dict().items()}
    students = [
        distill_table(teacher, seed=seed, max_steps=20, draws=200, timing_rows=0)[0].flow.state_dict()
        for seed in (3, 3, 4)
    ]
    assert all(torch.equal(students[0][key], students[1][key]) for key in students[0])
    assert any(not torch.equal(students[0][key], students[2][key]) for key in students[0])
    assert all(torch.equal(before[key], value) for key, value in teacher.flow.state_dict().items())
    result = run("distill", "m.safetensors", "-o", "f.safetensors", "-q")
    assert result.status == 0 and result.out == "" and "Warning" not in result.err
    # Units and order are the teacher's.
    student = pf.load("f.safetensors")
    assert torch.equal(student.bijection.data.x_knots, teacher.flow.bijection.data.x_knots)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("given", [], ["given mass", "--given-file"]),
        ("model", ["--given-file", "t.csv"], ["no given columns"]),
        ("given", ["--given-file", "absent.csv"], ["absent.csv"]),
        ("given", ["--given-file", "other.csv"], ['other.csv has no column "mass"']),
        ("model", ["--device", "gpu"], ["device must be one of"]),
        ("model", ["--max-time", "0"], ["--max-time is a number above 0; it is"]),
        ("absent", [], ["absent.safetensors"]),
    ],
)
def test_what_cannot_be_distilled_is_refused(run, fitted, tmp_path, model, options, words):
    write(tmp_path / "t.csv", make_rows(30))
    write(tmp_path / "other.csv", make_rows(30), ["weight", "radius", "flux"])
    before = sorted(tmp_path.iterdir())
    result = run("distill", fitted / f"{model}.safetensors", "-o", "f.safetensors", *options)
    assert result.status == 2 and result.out == "" and sorted(tmp_path.iterdir()) == before
    assert result.err.splitlines()[-1].startswith("Error: ") and "Traceback" not in result.err
    for word in words:
        assert word in result.err
    assert run("distill", fitted / "model.safetensors", "-o", "f.pt").status == 2
