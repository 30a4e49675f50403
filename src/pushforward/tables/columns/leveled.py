"""What the kinds of columns with few values share: the code of a value is the place of its level."""

from typing import TYPE_CHECKING

import numpy as np

from pushforward.support.hashing import hashes
from pushforward.tables.columns.base import Column

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.tables.columns.maps.base import Map

MOST_DECLARED = 4_096
# A flow is shown at most so many numbers of a level in its context.
MOST_FLAGS = 64


class Leveled(Column):
    """One of some levels, each with a probability of its own."""

    @property
    def level_count(self) -> int:
        """How many levels there are."""
        raise NotImplementedError

    @property
    def discrete(self) -> bool:
        """True."""
        return True

    @property
    def measured(self) -> bool:
        """False."""
        return False

    @property
    def plain_condition(self) -> bool:
        """Whether there are at most two levels: more are not in an order that means something."""
        return self.input_width == 0

    def all_codes(self) -> np.ndarray | None:
        """The positions of all levels."""
        return np.arange(self.level_count)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """All levels."""
        return np.arange(self.level_count, dtype=float)

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "cells"

    @property
    def map(self) -> type["Map"]:
        """Cells of known probability."""
        from pushforward.tables.columns.maps.cells import Cells

        return Cells

    @property
    def input_width(self) -> int:
        """The number of levels, if there are more than two."""
        return self.level_count if self.level_count > 2 else 0

    def network_inputs(self, codes: "Tensor", low: "Tensor", high: "Tensor") -> "Tensor":
        """1 for the value's level and 0 for all others."""
        level = codes.nan_to_num(0.0)[:, None]
        return (level == level.new_tensor(range(self.input_width))).to(low.dtype)

    @property
    def context_units(self) -> tuple[bool, ...]:
        """Flags of more than two levels, one for each, or as many signs."""
        return (False,) * min(self.input_width, MOST_FLAGS) or (True,)

    def context_inputs(self, codes: "Tensor") -> "Tensor":
        """1 for the value's level and 0 for all others; of very many levels fixed random signs, different for each.

        Source: feature hashing, Weinberger et al. 2009, arXiv:0902.2206.
        """
        if self.input_width <= MOST_FLAGS:
            return self.network_inputs(codes, codes, codes) if self.input_width else codes[:, None]
        return codes.new_tensor(self.signs)[codes.clamp(0, self.input_width - 1).long()]

    @property
    def signs(self) -> np.ndarray:
        """The signs that stand for levels where these are very many, (levels, signs)."""
        bits = hashes(np.arange(self.input_width), 0)[:, None] >> np.arange(MOST_FLAGS, dtype=np.uint64)
        found: np.ndarray = 2.0 * (bits & np.uint64(1)).astype(float) - 1.0
        return found
