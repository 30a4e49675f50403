"""What every command prints, and where: results on standard output, everything for people on standard error."""

import contextlib
import functools
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pushforward.cli.groups import flat_signature, grouped
from pushforward.cli.signals import postponed
from pushforward.errors import InputError, TrainingError
from pushforward.store.formats import MODEL_IN_FOLDER
from pushforward.support.arguments import check_local
from pushforward.support.atomic import as_before_on_failure, reason
from pushforward.support.overwriting import check_not_read
from pushforward.support.processes import first_to_say, processes
from pushforward.support.progress import progress as progress  # commands import everything that they show from here
from pushforward.support.progress import to_standard_error
from pushforward.support.wording import counted as counted
from pushforward.support.wording import nats as nats
from pushforward.support.wording import percent as percent

if TYPE_CHECKING:
    from pushforward.training.history import History

BAD_INPUT, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143
# Most seconds that a process with nothing to say waits for the one that says why all of them end.
SECONDS_TO_SAY = 30


class Terminated(BaseException):
    """The system asked the process to end. It is not an error, so that nothing catches it on the way out."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Turn errors into one sentence and an exit status; with `verbose`, into a traceback as well.

    Parameters that are groups of options become those options.
    """

    @functools.wraps(function)
    def run(**options: Any) -> None:
        try:
            _check_numbers(options)
            _check_output(options)
            function(**grouped(function, options))
            with _explained():
                sys.stdout.flush()  # what waits would fail without a sentence when the process ends
        except BrokenPipeError:
            # Nobody reads our output any more: we end without a word, as others do.
            _drop_results()
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            with postponed():
                say(_ended("Interrupted", options), quiet=not first_to_say(every_machine=True))
            raise typer.Exit(INTERRUPTED) from None
        except Terminated:
            say(_ended("Terminated", options), quiet=not first_to_say(every_machine=True))
            raise typer.Exit(TERMINATED) from None
        except typer.Exit:
            raise
        except Exception as error:
            if options.get("verbose"):
                traceback.print_exc()
            bad_input = isinstance(error, InputError | OSError)
            with postponed():
                quiet = not first_to_say(every_machine=bad_input)
                if bad_input or isinstance(error, TrainingError):
                    say(f"Error: {_one_line(error)}", quiet)
                else:
                    kind = type(error).__name__
                    say(f"Unexpected error: {kind}: {_one_line(error)}; run again with -v for the traceback.", quiet)
            if quiet:
                # A launcher ends all processes when one has ended, the one that says why among them.
                time.sleep(SECONDS_TO_SAY)
            raise typer.Exit(BAD_INPUT if bad_input else FAILED) from None

    run.__signature__ = flat_signature(function)  # type: ignore[attr-defined]
    return run


def _check_numbers(options: dict[str, Any]) -> None:
    """Refuse what is not a number: it lies within every range."""
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(number, float) and math.isnan(number) for number in values):
            raise InputError(f"--{name.replace('_', '-')} takes a number, not nan.")


def _check_output(options: dict[str, Any]) -> None:
    """Refuse a table and JSON in one stream, a result that no file of this machine would hold, and one in place of what
    the command reads.
    """
    if options.get("output") is not None:
        check_local(os.fspath(options["output"]), "results")
        check_not_read(options["output"], _named(options))
    if options.get("json") and options.get("output") == "-":
        raise InputError("-o - and --json would both write to standard output; name a file with -o.")


def _named(options: dict[str, Any]) -> list[str]:
    """All that options but the output name, files among it; the model of a folder is a file of it."""
    lists = [[value] if isinstance(value, str) else value for name, value in options.items() if name != "output"]
    named = [name for some in lists if isinstance(some, list | tuple) for name in some if isinstance(name, str)]
    return [*named, *(os.path.join(name, MODEL_IN_FOLDER) for name in named)]


def _drop_results() -> None:
    """Lose what waits for standard output, which Python would try to write again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ended(how: str, options: dict[str, Any]) -> str:
    """Say that a command came to no result; the metrics and the checkpoint of a training may be there."""
    if options.get("output") == "-":
        return f"{how}; the table on standard output is incomplete."
    return f"{how}; no result was written."


def _one_line(error: Exception) -> str:
    """The message of an error on one line: it may quote names of columns, which may contain anything."""
    return " ".join(str(error).split())


def say(text: str, quiet: bool = False) -> None:
    """Print for people."""
    if not quiet:
        to_standard_error(text)


def say_course(history: "History | None", quiet: bool = False) -> None:
    """Say, last of all, where a training resumed, and if a busy machine left it with little of its time."""
    if history is not None:
        for line in [*history.resumptions, *([history.shortage] if history.shortage else [])]:
            say(line, quiet)


def place(output: str) -> str:
    """Where an output is, for people."""
    return "on standard output" if output == "-" else f"in {output}"


def metrics_path(output: str) -> Path:
    """The file beside a model to which its training writes its metrics."""
    return Path(output).with_suffix(".metrics.csv")


def checkpoint_path(output: str) -> Path:
    """The file beside a model to which its training returns after it was killed."""
    return Path(output).with_suffix(".checkpoint")


def release_checkpoint(output: str, stopped: str) -> list[str]:
    """Delete the checkpoint of a training whose model is written, or, if it was interrupted, say how to continue."""
    checkpoint = checkpoint_path(output)
    if stopped != "interrupted":
        checkpoint.unlink(missing_ok=True)
    elif checkpoint.exists():
        return [f"interrupted: {output} has the best weights until then; --resume continues from {checkpoint}"]
    return []


@contextlib.contextmanager
def course(output: str, quiet: bool, resume: bool) -> Iterator[dict[str, Any]]:
    """The options for the course of a training: its checkpoint, its metrics, a bar and lines for people.

    If the block ends with an exception, before the model is written, the metrics are as before: those of an older
    model, or none. Of several processes the first one reports.
    """
    kept = {"checkpoint": checkpoint_path(output), "resume": resume}
    if not processes().first:
        yield {**kept, "progress": False}
        return
    with as_before_on_failure(metrics_path(output)) as path:
        announce = functools.partial(say, quiet=quiet)
        yield {**kept, "log_path": path, "progress": False if quiet else None, "announce": announce}


def print_json(result: dict[str, Any], written: str | None = None) -> None:
    """Print for machines, after a file, if any, was written; numbers that JSON does not know become null."""
    print_result(json.dumps(_strict(result), indent=2), written)


def print_result(text: str, written: str | None = None) -> None:
    """Print what was asked for, after a file, if any, was written."""
    with _explained(written):
        print(text, flush=True)


@contextlib.contextmanager
def _explained(written: str | None = None) -> Iterator[None]:
    """Say in one sentence that standard output cannot be written; a reader that has left is not an error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_results()
        beside = "" if written is None else f"; {written} is complete"
        raise InputError(f"cannot write the standard output: {reason(error)}{beside}.") from error


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))) else value
