"""A table of three kinds of columns, and the codes of its rows by which a model recognizes them."""

import numpy as np
import pyarrow as pa

from pushforward.table_models.training_rows import TrainingRows


def table(count, seed=0):
    generator = np.random.default_rng(seed)
    level = np.array(["x", "y"])[generator.integers(0, 2, count)]
    return pa.table({"a": generator.normal(size=count), "kind": level, "b": generator.exponential(size=count)})


def codes_of(model, rows):
    return TrainingRows.codes_of(model.roles, model.roles.known(model.encode(rows), model.names))
