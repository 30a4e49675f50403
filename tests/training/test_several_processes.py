"""Data-parallel fits: the same run as one process makes, shared among several."""

import math
import warnings

import numpy as np
import pytest
import torch
from launched import launched

import pushforward as pf
from pushforward.errors import TrainingError
from pushforward.support.processes import processes
from pushforward.training import checkpoint as checkpoints
from pushforward.training import steps
from pushforward.training.batches import ShuffledBatches, StreamedBatches, StreamedRows
from pushforward.training.rows import Rows

# Batches of 64 and 65 rows cannot be shared evenly by three; the last one of a pass has 5 rows.
ROWS, BATCH = 600, 65
OPTIONS = {"batch_size": BATCH, "evaluate_every": 7, "seed": 3, "device": "cpu", "progress": False}


def rows():
    x = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(0))
    x[:, 1] += x[:, 0] ** 2
    return x.clamp(-4.5, 4.5)


def fitted(max_steps=40, weights=None, checkpoint=None, resume=False, kill_at=None, dropout=0.0):
    """The weights and the history of a fit, in this process; None if it was killed."""
    torch.manual_seed(0)
    flow = pf.nsf(2, layers=1, hidden=(8,), bins=4, dropout=dropout)
    take = steps.Stepper.take

    def step(stepper, *arguments):
        if stepper.step == kill_at:
            raise KeyError("killed")
        return take(stepper, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
        patch.setattr(checkpoints, "LARGEST_SHARE", math.inf)
        patch.setattr(steps.Stepper, "take", step)
        options = {} if checkpoint is None else {"checkpoint": checkpoint, "resume": resume}
        try:
            history = pf.fit(flow, rows(), weights=weights, max_steps=max_steps, **options, **OPTIONS)
        except KeyError:
            return None
    return {name: value.numpy() for name, value in flow.state_dict().items()}, history


def check_alike(one, other, tolerance):
    (weights, history), (others, other_history) = one, other
    assert history.step == other_history.step and history.rows == other_history.rows
    assert history.held_out == pytest.approx(other_history.held_out, abs=tolerance)
    assert history.train == pytest.approx(other_history.train, abs=tolerance, nan_ok=True)
    for name, value in weights.items():
        np.testing.assert_allclose(value, others[name], atol=10 * tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alike", "weighted"])
def test_processes_take_the_steps_that_one_takes(weighted):
    weights = torch.rand(ROWS, generator=torch.Generator().manual_seed(1)) if weighted else None
    alone = fitted(weights=weights)
    several = launched(3 if weighted else 2, fitted, 40, weights)
    for other in several:
        # Sums of float32 in another order.
        check_alike(alone, other, 1e-4)
        assert all(np.array_equal(value, several[0][0][name]) for name, value in other[0].items())
        assert other[1].held_out == several[0][1].held_out


@pytest.mark.slow
def test_a_killed_run_of_two_ends_as_if_it_had_not_been(tmp_path):
    # With random numbers of their own in each process.
    whole = launched(2, fitted, 30, None, None, False, None, 0.3)
    path = tmp_path / "run.checkpoint"
    assert launched(2, fitted, 30, None, path, False, 17, 0.3) == [None, None]
    for (weights, history), (others, _) in zip(
        launched(2, fitted, 30, None, path, True, None, 0.3), whole, strict=True
    ):
        assert history.events == ["Resumed at step 17."]
        assert all(np.array_equal(value, others[name]) for name, value in weights.items())


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(2, 1), (1, 2), (2, 3)], ids=str)
def test_a_killed_run_goes_on_with_another_number_of_processes(tmp_path, numbers):
    path, before, after = tmp_path / "run.checkpoint", *numbers
    alone = fitted()
    assert launched(before, fitted, 40, None, path, False, 17)[0] is None
    for other in launched(after, fitted, 40, None, path, True):
        check_alike(alone, other, 1e-4)
        assert other[1].events == ["Resumed at step 17."]


def test_a_checkpoint_of_other_data_is_refused_by_all(tmp_path):
    path = tmp_path / "run.checkpoint"
    fitted(max_steps=5, checkpoint=path)
    refusals = launched(2, _refusal, path)
    assert refusals[0] == refusals[1] and "max_steps" in refusals[0]


def _refusal(path):
    with pytest.raises(pf.InputError) as caught:
        fitted(max_steps=6, checkpoint=path, resume=True)
    return str(caught.value)


def test_the_process_with_the_row_at_fault_names_it():
    sentences = launched(2, _warnings_of_a_bad_row)
    # The first process alone warns; the row is in a batch of either.
    assert sentences[0] and all("x[10, 1] (value 3e+37" in one for one in sentences[0]) and sentences[1] == []


def _warnings_of_a_bad_row():
    x = rows()
    x[10, 1] = 3e37
    torch.manual_seed(0)
    flow = pf.realnvp(2, layers=2, hidden=(8,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pf.fit(flow, x, max_steps=9, **{**OPTIONS, "learning_rate": 1e-3})
    return [str(one.message) for one in caught if "Step" in str(one.message)]


def test_a_process_that_ends_is_one_sentence_for_the_others():
    sentences = launched(2, _ending_of_the_other)
    assert sentences[0] == "One of the 2 processes of this fit has ended, and the others cannot go on without it."


def _ending_of_the_other():
    if processes().number == 1:
        return fitted(kill_at=5)
    with pytest.raises(TrainingError) as caught:
        fitted()
    return str(caught.value)


def test_shares_of_a_batch_are_the_batch():
    table = Rows(torch.arange(100.0)[:, None])
    shares = [list(ShuffledBatches(table, 32, 0, process, 3)) for process in range(3)]
    for together, (batch,) in zip(zip(*shares, strict=True), ShuffledBatches(table, 32, 0), strict=True):
        assert sorted(torch.cat([share for (share,) in together])[:, 0].tolist()) == sorted(batch[:, 0].tolist())


GROUPS, IN_GROUP = 16, 50


def streamed(asked):
    def read(group, share=0, shares=1):
        asked.append((group, share, shares))
        numbers = np.arange(group * IN_GROUP, (group + 1) * IN_GROUP)
        own = numbers[numbers % shares == share]
        yield own, own[:, None].astype(float)

    sample = Rows(torch.arange(float(GROUPS * IN_GROUP))[:, None])
    return StreamedRows(read, GROUPS, GROUPS * IN_GROUP, sample, sample, "")


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_row_groups_are_dealt_and_rows_of_a_few_of_them(count):
    asked = [[] for _ in range(count)]
    passes = [list(StreamedBatches(streamed(asked[one]), 40, 0, torch.float64, one, count)) for one in range(count)]
    seen = [torch.cat([x for (x,) in batches])[:, 0].tolist() for batches in passes]
    # Every row is in one process, and every batch but the last of a pass has as many rows as one process would take.
    assert sorted(row for rows in seen for row in rows) == list(range(GROUPS * IN_GROUP))
    assert sum(len(batches[0][0]) for batches in passes) == 40
    read = [group for groups in asked for group, *_ in groups]
    by_group = 4 * count <= GROUPS
    assert sorted(read) == sorted(list(range(GROUPS)) * (1 if by_group else count))
    assert max(len(rows) for rows in seen) - min(len(rows) for rows in seen) <= (IN_GROUP if by_group else 1)


def test_streams_go_on_where_they_were():
    batches = StreamedBatches(streamed([]), 40, 0, torch.float64, 1, 2)
    first = [x for (x,) in batches]
    second = [x for (x,) in batches]
    assert sorted(torch.cat(first)[:, 0].tolist()) != sorted(torch.cat(second)[:, 0].tolist())
    again = StreamedBatches(streamed([]), 40, 0, torch.float64, 1, 2)
    stream = iter(again)
    for _ in range(3):
        next(stream)
    other = StreamedBatches(streamed([]), 40, 7, torch.float64, 1, 2)
    other.load_state_dict(again.state_dict())
    assert all(torch.equal(x, y) for (x,), y in zip(other, first[3:], strict=True))
    assert all(torch.equal(x, y) for (x,), y in zip(other, second, strict=True))
