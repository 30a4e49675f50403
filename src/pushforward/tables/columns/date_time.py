"""A date, or a date and time."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from pushforward.tables.arrow import pa
from pushforward.tables.columns.atoms import atoms_of, far_atoms, list_atoms, remark_of_far
from pushforward.tables.columns.base import Column, Share
from pushforward.tables.columns.calendar import DAY, LENGTHS, CalendarGrid, Unit, grid_through, places_of
from pushforward.tables.columns.declarations import WHOLE_NUMBERS, check_declared, check_step
from pushforward.tables.columns.marginal import Marginal, mixture_of
from pushforward.tables.columns.recording import Grid, spread
from pushforward.tables.columns.timestamps import (
    ISO,
    UNITS,
    arrow_unit,
    checked_iso,
    has_zone,
    iso,
    step_of,
    tick_of,
    ticks_of,
    zone_and_date,
)
from pushforward.tables.columns.values import Values, match_all
from pushforward.tables.numbers import BadValue

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map

Moment = Annotated[str, BeforeValidator(checked_iso)]


class DateTime(Column):
    """A date, or a date and time.

    The code of a value is how many steps it lies after the origin.

    Attributes:
        step: month, day, hour, minute, second, millisecond, microsecond or nanosecond; inferred if None, the longest of
            which all values are multiples: months if all are first days, or all are last days.
        every: how many of these units a step is, such as 15 minutes; inferred if None.
        end: whether values are the last days of their months; inferred if None.
        origin: units from 1970 to what is counted as 0; inferred.
        low: the earliest value beside the atoms, in ISO 8601, or None for none.
        high: the latest value beside the atoms, or None for none.
        zone: the time zone of the values, or None.
        date: whether values are written as dates alone; inferred.
        atoms: values in ISO 8601 that more rows have than their neighbors predict, such as 9999-12-31; inferred if
            None.
        shares: of the atoms, inferred.
        marginal: the distribution of the other codes where there are atoms, inferred.
    """

    kind: Literal["date-time"] = "date-time"
    step: Unit | None = None
    every: Annotated[int, Field(ge=1)] | None = None
    end: bool | None = None
    origin: int | None = None
    low: Moment | None = None
    high: Moment | None = None
    zone: str | None = None
    date: bool | None = None
    atoms: Annotated[list[Moment], Field(max_length=100)] | None = None
    shares: list[Share] | None = None
    marginal: Marginal | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "DateTime":
        if self.low and self.high and not tick_of(self.low, UNITS["us"]) < tick_of(self.high, UNITS["us"]):
            raise ValueError(f"low must be earlier than high; they are {self.low} and {self.high}")
        return self

    @property
    def discrete(self) -> bool:
        """True: every step has a probability."""
        return True

    @property
    def numeric(self) -> bool:
        """False."""
        return False

    @property
    def kept_as_text(self) -> bool | None:
        """True."""
        return True

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
        return ", ".join(["date-time", self.calendar.describe(), *bounds, *atoms])

    @property
    def remark(self) -> str | None:
        """That an atom far from all other values is likely a mark of missing values."""
        far, places = self.far_codes, self.atom_codes
        marks = ", ".join(f'"{atom}"' for atom, place in zip(self.atoms or (), places, strict=True) if place in far)
        return remark_of_far(marks) if marks else None

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Dates, timestamps, and text in which every value is an ISO date or date-time."""
        dates = not values.is_numeric and match_all(values.column, ISO) if values.is_text else values.is_dates
        return cls().complete(values) if dates else None

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
            atoms = _atoms(*np.unique(ticks, return_counts=True))
        else:
            atoms = np.array([tick_of(atom, nanoseconds) for atom in self.atoms], dtype=np.int64)
        rest = ticks[~np.isin(ticks, atoms)]
        calendar = grid_through(rest, nanoseconds, self.step, self.every, self.origin, self.end)
        unit, *others = calendar
        update: dict[str, Any] = {"step": unit, **dict(zip(("every", "origin", "end"), others, strict=True))}
        shown = [iso(tick, nanoseconds) for tick in np.sort(atoms).tolist()]
        update |= {"zone": self.zone or zone, "date": date, "atoms": shown}
        found = self.model_copy(update=update)
        if not shown:
            return found
        found._refuse_outside(values, calendar.codes(every, nanoseconds), present & ~np.isin(every, atoms))
        rows = np.array([np.count_nonzero(ticks == atom) for atom in np.sort(atoms)])
        cells = spread(*np.unique(calendar.codes(rest, nanoseconds), return_counts=True), 1.0)
        shares, marginal = mixture_of(cells, rows, found.bounds)
        return found.model_copy(update={"shares": shares, "marginal": marginal})

    @property
    def arrow_type(self) -> Any:
        """Dates, or timestamps in the coarsest unit that holds the steps."""
        return pa.date32() if self.date else pa.timestamp(self._unit, self.zone)

    def encode(self, values: Values) -> np.ndarray:
        """Steps after the origin."""
        ticks, present, nanoseconds = ticks_of(values)
        if present.any() and has_zone(values) != (self.zone is not None):
            here, there = ("without", "with") if self.zone else ("with", "without")
            raise BadValue(
                values.first_row + int(present.argmax()),
                f"{values.what} holds times {here} a time zone, and the model was fitted to times {there} one; write "
                "both alike.",
            )
        codes = self.calendar.codes(ticks, nanoseconds)
        on_atom = np.zeros(len(ticks), dtype=bool)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            same = ticks == tick_of(atom, nanoseconds)
            codes, on_atom = np.where(same, code, codes), on_atom | same
        broken = self.calendar.off(ticks, nanoseconds) & present & ~on_atom
        problem = f"which is not on the grid of the other values ({self.describe()})"
        _refuse(values, broken, problem, "round it, or fit with a schema whose step is shorter")
        self._refuse_outside(values, codes, present & ~on_atom)
        return np.where(present, codes, np.nan)

    def decode(self, codes: np.ndarray) -> Any:
        """Dates or timestamps."""
        present = ~np.isnan(codes)
        units = UNITS["s"] if self.date else UNITS[self._unit]
        ticks = self._ticks(codes, units)
        timestamps = pa.array(ticks, pa.int64(), mask=~present).cast(pa.timestamp(arrow_unit(units), self.zone))
        return timestamps.cast(self.arrow_type)

    def grid(self, spread: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
        """The steps nearest to equal ones, and the atoms."""
        return np.unique([*np.round(super().grid(spread, asked)), *self.atom_codes])

    @property
    def map(self) -> Callable[[Sequence[Any]], "Map"]:
        """Steps of equal length, or a mixture of atoms and steps."""
        if self.atoms:
            from pushforward.tables.columns.maps.mixture import Mixture

            return Mixture
        from pushforward.tables.columns.maps.steps import Steps

        return Steps

    @property
    def atom_codes(self) -> list[float]:
        """The steps of the atoms after the origin; a part of a step does not count."""
        finest = UNITS["us"] if self._unit != "ns" else UNITS["ns"]
        ticks = np.array([tick_of(atom, finest) for atom in self.atoms or ()], dtype=np.int64)
        return list(self.calendar.codes(ticks, finest).tolist())

    @property
    def far_codes(self) -> list[float]:
        """The codes of the atoms far from all other values."""
        if not self.atoms or self.marginal is None:
            return []
        return far_atoms(self.atom_codes, np.array(self.marginal.x[1:-1]))

    def amounts(self, codes: np.ndarray) -> np.ndarray:
        """Days since the beginning of 1970 if the step is one of days or months, otherwise seconds."""
        codes = super().amounts(codes)
        unit = DAY if self.step in ("month", "day") else UNITS["s"]
        ticks = self._ticks(codes, UNITS["s"] if unit == DAY else UNITS[self._unit])
        per_unit = unit // (UNITS["s"] if unit == DAY else UNITS[self._unit])
        return np.where(np.isnan(codes), np.nan, ticks / per_unit)

    @property
    def support(self) -> tuple[float, float]:
        """The first and the last step within the bounds."""
        low, high = (None if end is None else step_of(end, self.calendar) for end in (self.low, self.high))
        return -math.inf if low is None else math.ceil(low), math.inf if high is None else math.floor(high)

    @property
    def bounds(self) -> tuple[float, float]:
        """The first and the last step; beside atoms, the outer ends of their cells."""
        beyond = 0.5 if self.atoms else 0.0
        return self.support[0] - beyond, self.support[1] + beyond

    @property
    def cells(self) -> Grid | None:
        """The grid of codes."""
        return Grid(1.0, 0.0)

    @property
    def calendar(self) -> CalendarGrid:
        """The grid of the values beside the atoms."""
        return CalendarGrid(self.step or "second", self.every or 1, self.origin or 0, bool(self.end))

    def _ticks(self, codes: np.ndarray, nanoseconds: int) -> np.ndarray:
        """The ticks of codes, (n,) int64; anything where a code is NaN."""
        ticks = self.calendar.ticks(np.where(np.isnan(codes), 0, codes), nanoseconds)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            ticks = np.where(codes == code, tick_of(atom, nanoseconds), ticks)
        return ticks

    def _refuse_outside(self, values: Values, codes: np.ndarray, counted: np.ndarray) -> None:
        """Refuse steps outside the bounds, or mark them as unseen."""
        low, high = self.support
        _refuse(values, counted & (codes < low), f"before its bound {self.low}")
        _refuse(values, counted & (codes > high), f"after its bound {self.high}")

    @property
    def _unit(self) -> str:
        """The coarsest unit of pyarrow that holds the steps."""
        length = DAY if self.step == "month" else LENGTHS[self.step or "second"]
        return next(unit for unit, nanoseconds in UNITS.items() if nanoseconds <= length)


def _refuse(values: Values, bad: np.ndarray, problem: str, remedy: str = "") -> None:
    """Refuse date-times of probability 0, (n,), or mark them as unseen."""
    if values.strict and bad.any():
        place = int(bad.argmax())
        raise values.bad_value(place, str(values.column[place].as_py()), problem, remedy)
    values.unseen |= bad


def _atoms(different: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The atoms among different date-times, all in ticks."""
    # Counted from the last value, where float64 holds them exactly, and 0 does not count as a natural beginning.
    last = int(different[-1])
    return np.array(atoms_of((different - last).astype(np.float64), counts), dtype=np.int64) + last
