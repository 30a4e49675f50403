"""Numbers in dress: how text writes them, with signs of currency, units, marks between thousands and decimal commas."""

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pushforward.tables.arrow import pa, pc
from pushforward.tables.currencies import CURRENCY, is_currency
from pushforward.tables.number_marks import commas_are_thousands, points_are_thousands
from pushforward.tables.other_digits import ascii_digits, has_own_marks, name_of, written_in, zero_of

# That are kept where the last ones are zeros.
MOST_DECIMALS = 9
# Float64 has every whole number up to here.
LARGEST_EXACT = 2.0**53
# Fiscal and other years.
_YEARS = ("FY", "CY", "SY", "AY")
_YEAR = rf"^(?:{'|'.join(_YEARS)}) ?(?:(?:19|20)[0-9]{{2}}|[1-9][0-9])$"
# A currency, a name such as "p=", or a year.
_PREFIX = rf"(?:{CURRENCY}|\p{{L}}{{1,12}} ?=|{'|'.join(_YEARS)})"
_WORD = r"[\p{L}\p{Sc}%‰°ºµ(][\p{L}\p{Sc}%‰°ºµ/·.²³^*()]{0,15}(?:[-^]{0,2}[0-9])?"
# One or more words, such as "kg", "W m-2" or "miles per hour".
_SUFFIX = rf"{_WORD}(?: {_WORD}){{0,3}}"
_OPEN_END = r"(?i)\b(?:and|or|plus|more|less|fewer|over|under|above|below|older|younger|und|oder|mehr|weniger|et|ou)\b"
_BODY = r"[0-9.,'’_\s]*[0-9]\.?"
_SPLIT = rf"^\(?[+-]?(?P<prefix>{_PREFIX}\s*)?[(+-]?{_BODY}\)?(?P<suffix>\s*{_SUFFIX})?\)?$"
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
        decimals: the fewest decimals that are written, of which the last may be zeros.
        minus: the sign of negative numbers.
        plus: whether positive numbers have a sign as well.
        sign_last: whether the sign, or the parenthesis, stands after the prefix.
        zero: of the script whose digits are written.
        own_marks: whether the marks among digits are those of this script, too.

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
    decimals: Annotated[int, Field(ge=0, le=MOST_DECIMALS)] = 0
    minus: Literal["-", "\u2212"] = "-"
    plus: bool = False
    sign_last: bool = False
    zero: str = "0"
    own_marks: bool = False

    @field_validator("zero")
    @classmethod
    def _is_zero(cls, zero: str) -> str:
        if len(zero) != 1 or unicodedata.decimal(zero, None) != 0:
            raise ValueError("it must be the digit zero of a script")
        return zero

    def describe(self) -> str:
        """Return the dress in words."""
        parts = [f'"{self.prefix.strip()}" before them'] if self.prefix else []
        parts += [f'"{self.suffix.strip()}" after them'] if self.suffix else []
        parts += [f"{_NAMES[self.thousands]} between thousands"] if self.thousands else []
        parts += ["a decimal comma"] if self.decimal == "," else []
        parts += ["parentheses around negative ones"] if self.parentheses else []
        parts += [f"{name_of(self.zero)} digits"] if self.zero != "0" else []
        parts = parts or ["true minus signs, not hyphens" if self.minus != "-" else "spaces of other kinds"]
        return "numbers with " + " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)

    @property
    def _mark(self) -> str:
        """The mark between thousands in text that is tidy."""
        return " " if self.thousands in _SPACES else self.thousands

    @property
    def pattern(self) -> str:
        """The regular expression of a number in text that is tidy, without groups that are kept."""
        point, mark = re.escape(self.decimal), re.escape(self._mark)
        whole = "0|[1-9][0-9]*"
        if mark:
            whole += rf"|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}"
        body = rf"(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+){_EXPONENT}"
        before, after = (re.escape(_bare(part)).replace("\\ ", " ") for part in (self.prefix, self.suffix))
        signed = rf"(?:[+-]\s*{before}|{before}\s*[+-]?)\s*{body}\s*{after}"
        if not self.parentheses:
            return rf"^{signed}$"
        return rf"^(?:{signed}|\(\s*{before}\s*{body}\s*{after}\s*\)|{before}\s*\(\s*{body}\s*\)\s*{after})$"


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
    negative = pc.match_substring_regex(text, r"^[^0-9]*[(-]")
    for part in (_bare(form.prefix), _bare(form.suffix)):
        if part:
            text = pc.replace_substring(text, part, "")
    text = pc.utf8_trim_whitespace(pc.utf8_trim(text, "()+- "))
    if form.thousands:
        text = pc.replace_substring(text, form._mark, "")
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
    text = pc.replace_substring(_digits(pc.abs(values), form.decimals), ".", form.decimal)
    mark = form.thousands
    while mark and pc.any(pc.match_substring_regex(text, r"^[0-9]{4}")).as_py():
        text = pc.replace_substring_regex(text, r"^([0-9]+)([0-9]{3})", rf"\1{mark}\2")
    if form.zero != "0":
        text = written_in(text, form.zero, form.own_marks)
    before, after = ("(", ")") if form.parentheses else (form.minus, "")
    above = pc.if_else(pc.greater(values, 0), "+" if form.plus else "", "")
    signs = pc.if_else(negative, before, above), pc.if_else(negative, after, "")
    if form.sign_last:
        return pc.binary_join_element_wise(form.prefix, signs[0], text, signs[1], form.suffix, "")
    return pc.binary_join_element_wise(signs[0], form.prefix, text, form.suffix, signs[1], "")


def _digits(values: Any, decimals: int) -> Any:
    """Positive numbers as text, without an exponent as far as they are exact, and with at least so many decimals."""
    text = pc.replace_substring_regex(pc.cast(values, pa.string()), r"\.0$", "")
    scientific = pc.and_(pc.match_substring(text, "e+"), pc.less(values, LARGEST_EXACT))
    if pc.any(scientific).as_py():
        text = pc.if_else(
            scientific, pc.cast(pc.cast(pc.if_else(scientific, values, 0.0), pa.int64()), text.type), text
        )
    if decimals:
        text = pc.replace_substring_regex(text, r"^([0-9]+)$", r"\1.")
        for count in range(decimals):
            text = pc.replace_substring_regex(text, rf"^([0-9]+\.[0-9]{{{count}}})$", r"\10")
    return text


def in_detail(texts: Any, form: NumberFormat) -> NumberFormat:
    """Return a format with the decimals and the signs that all of some texts have.

    Arguments:
        texts: the different texts of a column, without nulls.
        form: how they are read.

    Example:
        >>> form = in_detail(pa.array(["2.50", "12.00", "\u22120.75"]), NumberFormat())
        >>> form.decimals, write_numbers(pa.array([-1234.5, 7.0]), form).to_pylist()
        (2, ['\u22121234.50', '7.00'])
    """
    raw = pc.utf8_trim_whitespace(texts)
    zero, bare = zero_of(raw), ascii_digits(raw)
    form = _with_spaces_of(bare, form)
    decimals = pc.extract_regex(tidy(texts), _decimals_of(form)).field("decimals")
    counts = pc.unique(pc.utf8_length(decimals))
    # Without a zero at the end nothing shows that one would be written.
    zeros = len(counts) == 1 and pc.any(pc.match_substring_regex(decimals, "0$")).as_py()
    fewest = counts[0].as_py() if zeros else 0
    # Before the digits: an exponent has a sign of its own.
    hyphens, signs = (bool(pc.any(pc.match_substring_regex(bare, f"^[^0-9]*{s}")).as_py()) for s in ("-", "\u2212"))
    positive = bare.filter(pc.match_substring_regex(bare, "^[^0-9(\u2212-]*[0-9]"))
    positive = positive.filter(pc.match_substring_regex(positive, "[1-9]"))
    plus = len(positive) > 0 and bool(pc.all(pc.match_substring_regex(positive, r"^[^0-9]*\+")).as_py())
    before = re.escape(_bare(form.prefix))
    last = bool(before) and bool(pc.any(pc.match_substring_regex(tidy(texts), rf"^{before}\s*[(+-]")).as_py())
    update = {"decimals": fewest if fewest <= MOST_DECIMALS else 0, "plus": plus, "sign_last": last}
    update |= {"zero": zero, "own_marks": has_own_marks(raw, zero)}
    return form.model_copy(update={**update, "minus": "\u2212" if signs and not hyphens else "-"})


def _with_spaces_of(texts: Any, form: NumberFormat) -> NumberFormat:
    """A format with the spaces that some texts have, of which there are several kinds."""
    update = {}
    if form.thousands == " ":
        between = (space for space in _SPACES if pc.any(pc.match_substring_regex(texts, f"[0-9]{space}[0-9]")).as_py())
        update["thousands"] = next(between, " ")
    first = str(texts[0].as_py())
    ends = {"prefix": first[: len(form.prefix)], "suffix": first[len(first) - len(form.suffix) :]}
    update |= {name: end for name, end in ends.items() if re.sub(r"\s", " ", end) == getattr(form, name)}
    return form.model_copy(update=update)


def _decimals_of(form: NumberFormat) -> str:
    """The pattern of the decimals of a number that has no exponent."""
    suffix = re.escape(_bare(form.suffix)).replace("\\ ", " ")
    return rf"^.*?[0-9]*(?:{re.escape(form.decimal)}(?P<decimals>[0-9]*))?\)?\s*{suffix}\s*\)?$"


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
    if around is None or re.search(_OPEN_END, around["suffix"] or ""):
        return []
    if _bare(around["prefix"] or "") in _YEARS and not _are_years(texts):
        return []
    around["parentheses"] = bool(pc.any(pc.match_substring_regex(texts, r"^[^0-9]*\(.*\)")).as_py())
    found = []
    for point, mark in _marks():
        form = NumberFormat(decimal=point, thousands=mark, **around)
        if decimal in (None, point) and all(_fits(part, form) for part in (texts.slice(0, 100), texts)):
            found.append(form)
            if (point, mark) == (".", "") and decimal is None:
                thousands = form.model_copy(update={"decimal": ",", "thousands": "."})
                currency = is_currency(form.prefix) or is_currency(form.suffix)
                return _either(points_are_thousands(texts, currency=currency), thousands, form)
    # Marks between thousands that occur: a declared comma makes 1.234 a thousand.
    if decimal is not None or len(found) < 2:
        return found[:1]
    if (found[0].decimal, found[0].thousands) == (".", ",") and found[1].decimal == ",":
        return _either(commas_are_thousands(texts), found[0], found[1])
    return found[:1]


def _are_years(texts: Any) -> bool:
    """Whether all texts are years behind letters, of two digits or of four."""
    digits = len(pc.unique(pc.utf8_length(texts)))
    return digits == 1 and bool(pc.all(pc.match_substring_regex(texts, _YEAR)).as_py())


def tidy(text: Any) -> Any:
    """Return text without spaces around it, with spaces, digits and the minus sign of ASCII."""
    text = pc.utf8_trim_whitespace(text)
    if pc.all(pc.string_is_ascii(text), min_count=0).as_py():
        return text
    text = ascii_digits(text)
    return pc.replace_substring_regex(pc.replace_substring(text, "\u2212", "-"), r"\p{Zs}", " ")


def _bare(text: str) -> str:
    """What stands before or after a number, without spaces around it and with those of ASCII."""
    return re.sub(r"\s", " ", text.strip())


def _marks() -> list[tuple[Any, Any]]:
    """Decimal marks and marks between thousands, those with less in them first."""
    others = (" ", "'", "’", "_")
    return [(".", ""), (".", ","), (",", ""), (",", "."), *((point, mark) for point in ".," for mark in others)]


def _fits(texts: Any, form: NumberFormat) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, form.pattern)).as_py())


def _either(decided: bool | None, thousands: NumberFormat, decimals: NumberFormat) -> list[NumberFormat]:
    """The way in which the numbers are read, both if they do not tell."""
    return [thousands, decimals] if decided is None else [thousands if decided else decimals]
