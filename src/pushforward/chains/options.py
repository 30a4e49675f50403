"""The options that all questions to chains share: how a chain is read, and how its density is fitted."""

from __future__ import annotations

from typing import Any, cast

from pushforward.chains.density import FitOptions
from pushforward.chains.reading import ChainOptions
from pushforward.support.arguments import check_seed
from pushforward.support.suggestions import nearest


class Options(ChainOptions, FitOptions, total=False):
    """The options of `pushforward.evidence`, `information` and `tension`, as keyword arguments.

    Arguments:
        ChainOptions: how the chains are read.
        FitOptions: how densities are fitted to them.
    """


def split_options(options: Options) -> tuple[ChainOptions, FitOptions]:
    """The options of reading and those of fitting.

    Raises:
        TypeError: an option that does not exist.
        InputError: a seed that is none.
    """
    known = {*ChainOptions.__annotations__, *FitOptions.__annotations__}
    for name in options:
        if name not in known:
            raise TypeError(f"There is no option {name!r}; {nearest(name, sorted(known), most=len(known))}")
    parts: list[Any] = [
        {name: value for name, value in options.items() if name in one.__annotations__}
        for one in (ChainOptions, FitOptions)
    ]
    check_seed(parts[1].get("seed", 0))
    return cast("ChainOptions", parts[0]), cast("FitOptions", parts[1])
