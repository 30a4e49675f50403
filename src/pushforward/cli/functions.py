"""Functions of the user's own, in a Python file."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pushforward.errors import InputError


def function_of(text: str, option: str) -> Callable[..., Any]:
    """The function that "FILE.py:NAME" says; the file is run for it.

    Arguments:
        text: as it was given.
        option: that has it, for messages.

    Raises:
        InputError: another form, a file that does not exist or cannot be run, or nothing of that name to call; from a
            call, whatever the function raises.
    """
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise InputError(f"{option} takes FILE.py:FUNCTION, not {text}.")
    if not Path(file).is_file():
        raise InputError(f"{option}: the file {file} does not exist.")
    spec = importlib.util.spec_from_file_location("pushforward_user_functions", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{option}: {file} cannot be run: {type(error).__name__}: {error}.") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"{option}: {file} has no function {name}.")

    def called(*arguments: Any) -> Any:
        try:
            return found(*arguments)
        except Exception as error:
            raise InputError(f"{option}: {name} of {file} ended with {type(error).__name__}: {error}.") from error

    return called
