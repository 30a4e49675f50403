"""A model of a table: codes of its columns in and out, around a density of numbers on the whole line."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.lite.arrays import Arrays, arrays_of, check_draws, check_levels
from pushforward.lite.columns import EDGE
from pushforward.lite.density import Density
from pushforward.lite.even_points import LEAST, uniform_points
from pushforward.lite.mixed_columns import column
from pushforward.lite.special import probit
from pushforward.store.notes import NotedColumns

# The code of a value that the model has never seen.
UNSEEN = numpy.inf
# Points of the dequantizing noise, draws of the errors, and how many rows for each of them numpy evaluates at once.
POINTS, DRAWS, MOST_AT_ONCE = 16, 128, 2**17


class Table:
    """p(columns | given) of rows as matrices of codes, float64, as those of `pushforward.TableModel`.

    The code of a number is the number, of a category the place of its level, of a date-time the steps since the
    origin. `encode` and `decode` need pyarrow and pydantic, all else numpy alone.

    Arguments:
        density: of what the columns become on the whole line.
        notes: its columns, by what they are in it.
        schema: the kind of each column.

    Attributes:
        names: the modeled columns, the given ones and those of measurement errors: those of a matrix of codes.
        columns: the modeled columns.
        given: the columns that are conditioned on.
        errors: {column: column of its measurement errors}, of a density of true values.
        density: a `Density`, or `Conditionals`.
    """

    # The columns that may have gaps; passes for each row.
    _gaps: Any = ()
    _evaluations = 1

    def __init__(self, density: Any, notes: NotedColumns, schema: dict[str, Any]) -> None:
        self.density, self.schema = density, schema
        self.columns, self.given, self.errors, self.gap_values = notes
        self.names = [*self.columns, *self.given, *self.errors.values()]
        self.modeled = [name for name in self.columns if schema[name].modeled]
        self.context = [name for name in self.given if schema[name].modeled]
        self.maps = {name: column(schema[name]) for name in self.modeled}
        # The given columns whose values must be known.
        self._needed: list[str] = []

    def encode(self, table: Any, names: list[str] | None = None) -> Any:
        """Return the codes of columns, default `names`, of a data frame or a table of pyarrow; as `TableModel`."""
        from pushforward.tables import encode, table_from_frame

        names = self.names if names is None else names
        return encode(
            table_from_frame(table, names), self.schema, names, source="the table", gaps=self._gaps, strict=False
        )

    def decode(self, codes: Any, names: list[str] | None = None) -> Any:
        """Return the table of pyarrow that codes, (n, columns), stand for; default the modeled columns."""
        from pushforward.tables import decode

        names = self.columns if names is None else names
        _, rows = self._rows(codes, names, numpy)
        for name, own in zip(names, rows.T, strict=True):
            count = getattr(self.schema[name], "level_count", None)
            known = numpy.isin(own, numpy.arange(count or 0)) | numpy.isnan(own) | (own == UNSEEN)
            if count is not None and not known.all():
                raise InputError(f'Column "{name}" has no level of the code {own[~known][0]:g}.')
        return decode(rows, self.schema, names)

    def log_prob(self, codes: Any, *, xp: Any = numpy) -> Any:
        """Return log p(columns | given) in nats, (n,); -inf for a value that the model has never seen.

        That is what `encode` makes of codes, infinity. Of codes that it would not make, such as a place between two
        levels, a fraction of whole numbers, or a number beyond a bound, the result says nothing.

        Arguments:
            codes: (n, names), as `encode` makes them.
            xp: the namespace, default numpy.
        """
        n, rows = self._rows(codes, self.names, xp)
        size = max(1, MOST_AT_ONCE // self._evaluations)
        if n.concrete and len(rows) > size:
            return numpy.concatenate([self.log_prob(rows[k : k + size]) for k in range(0, len(rows), size)])
        with numpy.errstate(all="ignore"):
            return self._where_seen(n, rows, self._log_prob(n, rows))

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
        check_draws(count, seed)
        noise = self.density.noise(len(given) if count is None else count, seed)
        return self._as_written(self.draws_of(noise, given), self.columns)

    def _where_seen(self, n: Arrays, rows: Any, found: Any) -> Any:
        """Log-densities of rows, -inf where a value that matters was never seen."""
        seen = n.isfinite(found)
        for name in (*self.columns, *self._needed):
            seen = seen & (rows[:, self.names.index(name)] != UNSEEN)
        return n.where(seen, found, n(-math.inf))

    def _as_written(self, codes: Any, names: list[str]) -> Any:
        pairs = zip(names, codes.T, strict=True)
        return numpy.stack([self.schema[name].as_written(codes_of) for name, codes_of in pairs], 1)

    def _all_columns(self, n: Arrays, found: dict[str, Any], like: Any) -> Any:
        """Codes of the modeled columns; that of a constant is 0."""
        return n.concat([found.get(name, n.zeros_like(like))[:, None] for name in self.columns], axis=-1)

    def _rows(self, codes: Any, names: list[str], xp: Any) -> tuple[Arrays, Any]:
        n = arrays_of(codes, xp)
        rows = n(codes)
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise InputError(f"Expected a matrix of codes of {len(names)} columns, got the shape {tuple(rows.shape)}.")
        return n, rows

    def draws_of(self, noise: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n, columns), that noise makes, given codes, (n, given)."""
        raise NotImplementedError

    def quantile(self, levels: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n,), below which shares, (n,), of one modeled column lie, given codes, (n, given)."""
        raise InputError(f"A density over {len(self.modeled)} columns has no quantiles.")

    def _log_prob(self, n: Arrays, rows: Any) -> Any:
        raise NotImplementedError


class DequantizedTable(Table):
    """A model of one question, around a `Density`, which is averaged over noise within the cells of values.

    Where columns have measurement errors, the density of true values is averaged over draws of these as well.
    """

    def __init__(self, density: Density, notes: NotedColumns, schema: dict[str, Any]) -> None:
        super().__init__(density, notes, schema)
        self._gaps, self._needed = self.gap_values.keys(), [one for one in self.context if one not in self.gap_values]
        size, coded = len(self.modeled), density.context_features == len(self.context)
        width = sum(len(schema[name].context_units) + (name in self.gap_values) for name in self.context)
        if size != density.features or density.context_features not in (len(self.context), width):
            raise InputError("its columns are not as many as the features of its flow")
        self.shown = [None if coded else column(schema[name]) for name in self.context]
        noisy = any(schema[name].has_probabilities or schema[name].recorded is not None for name in self.modeled)
        points = uniform_points(POINTS, size) if noisy else numpy.full((1, size), 0.5)
        draws = numpy.zeros((1, 0))
        if self.errors:
            even = numpy.clip(uniform_points(DRAWS, len(self.errors)), LEAST, 1 - LEAST)
            draws = probit(Arrays(numpy, numpy.float64), even, 1 - even)
        # Each point with each draw.
        self.points = numpy.tile(points * (1 - 2 * EDGE) + EDGE, (len(draws), 1))
        self.draws = numpy.repeat(draws, len(points), 0)
        self._evaluations = len(self.points)

    def _log_prob(self, n: Arrays, rows: Any) -> Any:
        count, start = len(self.points), n.zeros_like(rows[:, 0])[None, :]
        # All points of the noise at once, one after the other for all rows.
        codes = {name: n.flat(rows[:, k] + n(numpy.zeros((count, 1)))) for k, name in enumerate(self.names)}
        for k, (name, error) in enumerate(self.errors.items()):
            codes[name] = codes[name] - codes[error] * n.flat(n(self.draws[:, k])[:, None] + start)
        each = [
            self.maps[name].encode(n, codes[name], n.flat(n(self.points[:, k])[:, None] + start))
            for k, name in enumerate(self.modeled)
        ]
        y = n.concat([part[:, None] for part, _ in each], axis=-1)
        context = self._shown(n, codes) if self.context else None
        total = self.density.log_prob(y, context, xp=n.xp) + sum(term for _, term in each)
        return n.logsumexp(n.reshape(total, (count, -1)), axis=0) - math.log(count)

    def draws_of(self, noise: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n, columns), that the noise of `Density.noise` makes, given codes, (n, given)."""
        return self._decoded(self.density.draws_of(noise, self._context(given, xp), xp=xp), xp)

    def quantile(self, levels: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n,), below which shares, (n,), of one modeled column lie, given codes, (n, given)."""
        if len(self.modeled) != 1:
            return super().quantile(levels, given, xp=xp)
        check_levels(levels, xp)
        if len(numpy.shape(levels) if xp is numpy else levels.shape) != 1:
            raise InputError("Expected the levels of quantiles in one dimension, one for each row.")
        y = self.density.quantile(levels, self._context(given, xp), xp=xp)
        return self._decoded(y[:, None], xp)[:, self.columns.index(self.modeled[0])]

    def _decoded(self, y: Any, xp: Any) -> Any:
        n = Arrays(xp, y.dtype)
        with numpy.errstate(all="ignore"):
            codes = {name: self.maps[name].decode(n, y[:, k]) for k, name in enumerate(self.modeled)}
        return self._all_columns(n, codes, y[:, 0])

    def _context(self, given: Any, xp: Any) -> Any:
        if not self.context:
            return None
        n, rows = self._rows(given, self.given, xp)
        return self._shown(n, {name: rows[:, k] for k, name in enumerate(self.given)})

    def _shown(self, n: Arrays, codes: dict[str, Any]) -> Any:
        """What a density is shown of given codes, with a flag beside each that may be missing."""
        parts: list[Any] = []
        for name, shown in zip(self.context, self.shown, strict=True):
            values, missing = codes[name], n.isnan(codes[name]) | (codes[name] == UNSEEN)
            if name in self.gap_values:
                values = n.where(missing, n(self.gap_values[name]), values)
            parts += [values] if shown is None else shown.shown(n, values)
            parts += [n.where(missing, n(1.0), n(0.0))] if name in self.gap_values else []
        return n.concat([part[:, None] for part in parts], axis=-1)
