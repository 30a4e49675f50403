"""The model file, and what it may ask for."""

from pushforward.store.model_file import describe, load, save

__all__ = ["describe", "load", "save"]
