"""Flows for JavaScript: their description as JSON, and the module for browsers and Node that evaluates it."""

from pushforward.exports.javascript.description import evaluator, flow_as_json, write_json

__all__ = ["evaluator", "flow_as_json", "write_json"]
