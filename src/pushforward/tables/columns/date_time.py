"""A date, or a date and time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pushforward.tables.columns.atoms import atoms_of, far_atoms
from pushforward.tables.columns.base import Column, Share
from pushforward.tables.columns.calendar import (
    DAY,
    LENGTHS,
    Unit,
    coarsest_unit,
    common_multiple,
    first_days,
    places_of,
    rest_of,
)
from pushforward.tables.columns.marginal import Marginal, mixture_of
from pushforward.tables.columns.recording import Grid, spread
from pushforward.tables.columns.values import Values
from pushforward.tables.numbers import BadValue, to_numpy

if TYPE_CHECKING:
    from pushforward.tables.columns.maps.base import Map

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # of pyarrow, in nanoseconds
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO = rf"^{_DATE}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?$"
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_WITHOUT_ZONE = r"^[0-9-]{10}([T ][0-9:.]+)?$"


class DateTime(Column):
    """A date, or a date and time.

    The code of a value is how many steps it lies after the origin.

    Attributes:
        step: month, day, hour, minute, second, millisecond, microsecond or nanosecond; inferred if None, the longest of
            which all values are multiples: months if all are first days, or all are last days.
        every: how many of these units a step is, such as 15 minutes; inferred if None.
        end: whether values are the last days of their months; inferred if None.
        origin: units from 1970 to what is counted as 0; inferred.
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
    zone: str | None = None
    date: bool | None = None
    atoms: Annotated[list[str], Field(max_length=100)] | None = None
    shares: list[Share] | None = None
    marginal: Marginal | None = None

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
        """The kind, its step and its atoms."""
        if self.step is None:
            return "date-time"
        if self.step == "month":
            step = f"{'last' if self.end else 'first'} days of months" + self._several("every {} months")
        else:
            step = self._several("every {} " + self.step + "s").removeprefix(", ") or f"to the {self.step}"
        atoms = ", ".join(
            f"{share:.2%} {atom}" for atom, share in zip(self.atoms or (), self.shares or (), strict=False)
        )
        return f"date-time, {step}{', ' + atoms if atoms else ''}"

    @property
    def remark(self) -> str | None:
        """That an atom far from all other values is likely a mark of missing values."""
        if not self.atoms or self.marginal is None:
            return None
        places = self.atom_codes
        far = far_atoms(places, np.array(self.marginal.x[1:-1]))
        marks = ", ".join(f'"{atom}"' for atom, place in zip(self.atoms, places, strict=True) if place in far)
        if not marks:
            return None
        return f'{marks} lies far from all other values: if it marks missing values, declare "missing": [{marks}]'

    @classmethod
    def infer(cls, values: Values) -> Self | None:
        """Dates, timestamps, and text in which every value is an ISO date or date-time."""
        if values.is_text:
            dates = not values.is_numeric and pc.all(pc.match_substring_regex(values.column, _ISO)).as_py()
        else:
            dates = values.is_dates
        return cls().complete(values) if dates else None

    def complete(self, values: Values) -> Self:
        """Find the step, the origin, the atoms, the zone, and whether values are dates alone."""
        ticks, present, nanoseconds = _ticks(values)
        ticks = ticks[present]
        zone, date = _zone_and_date(values, ticks, nanoseconds)
        date = date if self.date is None else self.date
        found = self.model_copy(update={"zone": self.zone or zone, "date": date})
        if self.atoms is None:
            atoms = _atoms(*np.unique(ticks, return_counts=True))
        else:
            atoms = np.array([_tick_of(atom, nanoseconds) for atom in self.atoms], dtype=np.int64)
        rest = ~np.isin(ticks, atoms)
        found = found._with_step(ticks[rest], nanoseconds)
        if not len(atoms):
            return found.model_copy(update={"atoms": []})
        unit = _arrow_unit(nanoseconds)
        shown = [_iso(tick, unit, bool(found.date)) for tick in np.sort(atoms).tolist()]
        codes = found._codes(ticks[rest], nanoseconds)
        rows = np.array([np.count_nonzero(ticks == atom) for atom in np.sort(atoms)])
        cells = spread(*np.unique(codes, return_counts=True), 1.0)
        shares, marginal = mixture_of(cells, rows, (-np.inf, np.inf))
        return found.model_copy(update={"atoms": shown, "shares": shares, "marginal": marginal})

    @property
    def arrow_type(self) -> Any:
        """Dates, or timestamps in the coarsest unit that holds the steps."""
        return pa.date32() if self.date else pa.timestamp(self._unit, self.zone)

    def encode(self, values: Values) -> np.ndarray:
        """Steps after the origin."""
        ticks, present, nanoseconds = _ticks(values)
        codes = self._codes(ticks, nanoseconds)
        on_atom = np.zeros(len(ticks), dtype=bool)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            same = ticks == _tick_of(atom, nanoseconds)
            codes, on_atom = np.where(same, code, codes), on_atom | same
        unit = self.step or "second"
        apart = rest_of(ticks + self._day_after(nanoseconds), unit, nanoseconds) != 0
        apart |= self._places(ticks, nanoseconds) % (self.every or 1) != 0
        broken = np.flatnonzero(apart & present & ~on_atom)
        if len(broken):
            place = int(broken[0])
            problem = f"which is not on the grid of the other values ({self.describe()})"
            remedy = "round it, or fit with a schema whose step is shorter"
            raise values.bad_value(place, str(values.column[place].as_py()), problem, remedy)
        return np.where(present, codes, np.nan)

    def decode(self, codes: np.ndarray) -> Any:
        """Dates or timestamps."""
        present = ~np.isnan(codes)
        places = np.where(present, codes, 0).astype(np.int64) * (self.every or 1) + (self.origin or 0)
        units = UNITS["s"] if self.date else UNITS[self._unit]
        if self.step == "month":
            days = first_days(places + bool(self.end)) - bool(self.end)
            ticks = days * (DAY // units)
        else:
            ticks = places * (LENGTHS[self.step or "second"] // units)
        for atom, code in zip(self.atoms or (), self.atom_codes, strict=True):
            ticks = np.where(codes == code, _tick_of(atom, units), ticks)
        if self.date:
            return pa.array((ticks // (DAY // units)).astype(np.int32), pa.int32(), mask=~present).cast(self.arrow_type)
        return pa.array(ticks, pa.int64(), mask=~present).cast(self.arrow_type)

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
        ticks = np.array([_tick_of(atom, finest) for atom in self.atoms or ()], dtype=np.int64)
        return list(self._codes(ticks, finest).tolist())

    @property
    def cells(self) -> Grid | None:
        """The grid of codes."""
        return Grid(1.0, 0.0)

    def _with_step(self, ticks: np.ndarray, nanoseconds: int) -> Self:
        """Find the step and the origin of date-times beside the atoms."""
        unit = self.step or coarsest_unit(ticks, nanoseconds)
        end = self.end if self.end is not None else unit == "month" and bool(rest_of(ticks, unit, nanoseconds).any())
        column = self.model_copy(update={"step": unit, "end": end})
        places = places_of(ticks + column._day_after(nanoseconds), unit, nanoseconds) - bool(end)
        every = self.every or common_multiple(places)
        origin = int(places.min()) if self.origin is None else self.origin
        return column.model_copy(update={"every": every, "origin": origin})

    def _day_after(self, nanoseconds: int) -> int:
        """What makes the last days of months first days."""
        return DAY // nanoseconds if self.end else 0

    def _places(self, ticks: np.ndarray, nanoseconds: int) -> np.ndarray:
        """Units after the origin."""
        places = places_of(ticks + self._day_after(nanoseconds), self.step or "second", nanoseconds)
        return places - bool(self.end) - (self.origin or 0)

    def _codes(self, ticks: np.ndarray, nanoseconds: int) -> np.ndarray:
        return np.asarray((self._places(ticks, nanoseconds) // (self.every or 1)).astype(np.float64))

    def _several(self, text: str) -> str:
        """A text with the number of units, if there are several."""
        return "" if self.every in (None, 1) else f", {text.format(self.every)}"

    @property
    def _unit(self) -> str:
        """The coarsest unit of pyarrow that holds the steps."""
        length = DAY if self.step == "month" else LENGTHS[self.step or "second"]
        return next(unit for unit, nanoseconds in UNITS.items() if nanoseconds <= length)


def _zone_and_date(values: Values, ticks: np.ndarray, nanoseconds: int) -> tuple[str | None, bool]:
    """The time zone, and whether values are dates alone."""
    if not values.is_text:
        date = bool(pa.types.is_date(values.type))
        return None if date else values.type.tz, date
    zoned = not pc.all(pc.match_substring_regex(values.column, _WITHOUT_ZONE)).as_py()
    whole_days = not rest_of(ticks, "day", nanoseconds).any()
    return "UTC" if zoned else None, whole_days and bool(pc.all(pc.equal(pc.utf8_length(values.column), 10)).as_py())


def _atoms(different: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The atoms among different date-times, all in ticks."""
    # Counted from the first value, where float64 holds them exactly.
    first = int(different[0])
    return np.array(atoms_of((different - first).astype(np.float64), counts), dtype=np.int64) + first


def _arrow_unit(nanoseconds: int) -> str:
    return next(unit for unit, length in UNITS.items() if length == nanoseconds)


def _iso(tick: int, unit: str, date: bool) -> str:
    """A date-time as text."""
    shown = str(np.array(tick, dtype=np.int64).astype(f"datetime64[{unit}]"))
    return shown[:10] if date else shown


def _tick_of(text: str, nanoseconds: int) -> int:
    """A date-time of ISO 8601 in ticks since 1970."""
    return int(np.array(text, dtype=f"datetime64[{_arrow_unit(nanoseconds)}]").astype(np.int64))


def _ticks(values: Values) -> tuple[np.ndarray, np.ndarray, int]:
    """Return date-times as whole numbers since 1970, int64; which are present; and the nanoseconds of one tick."""
    column = _parsed(values) if values.is_text else values.column
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        raise BadValue(values.first_row, f"{values.what} is of type {column.type}, where date-times are needed.")
    present = to_numpy(pc.is_valid(column))
    return to_numpy(pc.fill_null(pc.cast(column, pa.int64()), 0)), present, UNITS[column.type.unit]


def _parsed(values: Values) -> Any:
    """Text as timestamps."""
    column = values.column
    good = pc.fill_null(pc.match_substring_regex(column, _ISO), True)
    zone = "UTC" if pc.any(pc.match_substring_regex(column, _ZONE)).as_py() else None
    try:
        if not pc.all(good).as_py():
            raise pa.ArrowInvalid("not ISO 8601")
        return pc.cast(column, pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        place = next((place for place, ok in enumerate(good.to_pylist()) if not ok), 0)
        raise values.bad_value(
            place,
            f'the text "{column[place].as_py()}"',
            "where a date-time such as 2024-02-29 or 2024-02-29 13:05:00 is needed",
            "correct it",
        ) from None
