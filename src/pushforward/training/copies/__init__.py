"""Copies among rows: rows that are alike, where chance does not explain that they are."""

from pushforward.training.copies.finding import copies_of, share_of_copies

__all__ = ["copies_of", "share_of_copies"]
