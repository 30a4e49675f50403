"""Tables that stay in their files: every row once a pass, a fixed choice of held-out rows, and models as good."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from significance import follows

import pushforward as pf
from pushforward.support import progress
from pushforward.table_models import streamed as tables_in_files
from pushforward.table_models.source import HoldOut
from pushforward.table_models.streamed import StreamedTable
from pushforward.tables import TableWriter, infer_schema, numeric_matrix, to_table
from pushforward.tables.files import scan as scans
from pushforward.training import batches as streamed
from pushforward.training import checkpoint as checkpoints

ENDINGS = ["csv", "parquet", "feather"]
ROWS = 5000


def make(rows=ROWS, seed=0):
    generator = np.random.default_rng(seed)
    first = generator.normal(size=rows)
    # The number of the row, so that it can be seen which rows come; the table is sorted by it.
    return np.column_stack([np.arange(rows), first, 2 * first + 0.5 * generator.normal(size=rows)])


def write(path, matrix, names=("row", "a", "b"), group=700):
    table = to_table(matrix, names)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group)
    elif path.suffix == ".feather":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=group)
    else:
        with TableWriter(path, table.schema) as writer:
            writer.write(table)
    return path


@pytest.fixture
def small(monkeypatch):
    """Buffers and samples of some hundred rows, so that a table of some thousand is large."""
    monkeypatch.setattr(tables_in_files, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr(tables_in_files, "BATCH_ROWS", 90)
    monkeypatch.setattr(streamed, "BUFFER_BYTES", 800 * 3 * 8)
    monkeypatch.setattr(scans, "BATCH_ROWS", 333)
    monkeypatch.setattr(scans, "MOST_SAMPLED", 1000)
    monkeypatch.setattr(scans, "MOST_HELD_OUT", 300)


def stream(path, seed=0, names=("row", "a", "b")):
    row_groups = tables_in_files.RowGroups(path, names)
    found = tables_in_files.scan(row_groups, seed, 0.1)

    def encode_batch(batch, before):
        return numeric_matrix(batch, names, source=str(path), first_row=before + 1)

    return found, tables_in_files.stream_table(row_groups, found, encode_batch, names, [], seed)


def a_pass(batches):
    return [batch[0] for batch in batches]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pass_has_every_training_row_once_and_no_held_out_one(small, tmp_path, ending):
    matrix = make()
    found, rows = stream(write(tmp_path / f"t.{ending}", matrix))
    batches = streamed.StreamedBatches(rows, 64, 0, torch.float64)
    passes = [a_pass(batches) for _ in range(2)]
    training = np.setdiff1d(np.arange(ROWS), found.held_out_rows)
    for one in passes:
        assert [len(batch) for batch in one[:-1]] == [64] * (len(batches) - 1) and len(one) == len(batches)
        together = torch.cat(one).numpy()
        order = together[:, 0].astype(int)
        assert np.array_equal(np.sort(order), training)
        assert np.array_equal(together, matrix[order])
    assert not torch.equal(torch.cat(passes[0]), torch.cat(passes[1]))
    assert rows.rows == len(training) == ROWS - len(rows.held_out)
    assert np.array_equal(rows.held_out.x.numpy(), matrix[found.held_out_rows])


def test_the_choice_of_rows_depends_on_their_numbers_and_the_seed_alone(small, tmp_path, monkeypatch):
    matrix = make()
    chosen = []
    for ending, batch_rows, seed in (("parquet", 333, 0), ("csv", 50, 0), ("feather", 5000, 0), ("parquet", 333, 1)):
        monkeypatch.setattr(scans, "BATCH_ROWS", batch_rows)
        found, _ = stream(write(tmp_path / f"t.{ending}", matrix), seed)
        assert found.rows == ROWS and 0 < len(found.held_out_rows) <= 300 and 500 <= len(found.sample) <= 1000
        assert not np.intersect1d(found.sample["row"].to_numpy(), found.held_out_rows).size
        chosen.append((found.held_out_rows, found.sample["row"].to_numpy()))
    for held_out, sample in chosen[1:3]:
        assert np.array_equal(held_out, chosen[0][0]) and np.array_equal(sample, chosen[0][1])
    assert not np.array_equal(chosen[3][0], chosen[0][0])


def test_chosen_rows_are_uniform_over_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "MOST_SAMPLED", 4000)
    found, _ = stream(write(tmp_path / "t.parquet", make(20_000), group=3000))
    for rows in (found.held_out_rows, found.sample["row"].to_numpy()):
        assert follows(rows / 20_000, "uniform")
    assert len(found.held_out_rows) == pytest.approx(2000, abs=5 * np.sqrt(2000 * 0.9))


def test_the_extremes_are_found(small, tmp_path):
    matrix = make()
    matrix[[17, 4000], 1] = [-1e12, 1e12]
    found, _ = stream(write(tmp_path / "t.parquet", matrix))
    assert {-1e12, 1e12} <= set(found.extremes["a"].to_pylist())


def test_a_sorted_file_comes_well_mixed(small, tmp_path):
    _, rows = stream(write(tmp_path / "t.parquet", make()))
    order = torch.cat(a_pass(streamed.StreamedBatches(rows, 64, 0, torch.float64)))[:, 0].numpy()
    # Neighbors in the pass: in a perfect shuffle a third of the table apart in the mean.
    assert np.abs(np.diff(order)).mean() > 0.2 * ROWS


def test_batches_go_on_from_their_place(small, tmp_path):
    _, rows = stream(write(tmp_path / "t.parquet", make()))
    batches, again = (streamed.StreamedBatches(rows, 64, 5, torch.float32) for _ in range(2))
    a_pass(batches)
    stream_of_batches = iter(batches)
    for _ in range(30):
        next(stream_of_batches)
    again.load_state_dict(batches.state_dict())
    rest, same_rest = list(stream_of_batches), a_pass(again)
    assert len(rest) == len(same_rest) == len(batches) - 30
    assert all(torch.equal(one[0], other) for one, other in zip(rest, same_rest, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(a_pass(batches), a_pass(again), strict=True))


def test_processes_share_each_batch(small, tmp_path):
    _, rows = stream(write(tmp_path / "t.parquet", make()))
    whole = a_pass(streamed.StreamedBatches(rows, 64, 5, torch.float32))
    parts = [a_pass(streamed.StreamedBatches(rows, 64, 5, torch.float32, process, 2)) for process in range(2)]
    # Each reads its own rows, and hands out half of each batch.
    assert {len(batch) for part in parts for batch in part[:-1]} == {32}
    together = torch.cat([batch for part in parts for batch in part])
    assert sorted(together.tolist()) == sorted(torch.cat(whole).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", *(pytest.param(e, marks=pytest.mark.slow) for e in ("csv", "feather"))])
def test_a_streamed_fit_is_as_good_as_one_in_memory(small, tmp_path, monkeypatch, ending):
    path = write(tmp_path / f"t.{ending}", make()[:, 1:], ["a", "b"])
    lines = []
    options = {"max_steps": 100, "seed": 1}
    fit = pf.fit_table(path, **options, announce=lines.append)
    assert "5,000 rows stay in the file and are streamed" in lines[0]
    assert sum(fit.model.notes["rows"].values()) == ROWS
    # Two normal columns, b given a with deviation 0.5.
    entropy = 1 + np.log(2 * np.pi) + np.log(0.5)
    fresh = make(seed=9)[:, 1:]
    # Five standard errors of the mean of log-densities of two normal columns, of variance 1, and 0.05 for the fit.
    assert fit.model.log_prob(fresh).mean() == pytest.approx(-entropy, abs=5 / np.sqrt(ROWS) + 0.05)
    assert fit.held_out == pytest.approx(-entropy, abs=5 / np.sqrt(300) + 0.05)


@pytest.mark.slow
def test_a_streamed_conditional_fit(small, tmp_path):
    path = write(tmp_path / "t.parquet", make()[:, 1:], ["a", "b"])
    fit = pf.fit_table(path, given=["a"], max_steps=200)
    fresh = make(seed=9)
    loss = stats.norm(2 * fresh[:, 1], 0.5).logpdf(fresh[:, 2]) - fit.model.log_prob(fresh[:, [2, 1]])
    # The condition tells log √17 nats, of which more than half is learned.
    error = loss.std() / np.sqrt(ROWS)
    assert -5 * error < loss.mean() < 5 * error + np.log(17) / 4


@pytest.mark.slow
def test_a_streamed_fit_repeats_and_resumes(small, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", float("inf"))
    path = write(tmp_path / "t.parquet", make()[:, 1:], ["a", "b"])
    options = {"flow": "nice", "max_steps": 120, "batch_size": 64}
    whole, again = (pf.fit_table(path, **options).model.flow.state_dict() for _ in range(2))
    assert all(torch.equal(whole[key], again[key]) for key in whole)

    class Killed(BaseException):
        pass

    def kill(state):
        if state["counts"]["step"] == 100:  # in the second pass
            raise Killed

    write_checkpoint = checkpoints.Checkpoint.write
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "write", lambda c, state: (write_checkpoint(c, state), kill(state)))
        with pytest.raises(Killed):
            pf.fit_table(path, **options, checkpoint=tmp_path / "c")
    resumed = pf.fit_table(path, **options, checkpoint=tmp_path / "c", resume=True)
    assert resumed.history.events == ["Resumed at step 100."]
    assert all(torch.equal(whole[key], value) for key, value in resumed.model.flow.state_dict().items())
    write(path, make(seed=1)[:, 1:], ["a", "b"])
    with pytest.raises(pf.InputError, match=r"other data \(x differs\)"):
        pf.fit_table(path, **options, checkpoint=tmp_path / "c", resume=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_bad_numbers_deep_in_a_large_file_are_named_before_the_training(small, tmp_path, ending):
    matrix = make()[:, 1:]
    matrix[4321, 1] = np.inf
    path = write(tmp_path / f"t.{ending}", matrix, ["a", "b"])
    with pytest.raises(pf.InputError, match=f"t.{ending}.* is infinite in row 4322"):
        pf.fit_table(path, flow="nice", max_steps=1)


def test_an_outlier_is_named_by_its_row_in_the_file(small, tmp_path):
    _, rows = stream(write(tmp_path / "t.parquet", make()))
    batches = streamed.StreamedBatches(rows, 64, 0, torch.float64)
    (batch,) = next(iter(batches))
    row = int(batch[10, 0])
    batches._last[1][10, 1] = 1e9
    assert batches.name_rows(torch.tensor([3, 10])).startswith(f'row {row + 1}, column "a" (value 1e+09')


def test_streamed_rows_come_alone(small, tmp_path):
    _, rows = stream(write(tmp_path / "t.parquet", make()))
    with pytest.raises(pf.InputError, match="give nothing beside them"):
        pf.fit(pf.nice(3), rows, validation=torch.zeros(3, 3), max_steps=1)


def test_small_tables_stay_in_memory(tmp_path):
    for ending in ENDINGS:
        assert not tables_in_files.is_large(write(tmp_path / f"t.{ending}", make()), None)


@pytest.mark.slow
def test_what_only_few_rows_show_of_a_column_is_in_its_schema(small, tmp_path):
    """A sample of some hundred rows has neither the rare text, nor the far count, nor the one fraction."""
    generator = np.random.default_rng(0)
    kinds = generator.choice(["red", "green"], ROWS).tolist()
    kinds[1234] = "blue"
    counts, whole = generator.integers(0, 5, ROWS), generator.integers(0, 9, ROWS).astype(float)
    counts[4321], whole[2345] = 900, 2.5
    table = pa.table({"a": generator.normal(size=ROWS), "kind": kinds, "count": counts, "whole": whole})
    for ending in ("parquet", "csv"):
        with TableWriter(tmp_path / f"t.{ending}", table.schema) as writer:
            writer.write(table)
        model = pf.fit_table(tmp_path / f"t.{ending}", flow="nice", max_steps=2).model
        assert {name: column.kind for name, column in model.schema.items()} == {
            "a": "continuous", "kind": "category", "count": "category", "whole": "bounded",
        }  # fmt: skip
        assert {name: column.kind for name, column in infer_schema(table, source="t").items()} == {
            name: column.kind for name, column in model.schema.items()
        }
        assert set(model.schema["kind"].levels) == {"red", "green", "blue"}
        assert 900 in model.schema["count"].levels
        # The step is that of most rows, and the fraction is one of the rows beside it.
        whole = model.schema["whole"]
        assert whole.step == 1 and 0.99 < whole.rows_on_grid < 1
        assert np.isfinite(model.log_prob(model.encode(table))).all()


def test_a_streamed_table_may_have_gaps(small, tmp_path):
    table = to_table(make()[:, 1:], ["a", "b"])
    a = table["a"].to_pylist()
    a[4000] = None
    path = tmp_path / "t.parquet"
    pq.write_table(table.set_column(0, "a", pa.array(a)), path, row_group_size=700)
    assert pf.fit_table(path, max_steps=2).model.arbitrary_conditions
    with pytest.raises(pf.InputError, match=r'"a" of .*t.parquet has no value in row 4001, which nice does not take'):
        pf.fit_table(path, flow="nice", max_steps=2)


def test_a_streamed_value_that_a_schema_forbids_is_named_before_the_training(small, tmp_path):
    matrix = np.abs(make()[:, 1:])
    matrix[4321, 1] = -3
    path = write(tmp_path / "t.parquet", matrix, ["a", "b"])
    with pytest.raises(pf.InputError, match=r'column "b" of .*t.parquet holds -3 in row 4322, which is not positive'):
        pf.fit_table(path, flow="nice", max_steps=1, schema={"b": "positive"})


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pass_has_the_weights_of_its_rows(small, tmp_path, ending):
    matrix = make()
    weights = np.random.default_rng(3).integers(0, 3, ROWS).astype(float)
    path = write(tmp_path / f"t.{ending}", np.column_stack([matrix, weights]), ["row", "a", "b", "w"])
    large = StreamedTable(path, ["row", "a", "b", "w"], {}, HoldOut(0, 0.1), weight="w")
    rows = large.rows(large.infer_schema(), ["row", "a"], ["b"])
    x, context, found = (
        torch.cat(parts).numpy() for parts in zip(*streamed.StreamedBatches(rows, 64, 0, torch.float64), strict=True)
    )
    order = x[:, 0].astype(int)
    training = np.setdiff1d(np.flatnonzero(weights), large.found.held_out_rows)
    assert np.array_equal(np.sort(order), training) and rows.rows == len(training)
    np.testing.assert_allclose(found, weights[order] / weights[training].mean())
    np.testing.assert_array_equal(context[:, 0], matrix[order, 2])
    for table, numbers in ((rows.sample, large.sample["row"].to_numpy()), (rows.held_out, large.found.held_out_rows)):
        numbers = np.asarray(numbers).astype(int)
        assert (weights[numbers] > 0).all()
        np.testing.assert_allclose(table.weights.numpy(), weights[numbers] / weights[numbers].mean())


@pytest.mark.slow
def test_a_streamed_weighted_fit_learns_the_weighted_density(small, tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "MOST_SAMPLED", 10_000)
    # Rows of N(0, 4) with weights that make them N(1, 1).
    x = np.random.default_rng(0).normal(0, 2, size=20_000)
    weights = stats.norm(1, 1).pdf(x) / stats.norm(0, 2).pdf(x)
    weights[::10] = 0
    x[::10] += 1
    path = write(tmp_path / "t.parquet", np.column_stack([x, weights]), ["x", "w"])
    result = pf.fit_table(path, weight="w", max_steps=100, progress=False)
    assert result.model.columns == ["x"]
    assert sum(result.model.notes["rows"].values()) == 18_000
    fresh = np.random.default_rng(1).normal(1, 1, size=4000)
    loss = stats.norm(1, 1).logpdf(fresh) - result.model.log_prob(fresh[:, None])
    # Less than a tenth of the divergence from the rows as they are.
    unweighted = (stats.norm(1, 1).logpdf(fresh) - stats.norm(0, 2).logpdf(fresh)).mean()
    error = loss.std() / np.sqrt(4000)
    assert -5 * error < loss.mean() < 5 * error + unweighted / 10
    # The weighted Gaussian is the truth, within the error of the 300 held-out rows, by what their weights are worth.
    entropy = 0.5 * (1 + np.log(2 * np.pi))
    worth = 300 * weights.mean() ** 2 / np.square(weights).mean()
    assert result.gaussian == pytest.approx(-entropy, abs=5 * np.sqrt(0.5 / worth))
    assert result.held_out == pytest.approx(result.gaussian, abs=0.1)


def test_a_pass_has_the_errors_of_its_rows_between_features_and_context(small, tmp_path):
    matrix = np.abs(make())
    path = write(tmp_path / "t.parquet", np.column_stack([matrix, matrix[:, 1] / 3]), ["row", "a", "b", "e"])
    large = StreamedTable(path, ["row", "a", "b", "e"], {}, HoldOut(0, 0.1), errors=["e"])
    rows = large.rows(large.infer_schema(), ["row", "a"], ["b"])
    batches = streamed.StreamedBatches(rows, 64, 0, torch.float64)
    x, context = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    order = x[:, 0].astype(int)
    assert np.array_equal(x, np.column_stack([matrix[order, :2], matrix[order, 1] / 3]))
    assert np.array_equal(context, matrix[order, 2:]) and rows.sample.x.shape[1] == 3


@pytest.mark.slow
def test_streamed_errors_are_deconvolved(small, tmp_path):
    generator = np.random.default_rng(0)
    error = generator.uniform(0.2, 1.5, size=8000)
    x = generator.normal(3.0, 1.0, size=8000) + error * generator.normal(size=8000)
    path = write(tmp_path / "t.parquet", np.column_stack([x, error]), ["x", "e"])
    result = pf.fit_table(path, errors={"x": "e"}, max_steps=150, progress=False)
    assert result.model.columns == ["x"] and result.model.errors == {"x": "e"}
    torch.manual_seed(0)
    drawn = result.model.draw(20_000)[:, 0]
    # As wide as what was measured, not as the measurements: five standard errors of 8000 rows, a tenth for the fit.
    assert drawn.mean() == pytest.approx(3, abs=5 * x.std() / np.sqrt(8000) + 0.1)
    assert drawn.std() - 1 < (x.std() - 1) / 2
    loss = stats.norm(3, np.sqrt(1 + error**2)).logpdf(x) - result.model.log_prob(np.column_stack([x, error]))
    assert abs(loss.mean()) < 5 * loss.std() / np.sqrt(8000) + 0.03


@pytest.mark.parametrize("ending", ENDINGS)
def test_streamed_weights_and_errors_that_cannot_be_are_named_before_the_training(small, tmp_path, ending):
    matrix = np.abs(make())
    matrix[4321, 2] = -1
    path = write(tmp_path / f"t.{ending}", matrix)
    for options, words in (
        ({"weight": "b"}, r'column "b" of .*t\..* holds -1 in row 4322; weights are numbers from 0 on'),
        ({"errors": {"a": "b"}}, r'column "b" of .*t\..* holds -1 in row 4322; errors are standard deviations'),
        ({"weight": "v"}, 'no column "v"'),
        ({"errors": {"v": "a"}}, 'no column "v"'),
        ({"weight": np.ones(ROWS)}, "give the weights of its rows as one of its columns"),
    ):
        with pytest.raises(pf.InputError, match=words):
            pf.fit_table(path, flow="nice", max_steps=1, **options)
    matrix[:, 2] = 0
    with pytest.raises(pf.InputError, match=r"Too few rows of .* have a weight above 0"):
        pf.fit_table(write(path, matrix), weight="b", flow="nice", max_steps=1)


def test_the_scan_says_how_far_it_is(small, tmp_path):
    for ending in ENDINGS:
        told = []
        row_groups = tables_in_files.RowGroups(write(tmp_path / f"t.{ending}", make()), ["row", "a", "b"])
        tables_in_files.scan(row_groups, 0, 0.1, report=told.append)
        assert told == sorted(told) and 0 < told[0] <= told[-1] == 1.0, ending
        assert told[0] < 0.2 or ending == "csv"


@pytest.mark.slow
def test_the_scan_has_a_bar_in_a_terminal_and_none_elsewhere_or_when_quiet(small, tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "t.parquet", make() + np.array([1, 0, 0]))
    options = {"flow": "nice", "max_steps": 1, "schema": {"row": "positive"}}
    pf.fit_table(path, **options)
    assert "scanning" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    pf.fit_table(path, **options, progress=False)
    assert "scanning" not in capsys.readouterr().err
    pf.fit_table(path, **options)
    shown = capsys.readouterr().err
    assert "scanning" in shown and "checking" in shown
