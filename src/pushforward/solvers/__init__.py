"""Numerical inverses of maps that have no closed form, or only one that goes feature by feature."""

from pushforward.solvers.incremental import solve_incrementally

__all__ = ["solve_incrementally"]
