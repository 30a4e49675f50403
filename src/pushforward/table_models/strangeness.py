"""What a model has never seen in rows that it is asked about: values, conditions, and conditions beyond a range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pushforward.support.wording import counted, percent
from pushforward.table_models.density import TableDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.tables.columns.values import UNSEEN

MOST_NAMED = 5


class Strangeness:
    """How many rows hold what a model has never seen, column by column.

    Attributes:
        rows: the number of rows.
        unseen: rows with a value of probability 0, or so far from the data that no density is left.
        too_far: those of them that hold no value of probability 0.
        beyond: rows with a condition, or a value that others are filled from, beyond the range of the training rows.
        unseen_of: {column: rows with a value of probability 0 in it}.
        unknown_of: {given column: rows with a value that was never seen, which is taken for not known}.
        beyond_of: {given column: rows with a value beyond its range}.
    """

    def __init__(self) -> None:
        self.rows = self.unseen = self.too_far = self.beyond = 0
        self.unseen_of: Counter[str] = Counter()
        self.unknown_of: Counter[str] = Counter()
        self.beyond_of: Counter[str] = Counter()

    def add(
        self, density: TableDensity, roles: ColumnRoles, found: np.ndarray, known: np.ndarray, log_prob: np.ndarray
    ) -> None:
        """Count scored rows.

        Arguments:
            density: of the rows.
            roles: of the columns.
            found: codes, (n, names).
            known: the same, as `ColumnRoles.known` gives them.
            log_prob: (n,) of the rows.
        """
        unseen = known == UNSEEN
        self.unseen += int(np.isneginf(log_prob).sum())
        self.too_far += int((np.isneginf(log_prob) & ~unseen.any(1)).sum())
        self.unseen_of.update(_counts(unseen, roles.names))
        given = [roles.names.index(name) for name in roles.given]
        self.add_conditions(density, roles, found[:, given], known[:, given])

    def add_conditions(self, density: TableDensity, roles: ColumnRoles, found: np.ndarray, known: np.ndarray) -> None:
        """Count rows of conditions, codes of the given columns, (n, given); arguments as for `add`."""
        self.rows += len(found)
        self.unknown_of.update(_counts((found == UNSEEN) & (known != UNSEEN), roles.given))
        conditions = roles.conditions(torch.from_numpy(known))
        if conditions is not None:
            # A value of probability 0 is said to be so.
            seen = (conditions != UNSEEN).numpy()
            self.add_beyond(density.beyond_range(conditions).numpy() & seen, roles, roles.conditioned)

    def add_unknown(self, found: np.ndarray, names: Sequence[str]) -> None:
        """Count rows of codes, (n, names), of which those that were never seen are taken for not known."""
        self.rows += len(found)
        self.unknown_of.update(_counts(found == UNSEEN, names))

    def add_beyond(self, beyond: np.ndarray, roles: ColumnRoles, names: Sequence[str]) -> None:
        """Count rows of known values, (n, names), of which some lie beyond the range of the training rows.

        A level has no range, even if no training row has it.
        """
        beyond = beyond & [roles.schema[name].measured for name in names]
        self.beyond += int(beyond.any(1).sum())
        self.beyond_of.update(_counts(beyond, names))

    def include(self, other: Strangeness) -> None:
        """Count the rows that another one has counted as well."""
        for name, count in vars(other).items():
            if isinstance(count, Counter):
                getattr(self, name).update(count)
            else:
                setattr(self, name, getattr(self, name) + count)

    def lines(self) -> list[str]:
        """A line for people about each, where there is something to say."""
        lines = []
        if self.unseen > self.too_far:
            lines.append(
                f"{_rows(self.unseen - self.too_far, self.rows)} a value that the model has never seen: "
                f"{_named(self.unseen_of)}; log_prob is -inf there"
            )
        if self.too_far:
            lines.append(
                f"{_rows(self.too_far, self.rows, 'lie')} too far from the data to have a density: log_prob is -inf "
                "there"
            )
        if self.unknown_of:
            lines.append(f"values that the model has never seen are treated as missing: {_named(self.unknown_of)}")
        if self.beyond:
            lines.append(
                f"{_rows(self.beyond, self.rows)} a given value outside the range of the training rows "
                f"({percent(self.beyond / self.rows)}), where the model is at least as uncertain as at its end: "
                f"{_named(self.beyond_of)}"
            )
        return lines

    def as_json(self) -> dict[str, object]:
        """The counts as plain JSON."""
        return {
            "unseen": self.unseen,
            "too_far": self.too_far,
            "unseen_columns": dict(self.unseen_of),
            "unknown_conditions": dict(self.unknown_of),
            "beyond_range": self.beyond,
            "beyond_range_columns": dict(self.beyond_of),
        }


def _counts(marked: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """How many rows are marked in each column that has any."""
    return {name: int(count) for name, count in zip(names, marked.sum(0), strict=True) if count}


def _rows(count: int, rows: int, verb: str = "hold") -> str:
    return f"{count:,} of {rows:,} {'row' if rows == 1 else 'rows'} {f'{verb}s' if count == 1 else verb}"


def _named(counts: Mapping[str, int]) -> str:
    """The columns with the most rows."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    named = [f'column "{name}" ({count:,})' for name, count in ordered[:MOST_NAMED]]
    more = len(ordered) - MOST_NAMED
    return ", ".join(named) + (f" and {counted(more, 'more column')}" if more > 0 else "")
