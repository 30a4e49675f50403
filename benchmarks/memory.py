"""Peak memory and rates of fitting, scoring and sampling a large table: benchmarks/memory.py [ROWS] [SECONDS] [FILES].

Ten million rows in one file by default; `100_000_000 60 50` is a folder of fifty files in single precision, 4 GB.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS, GROUP_ROWS = 10, 2**20  # the size of row groups that pyarrow writes by default


def write_table(path: Path, rows: int, files: int = 1) -> None:
    """Write correlated columns, some skewed, some with heavy tails, without holding them all: a file, or a folder."""
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(COLUMNS, COLUMNS))
    kind = pa.float64() if files == 1 else pa.float32()
    schema = pa.schema([(f"x{column}", kind) for column in range(COLUMNS)])
    if files > 1:
        path.mkdir()
    for file in range(files):
        own = rows * (file + 1) // files - rows * file // files
        with pq.ParquetWriter(path if files == 1 else path / f"part-{file:03}.parquet", schema) as writer:
            for start in range(0, own, GROUP_ROWS):
                x = generator.normal(size=(min(GROUP_ROWS, own - start), COLUMNS)) @ mix
                x[:, 0] = np.exp(x[:, 0] / 4)
                x[:, 1] = np.sinh(x[:, 1] / 2)
                columns = [pa.array(column, pa.float64()).cast(kind) for column in x.T.copy()]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP_ROWS)


def size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def measure(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run a command; return its largest resident memory (GB) and its seconds."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pushforward", *arguments], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return usage.ru_maxrss / 2**20, time.monotonic() - started


def main(rows: int, seconds: str = "60", files: int = 1) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = "t.parquet" if files == 1 else "lake"
        needed = rows * COLUMNS * 8 * 3  # the table, its scores and some room
        if shutil.disk_usage(folder).free < needed:
            raise SystemExit(f"{folder} needs {needed / 1e9:.0f} GB of free disk")
        write_table(folder / data, rows, files)
        print(f"{rows} rows of {COLUMNS} columns, {files} files, {size(folder / data) / 1e9:.2f} GB", flush=True)
        commands = {
            "fit": ("fit", data, "-o", "m.safetensors", "--max-time", seconds),
            "score": ("score", "m.safetensors", data, "-o", "scores.parquet"),
            "sample": ("sample", "m.safetensors", "-n", str(rows // 10), "-o", "draws.parquet"),
        }
        for command, arguments in commands.items():
            peak, took = measure(folder, *arguments)
            done = rows // 10 if command == "sample" else rows
            print(f"{command}: {peak:.2f} GB at most, {took:.0f} s, {done / took:.0f} rows/s", flush=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 10_000_000, *given[1:2], *map(int, given[2:3]))
