"""Runs that are broken off and go on; in processes of their own: tests/cli/test_resume.py."""

import json

import pytest
import torch
from killed_runs import Killed
from models import AffineGaussian, gaussian_rows
from safetensors import safe_open
from safetensors.torch import save_file

import pushforward as pf
from pushforward.training import checkpoint as checkpoints

pytestmark = pytest.mark.usefixtures("kill")

FLOWS = {
    "dropout draws from the generator": lambda: pf.nsf(2, layers=2, hidden=(8, 8), bins=4, dropout=0.2),
    "linear layers": lambda: pf.nsf(2, layers=1, hidden=(8,), bins=4, linear="lu"),
    "float64 data side": lambda: pf.standardized(pf.realnvp(2, layers=2, hidden=(8,)), gaussian_rows().double()),
    "a density of the user's own": AffineGaussian,
}
OPTIONS = {"max_steps": 40, "batch_size": 100, "evaluate_every": 7, "seed": 3, "device": "cpu"}


def make(name):
    torch.manual_seed(0)
    return FLOWS[name]()


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[key], other[key]) for key in one)


def course(history):
    return history.step, history.train, history.held_out, history.learning_rate, history.best_step, history.stopped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, {}) for name in FLOWS),
        *(
            ("a density of the user's own", more)
            for more in ({"average_decay": None}, {"patience": 2, "learning_rate": 0.3})
        ),
    ],
    ids=str,
)
def test_a_run_that_is_killed_twice_ends_as_if_it_had_not_been(tmp_path, kill, name, more):
    x, options = gaussian_rows() / 4, {**OPTIONS, **more}  # inside the box of the splines
    whole = make(name)
    expected = pf.fit(whole, x, **options, log_path=tmp_path / "whole.csv")
    kept = {"checkpoint": tmp_path / "c", "resume": True, "log_path": tmp_path / "pieces.csv"}
    for step in (2, 12):
        kill(step)
        with pytest.raises(Killed):
            pf.fit(make(name), x, **options, **kept)
    kill(None)
    torch.rand(5)  # what the caller draws in between is of no matter
    pieces = make(name)
    history = pf.fit(pieces, x, **options, **kept)
    assert same(whole, pieces)
    assert str(course(history)) == str(course(expected))  # as text: the first training mean is NaN
    assert [event for event in history.events if "Resumed" in event] == ["Resumed at step 2.", "Resumed at step 12."]
    without_seconds = [
        [line.split(",")[:2] + line.split(",")[3:] for line in (tmp_path / file).read_text().splitlines()]
        for file in ("whole.csv", "pieces.csv")
    ]
    assert without_seconds[0] == without_seconds[1]


def test_a_finished_run_is_given_again_without_a_step(tmp_path):
    x = gaussian_rows()
    flow, again = AffineGaussian(), AffineGaussian()
    history = pf.fit(flow, x, **OPTIONS, patience=1, learning_rate=0.5, checkpoint=tmp_path / "c")
    assert history.stopped == "early stopping"
    repeated = pf.fit(again, x, **OPTIONS, patience=1, learning_rate=0.5, checkpoint=tmp_path / "c", resume=True)
    assert same(flow, again) and str(course(repeated)) == str(course(history))


def test_without_a_checkpoint_resume_begins_anew(tmp_path):
    flow = AffineGaussian()
    history = pf.fit(flow, gaussian_rows(), **OPTIONS, checkpoint=tmp_path / "c", resume=True)
    assert history.events == [] and (tmp_path / "c").exists()


def test_without_resume_the_checkpoint_is_overwritten(tmp_path, kill):
    x = gaussian_rows()
    kill(20)
    with pytest.raises(Killed):
        pf.fit(AffineGaussian(), x, **OPTIONS, checkpoint=tmp_path / "c")
    kill(None)
    plain, anew = AffineGaussian(), AffineGaussian()
    pf.fit(plain, x, **OPTIONS)
    assert pf.fit(anew, x, **OPTIONS, checkpoint=tmp_path / "c").events == []
    assert same(plain, anew)


def test_seconds_before_the_interruption_count(tmp_path, kill):
    x, options = gaussian_rows(), {"max_time": 1e6, "evaluate_every": 10, "device": "cpu"}
    kill(5)
    with pytest.raises(Killed):
        pf.fit(AffineGaussian(), x, **options, checkpoint=tmp_path / "c")
    altered(tmp_path / "c", elapsed=2e6)
    kill(None)
    history = pf.fit(AffineGaussian(), x, **options, checkpoint=tmp_path / "c", resume=True)
    assert history.stopped == "time" and history.steps == 5 and history.total_seconds > 2e6


def altered(path, drop=(), **facts):
    """Write a checkpoint again with other facts, and without some tensors."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["pushforward_checkpoint"])
        tensors = {key: file.get_tensor(key) for key in file.keys() if not key.startswith(tuple(drop))}  # noqa: SIM118
    save_file(tensors, path, {"pushforward_checkpoint": json.dumps({**about, **facts})})


@pytest.fixture
def begun(tmp_path, kill):
    """The checkpoint of a killed run, and a way to go on from it with other arguments."""
    kill(20)
    with pytest.raises(Killed):
        pf.fit(AffineGaussian(), gaussian_rows(), **OPTIONS, checkpoint=tmp_path / "c")
    kill(None)

    def go_on(flow=None, x=None, **options):
        flow = AffineGaussian() if flow is None else flow
        x = gaussian_rows() if x is None else x
        return pf.fit(flow, x, **{**OPTIONS, **options}, checkpoint=tmp_path / "c", resume=True)

    return go_on, tmp_path / "c"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": gaussian_rows(seed=1)}, "other data \\(x differs\\)"),
        ({"x": gaussian_rows().double()}, "other data \\(x differs\\)"),
        ({"validation": gaussian_rows(50)}, "other data \\(validation differs\\)"),
        ({"weights": torch.linspace(1, 2, len(gaussian_rows()))}, "other data \\(weights differs\\)"),
        ({"learning_rate": 0.01}, "learning_rate 0.001, and now it is 0.01"),
        ({"seed": 4}, "seed 3, and now it is 4"),
        ({"max_steps": 50}, "max_steps 40, and now it is 50"),
        ({"batch_size": 99}, "batch_size 100, and now it is 99"),
        ({"flow": pf.nice(2)}, "another flow"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_other_data_options_or_flows_are_refused(begun, changed, words):
    go_on, path = begun
    before = path.read_bytes()
    with pytest.raises(pf.InputError, match=f"c is the checkpoint of a fit .*{words}.*delete it to start again"):
        go_on(**changed)
    assert path.read_bytes() == before


def test_what_is_only_shown_may_change(begun, tmp_path):
    go_on, _ = begun
    assert go_on(progress=False, log_path=tmp_path / "log.csv").steps == 40


def test_files_that_are_no_whole_checkpoint_are_refused(begun):
    go_on, path = begun
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(pf.InputError, match=r"is not a checkpoint, or it is cut short .*delete it to start again"):
            go_on()
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(pf.InputError, match="another safetensors file"):
        go_on()
    pf.save(pf.nice(2), path.with_suffix(".safetensors"))
    path.write_bytes(path.with_suffix(".safetensors").read_bytes())
    with pytest.raises(pf.InputError, match="another safetensors file"):
        go_on()


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {}},
        {"counts": None},
        {"history": {}},
        {"batches": {}},
        {"origin": None},
        {"format": "new"},
        {"elapsed": "long"},
        {"drop": ["weights"]},
        {"drop": ["best"]},
        {"drop": ["average"]},
        {"drop": ["random"]},
        {"drop": ["batches"]},
    ],
    ids=str,
)
def test_damaged_checkpoints_are_refused(begun, change):
    go_on, path = begun
    altered(path, **change)
    with pytest.raises(pf.InputError, match="is a damaged checkpoint; delete it to start again"):
        go_on()


def test_every_kind_of_tensor_is_written_as_it_is(tmp_path):
    tensors = {
        "flag": torch.tensor(True),
        "none": torch.empty(0, 3),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3, 1).bfloat16(),
        "whole": torch.arange(6).reshape(2, 3),
        "transposed": torch.randn(4, 2, dtype=torch.float64).T,
    }
    checkpoints.Checkpoint(tmp_path / "a.checkpoint", {}).write({**tensors, "step": 3})
    with safe_open(tmp_path / "a.checkpoint", framework="pt") as file:
        read = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    assert read.keys() == tensors.keys()
    for name, expected in tensors.items():
        assert read[name].dtype == expected.dtype and torch.equal(read[name], expected)


def test_a_checkpoint_of_a_newer_format_is_refused(begun):
    go_on, path = begun
    altered(path, format=99)
    with pytest.raises(pf.InputError, match="of format 99, and this version reads format 1"):
        go_on()


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path):
    plain, flow = AffineGaussian(), AffineGaussian()
    pf.fit(plain, gaussian_rows(), **OPTIONS)
    with pytest.warns(RuntimeWarning, match=r"no checkpoint, cannot write .*missing.* does not exist"):
        history = pf.fit(flow, gaussian_rows(), **OPTIONS, checkpoint=tmp_path / "missing" / "c")
    assert history.stopped == "finished" and same(plain, flow)


def test_resume_needs_a_path():
    with pytest.raises(pf.InputError, match="give its path as checkpoint="):
        pf.fit(AffineGaussian(), gaussian_rows(), max_steps=2, resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["path", "plain"])
def test_a_variational_fit_goes_on_too(tmp_path, kill, estimator):
    def fit(**kept):
        torch.manual_seed(0)
        flow = pf.realnvp(2, layers=2, hidden=(8,))
        options = {"estimator": estimator, "annealing_steps": 20, "batch_size": 64, "draws": 100}
        return flow, pf.fit_to_target(flow, lambda x: -((x - 1) ** 2).sum(-1), max_steps=30, **options, **kept)

    whole, expected = fit()
    kill(12)
    with pytest.raises(Killed):
        fit(checkpoint=tmp_path / "c")
    kill(None)
    pieces, found = fit(checkpoint=tmp_path / "c", resume=True)
    assert same(whole, pieces) and found.elbo == expected.elbo
