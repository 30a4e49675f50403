"""Peak memory of fitting, scoring and sampling a table of ten million rows: benchmarks/memory.py [ROWS]."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS, GROUP_ROWS = 10, 2**20  # the size of row groups that pyarrow writes by default


def write_table(path: Path, rows: int) -> None:
    """Write correlated columns, some skewed, some with heavy tails, without holding them all."""
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(COLUMNS, COLUMNS))
    names = [f"x{column}" for column in range(COLUMNS)]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names])) as writer:
        for start in range(0, rows, GROUP_ROWS):
            x = generator.normal(size=(min(GROUP_ROWS, rows - start), COLUMNS)) @ mix
            x[:, 0] = np.exp(x[:, 0] / 4)
            x[:, 1] = np.sinh(x[:, 1] / 2)
            writer.write_table(pa.table(list(x.T.copy()), names=names), row_group_size=GROUP_ROWS)


def measure(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run a command; return its largest resident memory (GB) and its seconds."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pushforward", *arguments], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return usage.ru_maxrss / 2**20, time.monotonic() - started


def main(rows: int, seconds: str = "60") -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "t.parquet", rows)
        print(f"{rows} rows of {COLUMNS} columns, {(folder / 't.parquet').stat().st_size / 1e9:.2f} GB", flush=True)
        commands = {
            "fit": ("fit", "t.parquet", "-o", "m.safetensors", "--max-time", seconds),
            "score": ("score", "m.safetensors", "t.parquet", "-o", "scores.parquet"),
            "sample": ("sample", "m.safetensors", "-n", str(rows // 10), "-o", "draws.parquet"),
        }
        for command, arguments in commands.items():
            peak, took = measure(folder, *arguments)
            print(f"{command}: {peak:.2f} GB at most, {took:.0f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
