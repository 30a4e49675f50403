"""Flows for JavaScript: their description as JSON, and the program of one file that evaluates it."""

from pushforward.store.javascript.export import evaluator, flow_as_json

__all__ = ["evaluator", "flow_as_json"]
