"""What the columns of a table are: numbers, bounded numbers, integers, categories, angles, times, and mixtures of them.

A schema says it column by column. It is learned from a table (`pushforward.tables.schema.inference`), kept in the model
file as JSON, and whoever knows better overrides it, for the columns they name alone. A user gives a kind and perhaps
its options; what is left out (None) is learned.
"""

import itertools
import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from torch import Tensor

Level = bool | int | float | str
Share = Annotated[float, Field(gt=0, le=1)]
STEPS = {  # of date-times, in nanoseconds
    "day": 86_400_000_000_000,
    "hour": 3_600_000_000_000,
    "minute": 60_000_000_000,
    "second": 1_000_000_000,
    "millisecond": 1_000_000,
    "microsecond": 1_000,
    "nanosecond": 1,
}
# Whole numbers within fewer values than this have a probability for each; others are made continuous by noise.
MOST_CELLS = 4_096
MOST_LEVELS = 1_000


class Column(BaseModel):
    """What every kind of column has.

    Attributes:
        missing: the share of rows without a value, learned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    missing: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def modelled(self) -> bool:
        """Whether the column varies, so that a density has something to say about it."""
        return True

    @property
    def discrete(self) -> bool:
        """Whether single values have a probability, not a density."""
        return False

    @property
    def numeric(self) -> bool:
        """Whether the column is read as numbers."""
        return True

    @property
    def dense(self) -> bool:
        """Whether every value has a density and none has a probability."""
        return False

    @property
    def has_probabilities(self) -> bool:
        """Whether some single values have a probability."""
        return self.discrete

    @property
    def circular(self) -> bool:
        """Whether the values lie on a circle."""
        return False

    @property
    def plain_condition(self) -> bool:
        """Whether a flow can take the column's codes as its context: they are numbers on a line."""
        return True

    @property
    def strict(self) -> bool:
        """Whether some values of the right type are refused."""
        return True

    @property
    def explainable(self) -> bool:
        """Whether the surprise of a value can be found by quadrature along the column."""
        return self.modelled

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and the largest code, infinite where there is none."""
        return -math.inf, math.inf

    @property
    def input_width(self) -> int:
        """How many numbers a network is shown of a value beside its score."""
        return 0

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """What a network is shown of values beside their scores, (n, input_width).

        Arguments:
            codes: (n,), NaN where a value is missing.
            low: (n,) scores of the values, or of the lower ends of their intervals.
            high: (n,) scores of the upper ends.
        """
        return low.new_zeros(len(low), 0)

    def as_condition(self) -> "Column":
        """The column as it is modelled when others are conditioned on it and nobody declared it.

        A condition may take values that were not seen, so a column of numbers has no bounds and no levels.
        """
        return self

    def all_codes(self) -> np.ndarray | None:
        """Every code of a column that has few, else None."""
        return None

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Codes at which a density is shown.

        Arguments:
            spread: codes at equally spaced normal scores, over the range of the training rows.
            asked: codes asked for in place of those; default none.
        """
        return np.linspace(spread[0], spread[-1], len(spread)) if asked is None else asked

    def describe(self) -> str:
        """The kind and what matters of it, in a few words."""
        return str(self.kind)  # type: ignore[attr-defined]


class Tail(BaseModel):
    """The heavy tails of a column: those of generalised Pareto distributions, see `TailTransform`.

    Attributes:
        lower: λ of the lower tail, P(X < -x) ~ x^(-1/λ).
        upper: λ of the upper tail.
        shift: the column's median.
        scale: of the transform.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lower: Annotated[float, Field(gt=0, le=10)]
    upper: Annotated[float, Field(gt=0, le=10)]
    shift: float
    scale: Annotated[float, Field(gt=0)]


class Continuous(Column):
    """Any real number.

    Attributes:
        heavy: whether its tails are heavier than exponential ones; learned if None.
        tail: what was learned of heavy tails.
    """

    kind: Literal["continuous"] = "continuous"
    heavy: bool | None = None
    tail: Tail | None = None

    @property
    def dense(self) -> bool:
        """True."""
        return True

    @property
    def strict(self) -> bool:
        """False: any finite number is allowed."""
        return False

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Equal steps, or equal steps of the score if the tails are heavy."""
        return spread if asked is None and self.tail is not None else super().grid(spread, asked)

    def describe(self) -> str:
        """The kind, and its tails if they are heavy."""
        if self.tail is None:
            return "continuous"
        return f"continuous, heavy tails (index {self.tail.lower:.2f} and {self.tail.upper:.2f})"


class Positive(Column):
    """A number above 0.

    Attributes:
        log: whether its logarithm is modelled, for heavy tails; learned if None.
    """

    kind: Literal["positive"] = "positive"
    log: bool | None = None

    @property
    def dense(self) -> bool:
        """True."""
        return True

    @property
    def support(self) -> tuple[float, float]:
        """From the smallest normal number."""
        return sys.float_info.min, math.inf

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Equal steps, or equal steps of the score if the logarithm is modelled."""
        return spread if asked is None and self.log else super().grid(spread, asked)

    def describe(self) -> str:
        """The kind, and whether its logarithm is modelled."""
        return "positive, heavy tail: its logarithm is modelled" if self.log else "positive"


class Bounded(Column):
    """A number within an interval, its ends included.

    Attributes:
        low: the lower end, or None for none.
        high: the upper end, or None for none.
    """

    kind: Literal["bounded"] = "bounded"
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Bounded":
        if self.low is None and self.high is None:
            raise ValueError("a bounded column needs low, high or both")
        return _checked_bounds(self)

    @property
    def dense(self) -> bool:
        """True."""
        return True

    @property
    def support(self) -> tuple[float, float]:
        """The bounds."""
        return _ends(self)

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def describe(self) -> str:
        """The kind and its bounds."""
        return f"bounded, {_interval(self.low, self.high)}"


class Integer(Column):
    """A whole number, or another multiple of a step.

    Attributes:
        low: the smallest value, or None for none.
        high: the largest value, or None for none.
        step: the distance of neighbours; learned if None, 1 unless all are multiples of more.
        offset: a value that occurs: values are offset + k · step.
        frequencies: of the values from low to high, smoothed; learned if both are known and not far apart. Without
            them, uniform noise makes the column continuous.
    """

    kind: Literal["integer"] = "integer"
    low: int | None = None
    high: int | None = None
    step: Annotated[int, Field(ge=1)] | None = None
    offset: int = 0
    frequencies: list[Share] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Integer":
        if self.frequencies is not None and (
            self.low is None
            or self.high is None
            or self.step is None
            or len(self.frequencies) != (self.high - self.low) // self.step + 1
        ):
            raise ValueError("frequencies need low, high and step, and there must be one for each value")
        return _checked_bounds(self)

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    @property
    def support(self) -> tuple[float, float]:
        """The bounds."""
        return _ends(self)

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def all_codes(self) -> np.ndarray | None:
        """The whole numbers of a column whose frequencies are known."""
        if self.frequencies is None:
            return None
        return (self.low or 0) + (self.step or 1) * np.arange(len(self.frequencies))

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """All values if their frequencies are known, else those nearest to equal steps."""
        every, step = self.all_codes(), self.step or 1
        points = every if asked is None and every is not None else super().grid(spread, asked)
        return np.unique(self.offset + np.round((points - self.offset) / step) * step)

    def describe(self) -> str:
        """The kind, its bounds and its step."""
        step = "" if self.step in (None, 1) else f", steps of {self.step}"
        bounds = "" if self.low is None and self.high is None else f", {_interval(self.low, self.high)}"
        return f"integer{bounds}{step}"


class Category(Column):
    """One of some levels: text, booleans, or numbers that are names.

    Attributes:
        levels: all of one type; learned if None, the most frequent first (numbers by size).
        frequencies: of the levels, smoothed; learned.
    """

    kind: Literal["category"] = "category"
    levels: Annotated[list[Level], Field(min_length=1, max_length=MOST_CELLS)] | None = None
    frequencies: list[Share] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Category":
        if self.levels is not None:
            if len({_type_of(level) for level in self.levels}) > 1:
                raise ValueError("levels must be all text, all numbers or all booleans")
            if len(set(self.levels)) < len(self.levels):
                raise ValueError("a level is named twice")
        if self.frequencies is not None and len(self.frequencies) != len(self.levels or ()):
            raise ValueError("there must be one frequency for each level")
        return self

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    @property
    def numeric(self) -> bool:
        """Whether the levels are numbers."""
        return bool(self.levels) and _type_of(self.levels[0]) == "number"  # type: ignore[index]

    @property
    def plain_condition(self) -> bool:
        """Whether there are two levels: more have no order."""
        return self.input_width == 0

    @property
    def input_width(self) -> int:
        """The number of levels, if there are more than two."""
        count = len(self.levels or ())
        return count if count > 2 else 0

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Which level it is: 1 for that, 0 for the others."""
        level = codes.nan_to_num(0.0)[:, None]
        return (level == level.new_tensor(range(self.input_width))).to(low.dtype)

    def as_condition(self) -> Column:
        """A continuous column if the levels are numbers."""
        return Continuous(missing=self.missing, heavy=False) if self.numeric else self

    def all_codes(self) -> np.ndarray | None:
        """The positions of the levels."""
        return np.arange(len(self.levels or ()))

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """All levels."""
        return np.arange(len(self.levels or ()), dtype=float)

    def describe(self) -> str:
        """The kind and its levels."""
        if self.levels is None:
            return "category"
        shown = ", ".join(_short(level) for level in self.levels[:4])
        return f"category, {len(self.levels)} levels: {shown}{', …' if len(self.levels) > 4 else ''}"


class Periodic(Column):
    """An angle, an hour of the day: a number on a circle.

    Attributes:
        period: once round.
        low: where values begin: they lie in [low, low + period).
        step: the distance of neighbours, where values are multiples of one; learned if None, 0 for none.
        start: where the circle is cut open, the place with the fewest rows; learned.
    """

    kind: Literal["periodic"] = "periodic"
    period: Annotated[float, Field(gt=0)]
    low: float = 0.0
    step: Annotated[float, Field(ge=0)] | None = None
    start: float | None = None

    @property
    def discrete(self) -> bool:
        """Whether there is a step."""
        return bool(self.step)

    @property
    def circular(self) -> bool:
        """True."""
        return True

    @property
    def plain_condition(self) -> bool:
        """False."""
        return False

    @property
    def explainable(self) -> bool:
        """False."""
        return False

    @property
    def support(self) -> tuple[float, float]:
        """One turn."""
        return self.low, self.low + self.period

    @property
    def input_width(self) -> int:
        """Two: cosine and sine."""
        return 2

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Cosine and sine of the middle of a value's interval."""
        import torch

        angle = 0.5 * (low + high)
        return torch.stack([angle.cos(), angle.sin()], 1)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """One turn in equal steps, or in those of the column."""
        if asked is not None:
            return asked
        if self.step:
            return self.low + np.arange(0, self.period - 0.5 * self.step, self.step)
        return np.linspace(self.low, self.low + self.period, len(spread), endpoint=False)

    def describe(self) -> str:
        """The kind, its period and its step."""
        return f"periodic, {self.period:g} from {self.low:g}" + (f", steps of {self.step:g}" if self.step else "")


class DateTime(Column):
    """A date, or a date and time.

    Attributes:
        step: day, hour, minute, second, millisecond, microsecond or nanosecond; learned if None, the longest of which
            all values are multiples.
        origin: steps from 1970 to what is counted as 0; learned.
        zone: the time zone of the values, or None.
        date: whether values are written as dates alone; learned.
    """

    kind: Literal["date-time"] = "date-time"
    step: Literal["day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"] | None = None
    origin: int | None = None
    zone: str | None = None
    date: bool | None = None

    @property
    def discrete(self) -> bool:
        """True: of each step."""
        return True

    @property
    def numeric(self) -> bool:
        """False."""
        return False

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The steps nearest to equal ones."""
        return np.unique(np.round(super().grid(spread, asked)))

    def describe(self) -> str:
        """The kind and its step."""
        return f"date-time, to the {self.step}" if self.step else "date-time"


class Constant(Column):
    """The same value in every row: its probability is 1, and it is written back into draws.

    Attributes:
        value: learned if None.
    """

    kind: Literal["constant"] = "constant"
    value: Level | None = None

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def numeric(self) -> bool:
        """Whether the value is a number."""
        return self.value is not None and _type_of(self.value) == "number"

    def describe(self) -> str:
        """The kind and the value."""
        return "constant" if self.value is None else f"constant, {_short(self.value)}"


class AllMissing(Column):
    """No value in any row: the column is passed over, and empty in draws."""

    kind: Literal["all-missing"] = "all-missing"

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def numeric(self) -> bool:
        """False: nothing is read of it."""
        return False

    @property
    def strict(self) -> bool:
        """False: its values are not read."""
        return False


class Marginal(BaseModel):
    """The knots of a spline through quantiles, see `MarginalSpline`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    z: list[float]
    x: list[float]
    slopes: list[Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _increasing(self) -> "Marginal":
        if not len(self.z) == len(self.x) == len(self.slopes) >= 4:
            raise ValueError("a spline needs at least four knots, each with z, x and a slope")
        if any(right <= left for knots in (self.z, self.x) for left, right in itertools.pairwise(knots)):
            raise ValueError("knots must increase")
        return self


class Mixed(Column):
    """A continuous column with atoms: single values that many rows share, such as 0.

    Attributes:
        atoms: the values; learned if None.
        low: a bound that the rest stays above or at, or None.
        high: a bound that the rest stays below or at, or None.
        shares: of the atoms, learned.
        marginal: the distribution of the rest, learned.
    """

    kind: Literal["mixed"] = "mixed"
    atoms: Annotated[list[float], Field(min_length=1, max_length=100)] | None = None
    low: float | None = None
    high: float | None = None
    shares: list[Share] | None = None
    marginal: Marginal | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Mixed":
        if self.atoms is not None and sorted(set(self.atoms)) != self.atoms:
            raise ValueError("atoms must increase")
        if self.shares is not None and (len(self.shares) != len(self.atoms or ()) or sum(self.shares) >= 1):
            raise ValueError("there must be one share for each atom, less than 1 together")
        return _checked_bounds(self)

    @property
    def has_probabilities(self) -> bool:
        """True: the atoms have."""
        return True

    @property
    def explainable(self) -> bool:
        """False."""
        return False

    @property
    def support(self) -> tuple[float, float]:
        """The bounds."""
        return _ends(self)

    @property
    def input_width(self) -> int:
        """One: whether the value is an atom."""
        return 1

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """Whether a value is an atom."""
        atoms = codes.new_tensor(self.atoms or ())
        return (codes[:, None] == atoms).any(1, keepdim=True).to(low.dtype)

    def as_condition(self) -> Column:
        """A continuous column."""
        return Continuous(missing=self.missing, heavy=False)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """Equal steps, and the atoms."""
        return np.unique([*super().grid(spread, asked), *(self.atoms or ())])

    def describe(self) -> str:
        """The kind and its atoms."""
        if self.atoms is None or self.shares is None:
            return "mixed"
        atoms = ", ".join(f"{share:.0%} {atom:g}" for atom, share in zip(self.atoms, self.shares, strict=True))
        return f"mixed, {atoms}"


AnyColumn = Annotated[
    Continuous | Positive | Bounded | Integer | Category | Periodic | DateTime | Constant | AllMissing | Mixed,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[Column]] = {
    kind.model_fields["kind"].default: kind
    for kind in (Continuous, Positive, Bounded, Integer, Category, Periodic, DateTime, Constant, AllMissing, Mixed)
}
Schema = dict[str, Column]


def _ends(column: Bounded | Integer | Mixed) -> tuple[float, float]:
    return -math.inf if column.low is None else column.low, math.inf if column.high is None else column.high


def _checked_bounds(column: Any) -> Any:
    if column.low is not None and column.high is not None and not column.low < column.high:
        raise ValueError(f"low must be less than high; they are {column.low} and {column.high}")
    return column


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return f"from {low:g}"
    return f"up to {high:g}" if low is None else f"{low:g} to {high:g}"


def _type_of(level: Level) -> str:
    if isinstance(level, bool):
        return "boolean"
    return "text" if isinstance(level, str) else "number"


def _short(level: Level) -> str:
    text = str(level)
    return text if len(text) <= 20 else f"{text[:20]}…"
