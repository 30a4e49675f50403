"""No option of any command takes "nan", which lies within every range."""

import inspect
import typing

import pytest
from typer.testing import CliRunner

from pushforward.cli.app import app


def _commands(group, names=()):
    """The words that name a command, and its function."""
    for command in group.registered_commands:
        yield (*names, command.name or command.callback.__name__.replace("_", "-")), command.callback
    for inner in group.registered_groups:
        yield from _commands(inner.typer_instance, (*names, inner.name))


def _spelled(name, parameter):
    """How an option is spelled; None for an argument."""
    declared = parameter.annotation.__metadata__[0]
    if "Argument" in type(declared).__name__:
        return None
    return next(iter(declared.param_decls or ()), f"--{name.replace('_', '-')}")


CASES = [
    (names, function, name)
    for names, function in _commands(app)
    for name, parameter in inspect.signature(function).parameters.items()
    if float in (parameter.annotation.__origin__, *typing.get_args(parameter.annotation.__origin__))
]


@pytest.mark.parametrize(
    ("names", "function", "name"), CASES, ids=[f"{' '.join(names)} {name}" for names, _, name in CASES]
)
def test_an_option_refuses_what_is_not_a_number(names, function, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters = inspect.signature(function).parameters
    given = [*names]
    for other, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty:
            option = _spelled(other, parameter)
            given += ["x.safetensors"] if option is None else [option, "x.safetensors"]
    option = _spelled(name, parameters[name])
    result = CliRunner().invoke(app, [*given, option, "nan"])
    assert result.exit_code == 2 and option in result.stderr and "nan" in result.stderr
    assert not list(tmp_path.iterdir())


def test_there_are_such_options():
    assert len(CASES) > 5
