"""Functions of a model as one graph: each is called once with values that record what is computed with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from onnx import GraphProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, helper

from pushforward.exports.onnx.functions import Function, Input
from pushforward.exports.onnx.graph import Graph, Shape, Value
from pushforward.exports.onnx.namespace import Namespace

# What onnxruntime reads since its version 1.14, of 2023; of text, the operators that translate levels.
OPERATORS = {"": 18, "ai.onnx.ml": 3}


def traced(
    functions: Sequence[Function], precision: str, name: str
) -> tuple[GraphProto, list[OperatorSetIdProto]]:  # fmt: skip
    """Return a graph of functions, and the operators that it needs.

    A single function needs its inputs. With several each input has a value without rows in the file, which the caller
    replaces, and a function is computed where its first input has rows.

    Arguments:
        functions: one or several.
        precision: of numbers.
        name: of the graph.
    """
    space = Namespace(precision)
    inputs = {entry.name: entry for function in functions for entry in function.inputs}
    results: dict[str, Value] = {}
    for function in functions:
        call = _computed if len(functions) == 1 else _computed_if_asked
        results |= call(space, function)
    space.graph.nodes += [helper.make_node("Identity", [value.name], [key]) for key, value in results.items()]
    types = [_typed(key, *_form(entry, precision)) for key, entry in inputs.items()]
    ends = [_typed(key, value.dtype, value.shape) for key, value in results.items()]
    constants = space.graph.read_constants()
    if len(functions) > 1:
        constants += [_nothing(key, *_form(entry, precision)) for key, entry in inputs.items()]
    nodes = space.graph.nodes
    used = [helper.make_opsetid(domain, OPERATORS[domain]) for domain in sorted(_domains(nodes))]
    return helper.make_graph(nodes, name, types, ends, constants), used


def _computed(space: Namespace, function: Function) -> Mapping[str, Value]:
    arguments = [space.argument(entry.name, *_form(entry, space.dtype)) for entry in function.inputs]
    return function.call(space, arguments)


def _computed_if_asked(space: Namespace, function: Function) -> Mapping[str, Value]:
    """The results where the first input has rows, and else none."""
    outer, inner, first = space.graph, Graph(space.graph), function.inputs[0]
    space.graph = inner
    found = _computed(space, function)
    left = {key: inner.node("Identity", [value.name]) for key, value in found.items()}
    space.graph = outer
    rows = outer.node("Shape", [first.name], start=0, end=1)
    asked = outer.node("Greater", [outer.node("Squeeze", [rows]), outer.constant(numpy.array(0))])
    ends = [_typed(left[key], value.dtype, value.shape) for key, value in found.items()]
    then = helper.make_graph(inner.nodes, inner.name("then"), [], ends)
    none = [outer.name("none") for _ in found]
    nodes = [
        helper.make_node("Constant", [], [name], value=_nothing("", value.dtype, value.shape))
        for name, value in zip(none, found.values(), strict=True)
    ]
    ends = [_typed(name, value.dtype, value.shape) for name, value in zip(none, found.values(), strict=True)]
    otherwise = helper.make_graph(nodes, inner.name("else"), [], ends)
    names = [outer.name("if") for _ in found]
    outer.nodes.append(helper.make_node("If", [asked], names, then_branch=then, else_branch=otherwise))
    return {
        key: Value(space, name, value.dtype, value.shape)
        for name, (key, value) in zip(names, found.items(), strict=True)
    }


def _form(entry: Input, precision: Any) -> tuple[Any, Shape]:
    """The type and the shape of an input."""
    shape: Shape = (None,) if entry.width is None else (None, entry.width)
    return (numpy.str_ if entry.text else precision), shape


def _kind(dtype: Any) -> int:
    dtype = numpy.dtype(dtype)
    return TensorProto.STRING if dtype.kind == "U" else helper.np_dtype_to_tensor_dtype(dtype)


def _typed(name: str, dtype: Any, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, _kind(dtype), ["rows" if size is None else size for size in shape])


def _nothing(name: str, dtype: Any, shape: Shape) -> TensorProto:
    """No row."""
    return helper.make_tensor(name, _kind(dtype), [0 if size is None else size for size in shape], [])


def _domains(nodes: Sequence[NodeProto]) -> set[str]:
    found = {node.domain for node in nodes}
    inner = [attribute.g.node for node in nodes for attribute in node.attribute if attribute.g.node]
    return found.union({""}, *map(_domains, inner))
