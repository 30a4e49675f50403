"""A column of which a user says what stands for a missing value, and no more."""

from typing import Literal

from pushforward.tables.columns.base import KINDS, Column


class Undeclared(Column):
    """A column whose kind is to be inferred; it is never part of a complete schema."""

    kind: Literal["undeclared"] = "undeclared"

    @property
    def declared(self) -> bool:
        """False."""
        return False

    @property
    def kept_as_text(self) -> bool | None:
        """None."""
        return None


# Nobody writes this kind: it is what a declaration without a kind means.
del KINDS["undeclared"]
