"""The values that the codes of a column stand for, where these are places of levels."""

from __future__ import annotations

from typing import Any


def levels_of(kind: Any) -> list[Any] | None:
    """Return the values of the codes 0, 1, ..., None of a column whose codes are numbers or steps themselves.

    Arguments:
        kind: of a column of a schema.

    Example:
        >>> from pushforward.tables.columns.kinds import Category, Constant, Continuous
        >>> levels_of(Category(levels=["b", "a"])), levels_of(Constant(value=7)), levels_of(Continuous())
        (['b', 'a'], [7], None)
    """
    described = kind.as_json()
    found: list[Any] | None = described.get("levels", [described["value"]] if "value" in described else None)
    return found
