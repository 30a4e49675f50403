"""Chains as GetDist, CosmoMC and Cobaya write them: text files of one root."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from pushforward.chains.raw import RawChain
from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.support.wording import counted


def find_root(path: Path) -> Path | None:
    """The root of the names of chains, of such a root or of a folder with chains of one root; None if it is neither.

    Raises:
        InputError: chains of several roots.
    """
    if _files(path):
        return path
    if not path.is_dir():
        return None
    roots = sorted({file.with_suffix("") for file in path.glob("*.paramnames")})
    roots += sorted({Path(re.sub(r"[._]\d+\.txt$", "", str(file))) for file in path.glob("*[._][0-9]*.txt")})
    roots = [root for root in dict.fromkeys(roots) if _files(root)]
    if len(roots) > 1:
        raise InputError(f"{path} has chains of several roots, {roots[0].name} and {roots[1].name}: name one of them.")
    return roots[0] if roots else None


def root_of(file: Path) -> Path | None:
    """The root of the chains that a file is one of; None if it is of none, or has no names."""
    root = file.with_name(re.sub(r"([._]\d+)?\.(txt|paramnames|ranges)$", "", file.name))
    if root.name in ("", file.name) or not _files(root):
        return None
    try:
        return root if _names(root, _files(root)[0])[0] else None
    except (InputError, UnicodeDecodeError):
        return None


def read_root(root: Path) -> RawChain:
    """The chains of a root: weights, minus the log-posterior, and the parameters.

    Names are those of `root.paramnames`, where a star marks derived parameters, or of the first line of Cobaya's files,
    where `chi2` and `minuslogprior` begin the names of derived ones; bounds those of `root.ranges`.

    Raises:
        InputError: no names, or a line that is not of numbers.
    """
    files = _files(root)
    parts = [_numbers(file) for file in files]
    names, derived = _names(root, files[0])
    widths = {part.shape[1] for part in parts}
    if widths != {len(names) + 2}:
        raise InputError(
            f"{files[0]} has {parts[0].shape[1]} columns, but a weight, a log-posterior and "
            f"{counted(len(names), 'parameter')} are named."
        )
    rows = np.concatenate(parts)
    walks = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    sampled = [name for name in names if name not in derived]
    return RawChain(str(root), names, rows[:, 2:], sampled, rows[:, 0], -rows[:, 1], walks, _ranges(root))


def _files(root: Path) -> list[Path]:
    if not root.name:  # of a folder such as . and /
        return []
    pattern = re.compile(re.escape(root.name) + r"[._](\d+)\.txt")
    folder = root.parent
    found = sorted(
        (int(match[1]), file) for file in (folder.iterdir() if folder.is_dir() else ())
        if (match := pattern.fullmatch(file.name))
    )  # fmt: skip
    if found:
        return [file for _, file in found]
    single = root.with_name(f"{root.name}.txt")
    named = root.with_name(f"{root.name}.paramnames")
    return [single] if single.is_file() and named.is_file() else []


def _numbers(file: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is refused below
            rows = np.loadtxt(file, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a chain of numbers: {_first_fault(file)}.") from error
    if not rows.size or rows.shape[1] < 3:
        raise InputError(f"{file} has no rows of a weight, minus a log-posterior, and parameters.")
    return rows


def _first_fault(file: Path) -> str:
    """The first line of a file that is not of as many numbers as the lines before."""
    columns = None
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        cells = line.split("#")[0].split()
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return f'line {number} has "{shortened(cell)}"'
        if cells and columns not in (None, len(cells)):
            return f"line {number} has {counted(len(cells), 'number')} after lines of {columns}"
        columns = len(cells) or columns
    return "it is not text"


def _names(root: Path, first: Path) -> tuple[list[str], set[str]]:
    """The names of all parameters, and which of them are derived."""
    file = root.with_name(f"{root.name}.paramnames")
    if file.is_file():
        marked = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
        return [name.removesuffix("*") for name in marked], {name[:-1] for name in marked if name.endswith("*")}
    with first.open() as lines:
        header = lines.readline()
    if not header.startswith("#"):
        raise InputError(f"{file} is missing, and {first} does not begin with a line of names.")
    names = header.lstrip("#").split()[2:]
    return names, {name for name in names if name.startswith(("chi2", "minuslogprior"))}


def _ranges(root: Path) -> dict[str, tuple[float, float]]:
    """{parameter: lower and upper bound} of `root.ranges`, where N stands for none."""
    file = root.with_name(f"{root.name}.ranges")
    if not file.is_file():
        return {}
    found = {}
    for line in file.read_text().splitlines():
        name, *ends = line.split() or [""]
        if name and len(ends) >= 2:
            none = (-np.inf, np.inf)
            try:
                found[name] = tuple(
                    other if end == "N" else float(end) for end, other in zip(ends[:2], none, strict=True)
                )
            except ValueError:
                raise InputError(f"{file} has a bound of {name} that is neither a number nor N.") from None
            low, high = found[name]
            if not low < high:
                raise InputError(
                    f"{file} has the lower bound {low:g} of {name}, which is not below the upper, {high:g}."
                )
    return found  # type: ignore[return-value]
