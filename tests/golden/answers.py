"""What stored models answer to stored questions: asked by record.py once, and by test_golden.py ever after.

Only the public interface is used. What a renaming may touch stands here at the top.
"""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from torch.distributions import constraints
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.app import app

TableModel = pf.TableModel
load, save, describe, constrained = pf.load, pf.save, pf.describe, pf.constrained
INFO, SCORE, SAMPLE, IMPUTE, POSTERIOR = "info", "score", "sample", "impute", "posterior"
DISTILL, FIT = "distill", "fit"

# What the command line prints in other words than when the record was made.
RENAMED = {
    '"any_given":': '"arbitrary_conditions":',
    '"any_given"': '"arbitrary_conditional"',
}
# In what is computed today, not in notes that the file holds.
REWORDED = (
    "it is the density of those that are there, which the model has learned",
    "it is the learned density of the values that are present",
)

HERE = Path(__file__).resolve().parent
FLOWS, SOUND, TABLES, FORMATS, COMMANDS = (HERE / name for name in ("flows", "sound", "tables", "formats", "commands"))
SEED = 7
# "stored" leaves a model as it is in its file: maps of data may be float64 about a float32 network.
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "stored": None}
# The flow of this file is answered for behind a map into a support, with which it could not be saved.
CONSTRAINED = "constrained"


def invoke(*arguments):
    """Run the command line; what it printed on standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{arguments}: {result.stderr} {result.exception!r}"
    return result.stdout


@contextlib.contextmanager
def inside(folder):
    """Work in a folder, so that the paths in what is printed are short and always the same."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def gradients(model, log_prob, x):
    """The gradients of the sum of log_prob with respect to x and, in the order of their names, all parameters."""
    names = sorted(name for name, _ in model.named_parameters())
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(log_prob.sum(), [x, *(parameters[name] for name in names)], allow_unused=True)
    of_parameters = [
        (torch.zeros_like(parameters[name]) if gradient is None else gradient).flatten()
        for name, gradient in zip(names, found[1:], strict=True)
    ]
    return found[0], torch.cat([part.double() for part in of_parameters]) if names else torch.zeros(0)


def as_asked(questions, dtype):
    """The stored questions as tensors, in memory of torch's own: products round by where their factors lie."""
    return {key: torch.tensor(value, dtype=dtype or torch.float64) for key, value in questions.items()}


def flow_answers(path, questions, precision):
    """{name: array} of a flow's log-densities, draws, maps and gradients in a precision.

    Arguments:
        path: the model file.
        questions: x and z, (n, D), and perhaps context, (n, C).
        precision: one of `PRECISIONS`.
    """
    dtype = PRECISIONS[precision]
    flow = load(path)
    if dtype is not None:
        flow = flow.to(dtype)
    if path.stem == CONSTRAINED:
        flow = constrained(flow, [constraints.positive, (constraints.simplex, 3)])
    asked = as_asked(questions, dtype)
    # What a map of data says is in the data's precision, what it is told in that of the network.
    x, z, context = asked["x"].requires_grad_(), asked["z"].to(next(flow.parameters()).dtype), asked.get("context")
    log_prob = flow.log_prob(x, context)
    of_x, of_parameters = gradients(flow, log_prob, x)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        sample, log_prob_of_sample = flow.sample_with_log_prob(6 if context is None else 2, context)
        torch.manual_seed(SEED + 1)
        again = flow.sample((2, 3), context)
    with torch.no_grad():
        answers = {
            "log_prob": log_prob,
            "gradient_of_x": of_x,
            "gradient_of_parameters": of_parameters,
            "to_latent": flow.to_latent(x, context),
            "to_data": flow.to_data(z, context),
            "sample": sample,
            "log_prob_of_sample": log_prob_of_sample,
            "another_sample": again,
        }
    return as_arrays(answers, precision)


def sound_answers(path, questions, precision):
    """{name: array} of a model of sound in a precision: as for flows, but for teachers, which have no z of a base."""
    dtype = PRECISIONS[precision]
    model = load(path)
    if dtype is not None:
        model = model.to(dtype)
    asked = as_asked(questions, dtype)
    x, context = asked["x"].requires_grad_(), asked.get("context")
    log_prob = model.log_prob(x, context)
    of_x, of_parameters = gradients(model, log_prob, x)
    shape, length = (2,) if context is None else (), x.shape[-1]
    answers = {"log_prob": log_prob, "gradient_of_x": of_x, "gradient_of_parameters": of_parameters}
    for name, temperature in (("sample", 1.0), ("cold_sample", 0.5)):
        generator = torch.Generator().manual_seed(SEED)
        answers[name] = model.sample(shape, context, length=length, temperature=temperature, generator=generator)
    if "z" in asked:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            draw = model.sample_with_log_prob(shape, context, length)
            answers |= dict(zip(("another_sample", "log_prob_of_sample"), draw, strict=True))
            answers |= {"to_latent": model.to_latent(x, context), "to_data": model.to_data(asked["z"], context)}
    return as_arrays(answers, precision)


def as_arrays(answers, precision):
    """Tensors as arrays; float32 where every number of the model is."""
    kept = np.float32 if precision == "float32" else np.float64
    return {key: value.detach().numpy().astype(kept) for key, value in answers.items()}


def table_answers(model, rows, precision, questions):
    """{name: array} of what the commands write for a model of a table; in the current folder, where files are left.

    Arguments:
        model: the model file.
        rows: a table of it, possibly with gaps.
        precision: "float32", as it was fitted, or "float64", the same weights with more digits.
        questions: {"given", "any_given", "shares", "of": columns whose posteriors are wanted}.
    """
    if precision == "float64":
        save(load(model).double(), "model.safetensors", **describe(model)["notes"])
        model = "model.safetensors"
    answers = {}
    if not questions["any_given"]:
        table_model = TableModel.load(model)
        codes = torch.tensor(table_model.encode(pa.parquet.read_table(rows))).numpy()
        answers["log_prob"] = table_model.log_prob(codes)
    wanted = ["--shares"] if questions["shares"] else []
    invoke(SCORE, model, rows, "-o", "scores.parquet", "-q", *wanted)
    before = set(pa.parquet.read_schema(rows).names)
    # No row of theirs holds a value that was never seen.
    answers |= arrays_of("scores.parquet", "score", without=before | {"unseen"})
    how = ["--given-file", rows] if questions["given"] else ["-n", 20]
    invoke(SAMPLE, model, *how, "-o", "sample.parquet", "-q", "--seed", SEED)
    answers |= arrays_of("sample.parquet", "sample")
    if questions["any_given"]:
        invoke(IMPUTE, model, rows, "-o", "imputed.parquet", "-q")
        answers |= arrays_of("imputed.parquet", "impute")
        invoke(IMPUTE, model, rows, "-o", "drawn.parquet", "-q", "--draws", 1, "--seed", SEED)
        answers |= arrays_of("drawn.parquet", "impute_draws")
    pa.parquet.write_table(pa.parquet.read_table(rows).slice(0, 4), "few.parquet")
    for of in questions["of"]:
        invoke(POSTERIOR, model, "few.parquet", "--of", of, "-o", "posterior.parquet", "-q")
        answers |= posterior_of("posterior.parquet", f"posterior_{of}")
        invoke(POSTERIOR, model, "few.parquet", "--of", of, "--quantiles", "0.1,0.5", "-o", "quantiles.parquet", "-q")
        answers |= arrays_of("quantiles.parquet", f"quantiles_{of}", without=before)
    return answers


def posterior_of(path, prefix):
    """The lines of a posterior; of a column with atoms, probabilities and densities in one array, as recorded."""
    found = arrays_of(path, prefix, without={"row"})
    density, probability = f"{prefix}.density", f"{prefix}.probability"
    if {density, probability} <= set(found):
        of_atoms = found.pop(probability)
        found[density] = np.where(np.isnan(found[density]), of_atoms, found[density])
    return found


def arrays_of(path, prefix, without=()):
    """The columns of a Parquet file as arrays: numbers, and times in seconds since 2024, as float64, others as text."""
    found = {}
    table = pa.parquet.read_table(path)
    for name in table.column_names:
        if name in without:
            continue
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            steps = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
            values = steps / 1e6 - 1_704_067_200.0
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        else:
            values = np.array([str(value) for value in column.to_pylist()])
        found[f"{prefix}.{name}"] = values
    return found


def load_arrays(path):
    """The arrays of a file of answers, {"group/name": array}, by their groups."""
    groups = {}
    with np.load(path) as file:
        for key in file.files:
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = file[key]
    return groups


def save_arrays(path, groups):
    """Write what `load_arrays` reads."""
    np.savez_compressed(
        path, **{f"{group}/{name}": value for group, of in groups.items() for name, value in of.items()}
    )


def command_arguments(name):
    """The arguments of a recorded command, where the files of the folder `commands` lie in `stored`."""
    plain, any_given, rows, gaps = (
        f"stored/{file}" for file in ("plain.safetensors", "any_given.safetensors", "rows.parquet", "gaps.parquet")
    )
    return {
        "info, plain": (INFO, plain),
        "info, any given": (INFO, any_given),
        "score, plain": (SCORE, plain, rows, "-o", "out.parquet", "--explain", 3),
        "score, any given": (SCORE, any_given, gaps, "-o", "out.csv", "--shares"),
        "sample, plain": (SAMPLE, plain, "-n", 500, "--seed", 1, "-o", "out.parquet"),
        "sample, any given": (SAMPLE, any_given, "-n", 200, "--seed", 1, "-o", "out.feather"),
        "impute, medians": (IMPUTE, any_given, gaps, "-o", "out.parquet"),
        "impute, draws": (IMPUTE, any_given, gaps, "-o", "out.csv", "--draws", 3, "--seed", 1),
        "posterior, grid": (POSTERIOR, any_given, gaps, "--of", "pressure", "-o", "out.parquet"),
        "posterior, quantiles": (
            *(POSTERIOR, any_given, gaps, "--of", "wind_speed", "--given", "wind_u,wind_v"),
            *("--quantiles", "0.05,0.5,0.95", "-o", "out.csv"),
        ),
        "fit": (FIT, rows, "-o", "fitted.safetensors", "--columns", "wind_u,wind_v", "--max-time", 0.3),
        "fit, given": (
            *(FIT, rows, "-o", "fitted.safetensors", "--columns", "wind_speed", "--given", "pressure", "--flow"),
            *("nice", "--max-time", 0.3),
        ),
        "distill": (DISTILL, plain, "-o", "fast.safetensors", "--max-time", 0.3),
    }[name]


# What reads a stored model answers in numbers; what trains depends on the processor's speed, and answers in form.
READING = (
    *("info, plain", "info, any given", "score, plain", "score, any given", "sample, plain", "sample, any given"),
    *("impute, medians", "impute, draws", "posterior, grid", "posterior, quantiles"),
)
TRAINING = ("fit", "fit, given", "distill")


def command_json(name):
    """What a command prints with --json, in the current folder, with the folder `commands` linked as `stored`."""
    if not Path("stored").exists():
        Path("stored").symlink_to(COMMANDS)
    arguments = command_arguments(name)
    return json.loads(invoke(*arguments, "--json", *([] if arguments[0] == INFO else ["-q"])))
