"""Rows scored a second by one process and by the engines for large tables: benchmarks/engines.py [ROWS].

A spline flow of six columns scores a Parquet file of a million rows (default) and writes the result to Parquet: in one
process with all its threads (`pushforward score`), in one process with one thread, and by Ray Data, Spark and Dask with
`pushforward.scorer` on all processors. Engines that are not installed are left out. The start of an engine is not
counted: it scores the first rows before.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import machine

import pushforward as pf
from pushforward.support.processors import usable_processors

GROUPS = 16


def prepare(folder: Path, rows: int) -> None:
    """The table, its first rows, and a model."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 6)) @ generator.normal(size=(6, 6))
    table = pa.table({f"x{column}": values for column, values in enumerate(x.T.copy())})
    pq.write_table(table, folder / "table.parquet", row_group_size=-(-rows // GROUPS))
    pq.write_table(table[:2000], folder / "first.parquet", row_group_size=500)
    pf.fit_table(folder / "first.parquet", max_steps=20, progress=False).model.save(folder / "model.safetensors")


def by_command(folder: Path, table: str, threads: int) -> None:
    """The command line, whose start counts."""
    command = [
        sys.executable,
        "-m",
        "pushforward",
        "score",
        "model.safetensors",
        table,
        "-o",
        "by_command.parquet",
        "-q",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    subprocess.run(command, cwd=folder, check=True, env=environment)


def on_ray(folder: Path, score: Callable) -> Callable[[str], None]:
    """Ray Data, on a local cluster."""
    import ray

    ray.init(num_cpus=usable_processors(), include_dashboard=False, log_to_driver=False, logging_level="error")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(table: str) -> None:
        rows = ray.data.read_parquet(str(folder / table))
        rows.map_batches(score, batch_format="pyarrow", batch_size=16384).write_parquet(str(folder / f"ray_{table}"))

    return run


def on_spark(folder: Path, score: Callable) -> Callable[[str], None]:
    """Spark, on its local master."""
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    # Each worker of Python is a process: one thread each.
    os.environ |= {"OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable}
    spark = SparkSession.builder.master(f"local[{usable_processors()}]").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "16384")
    schema = from_arrow_schema(score(pq.read_table(folder / "first.parquet")[:0]).schema)

    def run(table: str) -> None:
        # A worker takes the function by value, not by the name of this script.
        own = score
        scored = spark.read.parquet(str(folder / table)).mapInArrow(lambda batches: map(own, batches), schema)
        scored.write.parquet(str(folder / f"spark_{table}"))

    return run


def on_dask(folder: Path, score: Callable) -> Callable[[str], None]:
    """Dask, in its threads."""
    import dask.dataframe as dd

    def run(table: str) -> None:
        frame = dd.read_parquet(folder / table, split_row_groups=True)
        frame.map_partitions(score, meta=score(frame._meta)).to_parquet(folder / f"dask_{table}")

    return run


def report(name: str, run: Callable[[str], None], rows: int) -> None:
    """Time it once the first rows have started it."""
    run("first.parquet")
    started = time.monotonic()
    run("table.parquet")
    seconds = time.monotonic() - started
    print(f"| {name} | {seconds:.1f} | {rows / seconds:,.0f} |", flush=True)


def main(rows: int) -> None:
    """Measure and write the table."""
    processors = usable_processors()
    print(f"{machine()}, {rows:,} rows of 6 columns\n")
    print("| | seconds | rows a second |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, rows)
        for threads in (1, processors):
            label = f"`pushforward score`, {threads} thread{'s' if threads > 1 else ''}, with its start"
            report(label, lambda table, threads=threads: by_command(folder, table, threads), rows)
        score = pf.scorer(folder / "model.safetensors")
        for label, engine in (("Ray Data", on_ray), ("Spark", on_spark), ("Dask", on_dask)):
            try:
                run = engine(folder, score)
            except ImportError:
                print(f"| {label} | not installed | |", flush=True)
                continue
            report(label, run, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
