"""Which rows of its table a fit held out, so that a later look at the same table can leave the others out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.errors import InputError
from pushforward.support.hashing import hashes
from pushforward.table_models.training_rows import hashes_of_rows

# The numbers of so many rows are kept, of about three bytes each.
MOST = 20_000
# More bytes than these numbers can take.
MOST_BYTES = 8 * MOST


@dataclass(frozen=True, eq=False)
class HeldOutRows:
    """The numbers of rows that a fit held out, and a hash of them by which its table is recognized.

    Attributes:
        table_rows: how many rows the table has.
        rows: how many were held out.
        numbers: (k,) of them in the table, counted from 1, ascending; of more than 20,000 a random choice.
        digest: SHA-256 of the hashes of these rows.

    Example:
        >>> codes = np.arange(6.0).reshape(3, 2)
        >>> kept = HeldOutRows.of(codes[[2, 0]], np.array([3, 1]), table_rows=3)
        >>> kept.numbers, kept.are_in(codes[[0, 2]]), kept.are_in(codes[:2])
        (array([1, 3]), True, False)
    """

    table_rows: int
    rows: int
    numbers: np.ndarray
    digest: str

    @classmethod
    def of(cls, codes: np.ndarray, numbers: np.ndarray, table_rows: int) -> HeldOutRows:
        """Those of codes, (n, columns), as `TrainingRows.codes_of` gives them, with their numbers in the table."""
        chosen = np.argsort(hashes(numbers, 0), kind="stable")[:MOST]
        chosen = chosen[np.argsort(numbers[chosen], kind="stable")]
        return cls(table_rows, len(numbers), numbers[chosen], digest_of(codes[chosen]))

    def are_in(self, codes: np.ndarray) -> bool:
        """Whether codes, (k, columns), of the rows of a table with these numbers are those of the fit."""
        return len(codes) == len(self.numbers) and digest_of(codes) == self.digest

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `parse` reads, about 60 kB at most."""
        apart = np.diff(self.numbers, prepend=0).astype("<u8")
        # Bytes of one place together, most of which are 0.
        packed = zlib.compress(apart.view(np.uint8).reshape(-1, 8).T.tobytes(), 9)
        text = base64.b64encode(packed).decode()
        return {"table_rows": self.table_rows, "rows": self.rows, "numbers": text, "digest": self.digest}

    @classmethod
    def parse(cls, found: Any, *, source: str) -> HeldOutRows:
        """Read the result of `as_json`.

        Raises:
            InputError: it is something else; `source` names the file in the message.
        """
        try:
            counts, digest = [found["table_rows"], found["rows"]], found["digest"]
            raw = zlib.decompressobj().decompress(base64.b64decode(found["numbers"], validate=True), MOST_BYTES)
            apart = np.frombuffer(raw, dtype=np.uint8).reshape(8, -1).T.copy().view("<u8")[:, 0]
            numbers = apart.astype(np.int64).cumsum()
            sound = all(type(count) is int and count >= 0 for count in counts) and isinstance(digest, str)
            sound = sound and bool((apart > 0).all()) and len(numbers) <= counts[1] <= counts[0]
            sound = sound and bool((np.diff(numbers) > 0).all() and (numbers <= counts[0]).all())
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
            sound = False
        if not sound:
            raise InputError(f"{source} is damaged: its numbers of held-out rows cannot be read.")
        return cls(counts[0], counts[1], numbers, digest)


def digest_of(codes: np.ndarray) -> str:
    """A hash of rows of codes, (n, columns), and of their order."""
    return hashlib.sha256(hashes_of_rows(codes).astype("<u8").tobytes()).hexdigest()
