"""What the columns of an array are: numbers on the line, or flags, counts, grades and rounded numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.flow import Density, Flow
from pushforward.support.modules import device_of
from pushforward.support.seeding import uniform_noise
from pushforward.support.suggestions import nearest
from pushforward.table_models.dequantized import POINTS, DequantizedDensity
from pushforward.tables import infer_schema, parse_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.columns.kinds import Column, Continuous
from pushforward.tables.columns.values import UNSEEN, Values

CONTINUOUS = "continuous"
SOURCE = "X"
# Where points on the line are looked for, as sinh(s), and how often the range of s is halved.
FURTHEST, BISECTIONS = 700.0, 80
PLAIN = Continuous(heavy=False, step=0.0)


class ColumnKinds:
    """The kinds of the columns of rows, and the density of rows that a flow stands for.

    Arguments:
        names: (D,) of the columns.
        kinds: (D,) complete.

    Attributes:
        names: of the columns.
        kinds: of the columns.

    Example:
        >>> rows = np.column_stack([np.random.default_rng(0).normal(size=200), np.arange(200) % 2])
        >>> kinds = learn_kinds(rows, ["size", "flag"], None)
        >>> kinds.describe()
        ['column "flag": integer, 0 to 1']
        >>> kinds.encode(np.array([[0.5, 1.0], [0.5, 0.5]]))
        array([[0.5, 1. ],
               [0.5, inf]])
    """

    def __init__(self, names: Sequence[str], kinds: Sequence[Column]) -> None:
        self.names, self.kinds = list(names), list(kinds)

    @property
    def maps(self) -> Columns:
        """The maps of the columns, which may have equal names."""
        places = [str(place) for place in range(len(self.kinds))]
        return Columns(dict(zip(places, self.kinds, strict=True)), places)

    @property
    def monotone(self) -> bool:
        """Whether a value increases with its point on the line, in every column."""
        for kind in self.kinds:
            codes = kind.all_codes()
            if kind.circular or (codes is not None and (np.diff(_as_floats(kind, codes)) <= 0).any()):
                return False
        return True

    @property
    def discrete(self) -> list[bool]:
        """Which columns have no density: every value has a probability."""
        return [kind.discrete for kind in self.kinds]

    def describe(self) -> list[str]:
        """A line for each column that is not a number on the whole line."""
        pairs = zip(self.names, self.kinds, strict=True)
        return [f'column "{name}": {kind.describe()}' for name, kind in pairs if not _is_plain(kind)]

    @property
    def bounded(self) -> bool:
        """Whether some points have a bound."""
        maps = self.maps
        return any(math.isfinite(end) for end in (*maps.low, *maps.high))

    def flow_options(self) -> dict[str, Any]:
        """What `Recipe.make` is to know of the points of the columns."""
        maps = self.maps
        about = {"normal": maps.normal, "trends": maps.linear}
        return {**about, **({"low": maps.low, "high": maps.high} if self.bounded else {})}

    def density(self, flow: Flow, points: int = POINTS) -> Density:
        """The density of codes that a flow of their points stands for, in evaluation mode.

        Arguments:
            flow: part of the density, not copied.
            points: of the dequantizing noise in evaluation mode, default as for tables.
        """
        maps = self.maps
        if maps.trivial:
            return flow
        return DequantizedDensity(maps, flow, points).to(device_of(flow)).eval()

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """The codes of rows, (n, D) float64, `UNSEEN` where a value has probability 0."""
        codes = np.empty(rows.shape)
        for place, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            codes[:, place] = codes_of(rows[:, place], name, kind)
        return codes

    def ends_below(self, rows: np.ndarray) -> np.ndarray:
        """The points on the line, (n, D), below which the values lie that are smaller than those of rows.

        Infinite where all or none are smaller, and NaN for levels, of which other values have no place among them; for
        columns whose values increase with their points.
        """
        # Bisection of sinh(s), which reaches all numbers.
        low, high = np.full(rows.shape, -FURTHEST), np.full(rows.shape, FURTHEST)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            smaller = self.decode(np.sinh(middle)) < rows
            low, high = np.where(smaller, middle, low), np.where(smaller, high, middle)
        found = np.select([high == FURTHEST, low == -FURTHEST], [np.inf, -np.inf], np.sinh(high))
        return np.where([kind.measured for kind in self.kinds], found, np.nan)

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """Rows, (n, D), to the last bit as `decode` gives them, NaN for values of probability 0."""
        codes = self.encode(rows)
        possible = codes != UNSEEN
        low, high, _ = self.maps.intervals(torch.from_numpy(np.where(possible, codes, np.nan)))
        # Somewhere between the ends, either of which may be infinite.
        finite = torch.where(low.isinf(), high - 1, low), torch.where(high.isinf(), low + 1, high)
        inside = torch.where(low.isinf() & high.isinf(), 0.0, 0.5 * (finite[0] + finite[1]))
        wide = (low < high).numpy() & possible
        values = self.decode(np.where(wide, inside.numpy(), 0.0))
        found: np.ndarray = np.where(wide, values, np.where(possible, rows, np.nan))
        return found

    def points(self, codes: np.ndarray, seed: int) -> Tensor:
        """The points of codes, (n, D), with dequantizing noise of a seed."""
        x = torch.from_numpy(codes)
        return self.maps.encode(x, uniform_noise(x.shape, seed))[0]

    def decode(self, points: np.ndarray) -> np.ndarray:
        """The values, (..., D) float64, each in the support of its column, of points on the line."""
        shape = points.shape
        codes = self.maps.decode(torch.from_numpy(points.reshape(-1, shape[-1]).astype(np.float64))).numpy()
        values = [_as_floats(kind, codes[:, place]) for place, kind in enumerate(self.kinds)]
        return np.stack(values, axis=1).reshape(shape)


def continuous_kinds(rows: np.ndarray, names: Sequence[str]) -> ColumnKinds:
    """All columns as numbers on the line, with a warning of those that repeat values.

    Arguments:
        rows: (n, D) of the fit.
        names: (D,) of the columns.
    """
    learned = learn_kinds(rows, names, None)
    pairs = zip(learned.names, learned.kinds, strict=True)
    repeated = [f'"{name}" ({kind.describe()})' for name, kind in pairs if kind.has_probabilities or kind.recorded]
    if repeated:
        warnings.warn(
            f"Columns repeat values, which have no density: {', '.join(repeated)}. Taken for continuous numbers, their "
            "log-density grows as long as it is trained, beyond what is possible.",
            UserWarning,
            stacklevel=5,
        )
    return ColumnKinds(names, [PLAIN] * len(names))


def learn_kinds(rows: np.ndarray, names: Sequence[str], declared: Mapping[int, Column] | None) -> ColumnKinds:
    """Learn what columns are, as a fit to a table does; one that cannot be told is continuous.

    Arguments:
        rows: (n, D) of the fit, in the precision in which they came.
        names: (D,) of the columns.
        declared: {place: what a user says of a column}.

    Raises:
        InputError: a column contradicts what a user says of it.
    """
    found = []
    for place, name in enumerate(names):
        column = _column(rows[:, place])
        said = (declared or {}).get(place)
        found.append(_learned(column, name) if said is None else _completed(column, name, said))
    return ColumnKinds(names, found)


def declared_kinds(
    kinds: Any, names: Sequence[str], context_names: Sequence[str] = ()
) -> tuple[dict[int, Column], dict[int, Column]]:
    """What a user says of some columns, by their places, and of some of a context, by theirs.

    Arguments:
        kinds: None, "continuous", or {name or place: kind or entry of a schema}; a place is that of a modeled column.
        names: (D,) of the modeled columns.
        context_names: (C,) of the columns of the context; default none.

    Raises:
        InputError: something else, or a column that is not there, or one name of two columns.
    """
    if kinds is None or (isinstance(kinds, str) and kinds == CONTINUOUS):
        return {}, {}
    if not isinstance(kinds, Mapping):
        raise InputError(
            f'kinds is None, "{CONTINUOUS}" or a dict of columns such as {{"{names[0]}": "integer"}}, not {kinds!r}.'
        )
    found: dict[int, Column] = {}
    of_context: dict[int, Column] = {}
    for key, entry in kinds.items():
        is_place = isinstance(key, int | np.integer) and not isinstance(key, bool)
        known = [*names, *context_names]
        if key not in known and not (is_place and 0 <= key < len(names)):
            raise InputError(f'kinds names a column "{key}" that {SOURCE} does not have; {nearest(str(key), known)}')
        if known.count(key) > 1:
            raise InputError(f'kinds names "{key}", which is a target and a column of {SOURCE}: rename the column.')
        name = names[int(key)] if is_place else str(key)
        (column,) = parse_schema({name: entry}, source="kinds").values()
        if column.missing is not None:
            instead = "fill or remove them" if name in names else f"mark them by NaN in {SOURCE}"
            raise InputError(f'kinds: what stands for missing values in column "{name}" cannot be told; {instead}.')
        if name in names:
            found[list(names).index(name)] = column
        else:
            of_context[list(context_names).index(name)] = column
    return found, of_context


def context_kind(values: np.ndarray, name: str, said: Column | None, learned: bool = True) -> Column:
    """What a column of a context is: a plain number, unless more is shown of it than the number.

    Nobody need declare an angle. What else is not declared is a number: other values may come, and flags of values that
    many rows have are found by trees themselves, and lose more than they gain (benchmarks/regression_choices.md).

    Arguments:
        values: (n,) of the fit, NaN where one is missing, in the precision in which they came.
        name: of the column.
        said: what a user declares of it, or None.
        learned: whether angles are found, default True.

    Raises:
        InputError: the column contradicts what a user says of it.
    """
    column = _column(values)
    if said is not None:
        kind = _completed(column, name, said)
        kind = kind.as_context() if kind.measured else kind
    else:
        kind = _learned(column, name, gaps=True) if learned else PLAIN
        kind = kind if kind.circular else PLAIN
    if kind.circular:
        # Angles between those that the fit had have a place on the circle.
        return kind.model_copy(update={"step": 0.0})
    return PLAIN if kind.measured and kind.context_units == (True,) else kind


def codes_of(values: np.ndarray, name: str, kind: Column) -> np.ndarray:
    """The codes of values of a column, (n,) float64, `UNSEEN` for one of probability 0 and NaN for a missing one."""
    if _is_plain(kind):
        return values.astype(np.float64)
    found = Values(_column(values), name, SOURCE, strict=False)
    codes = kind.encode(found)
    return np.where(found.unseen, UNSEEN, codes)


def _learned(column: Any, name: str, gaps: bool = False) -> Column:
    """The kind of a column that nobody declared, of which every value, or every one that is there, must have a code."""
    try:
        kind = infer_schema(pa.table({name: column}), source=SOURCE)[name]
        values = Values(column, name, SOURCE, strict=False)
        known = np.isfinite(kind.encode(values)) | (~values.present if gaps else False)
        fits = bool(known.all()) and not values.unseen.any()
    except InputError:
        return PLAIN
    return kind if fits and _is_of_floats(kind) else PLAIN


def _completed(column: Any, name: str, said: Column) -> Column:
    """The kind of a column that a user declared."""
    kind = infer_schema(pa.table({name: column}), {name: said}, source=SOURCE)[name]
    kind.encode(Values(column, name, SOURCE))
    if not _is_of_floats(kind):
        raise InputError(f'kinds: column "{name}" of {SOURCE} holds numbers, and cannot be {kind.describe()}.')
    return kind


def _is_of_floats(kind: Column) -> bool:
    """Whether the values of a column that varies are numbers."""
    number = pa.types.is_floating(kind.arrow_type) or pa.types.is_integer(kind.arrow_type)
    return kind.modeled and kind.numeric and number


def _is_plain(kind: Column) -> bool:
    """Whether codes are values, and any number is one."""
    return kind.dense and not kind.strict and kind.recorded is None and kind.describe() == PLAIN.describe()


def _as_floats(kind: Column, codes: np.ndarray) -> np.ndarray:
    """The values of codes as float64."""
    values: np.ndarray = np.asarray(kind.decode(codes)).astype(np.float64)
    return values


def _column(values: np.ndarray) -> Any:
    """A column of pyarrow, of floating-point numbers in their own precision."""
    floats = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    return pa.array(np.ascontiguousarray(floats))
