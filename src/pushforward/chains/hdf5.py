"""Chains in files of HDF5: those of emcee's backend, and those that ArviZ writes as netCDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pushforward.chains.objects import of_groups, of_steps
from pushforward.chains.raw import RawChain
from pushforward.errors import InputError

OF_HDF5 = (".h5", ".hdf5", ".nc")
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a path is a file of HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def read_hdf5(path: Path) -> RawChain:
    """The chain in a file of emcee or ArviZ.

    Raises:
        InputError: h5py is not installed, or the file is damaged or of neither.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"Reading {path} needs h5py; pip install 'pushforward[chains]' brings it.") from error
    try:
        return _of_file(h5py.File, path)
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} begins as a file of HDF5 but cannot be read: it is damaged or incomplete.") from error


def _of_file(opened: Any, path: Path) -> RawChain:
    with opened(path, "r") as file:
        if "posterior" in file:
            posterior = _arrays(file["posterior"])
            stats = _arrays(file["sample_stats"]) if "sample_stats" in file else {}
            return of_groups(posterior, stats.get("lp"), str(path))
        backends = [group for group in file.values() if hasattr(group, "keys") and {"chain", "log_prob"} <= set(group)]
        if len(backends) != 1:
            raise InputError(f"{path} has {len(backends)} groups with a chain of emcee, and no posterior of ArviZ.")
        done = int(backends[0].attrs.get("iteration", len(backends[0]["chain"])))
        return of_steps(backends[0]["chain"][:done], backends[0]["log_prob"][:done], str(path))


def _arrays(group: Any) -> dict[str, np.ndarray]:
    """The arrays of numbers over chains and draws, without those that are scales of dimensions."""
    found = {}
    for name, data in group.items():
        if hasattr(data, "shape") and not data.is_scale and data.ndim >= 2 and data.dtype.kind in "fiu":
            found[name] = data[()]
    return found
