"""A fit that cannot resume says which option differs, and not what follows from it."""

import numpy as np
import pandas as pd
import pytest
from models import gaussian_rows

import pushforward as pf

OPTIONS = {"flow": "nice", "max_steps": 3, "seed": 2, "batch_size": 32, "evaluate_every": 3}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A table, and the checkpoint of a fit to it."""
    path = tmp_path_factory.mktemp("begun") / "c"
    rows = np.random.default_rng(0).normal(size=(80, 3))
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    pf.fit_table(table, **OPTIONS, checkpoint=path)
    return table, path


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"seed": 9}, "a fit with seed 2, and now it is 9;"),
        ({"hold_out": "last"}, "a fit with hold_out 'random', and now it is 'last';"),
        ({"precision": "64-true"}, "a fit with precision '32-true', and now it is '64-true';"),
        ({"flow": "maf"}, "a fit with flow 'nice', and now it is 'maf';"),
        ({"columns": ["a", "b"]}, r"a fit with columns None, and now it is \['a', 'b'\];"),
        ({"max_time": 100.0}, "a fit with max_time None, and now it is 100.0;"),
        ({"seed": 9, "hold_out": "last"}, "seed 2, and now it is 9, and hold_out 'random', and now it is 'last';"),
    ],
    ids=str,
)
def test_the_option_that_differs_is_named(begun, option, words):
    table, path = begun
    with pytest.raises(pf.InputError, match=words):
        pf.fit_table(table, **{**OPTIONS, **option}, checkpoint=path, resume=True)


def test_the_same_options_resume_and_other_data_are_data(begun):
    table, path = begun
    assert pf.fit_table(table, **OPTIONS, checkpoint=path, resume=True).history.steps == 3
    with pytest.raises(pf.InputError, match=r"a fit with other data \(.*x"):
        pf.fit_table(table + 1, **OPTIONS, checkpoint=path, resume=True)
    # A time changes no data: both are named.
    with pytest.raises(pf.InputError, match=r"a fit with other data \(.*x.*, and max_time None, and now it is 100"):
        pf.fit_table(table + 1, **OPTIONS, max_time=100.0, checkpoint=path, resume=True)


@pytest.mark.parametrize(("option", "now"), [("seed", 4), ("precision", "64-true")])
def test_a_flow_that_is_fitted_by_itself_names_it_too(tmp_path, option, now):
    options = {"max_steps": 2, "seed": 3, "precision": "32-true"}
    pf.fit(pf.nice(2, layers=1, hidden=(4,)), gaussian_rows(60), **options, checkpoint=tmp_path / "c")
    with pytest.raises(pf.InputError, match=f"a fit with {option} {options[option]!r}, and now it is {now!r};"):
        pf.fit(
            pf.nice(2, layers=1, hidden=(4,)),
            gaussian_rows(60),
            **{**options, option: now},
            checkpoint=tmp_path / "c",
            resume=True,
        )


def test_a_time_that_is_shared_out_among_flows_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.zoo.recipe.FEWEST_STEPS", 2)
    monkeypatch.setattr("pushforward.zoo.recipe.MOST_STEPS", 2)

    def stop(*_, **__):
        raise MemoryError

    table = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    said = []
    with monkeypatch.context() as patch:
        patch.setattr("pushforward.table_models.fitting.fit_stack", stop)
        with pytest.raises(MemoryError):
            pf.fit_table(table, max_time=1, announce=said.append)
    assert any("0.1 seconds for each of 5 flows" in line for line in said)


def test_only_a_fit_that_starts_says_what_it_overwrites(begun, monkeypatch):
    table, path = begun
    said = []
    with pytest.raises(pf.InputError, match="nope"):
        pf.fit_table(table, **OPTIONS, weight="nope", checkpoint=path, announce=said.append)
    assert not said

    def stop(*_, **__):
        raise MemoryError

    monkeypatch.setattr("pushforward.table_models.fitting._train", stop)
    with pytest.raises(MemoryError):
        pf.fit_table(table, **OPTIONS, checkpoint=path, announce=said.append)
    assert said[0] == f"{path} of an unfinished fit will be overwritten; --resume would continue that fit"
