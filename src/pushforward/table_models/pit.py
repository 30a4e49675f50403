"""The probability integral transform of targets: where each value lies in its distribution given the conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.support.modules import device_of
from pushforward.support.suggestions import quoted
from pushforward.support.wording import percent
from pushforward.table_models.density import TableDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.tables.columns.values import UNSEEN

PIT = "pit_"
# The central intervals whose coverage is summarized.
LEVELS = (0.5, 0.9, 0.95)
# Mean probability of a value from which intervals visibly hold more than their level.
LEAST_MASS = 0.01


@torch.inference_mode()
def ends_of_rows(density: TableDensity, roles: ColumnRoles, codes: np.ndarray, *, in_order: bool = False) -> np.ndarray:
    """P(target < its value | given) and P(target ≤ its value | given) of each target by itself; their mean is the PIT.

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names), as `ColumnRoles.known` gives them.
        in_order: whether each target is given those before it as well, in the order of `chain_order`; default False.

    Returns:
        (2, n, modeled), NaN where a value is missing, and in rows with a value that the model has never seen.
    """
    found = np.full((2, len(codes), len(roles.modeled)), np.nan)
    seen = np.flatnonzero((codes != UNSEEN).all(1))
    if len(seen):
        inputs = roles.inputs(torch.from_numpy(codes[seen]).to(device_of(density)))
        functions = density.distribution_functions_in_order if in_order else density.distribution_functions
        values: Tensor = functions(*inputs)
        found[:, seen] = values.double().cpu().numpy()[..., : found.shape[2]]
    return found


@dataclass
class PitOfColumn:
    """A summary of where the values of one target lie in their distributions.

    Attributes:
        rows: how many have a probability integral transform.
        total: the sum of these.
        mass: the sum of the probabilities of the values.
        unseen: how many values were never seen, which lie in no interval.
        within: how many values lie within each of the equal-tailed intervals of the probabilities `LEVELS`.
    """

    rows: int = 0
    total: float = 0.0
    mass: float = 0.0
    unseen: int = 0
    within: tuple[int, ...] = (0,) * len(LEVELS)

    def add(self, below: np.ndarray, up_to: np.ndarray, unseen: int = 0) -> None:
        """Include P(target < its value) and P(target ≤ its value) of more rows, (n,) each; NaN are left out."""
        present = ~np.isnan(below)
        below, up_to = below[present], up_to[present]
        self.rows += len(below)
        self.unseen += unseen
        self.total += float((0.5 * (below + up_to)).sum())
        self.mass += float((up_to - below).sum())
        # A value lies between two quantiles if its jump of the distribution function meets their interval.
        self.within = tuple(
            count + int(((up_to >= 0.5 - level / 2) & (below <= 0.5 + level / 2)).sum())
            for count, level in zip(self.within, LEVELS, strict=True)
        )

    @property
    def mean(self) -> float | None:
        """The mean of the transforms, 0.5 of calibrated forecasts; None without rows."""
        return self.total / self.rows if self.rows else None

    @property
    def coverage(self) -> dict[str, float | None]:
        """{level in percent: share of the rows within the equal-tailed interval of that probability}."""
        count = self.rows + self.unseen
        shares = [within / count if count else None for within in self.within]
        return {f"{level:.0%}".rstrip("%"): share for level, share in zip(LEVELS, shares, strict=True)}

    def as_json(self) -> dict[str, object]:
        """The summary as plain JSON."""
        return {"rows": self.rows, "unseen": self.unseen, "mean": self.mean, "coverage": self.coverage}


def summarize(ends: np.ndarray, codes: np.ndarray, columns: dict[str, PitOfColumn], roles: ColumnRoles) -> None:
    """Include more rows in the summary of each target.

    Arguments:
        ends: (2, n, modeled), as `ends_of_rows` gives them.
        codes: (n, names) of the rows.
        columns: {target: its summary}.
        roles: of the columns.
    """
    for place, name in enumerate(roles.modeled):
        unseen = int((codes[:, roles.names.index(name)] == UNSEEN).sum())
        columns.setdefault(name, PitOfColumn()).add(ends[0, :, place], ends[1, :, place], unseen)


def lines_of_pit(columns: Mapping[str, PitOfColumn], most: int = 5) -> list[str]:
    """A line for people about each of the first targets."""
    levels = " / ".join(f"{level:.0%}" for level in LEVELS)
    lines = []
    for name, one in list(columns.items())[:most]:
        if one.rows:
            shares = " / ".join(percent(share or 0.0) for share in one.coverage.values())
            more = " (or more, since values have probabilities)" if one.mass / one.rows >= LEAST_MASS else ""
            lines.append(
                f"{quoted(name)}: mean PIT {one.total / one.rows:.3f} (0.5 if calibrated); {shares} of the rows within "
                f"the central intervals of {levels}{more}"
            )
    return lines
