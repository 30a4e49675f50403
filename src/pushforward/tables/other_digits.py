"""Digits of other scripts than that of ASCII: Arabic-Indic, Persian, Devanagari, full-width and others."""

import unicodedata
from typing import Any

from pushforward.tables.arrow import pa, pc

# Decimal digits that are not those of ASCII.
_DIGIT = r"[^\P{Nd}0-9]"
# Marks that stand beside such digits, as ASCII has them.
_MARKS = {"٫": ".", "٬": ",", "٪": "%", "．": ".", "，": ",", "－": "-", "＋": "+", "％": "%", "／": "/", "：": ":"}
# The decimal mark and the mark between thousands that belong to digits, by their zero.
_OWN_MARKS = {"٠": "٫٬", "۰": "٫٬", "０": "．，"}


class _Ascii(dict[int, int]):
    """Codes of characters as those of ASCII that mean the same, themselves where there are none."""

    def __missing__(self, code: int) -> int:
        digit = unicodedata.decimal(chr(code), None)
        self[code] = code if digit is None else ord("0") + digit
        return self[code]


_ASCII = _Ascii({ord(mark): ord(plain) for mark, plain in _MARKS.items()})


def ascii_digits(text: Any) -> Any:
    """Return text, an array of pyarrow, with digits of ASCII, and the marks beside them if there were others.

    Example:
        >>> ascii_digits(pa.array(["١٢٫٥", "１２", "7", None])).to_pylist()
        ['12.5', '12', '7', None]
    """
    if not pc.any(pc.match_substring_regex(text, _DIGIT)).as_py():
        return text
    return pa.array([None if one is None else one.translate(_ASCII) for one in text.to_pylist()], pa.string())


def zero_of(texts: Any) -> str:
    """Return the zero of the script of the first digits that are not those of ASCII, or "0" if there are none.

    Example:
        >>> zero_of(pa.array(["7", "１２"])), zero_of(pa.array(["7"]))
        ('０', '0')
    """
    found = texts.filter(pc.match_substring_regex(texts, _DIGIT))
    if not len(found):
        return "0"
    digit = next(
        one for one in found[0].as_py() if one not in "0123456789" and unicodedata.decimal(one, None) is not None
    )
    return chr(ord(digit) - unicodedata.decimal(digit))


def has_own_marks(texts: Any, zero: str) -> bool:
    """Whether texts have the decimal mark of a script, or its mark between thousands.

    Arguments:
        texts: an array of pyarrow.
        zero: of the script.
    """
    marks = _OWN_MARKS.get(zero, "")
    return bool(marks) and bool(pc.any(pc.match_substring_regex(texts, f"[{marks}]")).as_py())


def written_in(texts: Any, zero: str, own_marks: bool) -> Any:
    """Return numbers, an array of text with a point before decimals and perhaps commas, in the digits of a script.

    Example:
        >>> written_in(pa.array(["1,204.5"]), "٠", True).to_pylist()
        ['١٬٢٠٤٫٥']
    """
    pairs = [(str(digit), chr(ord(zero) + digit)) for digit in range(10)]
    pairs += list(zip(".,", _OWN_MARKS[zero], strict=True)) if own_marks else []
    for plain, other in pairs:
        texts = pc.replace_substring(texts, plain, other)
    return texts


def name_of(zero: str) -> str:
    """Return what the digits with a zero are called.

    >>> name_of("٠")
    'Arabic-Indic'
    """
    return unicodedata.name(zero).removesuffix(" DIGIT ZERO").title()
