"""The functions of a model that an ONNX file can hold: what each takes, and its results as values of a graph.

A flow takes and gives rows of numbers. A model of a table takes and gives its columns one by one, by their names: text
as text, other levels and numbers as numbers, and a moment as the number of steps after the origin of its calendar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from pushforward.errors import InputError
from pushforward.exports.levels import levels_of
from pushforward.lite.density import Density
from pushforward.lite.table import UNSEEN, Table

if TYPE_CHECKING:
    from pushforward.exports.onnx.graph import Value
    from pushforward.exports.onnx.namespace import Namespace

MISSING_TEXT = ""
FUNCTIONS = ("log_prob", "sample", "to_latent", "to_data", "quantile")


class Input(NamedTuple):
    """An input of a function.

    Attributes:
        name: in the file.
        width: of a matrix, None for one value in each row.
        text: whether the values are text.
    """

    name: str
    width: int | None = None
    text: bool = False


class Function(NamedTuple):
    """A function of a model.

    Attributes:
        inputs: the first is what a row is made of; others may come beside it.
        call: gives the results by their names, of a namespace and the inputs in their order.
    """

    inputs: list[Input]
    call: Callable[[Namespace, Sequence[Value]], dict[str, Value]]


def functions_of(model: Density | Table) -> dict[str, Function]:
    """Return the functions that a model has in ONNX, by their names; those of a table go by `check_names` as well."""
    return _of_table(model) if isinstance(model, Table) else _of_density(model)


def _of_density(density: Density) -> dict[str, Function]:
    size, mixed = density.features, len(density.flows) > 1
    context = [Input("context", density.context_features)] if density.context_features else []
    noise = 1 + len(density.flows) * size if mixed else size
    methods = {
        "log_prob": (Input("x", size), density.log_prob),
        "sample": (Input("noise", noise), density.draws_of if mixed else density.to_data),
        "to_latent": (Input("x", size), density.to_latent),
        "to_data": (Input("z", size), density.to_data),
        "quantile": (Input("level"), density.quantile),
    }

    def function(name: str, first: Input, method: Callable[..., Value]) -> Function:
        def call(space: Namespace, values: Sequence[Value]) -> dict[str, Value]:
            return {name: _of_rows(method(*values, xp=space), values[0])}

        return Function([first, *context], call)

    return {name: function(name, *parts) for name, parts in methods.items()}


def _of_table(table: Table) -> dict[str, Function]:
    columns = [_Column(name, table.schema[name]) for name in table.names]
    modeled = [column for column in columns if column.name in table.columns and column.known]
    # What a density is shown of a condition that never varies is nothing.
    given = [column for column in columns if column.name in table.context]
    errors = [column for column in columns if column.name in table.errors.values()]

    def codes_of(space: Namespace, names: Sequence[str], some: Sequence[_Column], values: Sequence[Value]) -> Value:
        codes = {column.name: column.encoded(space, value) for column, value in zip(some, values, strict=True)}
        nothing = space.zeros_like(next(iter(codes.values())))
        return space.concat([codes.get(name, nothing)[:, None] for name in names], -1)

    def context(space: Namespace, values: Sequence[Value]) -> list[Value]:
        return [codes_of(space, table.given, given, values)] if given else []

    def log_prob(space: Namespace, values: Sequence[Value]) -> dict[str, Value]:
        codes = codes_of(space, table.names, [*modeled, *given, *errors], values)
        return {"log_prob": _of_rows(table.log_prob(codes, xp=space), codes[:, 0])}

    def sample(space: Namespace, values: Sequence[Value]) -> dict[str, Value]:
        codes = table.draws_of(values[0], *context(space, values[1:]), xp=space)
        found = {column: codes[:, table.columns.index(column.name)] for column in modeled}
        return {f"sample.{one.name}": one.decoded(space, _of_rows(code, values[0])) for one, code in found.items()}

    def quantile(space: Namespace, values: Sequence[Value]) -> dict[str, Value]:
        found = _of_rows(table.quantile(values[0], *context(space, values[1:]), xp=space), values[0])
        column = next(column for column in modeled if column.name in table.modeled)
        return {f"quantile.{column.name}": column.decoded(space, found)}

    noise = table.density.noise(1, seed=0).shape[1]
    conditions = [column.input for column in given]
    return {
        "log_prob": Function([column.input for column in (*modeled, *given, *errors)], log_prob),
        "sample": Function([Input("sample.noise", noise), *conditions], sample),
        "quantile": Function([Input("quantile.level"), *conditions], quantile),
    }


class _Column:
    """A column as a tensor of a file: its values, and the codes that a table computes with.

    Arguments:
        name: of the column.
        kind: an object of a schema.

    Attributes:
        known: whether the column has values at all.
        input: of a file.
    """

    def __init__(self, name: str, kind: Any) -> None:
        self.name, self.levels = name, levels_of(kind)
        self.known = kind.modeled or self.levels is not None
        self.text = self.levels is not None and isinstance(self.levels[0], str)
        self.input = Input(name, text=self.text)

    def encoded(self, space: Namespace, value: Value) -> Value:
        """Return the codes of values: that of a value without a probability where one is not among the levels, and NaN
        where it is missing.
        """
        if self.levels is None:
            return value
        count = len(self.levels)
        if self.text:
            # The place of a missing value follows those of the levels.
            known = self.levels if MISSING_TEXT in self.levels else [*self.levels, MISSING_TEXT]
            place = space.cast(space.places(value, known), space.dtype)
            return space.where(place == count, math.nan, space.where(place < 0, UNSEEN, place))
        levels = space.asarray(numpy.array(self.levels, space.dtype))
        same = space.cast(value[:, None] == levels, space.dtype)
        place = space.sum(same * space.asarray(numpy.arange(count, dtype=space.dtype)), -1)
        return space.where(space.isnan(value), math.nan, space.where(space.sum(same, -1) > 0, place, UNSEEN))

    def decoded(self, space: Namespace, codes: Value) -> Value:
        """Return the values that codes stand for."""
        if self.levels is None:
            return codes
        missing = space.isnan(codes)
        place = space.cast(space.where(missing, -1.0, codes), numpy.int64)
        if self.text:
            return space.texts(place, self.levels)
        levels = numpy.array([*self.levels, math.nan], space.dtype)  # of which the last has the place -1
        return space.take(levels, place, 0)


def check_names(table: Table, functions: Sequence[str]) -> None:
    """Refuse columns that are called as other inputs or outputs of the functions of a file are.

    Raises:
        InputError: there is one, by its name.
    """
    others = {"log_prob": ["log_prob"], "sample": ["sample.noise"], "quantile": ["quantile.level"]}
    taken = {name for function in functions for name in others[function]}
    taken |= {f"{function}.{name}" for function in functions for name in table.columns if function != "log_prob"}
    for name in table.names:
        if name in taken:
            raise InputError(f'The column "{name}" is called as a result of ONNX files is; rename it before the fit.')


def _of_rows(found: Value, like: Value) -> Value:
    """As many rows as are given, also where the result is one for all of them."""
    if found.shape[0] is None:
        return found
    row = found.space.zeros_like(like[:, 0] if like.ndim > 1 else like)
    return found + (row if found.ndim == 1 else row[:, None])
