"""Codes that stand for moments: steps of a calendar, and atoms beside them."""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from pushforward.tables.arrow import pa
from pushforward.tables.columns.base import Column, Share
from pushforward.tables.columns.calendar import DAY, LENGTHS, CalendarGrid, Unit
from pushforward.tables.columns.grids import Grid
from pushforward.tables.columns.timestamps import UNITS, arrow_unit, checked_iso, step_of, tick_of

Moment = Annotated[str, BeforeValidator(checked_iso)]


class Moments(Column):
    """Moments as codes: how many steps of a calendar each lies after the origin.

    Attributes:
        step: month, day, hour, minute, second, millisecond, microsecond or nanosecond; inferred if None, the longest of
            which all values are multiples: months if all are first days, or all are last days.
        every: how many of these units a step is, such as 15 minutes; inferred if None.
        end: whether values are the last days of their months; inferred if None.
        origin: units from 1970 to what is counted as 0; inferred.
        low: the earliest value beside the atoms, in ISO 8601, or None for none.
        high: the latest value beside the atoms, or None for none.
        zone: the time zone of the values, or None.
        by_clock: whether steps are counted by the clocks of the zone; inferred, None for in UTC.
        rows_on_grid: the share of the rows that are on the grid or atoms, inferred; None for all. A value beside it
            counts as the step in which it lies.
        date: whether values are written as dates alone; inferred.
        atoms: values in ISO 8601 that more rows have than their neighbors predict, such as 9999-12-31; inferred if
            None.
    """

    step: Unit | None = None
    every: Annotated[int, Field(ge=1)] | None = None
    end: bool | None = None
    origin: int | None = None
    low: Moment | None = None
    high: Moment | None = None
    zone: str | None = None
    by_clock: bool | None = None
    rows_on_grid: Share | None = None
    date: bool | None = None
    atoms: Annotated[list[Moment], Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Moments":
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
    def arrow_type(self) -> Any:
        """Dates, or timestamps in the coarsest unit that holds the steps."""
        return pa.date32() if self.date else pa.timestamp(self._unit, self.zone)

    def decode(self, codes: np.ndarray) -> Any:
        """Dates or timestamps."""
        present = ~np.isnan(codes)
        units = UNITS["s"] if self.date else UNITS[self._unit]
        ticks = self._ticks(codes, units)
        timestamps = pa.array(ticks, pa.int64(), mask=~present).cast(pa.timestamp(arrow_unit(units), self.zone))
        return timestamps.cast(self.arrow_type)

    @property
    def atom_codes(self) -> list[float]:
        """The steps of the atoms after the origin; a part of a step does not count."""
        finest = UNITS["us"] if self._unit != "ns" else UNITS["ns"]
        ticks = np.array([tick_of(atom, finest) for atom in self.atoms or ()], dtype=np.int64)
        return list(self.calendar.codes(ticks, finest).tolist())

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
        zone = self.zone if self.by_clock else None
        return CalendarGrid(self.step or "second", self.every or 1, self.origin or 0, bool(self.end), zone)

    def _ticks(self, codes: np.ndarray, nanoseconds: int) -> np.ndarray:
        """The ticks of codes, (n,) int64; anything where a code is NaN."""
        ticks = self.calendar.ticks(np.where(np.isnan(codes), 0, codes), nanoseconds)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            ticks = np.where(codes == code, tick_of(atom, nanoseconds), ticks)
        return ticks

    @property
    def _unit(self) -> str:
        """The coarsest unit of pyarrow that holds the steps."""
        length = DAY if self.step == "month" else LENGTHS[self.step or "second"]
        return next(unit for unit, nanoseconds in UNITS.items() if nanoseconds <= length)
