"""Give every file of the corpus to its commands and print the outcomes: python tests/corpus/run.py [--all]."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from case import SCHEMA, Case
from damaged import cases, good, prepare
from typer.testing import CliRunner

from pushforward.cli.app import app

SECONDS = 120  # of processor time, for one command
# Address space, of which threads and allocators reserve much that they never use; what is used is measured.
BYTES = 6 * 2**30
LARGEST_MEMORY = 2.0  # in GB


class TooLong(BaseException):
    """A command that does not end."""


def attempt(folder: Path, case: Case, command: str) -> str:
    """Run one command, in this process and in this folder; return "refused", "done", or what is wrong with it."""
    (folder / case.name).write_bytes(case.content)
    (folder / SCHEMA).write_bytes(case.schema)
    kept = case.name.endswith(".checkpoint")
    before = {path.name for path in folder.iterdir()}
    previous = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(app, case.arguments(command))
    except TooLong:
        return "does not end"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    made = {path.name for path in folder.iterdir()} - before
    for name in made:
        (folder / name).unlink()
    if not kept:
        (folder / case.name).unlink()
    if result.exit_code == 0:
        return "done"
    if result.exit_code != 2:
        return f"status {result.exit_code}: {result.stderr[-300:]}"
    sentences = result.stderr.splitlines()
    if len(sentences) != 1 or not sentences[0].startswith("Error: ") or not sentences[0].endswith("."):
        return f"not one sentence: {result.stderr[-300:]!r}"
    if len(sentences[0]) > 700:
        return f"a sentence of {len(sentences[0])} characters: {sentences[0][:200]!r}"
    if made:
        return f"left {sorted(made)}"
    return "refused"


def apart(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """Call a function in a copy of this process.

    Returns:
        Its result, the largest memory of that process in GB, and the seconds of processor time that it took.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, json.dumps(function(*arguments)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        answer = file.read()
    _, _, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    return json.loads(answer or '"ended without a word"'), usage.ru_maxrss / 2**20, seconds


def imports_of_commands(folder: Path) -> list[str]:
    """The modules that the commands import for good files."""
    before = set(sys.modules)
    for case in good(folder):
        for command in case.commands:
            attempt(folder, case, command)
    return sorted(set(sys.modules) - before)


def import_once(folder: Path) -> None:
    """Import here what the commands import: a copy of this process for each command need not do so again.

    A copy finds out which modules these are, since this process is to start no threads.
    """
    for name in apart(imports_of_commands, folder)[0]:
        # Some modules have no file of their own, and are there with those that made them.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def outcomes(folder: Path, large: bool) -> tuple[Counter[Any], list[str], float, float]:
    """Run everything, each command in a process of its own.

    Returns:
        How often each category ended how, a line for each that did not end well, the largest memory in GB, and the
        processor time of all commands.
    """
    counts: Counter[Any] = Counter()
    wrong, most, total = [], 0.0, 0.0
    for case in cases(folder, large):
        for command in case.commands:
            outcome, memory, seconds = apart(attempt, folder, case, command)
            total += seconds
            if "--verbose" in sys.argv:
                line = f"{command} {case.name}: {outcome}, {memory:.2f} GB, {seconds:.1f} s"
                print(line, file=sys.stderr, flush=True)
            if memory > LARGEST_MEMORY:
                outcome = f"{memory:.2f} GB of memory"
            most = max(most, memory)
            well = outcome in case.right
            counts[case.category, outcome if well else "wrong"] += 1
            if not well:
                wrong.append(f"{case.category}: {command} {case.name}: {outcome}")
    return counts, wrong, most, total


def table(counts: Counter[Any]) -> str:
    """Categories and outcomes as a table in Markdown."""
    lines = ["| category | refused in one sentence | did no harm | wrong |", "|---|---:|---:|---:|"]
    for category in dict.fromkeys(category for category, _ in counts):
        cells = " | ".join(str(counts[category, outcome]) for outcome in ("refused", "done", "wrong"))
        lines.append(f"| {category} | {cells} |")
    total = (
        sum(count for (_, outcome), count in counts.items() if outcome == which)
        for which in ("refused", "done", "wrong")
    )
    return "\n".join([*lines, f"| all | {' | '.join(map(str, total))} |"])


def _too_long(*_: object) -> None:
    raise TooLong


def main() -> None:
    """Run the corpus. This process itself starts no threads, which its copies would be without."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        apart(prepare, Path(name))
        import_once(Path(name))
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
        counts, wrong, most, seconds = outcomes(Path(name), "--all" in sys.argv)
        os.chdir("/")
    print(table(counts))
    print(f"peak memory {most:.2f} GB, processor time {seconds:.0f} s")
    print("\n".join(wrong), flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
