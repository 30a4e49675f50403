"""A table with a known density."""

import numpy as np
import pyarrow as pa

from pushforward.tables import TableWriter, matrix_from_frame, read_columns, to_table

NAMES = ["mass", "radius", "flux"]
# radius and flux follow mass linearly with independent noise: every conditional density is known.
SLOPE, NOISE = np.array([2.0, -1.0]), np.array([0.5, 0.3])


def make_rows(count, seed=0):
    generator = np.random.default_rng(seed)
    mass = 10 + generator.normal(size=(count, 1))
    return np.hstack([mass, mass * SLOPE + NOISE * generator.normal(size=(count, 2))])


def read_matrix(path, columns=None):
    """The numbers in a file, and the names of their columns."""
    return matrix_from_frame(read_columns(path, columns))


def make_kinds(count, seed=0):
    """A table with columns of every kind, all independent but mass and sex."""
    generator = np.random.default_rng(seed)
    male = generator.random(count) < 0.4
    time = np.datetime64("2024-01-01T00:00:00", "us") + generator.integers(0, 10**7, count) * 1_000_000
    return pa.table(
        {
            "mass": generator.exponential(size=count) * np.where(male, 1.0, 3.0),
            "sex": np.where(male, "m", "f"),
            "stars": generator.integers(1, 6, count),
            "rain": np.where(generator.random(count) < 0.4, 0.0, generator.exponential(size=count)),
            "share": generator.random(count),
            "phase": generator.random(count) * 360,
            "time": time,
            "alive": generator.random(count) < 0.7,
            "site": ["X"] * count,
            "remark": pa.nulls(count),
        }
    )


def write(path, matrix, names=NAMES, **columns):
    """Write a matrix, and further columns, to a file by its ending."""
    table = to_table(matrix, names)
    for place, name in enumerate(names):
        if np.isnan(matrix[:, place]).any():
            gaps = pa.array(matrix[:, place], from_pandas=True)
            table = table.set_column(place, name, gaps)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    with TableWriter(path, table.schema) as writer:
        writer.write(table)
    return path
