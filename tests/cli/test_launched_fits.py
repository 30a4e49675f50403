"""Fits by several processes, as torchrun and Slurm start them."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet
import pytest
from known import make_kinds, make_rows, write

import pushforward as pf

SECONDS = 300
# Small fits; tables of more bytes than `{memory}` are streamed from their files.
PROGRAM = """
import pushforward.training.checkpoint as checkpoint
checkpoint.SECONDS_BETWEEN, checkpoint.LARGEST_SHARE = 0.05, 1.0
import pushforward.zoo.recipe as recipe
recipe.FEWEST_STEPS = recipe.MOST_STEPS = {steps}
recipe.LAYERS, recipe.WIDTH = 2, 32
import pushforward.table_models.streamed as streamed
streamed.LARGEST_IN_MEMORY = {memory}
from pushforward.cli.main import run
run()
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def start(folder, processes, *arguments, steps=300, memory=2**27, environment=None):
    (folder / "program.py").write_text(PROGRAM.format(steps=steps, memory=memory))
    launcher = [sys.executable] if processes == 1 else [*TORCHRUN, str(processes)]
    return subprocess.Popen(
        [*launcher, "program.py", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def finish(process):
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return out, err


def notes(path):
    return pf.describe(path)["notes"]["fit"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "memory"), [("numbers", 2**27), ("numbers", 1000), ("numbers of a csv", 1000), ("kinds", 2**27)]
)
def test_two_processes_end_where_one_does(tmp_path, kind, memory):
    data = "t.csv" if "csv" in kind else "t.parquet"
    if kind == "kinds":
        pyarrow.parquet.write_table(make_kinds(2000), tmp_path / data)
    else:
        write(tmp_path / data, make_rows(4000))
    if data == "t.parquet":
        table = pyarrow.parquet.read_table(tmp_path / data)
        pyarrow.parquet.write_table(table, tmp_path / data, row_group_size=250)
    ended = []
    for processes in (1, 2):
        model = f"{processes}.safetensors"
        out, err = finish(start(tmp_path, processes, "fit", data, "-o", model, "--json", memory=memory))
        # One process speaks, to people and to machines.
        assert out.count('"model"') == 1 and err.count("held-out log-likelihood") == 1
        ended.append(notes(tmp_path / model))
    alone, together = ended
    assert together["rows"] == alone["rows"] and together["steps"] == alone["steps"]
    assert together["gaussian_nats"] == alone["gaussian_nats"]
    # Columns of other kinds are trained with random conditions, which differ: a hundredth for each of ten.
    tolerance = 0.1 if kind == "kinds" else 0.01
    assert together["held_out_nats"] == pytest.approx(alone["held_out_nats"], abs=tolerance)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"program.py", data, *(f"{n}.{end}" for n in (1, 2) for end in ("safetensors", "metrics.csv"))}


def workers(process):
    """The processes that torchrun has started, by their numbers."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/environ") as environ:
                if stat.read().rpartition(")")[2].split()[1] == str(process.pid):
                    variables = dict(part.partition("=")[::2] for part in environ.read().split("\0"))
                    found[int(variables["RANK"])] = int(entry)
        except (OSError, KeyError, ValueError):
            continue
    return found


def wait_for_checkpoint(folder, process):
    deadline = time.monotonic() + SECONDS
    while not (folder / "m.checkpoint").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_worker_ends_the_run_and_another_number_of_processes_goes_on(tmp_path, number):
    write(tmp_path / "t.csv", make_rows(1000))
    process = start(tmp_path, 2, "fit", "t.csv", "-o", "m.safetensors", steps=3000)
    wait_for_checkpoint(tmp_path, process)
    os.kill(workers(process)[number], signal.SIGKILL)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode != 0 and not (tmp_path / "m.safetensors").exists()
    sentence = (
        "Error: One of the 2 processes of this fit has ended, and the others cannot go on without it; resume from "
    )
    ours = [
        line for line in err.splitlines() if line.startswith(("Error: ", "Unexpected", "Terminated", "Interrupted"))
    ]
    assert ours in ([f"{sentence}m.checkpoint."], ["Terminated; no result was written."])
    _, err = finish(start(tmp_path, 1, "fit", "t.csv", "-o", "m.safetensors", "--resume", steps=3000))
    assert "starts from the beginning" not in err and (tmp_path / "m.safetensors").exists()


@pytest.mark.slow
def test_ctrl_c_in_one_process_keeps_the_best_so_far(tmp_path):
    write(tmp_path / "t.csv", make_rows(1000))
    process = start(tmp_path, 2, "fit", "t.csv", "-o", "m.safetensors", steps=100_000)
    wait_for_checkpoint(tmp_path, process)
    os.kill(workers(process)[1], signal.SIGINT)
    _, err = finish(process)
    assert err.count("Interrupted at step") == 1 and err.count("interrupted: m.safetensors has ") == 1
    assert notes(tmp_path / "m.safetensors")["stopped"] == "interrupted"


@pytest.mark.slow
def test_bad_input_is_said_once(tmp_path):
    process = start(tmp_path, 2, "fit", "absent.csv", "-o", "m.safetensors")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode != 0 and err.count("Error: absent.csv does not exist") == 1


@pytest.mark.slow
def test_tasks_of_slurm_are_the_processes_of_one_fit(tmp_path):
    write(tmp_path / "t.csv", make_rows(1000))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    job |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NODELIST": "localhost", "SLURM_NODEID": "0", "MASTER_PORT": str(port)}
    tasks = []
    for task in ("0", "1"):
        environment = {**job, "SLURM_PROCID": task, "SLURM_LOCALID": task}
        tasks.append(
            start(tmp_path, 1, "fit", "t.csv", "-o", "m.safetensors", "--json", steps=50, environment=environment)
        )
    (out, _), (other_out, other_err) = [finish(task) for task in tasks]
    assert '"model": "m.safetensors"' in out and (other_out, other_err) == ("", "")
    assert notes(tmp_path / "m.safetensors")["steps"] == 50


@pytest.mark.slow
def test_a_batch_script_of_slurm_is_one_process(tmp_path):
    write(tmp_path / "t.csv", make_rows(200))
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    finish(start(tmp_path, 1, "fit", "t.csv", "-o", "m.safetensors", steps=10, environment=job))
    assert np.isfinite(notes(tmp_path / "m.safetensors")["held_out_nats"])
