"""Numerical inverses of maps that have no closed form, or only one that goes feature by feature."""

from pushforward.solvers.contraction import search_contraction, solve_contraction
from pushforward.solvers.ode import integrate
from pushforward.solvers.scalar_root import find_root, monotone_root
from pushforward.solvers.sequential import solve_sequentially
from pushforward.solvers.solutions import RootReport, SolverError

__all__ = [
    "RootReport",
    "SolverError",
    "find_root",
    "integrate",
    "monotone_root",
    "search_contraction",
    "solve_contraction",
    "solve_sequentially",
]
