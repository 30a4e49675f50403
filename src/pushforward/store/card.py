"""A folder as the hub of Hugging Face expects it: a card in README.md, config.json, and the model file."""

import contextlib
import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pushforward.errors import InputError
from pushforward.store.description import describe, model_file
from pushforward.store.formats import MODEL_IN_FOLDER
from pushforward.store.model_file import load
from pushforward.store.notes import noted_columns
from pushforward.support.arguments import path_of
from pushforward.support.atomic import atomic_path, reason
from pushforward.support.file_hash import hash_of_files
from pushforward.support.overwriting import check_not_read
from pushforward.support.wording import counted
from pushforward.tables.schema.serialization import parse_schema

CARD, CONFIG = "README.md", "config.json"
# What a reader of the card, or a program, needs of the notes; the rest stays in the model file.
KEPT_NOTES = ("columns", "given", "schema", "errors", "fit")


def card(model: str | os.PathLike[str], output: str | os.PathLike[str]) -> Path:
    """Write a model, a card about it and its config to a folder, as the hub of Hugging Face expects them.

    All three files are made before the first is written, and each is either complete or absent. `load`,
    `TableModel.load` and the command line read the folder as they read the file.

    Arguments:
        model: a model file, or such a folder.
        output: the folder, which may exist without a file of these names; other files in it, such as those of a
            repository, are left alone.

    Returns:
        The folder.

    Raises:
        InputError: the model cannot be read, or the folder cannot be written to, or has such a file already.

    Example:
        >>> import pushforward as pf, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pf.save(pf.maf(features=2), f"{folder}/flow.safetensors")
        ...     written = pf.card(f"{folder}/flow.safetensors", f"{folder}/hub")
        ...     sorted(path.name for path in written.iterdir()), pf.load(written).features
        (['README.md', 'config.json', 'model.safetensors'], 2)
    """
    source, folder = model_file(model), path_of(output)
    about = describe(source)
    # What is published can be loaded.
    load(source)
    if "schema" in _notes(about):
        noted_columns(about["notes"], source)
    name = folder.name if source.name == MODEL_IN_FOLDER else source.stem
    contents = {
        MODEL_IN_FOLDER: source.read_bytes(),
        CONFIG: (json.dumps(_config(about), indent=2, ensure_ascii=False) + "\n").encode(),
        CARD: _text(name, about, hash_of_files([str(source)]), source).encode(),
    }
    for file in contents:
        check_not_read(folder / file, [source])
        # A card that was completed by hand, or the page of another project, is never lost.
        if os.path.lexists(folder / file):
            raise InputError(f"{folder / file} exists, and a card replaces nothing; name a new folder, or move it.")
    with _folder(folder), contextlib.ExitStack() as files:
        for file, content in contents.items():
            files.enter_context(atomic_path(folder / file)).write_bytes(content)
    return folder


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """A folder to write to, which is removed again if it is new and the block fails."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give the name of a folder.")
    if not folder.parent.is_dir():
        raise InputError(f"cannot write {folder}: the folder {folder.parent} does not exist; create it first.")
    new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        yield
    except OSError as error:
        raise InputError(f"cannot write {folder}: {reason(error)}.") from error
    finally:
        if new:
            with contextlib.suppress(OSError):  # which is not empty where all went well
                folder.rmdir()


def _notes(about: Mapping[str, Any]) -> dict[str, Any]:
    notes = about["notes"]
    return notes if isinstance(notes, dict) else {}


def _entry(notes: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A nested entry of notes; empty where there is none."""
    for name in names:
        found = notes.get(name)
        notes = found if isinstance(found, dict) else {}
    return dict(notes)


def _config(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a program reads before the weights."""
    notes = {name: value for name, value in _notes(about).items() if name in KEPT_NOTES}
    kept = {name: about[name] for name in ("version", "format", "dtype", "parameters", "config")}
    return {"library_name": "pushforward", **kept, **notes}


def _text(name: str, about: Mapping[str, Any], digest: str, source: Path) -> str:
    """The card: its head, and a section each for use, columns, measures, limits and origin."""
    notes = _notes(about)
    columns, given = ([str(c) for c in notes.get(part) or []] for part in ("columns", "given"))
    sections = [
        _head(name, about, columns),
        f"# {name}\n\n{_summary(about, columns, given)}",
        f"## Use\n\n{_use(columns, given)}",
        f"## Columns\n\n{_columns(notes, columns, given, source)}" if columns else "",
        f"## Measures\n\n{_measures(_entry(notes, 'fit'), _entry(notes, 'calibration'))}",
        f"## Limits\n\n{_limits(notes, columns, given)}",
        f"## Origin\n\n{_origin(about, _entry(notes, 'record', 'origin'), digest)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(name: str, about: Mapping[str, Any], columns: list[str]) -> str:
    """The metadata, in the part of YAML that is JSON."""
    tags = ["pushforward", "normalizing-flow", "density-estimation", *(["tabular"] if columns else [])]
    entries: dict[str, Any] = {"library_name": "pushforward", "license": "unknown", "tags": tags}
    fit = _entry(_notes(about), "fit")
    if isinstance(fit.get("held_out_nats"), float):
        files = _entry(_notes(about), "record", "origin").get("files") or []
        data = ", ".join(map(str, files)) or "a table"
        metric = {"type": "log-likelihood", "value": fit["held_out_nats"], "name": "nats per held-out row"}
        result = {
            "task": {"type": "density-estimation", "name": "density estimation"},
            "dataset": {"type": re.sub(r"[^\w.-]+", "-", data), "name": data},
            "metrics": [metric],
        }
        entries["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, "---"])


def _summary(about: Mapping[str, Any], columns: list[str], given: list[str]) -> str:
    flow = _entry(_notes(about), "fit").get("flow") or about["config"].get("architecture")
    over = f"p({_listed(columns)}{' | ' + _listed(given) if given else ''})" if columns else "p(x)"
    return textwrap.fill(
        f"A density {over}, of the kind `{flow}` with {about['parameters']:,} numbers, made by pushforward "
        f"{about['version']}. It gives exact log-densities and exact samples.",
        120,
        break_long_words=False,
    )


def _listed(names: list[str], most: int = 12) -> str:
    """Names in backquotes, the first of them where there are many."""
    shown = [f"`{name}`" for name in names[:most]]
    return ", ".join([*shown, *([f"and {len(names) - most} more"] if len(names) > most else [])])


def _use(columns: list[str], given: list[str]) -> str:
    """How to evaluate and draw, with the folder of the card as the model."""
    if not columns:
        return '```python\nimport pushforward as pf\n\nmodel = pf.load(".")  # this folder\nmodel.sample((1000,))\n```'
    drawn = "--given-file conditions.csv" if given else "-n 1000"
    return (
        "```sh\npushforward info .  # this folder\n"
        "pushforward score . rows.csv -o scored.csv  # the log-density of each row\n"
        f"pushforward sample . {drawn} -o drawn.csv\n```\n\n"
        '```python\nimport pushforward as pf\n\nmodel = pf.TableModel.load(".")\n```'
    )


def _columns(notes: Mapping[str, Any], columns: list[str], given: list[str], source: Path) -> str:
    """A table of what each column is."""
    schema = parse_schema(notes.get("schema", {}), source=f"the schema in {source}")
    lines = ["| column | role | what it is |", "|---|---|---|"]
    for role, names in (("modeled", columns), ("given", given)):
        for name in names:
            kind = schema[name].describe_all() if name in schema else "continuous"
            lines.append(f"| {_cell(name)} | {role} | {_cell(kind)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text that stays in its cell of a table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _measures(fit: Mapping[str, Any], calibration: Mapping[str, Any]) -> str:
    """What the fit measured on the rows that it held out."""
    rows = _entry(fit, "rows")
    lines = []
    for name, key in (("this model", "held_out_nats"), ("a Gaussian", "gaussian_nats")):
        if isinstance(fit.get(key), float):
            lines.append(f"| log-likelihood of {name} | {fit[key]:.4f} nats per held-out row |")
    lines += [f"| {key.replace('_', '-')} rows | {value:,} |" for key, value in rows.items() if isinstance(value, int)]
    if isinstance(fit.get("steps"), int) and isinstance(fit.get("seconds"), float):
        ended = f", ended by {fit['stopped']}" if fit.get("stopped") else ""
        lines.append(f"| training | {fit['steps']:,} steps in {fit['seconds']:.0f} s{_cell(ended)} |")
    if isinstance(calibration.get("rows"), int):
        lines.append(f"| p-values of `score` | ranks among {counted(calibration['rows'], 'held-out row')} |")
    after = "`pushforward report . rows.csv -o report.html` judges the model by rows that it has not seen."
    if not lines:
        return "The model file has no record of a fit to a table."
    meaning = fit.get("log_prob")
    said = f"The log-density is {_cell(str(meaning))}.\n\n" if meaning else ""
    return "\n".join(["| | |", "|---|---|", *lines]) + f"\n\n{said}{after}"


def _limits(notes: Mapping[str, Any], columns: list[str], given: list[str]) -> str:
    """What the model cannot be asked, and what is to be filled in by hand."""
    limits = ["It describes the rows that it was fitted to; rows from elsewhere may follow another density."]
    if columns:
        limits.append("A value that none of those rows had, such as a new level, has log-density -inf.")
    if given:
        limits.append("Beyond the range of the given columns in the fit it extrapolates, and says so.")
    if _entry(notes, "record").get("training_rows"):
        limits.append("The model file holds hashes of training rows, by which a report leaves them out.")
    limits.append("License and intended use are not known to the program: complete them before you publish the card.")
    return "\n".join(f"- {line}" for line in limits)


def _origin(about: Mapping[str, Any], origin: Mapping[str, Any], digest: str) -> str:
    """Where the model comes from, as far as its file knows."""
    versions = ", ".join(f"{name} {version}" for name, version in _entry(origin, "versions").items())
    files = origin.get("files")
    entries = {
        "model file": f"`{digest}`",
        "format": f"{about['format']}, {about['dtype']}",
        "data": ", ".join(f"`{file}`" for file in files) if isinstance(files, list) else "",
        "data, hash": f"`{origin['data_hash']}`" if origin.get("data_hash") else "",
        "command": f"`{origin['command']}`" if origin.get("command") else "",
        "started": origin.get("started") or "",
        "machine": origin.get("machine") or "",
        "versions": versions,
    }
    lines = [f"| {name} | {_cell(str(value))} |" for name, value in entries.items() if value]
    return "\n".join(["| | |", "|---|---|", *lines])
