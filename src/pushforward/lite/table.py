"""A model of a table: codes of its columns in and out, around a density of numbers on the whole line."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.lite import columns
from pushforward.lite.arrays import Arrays
from pushforward.lite.density import Density
from pushforward.lite.even_points import uniform_points

# The code of a value that the model has never seen.
UNSEEN = numpy.inf


class Table:
    """p(columns | given) of rows as matrices of codes, float64, as those of `pushforward.TableModel`.

    The code of a number is the number, of a category the place of its level, of a date-time the steps since the
    origin. `encode` and `decode` need pyarrow and pydantic, all else numpy alone.

    Arguments:
        density: of what the columns become on the whole line.
        notes: of the model file: `columns`, `given`, `schema`.
        schema: the kind of each column.

    Attributes:
        names: the modeled columns and the given ones: those of a matrix of codes.
        columns: the modeled columns.
        given: the columns that are conditioned on.
        density: a `Density`.

    Raises:
        InputError: a model of measurement errors, which needs PyTorch.
    """

    def __init__(self, density: Density, notes: dict[str, Any], schema: dict[str, Any]) -> None:
        if notes.get("errors"):
            raise InputError("A model of columns with measurement errors cannot be read without PyTorch.")
        self.density, self.schema = density, schema
        self.columns, self.given = list(notes["columns"]), list(notes.get("given", ()))
        self.names = [*self.columns, *self.given]
        self.gap_values: dict[str, float] = notes.get("gap_values", {})
        self.modeled = [name for name in self.columns if schema[name].modeled]
        self.context = [name for name in self.given if schema[name].modeled]
        self.maps = [columns.described(schema[name]) for name in self.modeled]
        noisy = any(schema[name].has_probabilities or schema[name].recorded is not None for name in self.modeled)
        self.points = uniform_points(len(self.modeled)) if noisy else numpy.full((1, len(self.modeled)), 0.5)
        coded = density.context_features == len(self.context)
        self.shown = [_shown(schema[name], coded) for name in self.context]

    @property
    def description(self) -> dict[str, Any]:
        """Refused: the description of a density says nothing of columns."""
        raise InputError(
            "A model of a table has columns, which this form has no words for: only flows are exported to it."
        )

    def encode(self, table: Any, names: list[str] | None = None) -> Any:
        """Return the codes of columns, default `names`, of a data frame or a table of pyarrow; as `TableModel`."""
        from pushforward.tables import encode, table_from_frame

        names = self.names if names is None else names
        gaps = self.gap_values.keys()
        return encode(table_from_frame(table, names), self.schema, names, source="the table", gaps=gaps, strict=False)

    def decode(self, codes: Any, names: list[str] | None = None) -> Any:
        """Return the table of pyarrow that codes, (n, columns), stand for; default the modeled columns."""
        from pushforward.tables import decode

        return decode(numpy.asarray(codes), self.schema, self.columns if names is None else names)

    def log_prob(self, codes: Any, *, xp: Any = numpy) -> Any:
        """Return log p(columns | given) in nats, (n,); -inf for a value that the model has never seen.

        Arguments:
            codes: (n, names).
            xp: the namespace, default numpy.
        """
        n, rows = _rows(codes, len(self.names), xp)
        unseen, context = n.zeros_like(rows[:, 0]) > 1, None
        for place, name in enumerate(self.names):
            if name in self.columns or (name in self.context and name not in self.gap_values):
                unseen = unseen | (rows[:, place] == UNSEEN)
        with numpy.errstate(all="ignore"):
            if self.context:
                context = self._shown(n, [rows[:, self.names.index(name)] for name in self.context])
            # All points of the noise at once, one after the other for all rows.
            count, start = len(self.points), n.zeros_like(rows[:, 0])[None, :]
            each = []
            for place, (name, one) in enumerate(zip(self.modeled, self.maps, strict=True)):
                noise = n.flat(n(self.points[:, place])[:, None] + start)
                values = n.concat([rows[:, self.names.index(name)]] * count, axis=0)
                each.append(columns.encode(n, one, values, noise))
            y = n.concat([part[:, None] for part, _ in each], axis=-1)
            context = None if context is None else n.concat([context] * count, axis=0)
            total = self.density.log_prob(y, context, xp=xp) + sum(term for _, term in each)
            log_prob = n.logsumexp(n.reshape(total, (count, -1)), axis=0) - math.log(count)
        return n.where(unseen | ~n.isfinite(log_prob), n(-math.inf), log_prob)

    def sample(self, count: int | None = None, given: Any = None, *, seed: int | None = None) -> Any:
        """Draw codes of the modeled columns, (n, columns).

        Arguments:
            count: how many, for a model without given columns.
            given: codes, (n, given), for a model with them: one row is drawn for each.
            seed: makes the draws repeat; default new ones.
        """
        if (given is None) == bool(self.given) or (count is None) != bool(self.given):
            raise InputError(
                "Give a number of rows to a model without given columns, and given codes to one with them."
            )
        rows = len(given) if count is None else count
        codes = self.draws_of(self.density.noise(rows, seed), given)
        return numpy.stack(
            [self.schema[name].as_written(column) for name, column in zip(self.columns, codes.T, strict=True)], 1
        )

    def draws_of(self, noise: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n, columns), that the noise of `Density.noise` makes, given codes, (n, given)."""
        y = self.density.draws_of(noise, self._context(given, xp), xp=xp)
        return self._decoded(y, xp)

    def quantile(self, levels: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n,), below which shares, (n,), of one modeled column lie, given codes, (n, given)."""
        if len(self.modeled) != 1:
            raise InputError(f"A density over {len(self.modeled)} columns has no quantiles.")
        y = self.density.quantile(levels, self._context(given, xp), xp=xp)
        return self._decoded(y[:, None], xp)[:, self.columns.index(self.modeled[0])]

    def _context(self, given: Any, xp: Any) -> Any:
        if not self.context:
            return None
        n, rows = _rows(given, len(self.given), xp)
        return self._shown(n, [rows[:, self.given.index(name)] for name in self.context])

    def _decoded(self, y: Any, xp: Any) -> Any:
        n = Arrays(xp, y.dtype)
        with numpy.errstate(all="ignore"):
            codes = {
                name: columns.decode(n, one, y[:, k])
                for k, (name, one) in enumerate(zip(self.modeled, self.maps, strict=True))
            }
        return n.concat([codes.get(name, n.zeros_like(y[:, 0]))[:, None] for name in self.columns], axis=-1)

    def _shown(self, n: Arrays, codes: list[Any]) -> Any:
        """What a density is shown of given codes, with a flag beside each that may be missing."""
        parts: list[Any] = []
        for name, values, shown in zip(self.context, codes, self.shown, strict=True):
            missing = n.isnan(values) | (values == UNSEEN)
            if name in self.gap_values:
                values = n.where(missing, n(self.gap_values[name]), values)
            parts += shown(n, values)
            parts += [n.where(missing, n(1.0), n(0.0))] if name in self.gap_values else []
        return n.concat([part[:, None] for part in parts], axis=-1)


def _rows(codes: Any, width: int, xp: Any) -> tuple[Arrays, Any]:
    rows = xp.asarray(codes)
    n = Arrays(xp, rows.dtype if rows.dtype in (xp.float32, xp.float64) else xp.asarray(0.0).dtype)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise InputError(f"Expected a matrix of codes of {width} columns, got the shape {tuple(rows.shape)}.")
    return n, n(rows)


def _shown(kind: Any, coded: bool) -> Any:
    """A function from values of a given column to the numbers that a density is shown of them."""
    units = (True,) if coded else kind.context_units
    if units == (True,):
        return lambda n, values: [values]
    if kind.map_name == "circle":
        turn, low = 2 * numpy.pi / kind.period, kind.low
        return lambda n, values: [n.cos((values - low) * turn), n.sin((values - low) * turn)]
    if units == (True, False):
        atoms = numpy.array(kind.atom_codes, float)
        return lambda n, values: [values, n.minimum(n.count(values[:, None] == n(atoms)), n(1.0))]
    if kind.input_width == len(units):
        return lambda n, values: [n.where(values == float(level), n(1.0), n(0.0)) for level in range(len(units))]
    signs = kind.signs

    def hashed(n: Arrays, values: Any) -> list[Any]:
        rows = n.take(n(signs), n.clip(values, 0.0, len(signs) - 1.0).astype(n.int32), axis=0)
        return [rows[:, k] for k in range(signs.shape[1])]

    return hashed
