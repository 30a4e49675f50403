"""Densities as ONNX files: one function each, of any number of rows."""

from pushforward.exports.onnx.writing import FUNCTIONS as FUNCTIONS
from pushforward.exports.onnx.writing import write_onnx as write_onnx

__all__ = ["FUNCTIONS", "write_onnx"]
