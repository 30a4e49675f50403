"""Densities as ONNX files: functions of any number of rows."""

from pushforward.exports.onnx.functions import FUNCTIONS as FUNCTIONS
from pushforward.exports.onnx.writing import write_onnx as write_onnx

__all__ = ["FUNCTIONS", "write_onnx"]
