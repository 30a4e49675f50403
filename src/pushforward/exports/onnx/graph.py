"""An ONNX graph that is written down as arrays are computed with: values that know their type and shape, and nodes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from onnx import NodeProto, TensorProto, helper, numpy_helper

Shape = tuple[int | None, ...]


class Graph:
    """Nodes in their order, and the constants that they read; the graph of a loop shares those of the one around it.

    Arguments:
        outer: the graph around it, None for the outermost.

    Attributes:
        ends: of conditions, infinite where they hold and 0 elsewhere; see `Namespace.where`.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {} if outer is None else outer.constants
        self._names: dict[tuple[Any, ...], str] = {} if outer is None else outer._names
        self.ends: dict[tuple[Any, ...], Any] = {}
        self._count: itertools.count[int] = itertools.count() if outer is None else outer._count

    def name(self, of: str) -> str:
        """Return a name that no other value has, nor any column of a table."""
        return f"/{of}/{next(self._count)}"

    def constant(self, array: numpy.ndarray) -> str:
        """Return the name of a constant; equal ones are kept once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = self.name("constant")
            self.constants[self._names[key]] = numpy_helper.from_array(array, self._names[key])
        return self._names[key]

    def read_constants(self) -> list[TensorProto]:
        """Return the constants that nodes read."""
        read: set[str] = set()

        def gather(nodes: Any) -> None:
            for node in nodes:
                read.update(node.input)
                for attribute in node.attribute:
                    gather(attribute.g.node)

        gather(self.nodes)
        return [tensor for name, tensor in self.constants.items() if name in read]

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node; return the name of its only result."""
        result = self.name(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [result], **attributes))
        return result


class Value:
    """An array of a graph, or a constant that becomes a part of the graph where it is needed.

    Arguments:
        space: the namespace, which computes with it.
        name: of the value in the graph; "" for a constant.
        dtype: of numpy.
        shape: its sizes, None for the number of rows.
        constant: the array, None for what is not known before the graph runs.
    """

    __array_ufunc__ = None

    def __init__(self, space: Any, name: str, dtype: Any, shape: Shape, constant: numpy.ndarray | None = None) -> None:
        self.space, self._name, self.dtype, self.shape = space, name, numpy.dtype(dtype), tuple(shape)
        self.constant = constant

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def name(self) -> str:
        return self._name if self.constant is None else self.space.graph.constant(self.constant)

    def __len__(self) -> int:
        size = self.shape[0]
        if size is None:
            raise TypeError("The number of rows is not known before the graph runs.")
        return size

    def __bool__(self) -> bool:
        raise TypeError("Values are not known before the graph runs: nothing can depend on one.")

    def astype(self, dtype: Any) -> Value:
        return self.space.cast(self, dtype)

    def __getitem__(self, key: Any) -> Value:
        return self.space.item(self, key if isinstance(key, tuple) else (key,))

    def __add__(self, other: Any) -> Value:
        return self.space.both("Add", numpy.add, self, other)

    def __radd__(self, other: Any) -> Value:
        return self.space.both("Add", numpy.add, other, self)

    def __sub__(self, other: Any) -> Value:
        return self.space.both("Sub", numpy.subtract, self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.space.both("Sub", numpy.subtract, other, self)

    def __mul__(self, other: Any) -> Value:
        return self.space.both("Mul", numpy.multiply, self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.space.both("Mul", numpy.multiply, other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.space.both("Div", numpy.divide, self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.space.both("Div", numpy.divide, other, self)

    def __pow__(self, other: Any) -> Value:
        return self.space.both("Pow", numpy.power, self, other)

    def __neg__(self) -> Value:
        return self.space.each("Neg", numpy.negative, self)

    def __lt__(self, other: Any) -> Value:
        return self.space.both("Less", numpy.less, self, other, bool)

    def __le__(self, other: Any) -> Value:
        return self.space.both("LessOrEqual", numpy.less_equal, self, other, bool)

    def __gt__(self, other: Any) -> Value:
        return self.space.both("Greater", numpy.greater, self, other, bool)

    def __ge__(self, other: Any) -> Value:
        return self.space.both("GreaterOrEqual", numpy.greater_equal, self, other, bool)

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return self.space.both("Equal", numpy.equal, self, other, bool)

    def __ne__(self, other: Any) -> Value:  # type: ignore[override]
        return ~(self == other)

    def __and__(self, other: Any) -> Value:
        return self.space.both("And", numpy.logical_and, self, other, bool)

    def __or__(self, other: Any) -> Value:
        return self.space.both("Or", numpy.logical_or, self, other, bool)

    def __invert__(self) -> Value:
        return self.space.each("Not", numpy.logical_not, self)

    __hash__ = None  # type: ignore[assignment]


def broadcast(*shapes: Shape) -> Shape:
    """The shape of what an operation of several shapes gives, where a number of rows is one number throughout."""
    size = max(map(len, shapes))
    columns = zip(*((1,) * (size - len(shape)) + tuple(shape) for shape in shapes), strict=True)
    return tuple(_together(column) for column in columns)


def _together(sizes: Sequence[int | None]) -> int | None:
    known = {size for size in sizes if size != 1}
    if len(known) > 1 and None not in known:
        raise ValueError(f"Sizes {sizes} do not broadcast.")
    return next((size for size in known if size is not None), None) if known else 1


def size_of(shape: Shape) -> int | None:
    """How many numbers an array of a shape has, None where that depends on the rows."""
    return None if None in shape else math.prod(size for size in shape if size is not None)


Folded = Callable[..., Any]
