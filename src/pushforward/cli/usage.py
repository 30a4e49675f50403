"""Values of options that cannot be what they stand for, in one sentence that quotes them, for all commands."""

from typing import Any

import typer
from typer.core import TyperGroup

from pushforward.cli.output import BAD_INPUT, INTERRUPTED, say
from pushforward.cli.signals import raise_interrupts

NEEDED = {int: "a whole number", float: "a number"}


class Commands(TyperGroup):
    """Commands whose options refuse a value in one sentence; other mistakes are told as usual, with the usage."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is named in the context."""
        try:
            raise_interrupts()
            return super().invoke(ctx)
        except typer.BadParameter as error:
            sentence = refusal(error)
            if sentence is None:
                raise
            say(f"Error: {sentence}")
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            # Before or after the command itself, which has a sentence of its own.
            say("Interrupted; no result was written.")
            raise typer.Exit(INTERRUPTED) from None


def refusal(error: typer.BadParameter) -> str | None:
    """What an option of numbers takes, and the value that it was given; None where the value is not known."""
    details = getattr(error.__cause__, "errors", None)  # of pydantic, which parses the values
    option, needed = error.param, NEEDED.get(getattr(_described(error.param), "annotation", None))  # type: ignore[arg-type]
    if details is None or option is None or needed is None:
        return None
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    bound = "" if least is None else f" of at least {least:g}" if most is None else f" from {least:g} to {most}"
    return f'{min(option.opts, key=len)} is {needed}{bound}; it is "{details()[0]["input"]}".'


def positive(context: Any, param: Any, value: float | None) -> float | None:
    """Refuse what is not above 0; for an option of numbers."""
    if value is not None and not value > 0:
        say(f'Error: {min(param.opts, key=len)} is a number above 0; it is "{value:g}".')
        raise typer.Exit(BAD_INPUT)
    return value


def _described(param: Any) -> Any:
    return getattr(param, "type_descriptor", None)
