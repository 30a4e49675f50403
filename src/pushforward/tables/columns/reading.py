"""How the values of a column are read, whatever they mean: what is missing, and how they are written."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pushforward.tables.columns.text_format import DURATION, TIME, Format
from pushforward.tables.columns.values import Values
from pushforward.tables.date_format import check_format
from pushforward.tables.missing import TYPED, Mark, Marks

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reading(BaseModel):
    """What stands for a missing value in a column, and how its values are written.

    Attributes:
        missing: what stands for a missing value beside null and NaN, in place of the list for CSV files; default None,
            which leaves it to that list.
        missing_share: the share of rows without a value, inferred.
        format: how the values are written where that is not plain: a `NumberFormat`, a format of dates or times in the
            directives of `strptime`, or "time" or "duration" for typed ones; recognized in text. Draws are written so.
        style: how a CSV writes its plain numbers or date-times, inferred; draws are written so where they become text.
        hint: what the name and the values together suggest and no kind may guess, inferred; None for nothing.
    """

    model_config = STRICT

    missing: list[Mark] | None = None
    missing_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    format: Format | None = None
    style: Format | None = None
    hint: str | None = None

    @field_validator("format")
    @classmethod
    def _known(cls, form: Format | None) -> Format | None:
        if isinstance(form, str) and form not in (TIME, DURATION):
            check_format(form)
        return form

    @property
    def own_levels(self) -> Sequence[Any]:
        """The values that are never missing, whatever they read."""
        return ()

    @property
    def reading(self) -> dict[str, Any]:
        """The fields about how values are read, for another column of the same values."""
        return {
            "missing": self.missing,
            "missing_share": self.missing_share,
            "format": self.format,
            "style": self.style,
            "hint": self.hint,
        }

    def marks(self, default: Marks = TYPED) -> Marks:
        """Return what stands for a missing value in the column.

        Arguments:
            default: whether the table is a CSV, and what stands for missing values in columns that do not say it.
        """
        listed = default.listed if self.missing is None else tuple(self.missing)
        return Marks(default.written, listed, tuple(self.own_levels))

    def with_missing(self, values: Values) -> Self:
        """Return the column with what stands for missing values, and with their share."""
        listed = values.marks.listed
        share = values.missing / len(values) if len(values) else 1.0
        return self.model_copy(update={"missing": None if listed is None else list(listed), "missing_share": share})
