"""The lines of a run on a GPU: printed as they come, kept in a file, and written as a table."""

import json
import time
import traceback
from pathlib import Path

COLUMNS = ("what", "compared", "found", "bar", "")


class Report:
    """The lines of one part of a run.

    Arguments:
        device: "cuda" or "cpu".
        quick: whether sizes are tiny.
        seconds: after which nothing is begun.
        path: of the file that keeps the lines, one JSON array each.
    """

    def __init__(self, device, quick, seconds, path):
        self.device, self.quick, self.ends, self.path = device, quick, time.monotonic() + seconds, Path(path)

    def add(self, what, compared, found, bar, verdict):
        """Add a line."""
        with self.path.open("a") as file:
            file.write(json.dumps([str(cell) for cell in (what, compared, found, bar, verdict)]) + "\n")
        print(f"{verdict:8} {what}: {compared}: {found} ({bar})", flush=True)

    def check(self, what, compared, error, tolerance):
        """Add a line that passes if an error is small enough; one that is not finite is not."""
        passed = error <= tolerance
        self.add(what, compared, f"{error:.1e}", f"at most {tolerance:.0e}", "passed" if passed else "FAILED")

    def run(self, what, function, *arguments):
        """Run what adds one line, or several, and go on whatever happens."""
        if time.monotonic() > self.ends:
            self.add(what, "-", "the time was over", "-", "not run")
            return
        try:
            function(self, *arguments)
        except Exception as error:
            traceback.print_exc()
            first = str(error).splitlines()[0] if str(error) else ""
            self.add(what, "-", f"{type(error).__name__}: {first}", "-", "ERROR")


def lines_of(path):
    """The lines that a part has added so far."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def write(path, paragraphs, lines):
    """Write the table, as Markdown."""
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    table += [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
    Path(path).write_text("\n".join(["# On a GPU", *(f"\n{text}" for text in paragraphs), "", *table]) + "\n")
