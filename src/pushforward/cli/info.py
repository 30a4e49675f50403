"""pushforward info MODEL"""

from pushforward.cli.options import Json, Model, Verbose
from pushforward.cli.output import command, print_json, print_result
from pushforward.support.suggestions import quoted

# Lists of names of columns, which may have commas.
NAMES = ("columns", "given", "declared")


@command
def info(model: Model, json: Json = False, verbose: Verbose = False) -> None:
    """Describe a model file."""
    from pushforward.store.description import describe, model_file, read_metadata, read_weights

    about = describe(model)
    if about["dtype"] != "bfloat16":  # which numpy has not
        read_weights(model_file(model), read_metadata(model_file(model))["digest"])
    if json:
        print_json(about)
        return
    notes = about.pop("notes")
    notes = dict(notes) if isinstance(notes, dict) else {}
    if isinstance(notes.get("calibration"), dict):
        notes["calibration"] = {"rows": notes["calibration"].get("rows")}
    if isinstance(notes.get("record"), dict):
        origin = notes["record"].get("origin")
        notes["record"] = _with_its_output(origin, model) if isinstance(origin, dict) else {}
    columns = {}
    if "schema" in notes:
        from pushforward.tables.schema.serialization import parse_schema

        schema = parse_schema(notes.pop("schema"), source=f"the schema in {model}")
        columns = {name: column.describe_all() for name, column in schema.items()}
    lines = _flat({**about, **notes, "column": columns})
    print_result("\n".join(f"{key:24} {value}" for key, value in lines))


def _with_its_output(origin: dict, model: str) -> dict:
    """The origin of a fit, whose command writes the model file that was asked about."""
    from pushforward.table_models.fit_origin import writing_to

    command = origin.get("command")
    return {**origin, "command": writing_to(command, model)} if isinstance(command, str) else origin


def _flat(entries: dict, prefix: str = "") -> list[tuple[str, object]]:
    """Nested entries as lines: a.b for the entry b of a."""
    lines: list[tuple[str, object]] = []
    for key, value in entries.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{key}.")
        else:
            show = quoted if key in NAMES else str
            lines.append((f"{prefix}{key}", ", ".join(map(show, value)) if isinstance(value, list) else value))
    return lines
