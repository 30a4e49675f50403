"""A model of a table as JSON: of each column what its values are, and its map to the whole line, for `table.js`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from pushforward.errors import InputError
from pushforward.exports.levels import levels_of
from pushforward.lite.table import DequantizedTable
from pushforward.tables.arrow import pa

Described = dict[str, Any]


def described_table(table: DequantizedTable) -> Described:
    """Describe a model of a table, but for its density.

    Raises:
        InputError: a column whose steps are counted by the clocks of a time zone, by its name.
    """
    coded = table.density.context_features == len(table.context)
    columns = [{"name": name, **_column(name, table.schema[name])} for name in table.columns]
    given = [
        {
            "name": name,
            "values": _values(name, table.schema[name]),
            "shown": _shown(table.schema[name], coded),
            **({"gap": table.gap_values[name]} if name in table.gap_values else {}),
        }
        for name in table.context
    ]
    return {"columns": columns, "given": given, "conditional": bool(table.given), "points": table.points}


def _column(name: str, kind: Any) -> Described:
    return {"values": _values(name, kind), "map": _map(kind) if kind.modeled else None}


def _values(name: str, kind: Any) -> Described | None:
    """What the values of a column are, None where it has none."""
    levels, options = levels_of(kind), kind.as_json()
    if not kind.modeled and levels is None:
        return None
    moments = pa.types.is_date(kind.arrow_type) or pa.types.is_timestamp(kind.arrow_type)
    if levels is not None:
        return {"kind": "levels", "levels": levels, "moments": moments, "zoned": "zone" in options}
    if moments:
        return _moments(name, kind, options)
    if kind.circular:
        period = {"low": kind.low, "period": kind.period, "step": options.get("step")}
        return {"kind": "angles", **period, "strict": "rows_on_grid" not in options, "atoms": kind.atom_codes}
    # A value beside the step of some rows is a whole number, and stands for the nearest on it where there are no atoms.
    everywhere = "rows_on_grid" not in options and not kind.atom_codes
    step, offset = (kind.lattice if everywhere else (1, 0)) if kind.discrete else (None, None)
    beside = kind.discrete and not everywhere and not kind.atom_codes
    written = {"step": options.get("written_step"), "figures": options.get("figures")}
    return {
        "kind": "plain",
        **dict(zip(("low", "high"), _ends(kind.bounds), strict=True)),
        "open": kind.bounds[0] == 0 < kind.support[0],
        "step": step,
        "offset": offset,
        "snapped": dict(zip(("step", "offset"), kind.lattice, strict=True)) if beside else None,
        "atoms": kind.atom_codes,
        "written": written if written["step"] else None,
        "recorded": kind.recorded is not None,
    }


def _moments(name: str, kind: Any, options: Described) -> Described:
    calendar = kind.calendar
    if calendar.zone is not None:
        raise InputError(
            f'The steps of the column "{name}" are counted by the clocks of {calendar.zone}, which JavaScript has no '
            "words for: fit with the times in UTC, or without their zone."
        )
    steps = {"unit": calendar.unit, "every": calendar.every, "origin": calendar.origin, "end": calendar.end}
    return {
        "kind": "moments",
        "calendar": steps,
        "atoms": options.get("atoms", []),
        "range": _ends(kind.support),
        "strict": "rows_on_grid" not in options,
        "zoned": "zone" in options,
        "date": bool(options.get("date")),
    }


def _ends(ends: Any) -> list[float | None]:
    """Two ends, None for none."""
    return [float(end) if math.isfinite(end) else None for end in ends]


def _shown(kind: Any, coded: bool) -> Described:
    """What a flow is shown of a given column."""
    units = (True,) if coded else kind.context_units
    if units == (True,):
        return {"kind": "plain"}
    if kind.circular:
        return {"kind": "circle", "low": kind.low, "period": kind.period}
    if units == (True, False):
        return {"kind": "atoms", "atoms": kind.atom_codes}
    if kind.input_width == len(units):
        return {"kind": "flags", "count": len(units)}
    return {"kind": "signs", "signs": kind.signs.tolist()}


def _map(kind: Any) -> Described:
    name = kind.map_name
    found: Described = {"kind": name, "bounds": _ends(kind.bounds), **MAPS[name](kind)}
    # The steps of whole numbers and circles are their maps' own.
    if kind.recorded is not None and name not in ("cells", "steps", "circle"):
        found["recorded"] = _recorded(kind, kind.bounds if name == "mixture" else kind.support)
    return found


def _recorded(kind: Any, ends: Any) -> Described:
    grid = kind.recorded
    low, high = ((end - grid.offset) / grid.step for end in ends)
    # A billionth of a step is rounding.
    nearest = numpy.ceil(low - 1e-9), numpy.floor(high + 1e-9)
    return {
        "step": float(grid.step),
        "offset": float(grid.offset),
        "figures": kind.as_json().get("figures"),
        "exact_beside": bool(kind.partly_recorded),
        "discrete": bool(kind.discrete),
        "range": _ends(grid.offset + place * grid.step for place in nearest),
    }


def _cells(kind: Any) -> Described:
    shares = numpy.array(kind.frequencies or [1.0])
    codes = kind.all_codes()[:2].tolist() or [0]
    return {"first": codes[0], "step": codes[-1] - codes[0] or 1, "shares": (shares / shares.sum()).tolist()}


def _steps(kind: Any) -> Described:
    (low, high), (step, offset) = kind.bounds, kind.lattice
    places = (low - offset) / step, (high - offset) / step
    return {"step": step, "offset": offset, "range": _ends((numpy.ceil(places[0]), numpy.floor(places[1])))}


def _tails(kind: Any) -> Described:
    return {name: float(getattr(kind.tail, name)) for name in ("lower", "upper", "shift", "scale")}


def _circle(kind: Any) -> Described:
    turn = {"period": kind.period, "low": kind.low, "start": kind.start or 0.0, "step": kind.step or 0.0}
    return {**turn, "atoms": kind.atom_codes, "shares": list(kind.shares or ())}


def _mixture(kind: Any) -> Described:
    marginal, (low, high) = kind.marginal, kind.bounds
    piled = marginal.piled
    if piled:
        low, high = piled.bounds_of_logarithms(low, high)
    knots = {"z_knots": marginal.z, "x_knots": marginal.x, "slopes": marginal.slopes}
    spline: Described = {key: numpy.array([values], float) for key, values in knots.items()}
    spline |= {"low": numpy.array([low], float), "high": numpy.array([high], float)}
    atoms = {"atoms": kind.atom_codes, "shares": list(kind.shares)}
    return {"spline": spline, "piled": [piled.low, piled.high] if piled else None, **atoms}


MAPS: dict[str, Callable[[Any], Described]] = {
    "identity": lambda kind: {"support": _ends(kind.support)},
    "logarithm": lambda kind: {},
    "cells": _cells,
    "steps": _steps,
    "end_logarithms": lambda kind: {"piled": [kind.piled.low, kind.piled.high]},
    "tails": _tails,
    "circle": _circle,
    "mixture": _mixture,
}
