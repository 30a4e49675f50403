"""What a flow is shown of given columns: numbers, levels and gaps as flags, angles as points on a circle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.tables.columns.base import Column


class ShownContext(nn.Module):
    """shown = (numbers of column 1, its flag of a gap, numbers of column 2, ...), of the codes of given columns.

    Arguments:
        kinds: of the columns.
        gap_values: of each the code that is shown, beside a flag, where a value is missing; None where none may be.
        coded: whether codes are shown as they are, as to flows of earlier versions; default False.

    Attributes:
        features: the number of columns.
        width: how many numbers are shown.
        flags: the places of those numbers that are not in a column's own units but from -1 to 1.
        allows_gaps: whether a value may be missing, NaN.
        trivial: whether codes are shown as they are.

    Example:
        >>> from pushforward.tables.columns.kinds import Continuous, Periodic
        >>> shown = ShownContext([Continuous(), Periodic(period=4)], [0.5, None])
        >>> shown(torch.tensor([[2.0, 1.0], [torch.nan, 0.0]])).round()
        tensor([[2., 0., -0., 1.],
                [0., 1., 1., 0.]])
    """

    fillers: Tensor
    owner: Tensor

    def __init__(self, kinds: Sequence[Column], gap_values: Sequence[float | None], coded: bool = False) -> None:
        super().__init__()
        self.kinds, self.features, self.coded = list(kinds), len(kinds), coded
        self.may_be_missing = [value is not None for value in gap_values]
        units = [[True] if coded else [*kind.context_units] for kind in kinds]
        for own, gaps in zip(units, self.may_be_missing, strict=True):
            own += [False] if gaps else []
        self.width = sum(map(len, units))
        every = [number for own in units for number in own]
        self.flags = [place for place, own_units in enumerate(every) if not own_units]
        self.allows_gaps = any(self.may_be_missing)
        self.trivial = all(own == [True] for own in units)
        values = [0.0 if value is None else value for value in gap_values]
        self.register_buffer("fillers", torch.tensor(values, dtype=torch.float64), persistent=False)
        owner = [column for column, own in enumerate(units) for _ in own]
        self.register_buffer("owner", torch.tensor(owner, dtype=torch.long), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """The numbers, (*batch, width), of codes, (*batch, C), NaN where a value is missing."""
        if self.trivial:
            return codes
        rows = codes.reshape(-1, self.features)
        missing = rows.isnan()
        parts = []
        for place, (kind, gaps) in enumerate(zip(self.kinds, self.may_be_missing, strict=True)):
            values = rows[:, place]
            if gaps:
                values = torch.where(missing[:, place], self.fillers[place].to(values), values)
            parts.append(values[:, None] if self.coded else kind.context_inputs(values))
            parts += [missing[:, place, None].to(codes.dtype)] if gaps else []
        return torch.cat(parts, 1).reshape(*codes.shape[:-1], self.width)

    def ends(self, codes: Tensor) -> Tensor:
        """The range, (2, width), of what is shown of columns whose smallest and largest codes are (2, C)."""
        shown = codes[:, self.owner].clone()
        shown[:, self.flags] = codes.new_tensor([[-1.0], [1.0]])
        return shown

    def columns_of(self, marked: Tensor) -> Tensor:
        """In which columns, (*batch, C), a number in its own units is marked, of (*batch, width)."""
        marked = marked.clone()
        marked[..., self.flags] = False
        found = marked.new_zeros(*marked.shape[:-1], self.features, dtype=torch.long)
        return found.index_add(-1, self.owner, marked.long()) > 0
