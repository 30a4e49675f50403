"""Speed against other flow libraries, all in one run on one machine.

    python benchmarks/speed.py PEERS_PYTHON [--quick]

PEERS_PYTHON is the interpreter of a virtual environment with benchmarks/requirements.txt (`make bench` makes it). Each
library has a process of its own; the processes take turns, one repetition each, so that all see the same machine. The
figures are medians, the ratio that of our median to the best peer's. flowjax compiles all it does; where a C++ compiler
is present, ours is taken under torch.compile as well. Writes benchmarks/results.md and results.json.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from machine import machine

from pushforward.cli.allocator import KEPT, LARGEST_BLOCK

HERE = Path(__file__).parent
# Every library keeps freed memory for the next step, as the commands of pushforward do.
MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(KEPT), "MALLOC_MMAP_THRESHOLD_": str(LARGEST_BLOCK)}
OURS = ("pushforward", "compiled")
PEERS = ("zuko", "nflows", "flowjax")
# Per case: sizes, the peers, repetitions, and for each operation how many times faster than the best peer is the aim.
CASES = {
    "MAF, D = 63, hidden 2 x 512": (
        {"features": 63, "hidden": 512, "batch": 512},
        PEERS,
        {"log_prob": 2, "step": 2, "sample": 40},
    ),
    "MAF, D = 6, hidden 2 x 64": (
        {"features": 6, "hidden": 64, "batch": 512},
        PEERS,
        {"log_prob": 1.5, "step": 1.5, "sample": 2},
    ),
    "MAF, D = 8, hidden 2 x 256": (
        {"features": 8, "hidden": 256, "batch": 512},
        PEERS,
        {"log_prob": 1.5, "step": 1.5, "sample": 4},
    ),
    "MAF, D = 784, hidden 2 x 1024": (
        {"features": 784, "hidden": 1024, "batch": 100},
        ("zuko",),
        {"log_prob": 1, "sample": 150},
    ),
    "spline, D = 6, hidden 2 x 128": (
        {"features": 6, "hidden": 128, "batch": 512, "bins": 8},
        PEERS,
        {"log_prob": 2.5, "step": 2.5, "sample": 4},
    ),
    "spline, D = 43, hidden 2 x 256": (
        {"features": 43, "hidden": 256, "batch": 512, "bins": 8},
        PEERS,
        {"log_prob": 2.5, "step": 2.5, "sample": 40},
    ),
    "spline coupling, D = 43, hidden 2 x 256": (
        {"features": 43, "hidden": 256, "batch": 512, "bins": 8, "kind": "coupling"},
        ("zuko",),
        {"sample": 2.5, "log_prob": 1, "step": 1},
    ),
}
QUICK = ("MAF, D = 63, hidden 2 x 512", "MAF, D = 6, hidden 2 x 64", "spline, D = 6, hidden 2 x 128")


class Worker:
    """A library in its own process."""

    def __init__(self, library: str, python: str) -> None:
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | MEMORY,
        )

    def seconds(self, case: dict, operation: str, warm_up: int) -> float:
        """Time one repetition."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(
            json.dumps({"case": case, "operation": operation, "warm_up": warm_up}), file=self.process.stdin, flush=True
        )
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("A worker failed; see its message above.")
        return float(answer)


def measure(workers: dict[str, Worker], names: tuple[str, ...], repetitions: int) -> list[dict]:
    """All cases; every peer takes its turn in every repetition."""
    rows = []
    for name in names:
        case, peers, aims = CASES[name]
        for operation, aim in aims.items():
            # A pass over 784 features takes a peer most of a minute.
            slow = case["features"] > 500 and operation == "sample"
            ours = ["pushforward", *(["compiled"] if "compiled" in workers and operation != "sample" else [])]
            times: dict[str, list[float]] = {library: [] for library in (*ours, *peers)}
            for _ in range(repetitions):
                for library, seen in times.items():
                    long = slow and library in peers
                    if not long or len(seen) < 2:
                        seen.append(workers[library].seconds(case, operation, 0 if long else 3))
            medians = {library: statistics.median(seen) * 1e3 for library, seen in times.items()}
            best = min(peers, key=lambda library: medians[library])
            ratios = {library: medians[best] / medians[library] for library in ours}
            rows.append(
                {
                    "case": name,
                    "operation": operation,
                    "milliseconds": medians,
                    "spread": {library: [min(seen) * 1e3, max(seen) * 1e3] for library, seen in times.items()},
                    "best": best,
                    "times_faster": ratios,
                    "aim": aim,
                }
            )
            shown = ", ".join(f"{library} {value:.2f}" for library, value in medians.items())
            faster = " and ".join(f"{ratio:.2f}" for ratio in ratios.values())
            print(f"{name}, {operation}: {shown} ms; {faster} x the best (aim {aim})", flush=True)
    return rows


def write(rows: list[dict], python: str) -> None:
    """The table, and all figures."""
    ours = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    theirs = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    wanted = ("torch==", "zuko", "nflows", "flowjax", "jax==", "numpy==")
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "ours": [line for line in ours.splitlines() if line.startswith(wanted)],
        "theirs": [line for line in theirs.splitlines() if line.startswith(wanted)],
    }
    (HERE / "results.json").write_text(json.dumps({**about, "rows": rows}, indent=1))
    lines = [
        "# Speed",
        "",
        f"{about['date']}, {about['machine']}, Python {about['python']}; {', '.join(about['theirs'])}. Milliseconds, "
        "medians of repetitions taken in turn; float32, batch 512 (100 for D = 784), 5 layers.",
        "",
        "| case | operation | pushforward | compiled | "
        + " | ".join(PEERS)
        + " | times faster than the best | compiled | aim |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        times, faster = row["milliseconds"], row["times_faster"]
        cells = [row["case"], row["operation"]]
        cells += [f"{times[library]:.2f}" if library in times else "-" for library in (*OURS, *PEERS)]
        cells += [f"{faster[library]:.2f}" if library in faster else "-" for library in OURS]
        lines.append("| " + " | ".join([*cells, str(row["aim"])]) + " |")
    for row in rows:
        if row["operation"] == "sample":
            density = next(r for r in rows if r["case"] == row["case"] and r["operation"] == "log_prob")
            ratio = row["milliseconds"]["pushforward"] / density["milliseconds"]["pushforward"]
            lines += ["", f"{row['case']}: a sample takes as long as {ratio:.2f} density evaluations."]
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="interpreter of the peers' environment")
    parser.add_argument("--quick", action="store_true", help="three cases, under five minutes")
    options = parser.parse_args()
    ours = OURS if shutil.which("c++") else OURS[:1]
    workers = {library: Worker(library, sys.executable) for library in ours}
    workers |= {peer: Worker(peer, options.python) for peer in PEERS}
    rows = measure(workers, QUICK if options.quick else tuple(CASES), repetitions=7 if options.quick else 11)
    write(rows, options.python)


if __name__ == "__main__":
    main()
