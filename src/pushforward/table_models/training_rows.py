"""Hashes of the rows that a model was trained on, by which it recognizes them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.table_models.roles import ColumnRoles

# So many hashes of eight bytes are kept.
MOST = 4096


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Hashes of some rows that a model was trained on, in random order of the rows; of all, if they are few.

    Of another row the hash is among these by chance with probability k / 2^64, below 10^-15.

    Attributes:
        rows: how many rows the model was trained on.
        hashes: (k,) ascending, k at most 4096.

    Example:
        >>> kept = TrainingRows.of(np.arange(6.0).reshape(3, 2), rows=3)
        >>> kept.copies(np.array([[0.0, 1.0], [0.0, 2.0]])), kept.share(np.array([[0.0, 1.0], [0.0, 2.0]]))
        (1, (0.5, 0.35...))
    """

    rows: int
    hashes: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, rows: int) -> TrainingRows:
        """Those of codes, (n, columns): of all so many rows, or of a random sample of them."""
        return cls(rows, np.sort(hashes_of_rows(codes))[:MOST])

    @staticmethod
    def codes_of(roles: ColumnRoles, codes: np.ndarray) -> np.ndarray:
        """The columns that are hashed, of codes (n, names): those that vary, first the modeled and then the given."""
        names = [*roles.features, *roles.context]
        return codes[:, [roles.names.index(name) for name in names]]

    def copies(self, codes: np.ndarray) -> int:
        """How many rows, (n, columns), are equal to one whose hash is kept."""
        return int(np.isin(hashes_of_rows(codes), self.hashes).sum())

    def share(self, codes: np.ndarray) -> tuple[float, float]:
        """The share of rows, (n, columns), that were trained on, estimated, and its standard error.

        Each row that was trained on is kept with probability k / rows.
        """
        found = self.copies(codes)
        kept = min(1.0, len(self.hashes) / max(1, self.rows))
        share = found / (kept * len(codes))
        error = np.sqrt(max(found, 1) * max(1e-12, 1 - kept * min(1.0, share))) / (kept * len(codes))
        return min(1.0, share), float(error)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads, at most 44 kB."""
        text = base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()
        return {"rows": self.rows, "hashes": text}

    @classmethod
    def parse(cls, found: Any, *, source: str) -> TrainingRows:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        try:
            rows, raw = found["rows"], base64.b64decode(found["hashes"], validate=True)
            kept = np.frombuffer(raw, dtype="<u8").astype(np.uint64)
            sound = type(rows) is int and rows >= 0 and len(kept) <= MOST
        except (KeyError, TypeError, ValueError, binascii.Error):
            sound = False
        if not sound:
            raise InputError(f"{source} is damaged: its hashes of training rows cannot be read.")
        return cls(rows, kept)


def hashes_of_rows(codes: np.ndarray) -> np.ndarray:
    """Hashes of rows of codes, (n,), 64 bits, the same on every machine; equal rows have equal hashes.

    Example:
        >>> found = hashes_of_rows(np.array([[0.0, np.nan], [-0.0, np.nan], [0.0, 1.0]]))
        >>> bool(found[0] == found[1]), bool(found[0] == found[2])
        (True, False)
    """
    # One pattern of bits for both zeros, and one for a missing value.
    plain = np.where(np.isnan(codes), np.inf, codes) + 0.0
    found = np.zeros(len(codes), dtype=np.uint64)
    for place, column in enumerate(np.ascontiguousarray(plain.T)):
        found = hashes(found ^ column.view(np.uint64), place + 1)
    return found
