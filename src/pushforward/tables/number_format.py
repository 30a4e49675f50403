"""Numbers in dress: how text writes them, with signs of currency, units, marks between thousands and decimal commas."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pushforward.tables.arrow import pa, pc

_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|BRL|MXN|ZAR|SFr\\.?|Fr\\.?|Rs\\.?|kr\\.?"
_PREFIX = rf"(?:(?:US|A|C|NZ|HK|R|S)?\p{{Sc}}|{_CODES})"
_SUFFIX = r"[\p{L}\p{Sc}%‰°ºµ][\p{L}\p{Sc}%‰°ºµ/·.²³^*]{0,11}[23]?"
_BODY = r"[0-9.,'’_\s\x{a0}\x{202f}\x{2009}]*[0-9]\.?"
_SPLIT = rf"^\(?[+-]?(?P<prefix>{_PREFIX}\s*)?[+-]?{_BODY}(?P<suffix>\s*{_SUFFIX})?\)?$"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_SPACES = (" ", "\u00a0", "\u202f", "\u2009")
_NAMES = {
    ",": "commas", ".": "points", "'": "apostrophes", "’": "apostrophes", "_": "underscores",
    **dict.fromkeys(_SPACES, "spaces"),
}  # fmt: skip


class NumberFormat(BaseModel):
    """How a column of text writes its numbers.

    Attributes:
        decimal: the mark before decimals, a point or a comma.
        thousands: the mark between thousands; "" for none.
        prefix: what stands before every number, such as "$".
        suffix: what stands after every number, such as "%" or " kg"; the number is in this unit.
        parentheses: whether negative numbers stand in parentheses.

    Example:
        >>> NumberFormat(prefix="$", thousands=",").describe()
        'numbers with "$" before them and commas between thousands'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "\u00a0", "\u202f", "\u2009", "'", "’", "_"] = ""
    prefix: str = ""
    suffix: str = ""
    parentheses: bool = False

    def describe(self) -> str:
        """Return the dress in words."""
        parts = [f'"{self.prefix.strip()}" before them'] if self.prefix else []
        parts += [f'"{self.suffix.strip()}" after them'] if self.suffix else []
        parts += [f"{_NAMES[self.thousands]} between thousands"] if self.thousands else []
        parts += ["a decimal comma"] if self.decimal == "," else []
        parts += ["parentheses around negative ones"] if self.parentheses else []
        return "numbers with " + " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)

    @property
    def pattern(self) -> str:
        """The regular expression of a number, without groups that are kept."""
        point, mark = re.escape(self.decimal), re.escape(self.thousands)
        whole = "0|[1-9][0-9]*"
        if mark:
            whole += rf"|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}"
        body = rf"(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+){_EXPONENT}"
        before, after = (re.escape(part.strip()).replace("\\ ", " ") for part in (self.prefix, self.suffix))
        signed = rf"(?:[+-]\s*{before}|{before}\s*[+-]?)\s*{body}\s*{after}"
        return rf"^(?:{signed}|\(\s*{before}\s*{body}\s*{after}\s*\))$" if self.parentheses else rf"^{signed}$"


def parse_numbers(text: Any, form: NumberFormat) -> Any:
    """Turn text into numbers.

    Arguments:
        text: array of pyarrow.
        form: how the numbers are written.

    Returns:
        Float64 array of the same length, null where the text is null or is not written so.

    Example:
        >>> text = pa.array(["$1,234.50", "($612)", "612 kg"])
        >>> parse_numbers(text, NumberFormat(prefix="$", thousands=",", parentheses=True)).to_pylist()
        [1234.5, -612.0, None]
    """
    text = tidy(text)
    text = pc.if_else(pc.match_substring_regex(text, form.pattern), text, pa.scalar(None, text.type))
    negative = pc.match_substring_regex(text, r"^(?:\(|[^0-9]*-)")
    for part in (form.prefix.strip(), form.suffix.strip()):
        if part:
            text = pc.replace_substring(text, part, "")
    text = pc.utf8_trim_whitespace(pc.utf8_trim(text, "()+-\u00a0\u202f\u2009 "))
    if form.thousands:
        text = pc.replace_substring(text, form.thousands, "")
    if form.decimal != ".":
        text = pc.replace_substring(text, form.decimal, ".")
    values = pc.cast(text, pa.float64())
    return pc.if_else(negative, pc.negate(values), values)


def write_numbers(values: Any, form: NumberFormat) -> Any:
    """Turn numbers into text that `parse_numbers` reads.

    Example:
        >>> write_numbers(pa.array([-1234.5, None]), NumberFormat(prefix="€ ", thousands=".", decimal=",")).to_pylist()
        ['-€ 1.234,5', None]
    """
    negative = pc.less(values, 0)
    text = pc.cast(pc.abs(values), pa.string())
    text = pc.replace_substring_regex(text, r"\.0$", "")
    text = pc.replace_substring(text, ".", form.decimal)
    mark = form.thousands
    while mark and pc.any(pc.match_substring_regex(text, r"^[0-9]{4}")).as_py():
        text = pc.replace_substring_regex(text, r"^([0-9]+)([0-9]{3})", rf"\1{mark}\2")
    text = pc.binary_join_element_wise(form.prefix, text, form.suffix, "")
    before, after = ("(", ")") if form.parentheses else ("-", "")
    return pc.if_else(negative, pc.binary_join_element_wise(before, text, after, ""), text)


def number_formats(texts: Any, decimal: str | None = None) -> list[NumberFormat]:
    """Return the ways in which all of some texts can be read as numbers: none, one, or two that disagree.

    Arguments:
        texts: the different texts of a column, at least one, without nulls.
        decimal: the decimal mark if a user declares it; default None.

    Example:
        >>> [form.describe() for form in number_formats(pa.array(["45,3", "7,25"]))]
        ['numbers with a decimal comma']
        >>> [form.describe() for form in number_formats(pa.array(["1,234", "5,678"]))]
        ['numbers with commas between thousands', 'numbers with a decimal comma']
    """
    texts = tidy(texts)
    around: dict[str, Any] | None = pc.extract_regex(texts.slice(0, 1), _SPLIT)[0].as_py()
    if around is None:
        return []
    around["parentheses"] = bool(pc.any(pc.match_substring_regex(texts, r"^\(.*\)$")).as_py())
    found = []
    for point, mark in _marks():
        form = NumberFormat(decimal=point, thousands=mark, **around)
        if decimal in (None, point) and all(_fits(part, form) for part in (texts.slice(0, 100), texts)):
            found.append(form)
            if (point, mark) == (".", "") and decimal is None:
                break
    return _decided(found, texts, decimal)


def tidy(text: Any) -> Any:
    """Return text without spaces around it, and with the minus sign of ASCII."""
    return pc.replace_substring(pc.utf8_trim_whitespace(text), "\u2212", "-")


def _marks() -> list[tuple[Any, Any]]:
    """Decimal marks and marks between thousands, those with less in them first."""
    others = (*_SPACES, "'", "’", "_")
    return [(".", ""), (".", ","), (",", ""), (",", "."), *((point, mark) for point in ".," for mark in others)]


def _fits(texts: Any, form: NumberFormat) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, form.pattern)).as_py())


def _decided(found: list[NumberFormat], texts: Any, decimal: str | None) -> list[NumberFormat]:
    """Leave one of several formats that mean the same, or that the texts themselves decide between."""
    if decimal is not None:
        # Marks between thousands that occur: a declared comma makes 1.234 a thousand.
        return found[:1]
    first = found[:1]
    if len(found) > 1 and (found[0].decimal, found[0].thousands) == (".", ",") and found[1].decimal == ",":
        commas = pc.match_substring(texts, ",")
        if not pc.any(commas).as_py():
            return first
        # Who writes decimals always writes three of them, or leaves out zeros at the end: no text without a comma goes
        # with one that ends in a zero after it.
        without = not pc.all(commas).as_py()
        zero = pc.any(pc.match_substring_regex(texts.filter(commas), r",[0-9]{2}0[^0-9]*$")).as_py()
        return first if without and zero else found[:2]
    return first
