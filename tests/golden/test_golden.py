"""Nothing that a stored model answers has changed since the answers were recorded, by record.py.

Each file of flows, sound, tables, formats and commands is loaded, asked the stored questions, and its answers compared
with those stored beside it. Another processor, or another build of torch, sums in another order: float64 is held to a
relative 1e-10, and float32, with seven digits of which a chain of layers and roots loses one or two, to 2e-5, both of
the value and of the largest of its array. Draws are compared like everything else, since torch's generator gives the
same numbers on every machine.

    PUSHFORWARD_GOLDEN_EXACT=1 pytest tests/golden
    PUSHFORWARD_GOLDEN_EXACT=1 PUSHFORWARD_KERNELS=none pytest tests/golden

demand more, on the machine and with the torch that made the record: float32 to 1e-6 with kernels, and float64 bit for
bit without them, to 1e-12 with them. They are for changes of structure, which must not even change the order of a sum.
The record of formats 2 was made when float64 had no kernels, and that of later formats by kernels. All runs on one
thread, in either case.

Flows and models of sound are asked in float64, and models of tables in float32, as they were fitted. The other
precision of each is in the slow tier, unless the answers are to be exact.

What a fit or a distillation finds depends on the time it has: only the form of what they print is compared. The names
that a renaming may touch are at the top of answers.py.
"""

import json
import os

import answers as golden
import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.kernels import native
from pushforward.store.formats import FORMAT, OLDEST_FORMAT

# The questions were drawn, and some answers are drawn, from the seeds of the record.
pytestmark = pytest.mark.recorded
EXACT = os.environ.get("PUSHFORWARD_GOLDEN_EXACT") == "1"
BY_TORCH = native is None
TOLERANCES = {"float64": 1e-10, "float32": 2e-5}
if EXACT:
    TOLERANCES = {"float64": 0.0, "float32": 2e-5} if BY_TORCH else {"float64": 1e-12, "float32": 1e-6}
# Maps of data in float64 about a network in float32.
TOLERANCES["stored"] = TOLERANCES["float32"]
# A row whose log-density is that of a held-out row, but for rounding, may gain or lose a rank among twenty or more.
RANK = 0.0 if EXACT and not BY_TORCH else 0.06
QUESTIONS = {folder: json.loads((folder / "questions.json").read_text()) for folder in (golden.TABLES, golden.FORMATS)}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def every(folder, first):
    """Each file of answers in each precision; but for the precisions in `first`, in the slow tier alone."""
    return pytest.mark.parametrize(
        ("name", "precision"),
        [
            pytest.param(path.stem, precision, marks=[] if EXACT or precision in first else pytest.mark.slow)
            for path in sorted(folder.glob("*.npz"))
            for precision in golden.load_arrays(path)
            if precision != "questions"
        ],
    )


def compare(found, stored, precision, least=0.0):
    """Answers and those stored, {name: array}: the same names, shapes and, to the precision's tolerance, values."""
    assert sorted(found) == sorted(stored)
    wrong = []
    for name, expected in stored.items():
        values = found[name]
        assert values.shape == expected.shape and values.dtype.kind == expected.dtype.kind, name
        if expected.dtype.kind not in "fiu":
            wrong += [] if np.array_equal(values, expected) else [f"{name}: other levels"]
            continue
        finite = np.isfinite(expected)
        assert np.array_equal(values[~finite], expected[~finite], equal_nan=True), name
        values, expected = values[finite].astype(float), expected[finite].astype(float)
        if not expected.size:
            continue
        relative = max(TOLERANCES[precision], least)
        allowed = relative * (np.abs(expected) + np.abs(expected).max()) + RANK * name.endswith("p_value")
        difference = np.abs(values - expected)
        if not (difference <= allowed).all():
            place = int(np.argmax(difference - allowed))
            wrong.append(f"{name}: {values[place]!r}, not {expected[place]!r}, at {place} of {len(expected)}")
    assert not wrong, "\n".join([precision, *wrong])


@every(golden.FLOWS, first=("float64", "stored"))
def test_flows_answer_as_they_did(name, precision):
    stored = golden.load_arrays(golden.FLOWS / f"{name}.npz")
    answers = golden.flow_answers(golden.FLOWS / f"{name}.safetensors", stored["questions"], precision)
    compare(answers, stored[precision], precision)


@every(golden.SOUND, first=("float64", "stored"))
def test_models_of_sound_answer_as_they_did(name, precision):
    stored = golden.load_arrays(golden.SOUND / f"{name}.npz")
    answers = golden.sound_answers(golden.SOUND / f"{name}.safetensors", stored["questions"], precision)
    compare(answers, stored[precision], precision)


@every(golden.TABLES, first=("float32",))
def test_models_of_tables_answer_as_they_did(name, precision, tmp_path):
    check_table(golden.TABLES, name, precision, tmp_path)


@every(golden.FORMATS, first=("float32",))
def test_models_of_later_formats_answer_as_they_did(name, precision, tmp_path):
    check_table(golden.FORMATS, name, precision, tmp_path)


def test_there_is_a_model_of_a_table_of_every_format_that_is_read():
    files = [*golden.TABLES.glob("*.safetensors"), *golden.FORMATS.glob("*.safetensors")]
    assert {pf.describe(file)["format"] for file in files} == set(range(OLDEST_FORMAT, FORMAT + 1))
    for file in golden.FORMATS.glob("*.safetensors"):
        assert file.stem == f"format_{pf.describe(file)['format']}"


def check_table(folder, name, precision, tmp_path):
    """What the commands write for a stored model of a table is what is stored beside it."""
    stored = golden.load_arrays(folder / f"{name}.npz")
    model, rows = (folder / f"{name}.{ending}" for ending in ("safetensors", "parquet"))
    with golden.inside(tmp_path):
        found = golden.table_answers(model, rows, precision, QUESTIONS[folder][name])
    compare(found, stored[precision], precision, 1e-12 if folder is golden.FORMATS else 0.0)


@pytest.mark.parametrize("name", golden.READING)
def test_commands_say_the_same_of_a_stored_model(name, tmp_path):
    stored = recorded("reading.json")[name]
    with golden.inside(tmp_path):
        check_json(golden.command_json(name), stored, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", golden.TRAINING)
def test_commands_that_train_say_it_in_the_same_form(name, tmp_path, monkeypatch):
    stored = recorded("training.json")[name]
    # Recorded of one flow, before a stack answered for few rows.
    monkeypatch.setattr("pushforward.table_models.stacking.MOST_ROWS", 0)
    with golden.inside(tmp_path):
        found = golden.command_json(name)
    # Whether there is anything to warn of depends on the time too.
    assert {**form(found), "alarms": None} == {**form(stored), "alarms": None}


def recorded(file):
    """What commands printed, in the words of today."""
    text = (golden.COMMANDS / file).read_text()
    for before, now in golden.RENAMED.items():
        text = text.replace(before, now)
    answers = json.loads(text)
    return {
        name: answer if name.startswith("info") else json.loads(json.dumps(answer).replace(*golden.REWORDED))
        for name, answer in answers.items()
    }


def check_json(found, stored, where):
    """Values as they are stored, numbers as closely as float32 is compared."""
    if isinstance(stored, dict):
        # The order of what is printed is part of it.
        assert list(found) == list(stored), where
        for key, value in stored.items():
            check_json(found[key], value, f"{where}: {key}")
    elif isinstance(stored, list):
        assert len(found) == len(stored), where
        for place, value in enumerate(stored):
            check_json(found[place], value, f"{where}: {place}")
    elif isinstance(stored, float):
        assert type(found) is float, where
        absolute = TOLERANCES["float32"] + RANK * where.endswith("p_value")
        assert found == pytest.approx(stored, rel=TOLERANCES["float32"], abs=absolute), where
    else:
        assert type(found) is type(stored) and found == stored, where


def form(value):
    """Keys and types; of a list the forms that its entries have, since how many there are depends on the time."""
    if isinstance(value, dict):
        return {key: form(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(form(entry)) for entry in value})
    return type(value).__name__
