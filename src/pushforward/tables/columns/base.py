"""What every kind of column can do; each kind is a class of its own, in the file of its name.

A schema says column by column what a table holds: numbers, bounded numbers, whole numbers, categories, angles, times,
and mixtures of them. It is inferred from a table (`pushforward.tables.schema.inference`), kept in the model file as
JSON, and a user may declare it for some columns. Whatever a declaration leaves open (None) is inferred.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field

from pushforward.errors import InputError
from pushforward.tables.arrow import pa
from pushforward.tables.columns.shown_points import points_on_line
from pushforward.tables.columns.text_format import Format, describe_format, type_in
from pushforward.tables.columns.traits import Traits
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.tables.columns.maps.base import Map

Share = Annotated[float, Field(gt=0, le=1)]
# Half a row is added to the rows of each level, so that a declared level that does not occur keeps a probability.
PSEUDO_ROWS = 0.5

# Every kind by the name it has in JSON; a kind is added when its class is made.
KINDS: dict[str, type["Column"]] = {}


class Column(Traits):
    """A column of a table.

    A kind derives from this class, gives the field `kind` its name as a Literal, and overrides what is different from a
    number on the whole line. A column is complete when nothing is left to infer; codes are the float64 numbers that a
    model works with, NaN for a missing value.

    Attributes:
        kind: the name of the kind.
    """

    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Make the kind known by its name."""
        name = cls.model_fields["kind"].default
        if isinstance(name, str):
            KINDS[name] = cls

    # What it is.

    def as_condition(self) -> "Column":
        """Return the column to model in its place when others are conditioned on it and nobody declared it.

        A condition may take values that were not seen, so a column of numbers has no bounds and no levels.
        """
        return self

    def as_context(self) -> "Column":
        """Return the column to take in its place as the context of a flow; default as for any other condition."""
        return self.as_condition()

    def as_json(self) -> dict[str, Any]:
        """Return the options that are not None as plain JSON."""
        return self.model_dump(mode="json", exclude_none=True)

    def describe(self) -> str:
        """Return the kind and its most important options, in a few words."""
        return self.kind

    @property
    def remark(self) -> str | None:
        """A sentence about what the values probably mean, for the person who fits them; None for none."""
        return self.hint

    def describe_all(self) -> str:
        """Return the description, and how the values are written where that is not plain."""
        return self.describe() + ("" if self.format is None else f"; {describe_format(self.format)}")

    # What it is inferred from.

    @property
    def declared(self) -> bool:
        """Whether the kind is known, and not to be inferred."""
        return True

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Return the complete column if the values are evidence for this kind, else None.

        Kinds are asked in the order of `pushforward.tables.columns.kinds.INFERENCE_ORDER`; a kind that is not in that
        list is used only when it is declared.
        """
        return None

    def complete(self, values: Values) -> Self:
        """Infer what is left open.

        Raises:
            InputError: the values contradict the column.
        """
        _ = values.numbers  # which refuses what is not a number
        return self

    def declared_for(self, values: Values) -> Self:
        """Complete a column that a user declared.

        Raises:
            InputError: there are no values, or they contradict the column.
        """
        if values.missing == len(values):
            raise InputError(f"{values.what} has no values at all, and cannot be {self.kind}.")
        self.check_declared(values)
        return self.complete(values).with_missing(values)

    def check_declared(self, values: Values) -> None:
        """Refuse numbers that a user declared and that no column of these values can have.

        Raises:
            InputError: a number is too large to compute with, or a step is too long or too short for the values.
        """

    # Codes and values.

    @property
    def arrow_type(self) -> Any:
        """The type of pyarrow that `decode` gives."""
        return pa.float64()

    @property
    def written_type(self) -> Any:
        """The type of pyarrow in which draws are written."""
        return type_in(self.format, self.arrow_type)

    @property
    def format_as_text(self) -> Format | None:
        """How draws are written where they become text: in the format, or in the style of plain values."""
        return self.style if self.format is None else self.format

    def encode(self, values: Values) -> np.ndarray:
        """Turn values into codes, (n,) float64, NaN where a value is missing.

        Raises:
            BadValue: a value is not of this kind; or the column gives it probability 0, and the values are strict.
        """
        return values.numbers

    def has_probability(self, codes: np.ndarray) -> np.ndarray:
        """Return which codes, (n,), have a probability rather than a density."""
        return np.full(len(codes), True) if self.discrete else np.isin(codes, self.atom_codes)

    def decode(self, codes: np.ndarray) -> Any:
        """Turn codes, (n,), into an array of pyarrow of `arrow_type`, null where a code is NaN."""
        present = ~np.isnan(codes)
        if pa.types.is_integer(self.arrow_type):
            return pa.array(np.where(present, codes, 0).astype(np.int64), self.arrow_type, mask=~present)
        return pa.array(codes, self.arrow_type, mask=~present)

    def as_written(self, codes: np.ndarray) -> np.ndarray:
        """Round codes that were drawn, (n,), to the digits that the values of the table have, if that is known."""
        return codes

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the interval in which the codes lie, infinite for none."""
        return -math.inf, math.inf

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and the largest code."""
        return self.bounds

    @property
    def lattice(self) -> tuple[float, float]:
        """The step between neighboring codes of a discrete column, and a code that they are counted from."""
        return 1, 0

    @property
    def atom_codes(self) -> list[float]:
        """The codes of the values that have a probability beside others with a density or in cells, increasing."""
        return []

    @property
    def far_codes(self) -> list[float]:
        """The codes of atoms far from all other values: likely marks of missing values."""
        return []

    def amounts(self, codes: np.ndarray) -> np.ndarray:
        """Turn codes, (n,), into amounts that can be added, NaN for likely marks of missing values."""
        return np.where(np.isin(codes, self.far_codes), np.nan, codes)

    def all_codes(self) -> np.ndarray | None:
        """Every code, increasing, of a column with few; None for others."""
        return None

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Return the codes at which a density is shown.

        Arguments:
            spread: codes at equally spaced normal scores from -4.5 to 4.5, over the range of the training rows; of a
                circle, at equally spaced probabilities.
            asked: equally spaced codes that a user wants instead; default none.
        """
        return points_on_line(spread) if asked is None else asked

    # How models see it.

    @property
    def map_name(self) -> str:
        """The name of that map, for those who compute it without torch; of numbers as if they were not rounded."""
        return "identity"

    @property
    def map(self) -> Callable[[Sequence[Any]], "Map"]:
        """Makes the map from codes to the whole line of some columns that have the same one."""
        # Imported only here, so that a schema can be read without torch.
        from pushforward.tables.columns.maps.identity import Identity

        return Identity

    @property
    def input_width(self) -> int:
        """How many numbers a network is shown of a value beside its score."""
        return 0

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Return what a network is shown of values beside their scores, (n, input_width).

        Arguments:
            codes: (n,), NaN where a value is missing.
            low: (n,) scores of the values, or of the lower ends of their intervals.
            high: (n,) scores of the upper ends.
        """
        return low.new_zeros(len(low), 0)

    @property
    def context_units(self) -> tuple[bool, ...]:
        """What a flow is shown of a value in its context: for each number whether it is in the column's own units.

        The others are flags and coordinates, from -1 to 1.
        """
        return (True,)

    def context_inputs(self, codes: "Tensor") -> "Tensor":
        """Return what a flow is shown of values, (n,), none of them missing: (n, as many as `context_units`)."""
        return codes[:, None]


Schema = dict[str, Column]


def smoothed(counts: np.ndarray) -> list[float]:
    """Return frequencies from numbers of rows, all of them above 0.

    Example:
        >>> smoothed(np.array([2, 0]))
        [0.8333333333333334, 0.16666666666666666]
    """
    counts = counts + PSEUDO_ROWS
    return (counts / counts.sum()).tolist()


def ends(low: float | None, high: float | None) -> tuple[float, float]:
    """Return bounds as numbers, infinite for None."""
    return -math.inf if low is None else low, math.inf if high is None else high


def check_order(low: float | None, high: float | None) -> None:
    """Refuse bounds that do not increase."""
    if low is not None and high is not None and not low < high:
        raise ValueError(f"low must be less than high; they are {low} and {high}")


def interval(low: float | None, high: float | None) -> str:
    """Describe bounds, of which at least one is given."""
    if high is None:
        return f"from {low:g}"
    return f"up to {high:g}" if low is None else f"{low:g} to {high:g}"
