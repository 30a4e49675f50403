"""Fits of a benchmark that are run once each: their results are lines of a file, which an interruption leaves whole."""

import datetime
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from machine import machine

ROOT = Path(__file__).resolve().parents[1]


def folder_of_sets(given: str | None, kind: str, words: str) -> Path:
    """The folder of the sets, or an end with a message.

    Arguments:
        given: named by the user, or None for $PUSHFORWARD_TABLES/kind, or ../shared/tables/kind beside the project.
        kind: "outliers" or "regression".
        words: what people call the sets.
    """
    tables = os.environ.get("PUSHFORWARD_TABLES")
    default = Path(tables) / kind if tables else ROOT.parent / "shared" / "tables" / kind
    folder = Path(given) if given else default
    if not folder.is_dir():
        sys.exit(f"There is no folder {folder}: name that of {words} by --data, or by PUSHFORWARD_TABLES.")
    return folder


def read(path: Path) -> list[dict[str, Any]]:
    """The results so far, without a last line that an interruption cut off, which is removed."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, "utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def complete(
    jobs: list[dict[str, Any]], run: Callable[[dict[str, Any]], dict[str, Any]], processes: int, path: Path
) -> None:
    """Run jobs, and add each result to the file as it ends; after an interruption none is begun.

    Jobs that fail do not stop the others: at the end they are named, and the program ends with status 1.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    # Threads of torch in this process would stop forked ones.
    pool_options: dict[str, Any] = {"mp_context": get_context("spawn")}
    with ProcessPoolExecutor(processes, **pool_options) as pool, path.open("a", encoding="utf-8") as file:
        futures = {pool.submit(run, job): job for job in jobs}
        try:
            for done in as_completed(futures):
                if done.exception() is not None:
                    traceback.print_exception(done.exception())
                    failures.append(f"{futures[done]}: {done.exception()!r}")
                    continue
                line = json.dumps(done.result())
                file.write(line + "\n")
                file.flush()
                print(line, file=sys.stderr)
        except BaseException:
            # The pool itself would begin the others, whose results nobody keeps.
            for future in futures:
                future.cancel()
            raise
    if failures:
        sys.exit("\n".join([f"{len(failures)} of {len(jobs)} runs failed:", *failures]))


def write_page(path: Path, title: str, words: str, lines: Iterable[str]) -> None:
    """A page of results: when, on which machine and by which command they were made.

    Arguments:
        path: of the page, Markdown.
        title: of the page.
        words: what the figures are.
        lines: of the tables.
    """
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    head = f"# {title}\n\n{datetime.date.today().isoformat()}; {machine()}. {words} Made by\n\n    {command}\n\n"
    path.write_text(head + "\n".join(lines) + "\n", "utf-8")
