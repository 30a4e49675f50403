"""The probability integral transform of targets: where each value lies in its distribution given the conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@torch.inference_mode()
def pit_of_rows(density: TableDensity, roles: ColumnRoles, codes: np.ndarray) -> np.ndarray:
    """P(target < its value | given) of each target by itself, with half of P(target = its value | given).

    Arguments:
        density: in evaluation mode.
        roles: of the columns.
        codes: float64, (n, names), as `ColumnRoles.known` gives them.

    Returns:
        (n, modeled), NaN where a value is missing, and in rows with a value that the model has never seen.
    """
    found = np.full((len(codes), len(roles.modeled)), np.nan)
    seen = np.flatnonzero((codes != UNSEEN).all(1))
    if len(seen):
        x, context = roles.inputs(torch.from_numpy(codes[seen]))
        device = device_of(density)
        values: Tensor = density.distribution_functions(x.to(device), None if context is None else context.to(device))
        found[seen] = values.double().cpu().numpy()[:, : found.shape[1]]
    return found


@dataclass
class PitOfColumn:
    """A summary of the probability integral transforms of one target; of calibrated forecasts they are uniform.

    Attributes:
        rows: how many have one.
        total: their sum.
        within: how many lie within each of the central intervals `LEVELS`.
    """

    rows: int = 0
    total: float = 0.0
    within: tuple[int, ...] = (0,) * len(LEVELS)

    def add(self, pit: np.ndarray) -> None:
        """Include more rows, (n,); those without one are left out."""
        pit = pit[~np.isnan(pit)]
        away = np.abs(2 * pit - 1)
        self.rows += len(pit)
        self.total += float(pit.sum())
        self.within = tuple(
            count + int((away <= level).sum()) for count, level in zip(self.within, LEVELS, strict=True)
        )

    @property
    def mean(self) -> float | None:
        """The mean, 0.5 of calibrated forecasts; None without rows."""
        return self.total / self.rows if self.rows else None

    @property
    def coverage(self) -> dict[str, float | None]:
        """{level in percent: share of the rows within the central interval of that probability}."""
        shares = [count / self.rows if self.rows else None for count in self.within]
        return {f"{level:.0%}".rstrip("%"): share for level, share in zip(LEVELS, shares, strict=True)}

    def as_json(self) -> dict[str, object]:
        """The summary as plain JSON."""
        return {"rows": self.rows, "mean": self.mean, "coverage": self.coverage}


def summarize(added: Mapping[str, np.ndarray], columns: dict[str, PitOfColumn], names: Sequence[str]) -> None:
    """Include the transforms among added columns, {name: (n,)}, in the summary of each of some targets."""
    for name in names:
        if PIT + name in added:
            columns.setdefault(name, PitOfColumn()).add(added[PIT + name])


def lines_of_pit(columns: Mapping[str, PitOfColumn], most: int = 5) -> list[str]:
    """A line for people about each of the first targets."""
    levels = " / ".join(f"{level:.0%}" for level in LEVELS)
    lines = []
    for name, one in list(columns.items())[:most]:
        if one.rows:
            shares = " / ".join(percent(count / one.rows) for count in one.within)
            lines.append(
                f"{quoted(name)}: mean PIT {one.total / one.rows:.3f} (0.5 if calibrated); {shares} of the rows within "
                f"the central intervals of {levels}"
            )
    return lines
