"""What of a chain leaves little to be known from it, whatever is asked."""

from __future__ import annotations

import numpy as np

from pushforward.chains.chain import FEWEST_ROWS, Chain
from pushforward.chains.uncertainty import effective_size, kish_size, mean_of
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted, percent

# The share of the weight of which it is told how few rows have it.
MOST_WEIGHT = 0.9
# A value of a larger share of the rows is told, and a column of smaller relative differences.
MOST_EQUAL, FEW_DIGITS = 0.5, 1e-12
# So is a larger share of a chain that is beyond, or among, the samples of another.
LARGE_SHARE = 0.01


def doubts_of(chain: Chain, name: str) -> list[str]:
    """Warnings of a chain: few rows that have its weight, few independent samples, columns that hardly vary, copies.

    Arguments:
        chain: any.
        name: what sentences call it.
    """
    said = []
    size = effective_size(chain)
    if kish_size(chain.weights) < FEWEST_ROWS:
        largest = np.sort(chain.weights / chain.weights.sum())[::-1]
        few = int(np.searchsorted(np.cumsum(largest), MOST_WEIGHT)) + 1
        said.append(
            f"{counted(few, 'row')} of the {len(chain):,} of {name} {'has' if few == 1 else 'have'} "
            f"{MOST_WEIGHT:.0%} of the weight: errors are too small."
        )
    elif size < FEWEST_ROWS:
        worst = min(chain.names, key=lambda one: mean_of(chain.x[:, chain.names.index(one)], chain).size)
        said.append(
            f"for the mean of {quoted(worst)} {name} is worth only {counted(round(size), 'independent sample')}: "
            "errors are too small."
        )
    for parameter, column in zip(chain.names, chain.x.T, strict=True):
        values, counts = np.unique(column, return_counts=True)
        share, spread = counts.max() / len(column), float(np.ptp(column))
        if share > MOST_EQUAL:
            value = values[counts.argmax()]
            said.append(f"{quoted(parameter)} is {value:g} in {percent(share)} of {name}: it has no density there.")
        elif spread < FEW_DIGITS * np.abs(column).max():
            said.append(f"{quoted(parameter)} differs in its last digits alone in {name}: subtract a constant from it.")
    return [*said, *(f"of {name}: {one}" for one in chain.doubts)]


def notes_of(a: Chain, b: Chain) -> tuple[str, ...]:
    """The notes of two chains, each with the name of its own."""
    return tuple(f"{name}: {one}" for name, chain in (("A", a), ("B", b)) for one in chain.notes)


def shared_share(a: Chain, b: Chain) -> float:
    """The share of the rows of A that are rows of B, too, of the same parameters."""
    known = {row.tobytes() for row in b.x}
    return float(np.mean([row.tobytes() in known for row in a.x]))
