"""Texts that look like numbers or dates in a dress that is not known: ranges, sums, rounded numbers, weeks."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pushforward.tables.arrow import pa, pc
from pushforward.tables.currencies import CODES
from pushforward.tables.other_digits import ascii_digits

# Digits with marks between them, perhaps behind a sign or a currency and before a unit, look like a number or a date.
LIKE_NUMBER = r"^[^\p{L}\p{N}]{0,3}[0-9][0-9.,'’_\s:/]*[\p{L}\p{Sc}%°]{0,12}[^\p{L}\p{N}]?$"
# What begins with a digit, or with a word before one that is not a name.
_WORDS = (
    r"(?:(?i:ca|circa|approx|about|around|over|under|min|max|up to|at least|at most|more than|less than|below|above"
    r"|from|to|since|until|till|before|after|bis|ab|seit|vor|nach|eur|usd|gbp|chf|jpy)\b|(?i:c\.)"
    rf"|(?:{CODES})\b|\p{{L}}{{1,12}}\s*=)"
)
_BEGINS = rf"^[^\p{{L}}\p{{N}}]{{0,3}}{_WORDS}?[^\p{{L}}\p{{N}}]{{0,3}}[0-9]"
# Names of days and months in languages of Europe, and what is left of 5th.
_CALENDAR = (
    r"(?i)\b(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|(?:mon|tues|wednes|thurs|fri|satur|sun)day|jan|feb|mar|apr|may"
    r"|june?|july?|aug|sept?|oct|nov|dec|january|february|march|april|august|september|october|november|december"
    r"|mo|di|mi|do|fr|sa|so|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend|januar|jänner|februar|märz|mär|mrz"
    r"|mai|juni|juli|okt|oktober|dez|dezember|lun|mer|jeu|ven|sam|dim|(?:lun|mar|mercre|jeu|vendre|same)di|dimanche"
    r"|janv|janvier|févr|février|mars|avr|avril|juin|juil|juillet|août|septembre|octobre|novembre|déc|décembre"
    r"|lunes|martes|miércoles|jueves|viernes|sábado|domingo|ene|enero|febrero|marzo|abr|abril|mayo|junio|julio|ago|agosto"
    r"|septiembre|octubre|noviembre|dic|diciembre|gen|gennaio|febbraio|aprile|mag|maggio|giu|giugno|lug|luglio|set"
    r"|settembre|ott|ottobre|dicembre|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag|januari|februari|maart"
    r"|mei|augustus|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|dezembro|de|of)\b\.?"
)
_NOT_ASCII = r"[^\P{Nd}0-9]"
# Tokens with hyphens between them, and without spaces or marks, are identifiers where all are different.
_TOKENS = r"^[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*$"
_CODES_OF_DIGITS = r"^(?:\+?[0-9]+|[0-9]+[eE][0-9]+)$"
_CLOCK = "^[0-9]+[hHmMsT][0-9]*$"
_DAY_OF_YEAR = r"^\s*(?:19|20)[0-9]{2}-[0-3][0-9]{2}\s*$"
_BEARING = r"^\s*(?P<side>[NSEW])\s*[0-9]+(?:\.[0-9]+)?°?\s*$"
# Letters of these words do not count; of the others, and of the digits, at least this share are digits.
_LEAST_DIGITS = 0.5
# Texts look alike if so large a share has the same letters and marks between the digits.
_LEAST_ALIKE = 0.05
# Units, remarks or nothing after the last digit: so many are shown.
MOST_ENDINGS = 3
# Two numbers with a hyphen between them are a range, and no code, if most of them increase.
_INCREASING = 0.9
DAYS_OF_YEAR = 366


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
    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, _NOT_ASCII, "0")
    dated = pc.replace_substring_regex(texts, _CALENDAR, "")
    plain = pc.match_substring_regex(dated, LIKE_NUMBER)
    begins = pc.match_substring_regex(dated, _BEGINS)
    bare = pc.replace_substring_regex(dated, _WORDS, "")
    digits = _length_of(pc.replace_substring_regex(bare, "[^0-9]", ""))
    letters = _length_of(pc.replace_substring_regex(bare, r"[^\p{L}\p{N}]", ""))
    _, shape, counts = np.unique(_shapes(dated), return_inverse=True, return_counts=True)
    alike = counts[shape] >= _LEAST_ALIKE * len(texts)
    # What most have behind their digits is a unit, however long.
    most = counts[shape] > len(texts) / 2
    found = alike & (most | (digits >= _LEAST_DIGITS * letters)) & begins.to_numpy(zero_copy_only=False)
    found &= ~_are_codes(texts)
    return pa.array(found | plain.to_numpy(zero_copy_only=False) | _are_bearings(texts))


def are_values(texts: Any) -> bool:
    """Whether most of some texts that are all different look like numbers or dates, and not like identifiers.

    Example:
        >>> are_values(pa.array(["ca. 12", "ca. 17"])), are_values(pa.array(["555-123-4567", "555-765-4321"]))
        (True, False)
    """
    plain = pc.match_substring_regex(texts, LIKE_NUMBER)
    tokens = pc.and_not(pc.match_substring_regex(texts, _TOKENS), pc.match_substring_regex(texts, _CLOCK))
    digits = pc.match_substring_regex(ascii_digits(texts), _CODES_OF_DIGITS)
    found = pc.and_not(pc.or_(plain, pc.and_not(like_numbers(texts), tokens)), digits)
    return bool((pc.mean(pc.cast(found, pa.float64())).as_py() or 0.0) > 0.5)


def shapes_of(texts: Sequence[str]) -> list[str]:
    """Return texts with 0 for every number in them, and without names of days and months.

    Example:
        >>> shapes_of(["Sun 05 Jan 2020, 1,234.50 kg", "x"])
        ['0 0 0 kg', 'x']
    """
    found: list[str] = _shapes(pc.replace_substring_regex(pa.array(texts, pa.string()), _CALENDAR, "")).tolist()
    return found


def _shapes(texts: Any) -> np.ndarray:
    shapes = pc.replace_substring_regex(pc.replace_substring_regex(texts, "[0-9][0-9.,]*", "0"), r"\s+", " ")
    return np.asarray(pc.utf8_trim(shapes, " +-").to_numpy(zero_copy_only=False)).astype(str)


def examples_of_numbers(texts: Any) -> list[str]:
    """Return texts with up to three different endings, if most look like numbers or dates; none otherwise.

    Arguments:
        texts: (n,), different.

    Example:
        >>> examples_of_numbers(pa.array(["30.2 kg", "7.2 kg", "66.5 lb"])), examples_of_numbers(pa.array(["a", "b"]))
        (['30.2 kg', '66.5 lb'], [])
    """
    if pc.all(pc.match_substring_regex(ascii_digits(texts), _CODES_OF_DIGITS)).as_py():
        return []
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
    days = pc.match_substring_regex(texts, _DAY_OF_YEAR)
    if pc.all(days, min_count=0).as_py() and all(0 < day <= DAYS_OF_YEAR for _, day in ends):
        return np.zeros(len(texts), dtype=bool)
    pairs = pairs.to_numpy(zero_copy_only=False)
    if not ends or np.mean([low <= high for low, high in ends]) >= _INCREASING:
        return np.zeros(len(texts), dtype=bool)
    return np.asarray(pairs)


def _are_bearings(texts: Any) -> np.ndarray:
    """Which texts, (n,), are numbers north and south, or east and west; one letter alone is that of a code."""
    side = pc.extract_regex(texts, _BEARING).field("side")
    sides = set(side.unique().to_pylist()) - {None}
    if sides not in ({"N", "S"}, {"E", "W"}):
        spaced = pc.match_substring_regex(texts, r"^\s*[NSEW]\s+[0-9]")
        side = pc.if_else(spaced, side, None)
    return np.asarray(pc.is_valid(side).to_numpy(zero_copy_only=False))


def _length_of(texts: Any) -> np.ndarray:
    return np.asarray(pc.utf8_length(texts).to_numpy(zero_copy_only=False))
