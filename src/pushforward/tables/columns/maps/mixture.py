"""The map of continuous numbers with atoms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.tables.columns.maps.base import Map
from pushforward.tables.columns.maps.one_mixture import OneMixture
from pushforward.tables.columns.maps.rounded_mixture import OneRoundedMixture


class Mixture(Map):
    """y = Φ⁻¹(u), u the distribution function of a continuous part with atoms, at random within the jump of an atom.

    Arguments:
        kinds: columns with `atom_codes`, their `shares`, the `marginal` distribution of the other values, and
            `recorded`.
    """

    normal = True

    def __init__(self, kinds: Sequence[Any]) -> None:
        super().__init__([kind.atom_codes[0] for kind in kinds])
        made = (OneMixture if kind.recorded is None else OneRoundedMixture for kind in kinds)
        self.parts: Any = nn.ModuleList(make(kind) for make, kind in zip(made, kinds, strict=True))

    def encode(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y, and the log-derivative or, for an atom, the log of the jump over the normal density."""
        found = [part.encode(codes[:, place], noise[:, place]) for place, part in enumerate(self.parts)]
        y, terms = zip(*found, strict=True)
        return torch.stack(y, 1), torch.stack(terms, 1)

    def intervals(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ends of an atom's jump, or y twice."""
        found = [part.intervals(codes[:, place]) for place, part in enumerate(self.parts)]
        low, high, term = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return low, high, term

    def decode(self, y: Tensor) -> Tensor:
        """The codes, an atom anywhere in its jump."""
        return torch.stack([part.decode(y[:, place]) for place, part in enumerate(self.parts)], 1)
