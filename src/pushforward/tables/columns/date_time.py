"""A date, or a date and time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from pushforward.support.wording import percent
from pushforward.tables.columns.atoms import atoms_of, list_atoms, remark_of_marks
from pushforward.tables.columns.base import Share
from pushforward.tables.columns.calendar import grid_through, on_longest_step, places_of
from pushforward.tables.columns.declarations import WHOLE_NUMBERS, check_declared, check_step
from pushforward.tables.columns.far_dates import far_dates
from pushforward.tables.columns.marginal import Marginal, mixture_of
from pushforward.tables.columns.moments import Moments
from pushforward.tables.columns.outermost import far_from
from pushforward.tables.columns.recording import spread
from pushforward.tables.columns.timestamps import check_zone, iso, may_be_moments, tick_of, ticks_of, zone_and_date
from pushforward.tables.columns.values import Values

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map


class DateTime(Moments):
    """A date, or a date and time: a moment whose kind is learned from values.

    Attributes:
        shares: of the atoms, inferred.
        marginal: the distribution of the other codes where there are atoms, inferred.
    """

    kind: Literal["date-time"] = "date-time"
    shares: list[Share] | None = None
    marginal: Marginal | None = None

    @property
    def explainable(self) -> bool:
        """Whether there are no atoms."""
        return not self.atoms

    def describe(self) -> str:
        """The kind, its step, its bounds and its atoms."""
        if self.step is None:
            return "date-time"
        bounds = [f"from {self.low}"] * bool(self.low) + [f"up to {self.high}"] * bool(self.high)
        atoms = [list_atoms(self.atoms, self.shares)] if self.atoms and self.shares else []
        share = "" if self.rows_on_grid is None else f" ({percent(self.rows_on_grid)} of the rows)"
        return ", ".join(["date-time", self.calendar.describe() + share, *bounds, *atoms])

    @property
    def remark(self) -> str | None:
        """That an atom far from all other values is likely a mark of missing values."""
        far, places = self.far_codes, self.atom_codes
        marks = [f'"{atom}"' for atom, place in zip(self.atoms or (), places, strict=True) if place in far]
        return super().remark or (remark_of_marks(marks) if marks else None)

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Dates, timestamps, and text in which every value is an ISO date or date-time, if there are several."""
        if not may_be_moments(values):
            return None
        ticks, present, _ = ticks_of(values)
        return cls().complete(values) if np.ptp(ticks[present]) else None

    def check_declared(self, values: Values) -> None:
        """Refuse steps longer than the range of the values."""
        check_declared(values.what, {"every": self.every, "origin": self.origin}, WHOLE_NUMBERS)
        ticks, present, nanoseconds = ticks_of(values)
        if self.every and self.step:
            check_step(
                values.what, self.every, float(np.ptp(places_of(ticks[present], self.step, nanoseconds))), "every"
            )

    def complete(self, values: Values) -> Self:
        """Find the step, the origin, the atoms, the zone, and whether values are dates alone."""
        every, present, nanoseconds = ticks_of(values)
        ticks = every[present]
        zone, date = zone_and_date(values, ticks, nanoseconds)
        date = date if self.date is None else self.date
        if self.atoms is None:
            atoms = _atoms(*np.unique(ticks, return_counts=True), nanoseconds, zone)
        else:
            atoms = np.array([tick_of(atom, nanoseconds) for atom in self.atoms], dtype=np.int64)
        rest = ticks[~np.isin(ticks, atoms)]
        zone = self.zone or zone
        # An origin that is known without clocks is counted in UTC.
        in_utc = self.by_clock is False or (self.origin is not None and not self.by_clock)
        known = self.step, self.every, self.origin, self.end
        zone_of_steps = None if in_utc else zone
        on = np.full(len(rest), True)
        if self.step is None and len(rest):
            on = on_longest_step(rest, nanoseconds, zone_of_steps)
        calendar = grid_through(rest[on], nanoseconds, *known, zone_of_steps)
        unit, every_unit, origin, end, clocks = calendar
        update: dict[str, Any] = {"step": unit, "every": every_unit, "origin": origin, "end": end}
        update["by_clock"] = None if clocks is None else True
        update["rows_on_grid"] = None if on.all() else 1 - np.count_nonzero(~on) / len(ticks)
        shown = [iso(tick, nanoseconds) for tick in np.sort(atoms).tolist()]
        update |= {"zone": zone, "date": date, "atoms": shown}
        found = self.model_copy(update=update)
        if not shown:
            return found
        found._refuse_outside(values, calendar.codes(every, nanoseconds), present & ~np.isin(every, atoms))
        rows = np.array([np.count_nonzero(ticks == atom) for atom in np.sort(atoms)])
        cells = spread(*np.unique(calendar.codes(rest, nanoseconds), return_counts=True), 1.0)
        shares, marginal = mixture_of(cells, rows, found.bounds)
        return found.model_copy(update={"shares": shares, "marginal": marginal})

    def encode(self, values: Values) -> np.ndarray:
        """Steps after the origin."""
        ticks, present, nanoseconds = ticks_of(values)
        check_zone(values, present, self.zone)
        codes = self.calendar.codes(ticks, nanoseconds)
        on_atom = np.zeros(len(ticks), dtype=bool)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            same = ticks == tick_of(atom, nanoseconds)
            codes, on_atom = np.where(same, code, codes), on_atom | same
        broken = present & ~on_atom & (self.rows_on_grid is None)
        if broken.any():
            broken &= self.calendar.off(ticks, nanoseconds)
        problem = f"which is not on the grid of the other values ({self.describe()})"
        refuse_moments(values, broken, problem, "round it, or fit with a schema whose step is shorter")
        self._refuse_outside(values, codes, present & ~on_atom)
        return np.where(present, codes, np.nan)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The steps nearest to equal ones, and the atoms."""
        return np.unique([*np.round(super().grid(spread, asked)), *self.atom_codes])

    @property
    def map_name(self) -> str:
        """The name of the map."""
        return "mixture" if self.atoms else "steps"

    @property
    def map(self) -> Callable[[Sequence[Any]], "Map"]:
        """Steps of equal length, or a mixture of atoms and steps."""
        if self.atoms:
            from pushforward.tables.columns.maps.mixture import Mixture

            return Mixture
        from pushforward.tables.columns.maps.steps import Steps

        return Steps

    @property
    def far_codes(self) -> list[float]:
        """The codes of the atoms far from all other values."""
        if not self.atoms or self.marginal is None:
            return []
        codes = np.array(self.atom_codes)
        return list(codes[far_from(codes, self.marginal.ends(self.bounds))].tolist())

    def _refuse_outside(self, values: Values, codes: np.ndarray, counted: np.ndarray) -> None:
        """Refuse steps outside the bounds, or mark them as unseen."""
        low, high = self.support
        refuse_moments(values, counted & (codes < low), f"before its bound {self.low}")
        refuse_moments(values, counted & (codes > high), f"after its bound {self.high}")


def refuse_moments(values: Values, bad: np.ndarray, problem: str, remedy: str = "") -> None:
    """Refuse date-times of probability 0, (n,), or mark them as unseen."""
    if values.strict and bad.any():
        place = int(bad.argmax())
        raise values.bad_value(place, str(values.column[place].as_py()), problem, remedy)
    values.unseen |= bad


def _atoms(different: np.ndarray, counts: np.ndarray, nanoseconds: int, zone: str | None) -> np.ndarray:
    """The atoms among different date-times, all in ticks."""
    # Counted from the last value, where float64 holds them exactly, and 0 does not count as a natural beginning.
    last = int(different[-1])
    found = np.array(atoms_of((different - last).astype(np.float64), counts), dtype=np.int64) + last
    return found if len(found) else far_dates(different, counts, nanoseconds, zone)
