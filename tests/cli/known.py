"""A table with a known density."""

import numpy as np
import pyarrow as pa

from pushforward.tables import TableWriter, to_table

NAMES = ["mass", "radius", "flux"]
# radius and flux follow mass linearly with independent noise: every conditional density is known.
SLOPE, NOISE = np.array([2.0, -1.0]), np.array([0.5, 0.3])


def make_rows(count, seed=0):
    generator = np.random.default_rng(seed)
    mass = 10 + generator.normal(size=(count, 1))
    return np.hstack([mass, mass * SLOPE + NOISE * generator.normal(size=(count, 2))])


def write(path, matrix, names=NAMES, **columns):
    """Write a matrix, and further columns, to a file by its ending."""
    table = to_table(matrix, names)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    with TableWriter(path, table.schema) as writer:
        writer.write(table)
    return path
