"""Texts that look like numbers or dates in a dress that is not known: ranges, sums, rounded numbers, weeks."""

import re
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc

# Digits with marks between them, perhaps behind a sign or a currency and before a unit, look like a number or a date.
LIKE_NUMBER = r"^[^\p{L}\p{N}]{0,3}[0-9][0-9.,'’_\s:/]*[\p{L}\p{Sc}%°]{0,12}[^\p{L}\p{N}]?$"
# What begins with a digit, or with a word before one that is not a name.
_WORDS = (
    r"(?:(?i:ca|circa|approx|about|around|over|under|min|max|eur|usd|gbp|chf|jpy|cny|inr|cad|aud|sek|nok|dkk|pln)\b)"
)
_BEGINS = rf"^[^\p{{L}}\p{{N}}]{{0,3}}{_WORDS}?[^\p{{L}}\p{{N}}]{{0,3}}[0-9]"
# Letters of these words do not count; of the others, and of the digits, at least this share are digits.
_LEAST_DIGITS = 0.5
# Texts look alike if so large a share has the same letters and marks between the digits.
_LEAST_ALIKE = 0.05
# Units, remarks or nothing after the last digit: so many are shown.
MOST_ENDINGS = 3
# Two numbers with a hyphen between them are a range, and no code, if most of them increase.
_INCREASING = 0.9


def like_numbers(texts: Any) -> Any:
    """Return which texts look like numbers or dates, (n,) booleans.

    Texts with the same marks and letters between their digits look so if half of their letters and digits are digits,
    and if they begin with a digit, a sign, a currency, or a word such as "ca.". Codes such as E10.2 or 4021-17, and
    names such as "12 Main Street" or "Boeing 747", do not.

    Arguments:
        texts: (n,), different.

    Example:
        >>> like_numbers(pa.array(["3.1±0.2", "350-359", "ca. 45", "12 Main Street", "Boeing 747"])).to_pylist()
        [True, True, True, False, False]
    """
    plain = pc.match_substring_regex(texts, LIKE_NUMBER)
    begins = pc.match_substring_regex(texts, _BEGINS)
    bare = pc.replace_substring_regex(texts, _WORDS, "")
    digits = _length_of(pc.replace_substring_regex(bare, "[^0-9]", ""))
    letters = _length_of(pc.replace_substring_regex(bare, r"[^\p{L}\p{N}]", ""))
    shapes = pc.replace_substring_regex(texts, "[0-9]+", "0")
    _, shape, counts = np.unique(
        shapes.to_numpy(zero_copy_only=False).astype(str), return_inverse=True, return_counts=True
    )
    alike = counts[shape] >= _LEAST_ALIKE * len(texts)
    found = alike & (digits >= _LEAST_DIGITS * letters) & begins.to_numpy(zero_copy_only=False)
    found &= ~_are_codes(texts)
    return pa.array(found | plain.to_numpy(zero_copy_only=False))


def examples_of_numbers(texts: Any) -> list[str]:
    """Return texts with up to three different endings, if most look like numbers or dates; none otherwise.

    Arguments:
        texts: (n,), different.

    Example:
        >>> examples_of_numbers(pa.array(["30.2 kg", "7.2 kg", "66.5 lb"])), examples_of_numbers(pa.array(["a", "b"]))
        (['30.2 kg', '66.5 lb'], [])
    """
    if pc.all(pc.match_substring_regex(texts, "^[0-9]+$")).as_py():
        return []  # codes
    like = texts.filter(like_numbers(texts)).to_pylist()
    if len(like) <= len(texts) / 2:
        return []
    endings: dict[str, str] = {}
    for text in like:
        endings.setdefault(re.sub("^.*[0-9]", "", text, flags=re.DOTALL), text)
    return list(endings.values()) if len(endings) <= MOST_ENDINGS else like[:1]


def _are_codes(texts: Any) -> np.ndarray:
    """Which texts, (n,), are two numbers with a hyphen between them, if these do not increase."""
    pairs = pc.match_substring_regex(texts, r"^\s*[0-9]{1,15}\s*[-–—]\s*[0-9]{1,15}\s*$")
    numbers = (re.findall("[0-9]+", text) for text in texts.filter(pairs).to_pylist())
    ends = [(int(low), int(high)) for low, high in numbers]
    pairs = pairs.to_numpy(zero_copy_only=False)
    if not ends or np.mean([low <= high for low, high in ends]) >= _INCREASING:
        return np.zeros(len(texts), dtype=bool)
    return np.asarray(pairs)


def _length_of(texts: Any) -> np.ndarray:
    return np.asarray(pc.utf8_length(texts).to_numpy(zero_copy_only=False))
