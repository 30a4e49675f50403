"""The formats of model files: each later version reads every format since the oldest, by this table of names."""

from typing import Any

# Format 1, before the first release, held the rows of the last layers in another order.
OLDEST_FORMAT, FORMAT = 2, 4
# The name of the model in a folder that `pushforward.card` has written.
MODEL_IN_FOLDER = "model.safetensors"

# Architectures, and keys of the notes of a fit, that have other names since a format: {format: {old: new}}.
ARCHITECTURES = {3: {"any_given": "arbitrary_conditional"}}
FIT_NOTES = {3: {"any_given": "arbitrary_conditions"}}


def in_present_names(config: dict[str, Any], notes: Any, file_format: int) -> tuple[dict[str, Any], Any]:
    """Config and notes of a file of an earlier format, in the names of the present one.

    Example:
        >>> in_present_names({"architecture": "any_given"}, {"fit": {"any_given": True}}, file_format=2)
        ({'architecture': 'arbitrary_conditional'}, {'fit': {'arbitrary_conditions': True}})
    """
    for since in range(file_format + 1, FORMAT + 1):
        config = _renamed_architecture(config, ARCHITECTURES.get(since, {}))
        if isinstance(notes, dict) and isinstance(notes.get("fit"), dict):
            keys, names = FIT_NOTES.get(since, {}), ARCHITECTURES.get(since, {})
            fit = {keys.get(key, key): value for key, value in notes["fit"].items()}
            if isinstance(fit.get("flow"), str):
                fit["flow"] = names.get(fit["flow"], fit["flow"])
            notes = {**notes, "fit": fit}
    return config, notes


def _renamed_architecture(config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A config, and the configs of flows within it, with other names of architectures."""
    renamed = {
        key: _renamed_architecture(value, names) if isinstance(value, dict) else value for key, value in config.items()
    }
    name = config.get("architecture")
    return {**renamed, "architecture": names.get(name, name)} if isinstance(name, str) else renamed
