"""Any real number."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field

from pushforward.tables.columns.detection import heavy_tails
from pushforward.tables.columns.measured import Measured
from pushforward.tables.columns.reading import STRICT
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map

# Of the tail transform: a light tail is given nearly exponential tails, and no tail a heavier index than the largest.
SMALLEST_INDEX, LARGEST_INDEX = 0.02, 2.0


class Tail(BaseModel):
    """The heavy tails of a column: those of generalized Pareto distributions, see `TailTransform`.

    Attributes:
        lower: λ of the lower tail, P(X < -x) ~ x^(-1/λ).
        upper: λ of the upper tail.
        shift: the column's median.
        scale: of the transform.
    """

    model_config = STRICT

    lower: Annotated[float, Field(gt=0, le=10)]
    upper: Annotated[float, Field(gt=0, le=10)]
    shift: float
    scale: Annotated[float, Field(gt=0)]


class Continuous(Measured):
    """Any real number.

    Attributes:
        heavy: whether its tails are heavier than exponential ones; inferred if None.
        tail: what is inferred of heavy tails.
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

    def describe(self) -> str:
        """The kind, its tails if they are heavy, and the step to which values were rounded."""
        if self.tail is None:
            return "continuous" + self.rounding()
        return f"continuous, heavy tails (index {self.tail.lower:.2f} and {self.tail.upper:.2f}){self.rounding()}"

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Any numbers are."""
        return cls().complete(values)

    def complete(self, values: Values) -> Self:
        """Find the step and the tails."""
        _ = values.numbers  # which refuses what is not a number
        stepped = self.with_step(values)
        if self.tail is not None or self.heavy is False:
            return stepped
        numbers = values.tally.spread_near(stepped.step or 0.0)
        lower, upper = heavy_tails(numbers, always=bool(self.heavy))
        if lower == upper == 0:
            return stepped.model_copy(update={"heavy": False})
        quartiles = np.quantile(numbers, [0.25, 0.5, 0.75])
        if not quartiles[0] < quartiles[1] < quartiles[2]:
            return stepped.model_copy(update={"heavy": False})
        tails = [min(max(index, SMALLEST_INDEX), LARGEST_INDEX) for index in (lower, upper)]
        # Half of all draws of the transform lie between its quartiles.
        quarter = [np.expm1(index * np.log(2)) / index for index in tails]
        scale = 0.5 * ((quartiles[1] - quartiles[0]) / quarter[0] + (quartiles[2] - quartiles[1]) / quarter[1])
        tail = Tail(lower=tails[0], upper=tails[1], shift=float(quartiles[1]), scale=float(scale))
        return stepped.model_copy(update={"heavy": True, "tail": tail})

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "identity" if self.tail is None else "tails"

    @property
    def exact_map(self) -> Callable[[Sequence[Any]], "Map"]:
        """The identity, or the tail transform if the tails are heavy."""
        if self.tail is None:
            return super().exact_map
        from pushforward.tables.columns.maps.tails import Tails

        return Tails
