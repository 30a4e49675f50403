"""The one "did you mean"."""

import difflib
from collections.abc import Iterable

LONGEST_NAME = 60


def nearest(word: str, known: Iterable[object], most: int = 12) -> str:
    """Suggest the known name closest to an unknown word, and list the known names, for the end of a message.

    Upper and lower case count as the same. In the list, names are as `quoted` writes them.

    Arguments:
        word: the unknown word.
        known: the names that would have been accepted.
        most: how many of them to list.

    Example:
        >>> nearest("realnpv", ["maf", "realnvp", "nsf"])
        'did you mean "realnvp"? There are maf, realnvp, nsf.'
        >>> nearest("glow", ["maf", "realnvp", "nsf"], most=2)
        'there are maf, realnvp and 1 more.'
    """
    names = [str(name) for name in known]
    if not names:
        return "there are none."
    listed = ", ".join(map(quoted, names[:most]))
    if len(names) > most:
        listed += f" and {len(names) - most} more"
    # The first of several names that differ in case alone.
    folded = {name.strip().casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(str(word).strip().casefold(), list(folded), n=1, cutoff=0.5)
    if not close:
        return f"there are {listed}."
    return f'did you mean "{shortened(folded[close[0]])}"? There are {listed}.'


def quoted(text: str, most: int = LONGEST_NAME) -> str:
    """Return a short name for a list of names, in quotation marks if it has a comma or is empty.

    Example:
        >>> quoted("load"), quoted("load, kW"), quoted("")
        ('load', '"load, kW"', '""')
    """
    return f'"{shortened(text, most)}"' if "," in text or not text.strip() else shortened(text, most)


def shortened(text: str, most: int = LONGEST_NAME) -> str:
    """Shorten a text for a message.

    Example:
        >>> shortened("a very long name", most=6)
        'a very…'
    """
    return text if len(text) <= most else f"{text[:most]}…"
