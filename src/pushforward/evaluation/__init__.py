"""Judges of flows: checks, references, pictures and reports."""

from pushforward.support.lazy import lazy

__getattr__, __dir__ = lazy(__name__, {})
