"""The functions of arrays by which `pushforward.lite` evaluates a density, as nodes of an ONNX graph.

What is known before the graph runs is computed by numpy at once. ONNX has neither log1p nor expm1, and onnxruntime has
arctan, arcsinh and sinh in single precision alone: these are written by others, to the precision of the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from onnx import helper, numpy_helper

from pushforward.exports.onnx.graph import Folded, Graph, Shape, Value, broadcast, size_of

# The operator set of text.
TEXT = "ai.onnx.ml"


class Namespace:
    """An array namespace whose arrays are values of a graph.

    Arguments:
        dtype: the precision of a file.

    Attributes:
        graph: to which nodes are added now.
    """

    float32, float64, int32, int64 = numpy.float32, numpy.float64, numpy.int32, numpy.int64
    finfo = staticmethod(numpy.finfo)

    def __init__(self, dtype: Any = numpy.float64) -> None:
        self.graph, self.dtype = Graph(), numpy.dtype(dtype)

    def argument(self, name: str, dtype: Any, shape: Shape) -> Value:
        """Return an input of the graph."""
        return Value(self, name, dtype, shape)

    def asarray(self, array: Any, dtype: Any = None) -> Value:
        """Return a value of the graph, or a constant."""
        if isinstance(array, Value):
            return array if dtype is None else self.cast(array, dtype)
        found = numpy.asarray(array, dtype)
        return Value(self, "", found.dtype, found.shape, found)

    def added(
        self, kind: str, fold: Folded, values: Sequence[Value], dtype: Any, shape: Shape, **attributes: Any
    ) -> Value:
        """Add a node, or compute at once what is known."""
        if all(value.constant is not None for value in values):
            return self.asarray(fold(*(value.constant for value in values)), dtype)
        return Value(self, self.graph.node(kind, [value.name for value in values], **attributes), dtype, shape)

    def each(self, kind: str, fold: Folded, value: Value, dtype: Any = None) -> Value:
        """A function of every number."""
        return self.added(kind, fold, [value], dtype or value.dtype, value.shape)

    def both(self, kind: str, fold: Folded, one: Any, other: Any, dtype: Any = None) -> Value:
        """A function of pairs of numbers, in the precision of the more precise of two values."""
        a, b = self._alike(one, other)
        return self.added(kind, fold, [a, b], dtype or a.dtype, broadcast(a.shape, b.shape))

    def _alike(self, *values: Any) -> list[Value]:
        known = [value.dtype for value in values if isinstance(value, Value)]
        common = numpy.result_type(*known)
        return [self.asarray(value, common) for value in values]

    def cast(self, value: Value, dtype: Any) -> Value:
        """Return the same numbers in another type."""
        dtype = numpy.dtype(dtype)
        if value.dtype == dtype:
            return value
        to = helper.np_dtype_to_tensor_dtype(dtype)
        return self.added("Cast", lambda array: array.astype(dtype), [value], dtype, value.shape, to=to)

    # Elementwise.

    def exp(self, x: Value) -> Value:
        return self.each("Exp", numpy.exp, x)

    def log(self, x: Value) -> Value:
        return self.each("Log", numpy.log, x)

    def sqrt(self, x: Value) -> Value:
        return self.each("Sqrt", numpy.sqrt, x)

    def tanh(self, x: Value) -> Value:
        return self.each("Tanh", numpy.tanh, x)

    def abs(self, x: Value) -> Value:
        return self.each("Abs", numpy.abs, x)

    def sign(self, x: Value) -> Value:
        return self.each("Sign", numpy.sign, x)

    def floor(self, x: Value) -> Value:
        return self.each("Floor", numpy.floor, x)

    def cos(self, x: Value) -> Value:
        return self.each("Cos", numpy.cos, x)

    def sin(self, x: Value) -> Value:
        return self.each("Sin", numpy.sin, x)

    def round(self, x: Value) -> Value:
        return self.each("Round", numpy.round, x)

    def log10(self, x: Value) -> Value:
        return self.log(x) / math.log(10) if x.constant is None else self.asarray(numpy.log10(x.constant))

    def remainder(self, a: Any, b: Any) -> Value:
        a, b = self._alike(a, b)
        return a - self.floor(a / b) * b

    def isnan(self, x: Value) -> Value:
        return self.each("IsNaN", numpy.isnan, x, bool)

    def isfinite(self, x: Value) -> Value:
        return ~(self.isnan(x) | self.each("IsInf", numpy.isinf, x, bool))

    def maximum(self, a: Any, b: Any) -> Value:
        return self.both("Max", numpy.maximum, a, b)

    def minimum(self, a: Any, b: Any) -> Value:
        return self.both("Min", numpy.minimum, a, b)

    def where(self, condition: Value, a: Any, b: Any) -> Value:
        a, b = self._alike(a, b)
        if _is_zero(b) and a.constant is None and a.shape == condition.shape and a.dtype.kind == "f" and a.ndim > 1:
            return self._kept(condition, a)
        shape = broadcast(condition.shape, a.shape, b.shape)
        return self.added("Where", numpy.where, [condition, a, b], a.dtype, shape)

    def _kept(self, condition: Value, x: Value) -> Value:
        """x where a condition holds, else 0: x between plus and minus an end that is infinite or 0.

        Where of onnxruntime takes thirty times as long as a minimum; a NaN stays in either case.
        """
        key = condition.name, x.dtype
        if key not in self.graph.ends:
            holds = self.cast(condition, x.dtype)
            self.graph.ends[key] = holds / (1 - holds)
        end = self.graph.ends[key]
        return self.maximum(self.minimum(x, end), -end)

    def log1p(self, x: Value) -> Value:
        """log u + (x - (u - 1)) / u of u = 1 + x: what rounding takes from 1 + x comes back."""
        if x.constant is not None:
            return self.asarray(numpy.log1p(x.constant))
        largest = _largest(x)
        u = 1 + x
        within = self.minimum(u, largest)
        lost = self.minimum(x, largest) - (within - 1)
        return self.log(u) + lost / self.maximum(within, float(numpy.finfo(x.dtype).tiny))

    def expm1(self, x: Value) -> Value:
        """(exp(x) - 1) · x / log(exp(x)), likewise."""
        if x.constant is not None:
            return self.asarray(numpy.expm1(x.constant))
        u = self.exp(x)
        far = (self.abs(x) > 30) | self.isnan(x)
        exact = far | (u == 1)
        near = (u - 1) * (x / self.log(self.where(exact, 2.0, u)))
        return self.where(exact, self.where(far, u - 1, x), near)

    def logaddexp(self, a: Any, b: Any) -> Value:
        a, b = self._alike(a, b)
        if a.constant is not None and b.constant is not None:
            return self.asarray(numpy.logaddexp(a.constant, b.constant))
        apart = -self.abs(a - b)
        # Of two equal infinities the difference is not a number.
        if not any(value.constant is not None and numpy.isfinite(value.constant).all() for value in (a, b)):
            apart = self.where(a == b, 0.0, apart)
        return self.maximum(a, b) + self.log1p(self.exp(apart))

    def sinh(self, x: Value) -> Value:
        e = self.expm1(self.abs(x))
        return self.sign(x) * (e + self.minimum(e, _largest(e)) / (e + 1)) / 2

    def asinh(self, x: Value) -> Value:
        """sign(x) · log1p(a + a² / (1 + √(1 + a²))), and log 2a where a² has no digits of 1 left."""
        if x.constant is not None:
            return self.asarray(numpy.arcsinh(x.constant))
        a = self.abs(x)
        near = self.minimum(a, 1e8)
        square = near * near
        far = self.log(self.maximum(a, 1.0)) + math.log(2)
        return self.sign(x) * self.where(a > near, far, self.log1p(near + square / (1 + self.sqrt(1 + square))))

    def atan(self, x: Value) -> Value:
        """The angle in single precision, and what x says is missing: tan of the difference of two angles."""
        if x.constant is not None:
            return self.asarray(numpy.arctan(x.constant))
        angle = self.cast(self.each("Atan", numpy.arctan, self.cast(x, numpy.float32)), x.dtype)
        if x.dtype == numpy.float32:
            return angle
        cos, sin = self.cos(angle), self.sin(angle)
        near = self.minimum(self.maximum(x, -1e30), 1e30)
        return angle + (near * cos - sin) / (cos + near * sin)

    # Along dimensions.

    def _reduced(self, kind: str, fold: Any, x: Value, axis: Any, keepdims: bool) -> Value:
        axes = [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
        sizes = [1 if k in axes else size for k, size in enumerate(x.shape)]
        shape = tuple(size for k, size in enumerate(sizes) if keepdims or k not in axes)
        if x.constant is not None:
            return self.asarray(fold(x.constant, axis=tuple(axes), keepdims=keepdims))
        inputs = [x.name, self.graph.constant(numpy.array(axes))]
        return Value(self, self.graph.node(kind, inputs, keepdims=int(keepdims)), x.dtype, shape)

    def sum(self, x: Value, axis: Any, keepdims: bool = False) -> Value:
        return self._reduced("ReduceSum", numpy.sum, x, axis, keepdims)

    def mean(self, x: Value, axis: Any, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMean", numpy.mean, x, axis, keepdims)

    def max(self, x: Value, axis: Any, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMax", numpy.max, x, axis, keepdims)

    def min(self, x: Value, axis: Any, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMin", numpy.min, x, axis, keepdims)

    def all(self, x: Value, axis: Any) -> Value:
        return self.min(self.cast(x, numpy.int32), axis) == 1

    def any(self, x: Value, axis: int) -> Value:
        return self.max(self.cast(x, numpy.int32), axis) == 1

    def cumulative_sum(self, x: Value, axis: int) -> Value:
        place = self.asarray(numpy.array(axis % x.ndim))
        return self.added("CumSum", lambda a, k: numpy.cumsum(a, int(k)), [x, place], x.dtype, x.shape)

    def matmul(self, a: Value, b: Value) -> Value:
        a, b = self._alike(a, b)
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        if a.shape[-1] == 0 and a.constant is None:
            return self.sum(a, -1, keepdims=True) + self.asarray(numpy.zeros(b.shape[-1], a.dtype))
        return self.added("MatMul", numpy.matmul, [a, b], a.dtype, shape)

    @property
    def linalg(self) -> Namespace:
        return self

    def inv(self, x: Value) -> Value:
        """The inverses of positive definite matrices, (n, D, D), by exchanging one unknown after another."""
        if x.constant is not None:
            return self.asarray(numpy.linalg.inv(x.constant))
        size = int(x.shape[-1])  # type: ignore[arg-type]
        following = self.asarray(numpy.eye(size, k=1, dtype=x.dtype))

        def exchange(state: Sequence[Value]) -> tuple[Sequence[Value], Value]:
            a, place = state
            row, column = self.sum(a * place[:, :, None], 1), self.sum(a * place[:, None, :], 2)
            pivot = self.sum(row * place, -1)[:, None, None]
            after = a - (column - place)[:, :, None] * (row + place)[:, None, :] / pivot
            rest = self.matmul(place, following)
            return (after, rest), self.sum(rest, -1) == 0

        return self.repeated(exchange, (x, self.asarray(numpy.eye(1, size, dtype=x.dtype))), size)[0]

    # Shapes.

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        values = self._alike(*[value for value in values if value.shape[axis] != 0] or values[:1])
        place = axis % values[0].ndim
        sizes = [value.shape[place] for value in values]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        found = broadcast(*(tuple(1 if k == place else size for k, size in enumerate(v.shape)) for v in values))
        shape = tuple(total if k == place else size for k, size in enumerate(found))
        if len(values) == 1:
            return values[0]
        return self.added("Concat", lambda *a: numpy.concatenate(a, axis), values, values[0].dtype, shape, axis=place)

    def reshape(self, x: Value, shape: Sequence[int | None]) -> Value:
        sizes, count = [-1 if size is None else int(size) for size in shape], size_of(x.shape)
        known = math.prod(size for size in sizes if size != -1)
        found = tuple(size if size != -1 else (None if count is None else count // max(known, 1)) for size in sizes)
        target = self.asarray(numpy.array(sizes))
        return self.added("Reshape", lambda a, s: a.reshape(s), [x, target], x.dtype, found)

    def squeeze(self, x: Value, axis: int) -> Value:
        place = axis % x.ndim
        shape = x.shape[:place] + x.shape[place + 1 :]
        axes = self.asarray(numpy.array([place]))
        return self.added("Squeeze", lambda a, k: numpy.squeeze(a, int(k[0])), [x, axes], x.dtype, shape)

    def item(self, x: Value, key: tuple[Any, ...]) -> Value:
        """x[key], of slices, whole numbers, None and an ellipsis."""
        if x.constant is not None:
            return self.asarray(x.constant[key])
        missing = x.ndim - sum(part is not None and part is not Ellipsis for part in key)
        at = next((k for k, part in enumerate(key) if part is Ellipsis), len(key))
        parts = [*key[:at], *[slice(None)] * missing, *key[at + 1 :]]
        cuts, gone, new, place = [], [], [], 0
        shape: list[int | None] = []
        for part in parts:
            if part is None:
                new.append(len(shape))
                shape.append(1)
                continue
            size = x.shape[place]
            if isinstance(part, slice):
                if part != slice(None):
                    start, stop, _ = part.indices(size)  # type: ignore[arg-type]
                    cuts.append((place, start, max(stop, start)))
                    size = max(stop - start, 0)
                shape.append(size)
            else:
                start = int(part) % size  # type: ignore[operator]
                cuts.append((place, start, start + 1))
                gone.append(place)
            place += 1
        return self._cut(x, cuts, gone, new, tuple(shape))

    def _cut(self, x: Value, cuts: Sequence[Sequence[int]], gone: list[int], new: list[int], shape: Shape) -> Value:
        name, graph = x.name, self.graph
        if cuts:
            places, starts, stops = (graph.constant(numpy.array(part)) for part in zip(*cuts, strict=True))
            name = graph.node("Slice", [name, starts, stops, places])
        for kind, axes in (("Squeeze", gone), ("Unsqueeze", new)):
            name = graph.node(kind, [name, graph.constant(numpy.array(axes))]) if axes else name
        return Value(self, name, x.dtype, shape)

    def take(self, x: Any, places: Any, axis: int) -> Value:
        x, places = self.asarray(x), self.asarray(places)
        k = axis % x.ndim
        shape = (*x.shape[:k], *places.shape, *x.shape[k + 1 :])
        return self.added("Gather", lambda a, i: numpy.take(a, i, axis), [x, places], x.dtype, shape, axis=k)

    def take_along_axis(self, x: Value, places: Value, axis: int) -> Value:
        fold = lambda a, i: numpy.take_along_axis(a, i, axis)  # noqa: E731
        return self.added("GatherElements", fold, [x, places], x.dtype, places.shape, axis=axis % x.ndim)

    def full_like(self, x: Value, number: float) -> Value:
        if size_of(x.shape) is not None:
            return self.asarray(numpy.full(x.shape, number, x.dtype))
        value = numpy_helper.from_array(numpy.array([number], x.dtype))
        shape = self.graph.node("Shape", [x.name])
        return Value(self, self.graph.node("ConstantOfShape", [shape], value=value), x.dtype, x.shape)

    def zeros_like(self, x: Value) -> Value:
        return self.full_like(x, 0.0)

    def ones_like(self, x: Value) -> Value:
        return self.full_like(x, 1.0)

    # Text, by the operators of ai.onnx.ml.

    def places(self, texts: Value, levels: Sequence[str]) -> Value:
        """Return the place of each text among levels, -1 of another."""
        numbers = {"keys_strings": list(levels), "values_int64s": list(range(len(levels))), "default_int64": -1}
        name = self.graph.node("LabelEncoder", [texts.name], domain=TEXT, **numbers)
        return Value(self, name, numpy.int64, texts.shape)

    def texts(self, places: Value, levels: Sequence[str]) -> Value:
        """Return the level at each place."""
        texts = {"keys_int64s": list(range(len(levels))), "values_strings": list(levels), "default_string": ""}
        return Value(
            self, self.graph.node("LabelEncoder", [places.name], domain=TEXT, **texts), numpy.str_, places.shape
        )

    # Loops.

    def repeated(
        self, step: Callable[[Sequence[Value]], tuple[Sequence[Value], Value]], state: Sequence[Value], most: int
    ) -> list[Value]:
        """Take steps until everything is settled, or so many.

        Arguments:
            step: gives the state after a step, and which entries need no other.
            state: before the first.
            most: steps.
        """
        outer, inner = self.graph, Graph(self.graph)
        names = [inner.name("state") for _ in state]
        before = [Value(self, name, value.dtype, value.shape) for name, value in zip(names, state, strict=True)]
        self.graph = inner
        after, settled = step(before)
        open_ones = self.cast(self.cast(~settled, numpy.int32), numpy.float32)
        more = self.sum(open_ones, tuple(range(settled.ndim))) > 0
        # A state may leave as it came in only under another name.
        left = [inner.node("Identity", [value.name]) for value in [more, *after]]
        self.graph = outer
        count, going = inner.name("count"), inner.name("going")
        types = [helper.np_dtype_to_tensor_dtype(value.dtype) for value in state]
        inputs = [helper.make_tensor_value_info(count, helper.np_dtype_to_tensor_dtype(numpy.dtype("int64")), [])]
        boolean = helper.np_dtype_to_tensor_dtype(numpy.dtype(bool))
        inputs += [helper.make_tensor_value_info(going, boolean, [])]
        inputs += [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, types, strict=True)]
        outputs = [helper.make_tensor_value_info(left[0], boolean, [])]
        outputs += [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(left[1:], types, strict=True)]
        body = helper.make_graph(inner.nodes, inner.name("body"), inputs, outputs)
        results = [outer.name("loop") for _ in state]
        given = [outer.constant(numpy.array(most)), outer.constant(numpy.array(True)), *(value.name for value in state)]
        outer.nodes.append(helper.make_node("Loop", given, results, body=body))
        return [
            Value(self, name, value.dtype, broadcast(value.shape, end.shape))
            for name, value, end in zip(results, state, after, strict=True)
        ]


def _largest(x: Value) -> float:
    """A number near the end of the range of a type."""
    return 1e300 if x.dtype == numpy.float64 else 1e30


def _is_zero(x: Value) -> bool:
    return x.constant is not None and not x.constant.any()
