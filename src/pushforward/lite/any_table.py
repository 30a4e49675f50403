"""A model of any columns given any others: rows with gaps."""

from __future__ import annotations

import math
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.lite.arrays import Arrays, arrays_of, check_draws, check_levels
from pushforward.lite.conditionals import Conditionals
from pushforward.lite.mixed_columns import column
from pushforward.lite.table import UNSEEN, Table
from pushforward.store.notes import NotedColumns


class AnyTable(Table):
    """p(any columns | any others), exact: NaN stands for a value that is missing, and is marginalized or drawn."""

    _gaps = True

    def __init__(self, flow: dict[str, Any], notes: NotedColumns, schema: dict[str, Any]) -> None:
        super().__init__(None, notes, schema)
        # The given columns are features, and never predicted.
        self.maps |= {name: column(schema[name]) for name in self.context}
        self.features = [*self.modeled, *self.context]
        circular = [d for d, name in enumerate(self.features) if self.maps[name].circular]
        widths = [schema[name].input_width for name in self.features]
        if circular != sorted(set(flow["circular"])) or widths != flow["widths"]:
            raise InputError("its columns are not as many as the features of its flow")
        self.density = Conditionals(flow, [self.maps[name] for name in self.features])

    def _codes(self, n: Arrays, values: dict[str, Any], like: Any) -> Any:
        """Codes of the features, NaN where none is given; conditions that were never seen are not known."""
        missing = n.like(like, math.nan)
        found = {name: values.get(name, missing) for name in self.features}
        found |= {name: n.where(found[name] == UNSEEN, missing, found[name]) for name in self.context}
        return n.concat([one[:, None] for one in found.values()], axis=-1)

    def _of_rows(self, n: Arrays, rows: Any) -> Any:
        return self._codes(n, {name: rows[:, k] for k, name in enumerate(self.names)}, rows[:, 0])

    def _log_prob(self, n: Arrays, rows: Any, known: Any = None) -> Any:
        if known is None:
            known = numpy.array([[name in self.given for name in self.names]])
        places = [self.names.index(name) for name in self.features]
        return self.density.log_prob(n, self._of_rows(n, rows), n.columns(n.xp.asarray(known), places))

    def log_prob_given(self, codes: Any, known: Any, *, xp: Any = numpy) -> Any:
        """Return log p(other present values | known present values) in nats, (n,).

        Arguments:
            codes: (n, names), NaN where a value is missing.
            known: (n, names), True for values that are conditions.
            xp: the namespace, default numpy.
        """
        n, rows = self._rows(codes, self.names, xp)
        if numpy.shape(known) != tuple(rows.shape):
            raise InputError(f"Expected known of {len(self.names)} columns, got the shape {numpy.shape(known)}.")
        with numpy.errstate(all="ignore"):
            found = self._log_prob(n, rows, known)
        return self._where_seen(n, rows, found)

    def fill(self, codes: Any, *, seed: int | None = None) -> Any:
        """Return codes, (n, names), with missing values drawn from p(missing | present)."""
        check_draws(None, seed)
        n, rows = self._rows(codes, self.names, numpy)
        with numpy.errstate(all="ignore"):
            found = self.density.fill(n, self._of_rows(n, rows), self.density.noise(len(rows), seed))
        filled = dict(zip(self.features, found.T, strict=True))
        codes = [filled.get(name, n.zeros_like(rows[:, 0]))[:, None] for name in self.names]
        return self._as_written(n.concat(codes, axis=-1), self.names)

    def draws_of(self, noise: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Return the codes, (n, columns), that the noise of `Conditionals.noise` makes, given codes, (n, given)."""
        n = arrays_of(noise, xp)
        noise, values = n(noise), {}
        if given is not None:
            n, rows = self._rows(given, self.given, xp)
            values = {name: rows[:, k] for k, name in enumerate(self.given)}
        with numpy.errstate(all="ignore"):
            found = self.density.fill(n, self._codes(n, values, noise[:, 0]), noise)
        return self._all_columns(n, {name: found[:, k] for k, name in enumerate(self.features)}, noise[:, 0])

    def quantile(self, levels: Any, given: Any = None, *, xp: Any = numpy) -> Any:
        """Refused: rows of codes say what is given; see `quantiles`."""
        raise InputError(
            "A model of any columns given any others has no single quantile: pushforward.lite has `quantiles` of one "
            "column, given rows."
        )

    def quantiles(self, codes: Any, name: str, levels: Any, *, xp: Any = numpy) -> Any:
        """Return quantiles of p(column | other present values), (n, levels), as codes.

        Arguments:
            codes: (n, names), NaN where a value is missing.
            name: of the column, whose own values are not used.
            levels: shares from 0 to 1, (levels,).
            xp: the namespace, default numpy.
        """
        if name not in self.features:
            raise InputError(f'Column "{name}" does not vary, or is not of this model: it has no quantiles.')
        check_levels(levels, numpy)
        if numpy.ndim(levels) != 1:
            raise InputError("Expected the levels of quantiles in one dimension, such as [0.1, 0.5, 0.9].")
        n, rows = self._rows(codes, self.names, xp)
        codes, place = self._of_rows(n, rows), self.features.index(name)
        with numpy.errstate(all="ignore"):
            found = [self.density.quantile(n, codes, place, float(level))[:, None] for level in levels]
        return n.concat(found, axis=-1)
