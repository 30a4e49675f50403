"""The commands on a Ray cluster: the rows that they write without it."""

import pickle
import sys

import numpy as np
import pyarrow.parquet
import pytest
from known import make_kinds, make_rows, write

import pushforward as pf
from pushforward.table_models import engines


@pytest.fixture(scope="module")
def cluster():
    """Two processors of this machine."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks of a small table, in every place that cuts one."""
    for place in ("scoring", "sampling", "imputation"):
        monkeypatch.setattr(f"pushforward.table_models.{place}.BATCH_ROWS", 300)


class Shuffled:
    """An engine that works on blocks in another order."""

    def map(self, work, blocks):
        blocks = list(blocks)
        results = {}
        for place in np.random.default_rng(0).permutation(len(blocks)).tolist():
            results[place] = work(blocks[place])
        return (results[place] for place in range(len(blocks)))


COMMANDS = [
    ("score", "model", "data.csv", "-o", "out.csv", "--explain", 2),
    ("score", "given", "data.csv", "-o", "out.parquet"),
    ("sample", "model", "-n", 1000, "-o", "out.parquet", "--seed", 1),
    ("sample", "given", "--given-file", "data.csv", "-o", "out.parquet", "--seed", 1),
]


def arguments(fitted, command):
    name, model, *rest = command
    return [name, fitted / f"{model}.safetensors", *(fitted / one if one == "data.csv" else one for one in rest)]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_blocks_may_be_worked_on_in_any_order(run, fitted, tmp_path, monkeypatch, small_blocks, command):
    (output,) = (tmp_path / one for one in map(str, command) if one.startswith("out."))
    plain = run(*arguments(fitted, command))
    assert plain.status == 0, plain.err
    expected = output.read_bytes()
    monkeypatch.setattr(engines, "OnRay", Shuffled)
    on_engine = run(*arguments(fitted, command), "--engine", "ray")
    assert output.read_bytes() == expected and on_engine.err == plain.err


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_ray_writes_the_same_rows(run, fitted, tmp_path, small_blocks, cluster, command):
    (output,) = (tmp_path / one for one in map(str, command) if one.startswith("out."))
    plain = run(*arguments(fitted, command))
    assert plain.status == 0, plain.err
    expected = output.read_bytes()
    on_ray = run(*arguments(fitted, command), "--engine", "ray")
    assert on_ray.status == 0, on_ray.err
    assert output.read_bytes() == expected and on_ray.err == plain.err


@pytest.mark.slow
@pytest.mark.parametrize("draws", [[], ["--draws", 2, "--seed", 3]], ids=str)
def test_ray_imputes_the_same_values(run, tmp_path, small_blocks, cluster, draws):
    table = make_kinds(700)
    mass = np.where(np.random.default_rng(0).random(700) < 0.3, np.nan, table.column("mass").to_numpy())
    table = table.set_column(0, "mass", pyarrow.array(mass, from_pandas=True))
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert run("fit", "t.parquet", "-o", "m.safetensors").status == 0
    written = []
    for engine in ([], ["--engine", "ray"]):
        result = run("impute", "m.safetensors", "t.parquet", "-o", "out.parquet", *draws, *engine)
        assert result.status == 0, result.err
        written.append(((tmp_path / "out.parquet").read_bytes(), result.err))
    assert written[0] == written[1]


@pytest.mark.slow
def test_errors_on_ray_are_those_without_it(run, fitted, tmp_path, small_blocks, cluster):
    rows = make_rows(1000)
    lines = write(tmp_path / "t.csv", rows).read_text().splitlines()
    lines[650] = "oops,1,2"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    plain = run("score", fitted / "model.safetensors", "t.csv", "-o", "out.csv")
    on_ray = run("score", fitted / "model.safetensors", "t.csv", "-o", "out.csv", "--engine", "ray")
    assert plain.status == on_ray.status == 2 and plain.err == on_ray.err and "row 650" in plain.err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_ray_train_fits_in_several_processes(run, tmp_path, cluster):
    write(tmp_path / "t.csv", make_rows(500))
    # Processes of their own take as many steps as a user would.
    options = ["fit", "t.csv", "--flow", "nice", "--max-time", 2, "--json"]
    alone = run(*options, "-o", "1.safetensors").json()
    together = run(*options, "-o", "2.safetensors", "--engine", "ray", "--workers", 2)
    assert together.status == 0, together.err
    assert "held-out log-likelihood" in together.err and together.json()["rows"] == alone["rows"]
    assert (tmp_path / "2.safetensors").exists() and not (tmp_path / "2.checkpoint").exists()
    refused = run("fit", "absent.csv", "-o", "m.safetensors", "--engine", "ray", "--workers", 2)
    assert refused.status == 2 and refused.err.startswith("Error: absent.csv does not exist")
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize("command", ["score", "sample", "impute", "fit"])
def test_without_the_package_one_sentence_names_the_extra(run, fitted, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "ray", None)
    data = ["-n", 5] if command == "sample" else [fitted / "data.csv"]
    model = [] if command == "fit" else [fitted / "model.safetensors"]
    result = run(command, *model, *data, "-o", "out.safetensors" if command == "fit" else "out.csv", "--engine", "ray")
    assert result.status == 2
    assert result.err == "Error: ray is not installed; pip install 'pushforward[ray]' brings it.\n"


def test_an_engine_that_is_not_there_is_refused(run, fitted):
    result = run("score", fitted / "model.safetensors", fitted / "data.csv", "-o", "out.csv", "--engine", "hadoop")
    assert result.status == 2 and "There is no engine 'hadoop'; the engines are ray" in result.err
    result = run("fit", fitted / "data.csv", "-o", "m.safetensors", "--workers", 2)
    assert result.status == 2 and "--engine ray" in result.err


@pytest.mark.slow
def test_processes_of_an_engine_receive_the_options_of_the_fit(run, fitted, tmp_path, monkeypatch):
    sent = []

    def run_in_processes(engine, work, workers, gpus):
        sent.append((engine, workers, gpus))
        pickle.loads(pickle.dumps(work))()

    monkeypatch.setattr(engines, "run_in_processes", run_in_processes)
    options = [
        "fit",
        fitted / "data.csv",
        "--given",
        "flux",
        "--flow",
        "nice",
        "--seed",
        3,
        "--device",
        "cpu",
        "--json",
    ]
    alone = run(*options, "-o", "1.safetensors")
    there = run(*options, "-o", "2.safetensors", "--engine", "ray", "--workers", 2)
    assert there.status == 0 and sent == [("ray", 2, False)]
    own = ("model", "metrics", "seconds")
    expected, found = ({name: value for name, value in one.json().items() if name not in own} for one in (alone, there))
    assert found == expected and "held-out log-likelihood" in there.err


def test_work_and_blocks_can_be_sent(fitted):
    cloudpickle = pytest.importorskip("cloudpickle")
    from pushforward.table_models.sampling import RowDrawer

    model = pf.TableModel.load(fitted / "model.safetensors")
    draw = RowDrawer(model.density, model.roles, 0)
    block = (3, 5, 1.0)
    assert cloudpickle.loads(cloudpickle.dumps(draw))(block).rows.equals(draw(block).rows)
