"""What stands before the rows of a CSV file: comments, a line about separators, and names or what is in their place."""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.errors import InputError
from pushforward.support.suggestions import shortened
from pushforward.tables.columns.dress import shapes_of
from pushforward.tables.missing import MISSING_TEXT

START = 2**20  # bytes at the start of a file that are looked at
SAMPLE = 1_000  # rows of them
# Read as separators where the header shows them, because names rarely contain them; others are only recognized.
READ = {";": "semicolons", "\t": "tabs"}
RECOGNIZED = {"|": "vertical bars", ":": "colons", " ": "spaces", "\x1f": "unit separators"}
# As programs write them: Na is sodium.
MISSING_NAMES = ("NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None")
TRUTHS = {"true", "false"}
CALLED = {",": "commas", **READ, **RECOGNIZED}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?,*$', re.IGNORECASE)
_DATE = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$")


@dataclass(frozen=True)
class Layout:
    """Where the header of a CSV file begins, and what separates its columns.

    Attributes:
        offset: bytes before the header, or before the first row of a file without a header.
        separator: one character.
        notes: what was read in another way than usual, in words that follow the file's name.
    """

    offset: int
    separator: str
    notes: tuple[str, ...]


def find_layout(path: str, head: bytes, header: bool, known: str | None = None) -> Layout:
    """Find where the header of a CSV file begins, and what separates its columns.

    Arguments:
        path: what messages call the file.
        head: its first bytes; it is not empty.
        header: whether the first line has the names of the columns.
        known: what separates the columns, if that is known.

    Raises:
        InputError: the separator cannot be read, or a first line may be a comment as well as a header.
    """
    start = head[:START]
    offset = len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0
    offset = _after_blank_lines(start, offset)
    declared = _SEPARATOR_LINE.match(_line(start, offset))
    if declared:
        offset = _after_blank_lines(start, _next_line(start, offset))
    first = offset
    while _line(start, offset).startswith("#"):
        last_comment, offset = offset, _after_blank_lines(start, _next_line(start, offset))
    after_comments, late = offset, None if declared else _SEPARATOR_LINE.match(_line(start, offset))
    if late:
        declared, offset = late, _after_blank_lines(start, _next_line(start, offset))
    notes = []
    if offset > first and offset < len(start):
        separator = known or (declared[1] if declared else _separator(start, offset, path))
        if header and not late and _is_header(start, last_comment, offset, separator, path):
            offset = after_comments = last_comment
        if offset > first:
            count = start[first:after_comments].count(b"\n")
            notes.append(f"begins with {'a comment' if count == 1 else f'{count} lines of comments'}, left out")
    else:
        offset = first
    separator = known or (declared[1] if declared else _separator(start, offset, path))
    others = [other for other in (",", *READ) if len(_first(start, offset, other)) > 1]
    if declared and others and not known and len(_first(start, offset, separator)) < 2:
        called = CALLED.get(separator, repr(separator))
        raise InputError(
            f"the line sep= of {path} says that {called} separate its columns, and its header has {CALLED[others[0]]}; "
            "correct or remove that line."
        )
    if separator != "," and not known:
        notes.append(f"separates its columns by {CALLED.get(separator, repr(separator))}")
    return Layout(offset, separator, tuple(notes))


def check_header(path: str, head: bytes, names: Sequence[str], layout: Layout) -> None:
    """Refuse a header that is really the first row of values.

    Whole numbers that count up, such as 0, 1, 2 or 2019, 2020, are names. Other numbers and dates are values, and so is
    what is like the values below it, unless a column has a name over values, or a name that is none of its levels.

    Raises:
        InputError: there is no header.
    """
    start = head[layout.offset : layout.offset + START]
    rows = [row for row in _rows(start, layout.separator)[1:] if len(row) == len(names)]
    columns = [_present(row[place] for row in rows) for place in range(len(names))]
    surely = {place for place, name in enumerate(names) if _is_value(name)}
    valued = [place for place in range(len(names)) if place in surely or is_like(names[place], columns[place])]
    if not valued:
        return
    whole = all(names[place].strip().isdigit() for place in valued)
    if whole and _count_up([int(names[place]) for place in valued]):
        return
    levels = all(place not in surely and names[place] in columns[place] for place in valued)
    for place, (name, cells) in enumerate(zip(names, columns, strict=True)):
        if place in valued or name.strip().lower() in MISSING_TEXT:
            continue
        over_values = bool(cells) and all(map(_is_value, cells))
        another = (whole or levels) and name not in cells and len(set(cells)) <= len(cells) / 2
        if over_values or another:
            return
    shown = shortened(layout.separator.join(names), 60)
    raise InputError(
        f"{path} has values where its header should be ({shown}); put the columns' names in the first line, or read it "
        "with --no-header (header=False in Python), which calls them 0, 1, 2, ...."
    )


def check_first_row(path: str, head: bytes, layout: Layout) -> None:
    """Refuse a first row, of a file that is read without a header, that is really the header.

    It has a text of its own for each column, which the column has nowhere else, and numbers or dates alone follow in
    one of them.

    Raises:
        InputError: there is a header.
    """
    first, *rest = _rows(head[layout.offset : layout.offset + START], layout.separator) or [[]]
    names = [name.strip() for name in first]
    rows = [row for row in rest if len(row) == len(names)]
    columns = [_present(row[place] for row in rows) for place in range(len(names))]
    valued = any(len(cells) > 1 and all(map(_is_value, cells)) for cells in columns)
    named = len(set(names)) == len(names) and not any(map(_is_value, names)) and names == _present(names)
    if valued and named and not any(name in cells for name, cells in zip(names, columns, strict=True)):
        raise InputError(
            f"{path} has a header in its first row ({shortened(layout.separator.join(names), 60)}); leave --no-header "
            "out (header=False in Python), or put a line of names above it if it is a row of values."
        )


def is_like(name: str, cells: Sequence[str]) -> bool:
    """Whether what stands over cells is one of them: a mark, true or false, a level, or a number or date alike.

    Example:
        >>> is_like("$5.08", ["$1,200.00", "$7.10"]), is_like("2020-01", ["5.1", "7.2"]), is_like("u", ["v", "u", "v"])
        (True, False, True)
    """
    name = name.strip()
    if name in MISSING_NAMES:
        return True
    different = set(cells)
    if name.lower() in TRUTHS:
        return bool(cells) and {cell.lower() for cell in different} <= TRUTHS
    # A column of boxes that were ticked has its name as its only level; above numbers the header stands again.
    if name in different and len(different) > 1 and not any(map(_is_value, different)):
        return True
    shape, *others = shapes_of([name, *cells])
    return "0" in shape and others.count(shape) > len(cells) / 2


def _present(cells: Iterable[str]) -> list[str]:
    """The cells that are not missing, without spaces around them."""
    return [bare for cell in cells if (bare := cell.strip()).lower() not in MISSING_TEXT]


def _is_header(start: bytes, comment: int, offset: int, separator: str, path: str) -> bool:
    """Whether a line that begins with # is the header, and not a comment before it."""
    named, *_ = _rows(start[comment:], separator, 1) or [[]]
    rows = _rows(start[offset:], separator, SAMPLE)
    if not rows or len(named) != len(rows[0]):
        return False
    if any(map(_is_value, rows[0])):
        return True
    second = rows[1] if len(rows) > 1 else []
    if len(second) == len(rows[0]) and any(map(_is_value, second)):
        return False
    raise InputError(
        f"{path} begins with a line that may be a comment or the header ({shortened(separator.join(named), 60)}); "
        "remove the line, or the # at its beginning."
    )


def _separator(start: bytes, offset: int, path: str) -> str:
    """What separates the columns, by the first two rows, or by more where there are commas."""
    first = _first(start, offset, ",")
    if len(first) != 1:
        return _among_commas(start[offset:], first, path)
    _refuse_title(start[offset:], path)
    _refuse_aligned(start[offset:], path)
    for separator, called in CALLED.items():
        if separator == "," or separator not in first[0]:
            continue
        rows = _rows(start[offset:], separator, 2)
        alike = len(rows) == 2 and len(rows[0]) == len(rows[1]) > 1
        if separator in READ and alike:
            return separator
        # Names may contain the others, so the first row must have them too.
        if separator in READ or (alike and all(map(_is_number, rows[1]))):
            option = f', or say so with --separator "{separator}" (separator= in Python)'
            shown = option if separator in RECOGNIZED and separator.isprintable() else ""
            raise InputError(f"{path} separates its columns by {called}; save it with commas{shown}.")
    return ","


def _refuse_title(text: bytes, path: str) -> None:
    """Refuse a first line that is neither a header nor a row: a title, or a comment that begins otherwise than by #."""
    for separator in (",", *READ):
        title, *rows = _rows(text, separator) or [[]]
        fields = {len(row) for row in rows}
        # A single column may have decimal commas.
        decimals = fields == {2} and all(row[0].strip("+-").isdigit() and row[1].isdigit() for row in rows)
        if len(title) != 1 or len(rows) < 2 or len(fields) != 1 or fields == {1} or decimals:
            continue
        if not any(_agreeing(text, other) for other in READ):
            raise InputError(
                f"{path} begins with a line that is not a header ({shortened(title[0], 60)}): all lines after it have "
                f"{fields.pop()} fields; remove that line."
            )


def _refuse_aligned(text: bytes, path: str) -> None:
    """Refuse columns that are aligned by several spaces."""
    lines = [" ".join(row).strip() for row in _rows(text, "\x1f")]
    fields = {len(line.split()) for line in lines}
    aligned = len(lines) > 1 and len(fields) == 1 and fields != {1} and any("  " in line for line in lines)
    if aligned and all(any(map(_is_number, line.split())) for line in lines[1:]):
        raise InputError(f"{path} separates its columns by spaces; save it with commas.")


def _among_commas(text: bytes, header: Sequence[str], path: str) -> str:
    """What separates the columns of a header with commas, which may stand in names: what agrees with more rows."""
    others = [other for other in READ if any(other in name for name in header)]
    if not others:
        return ","
    agreeing = {separator: _agreeing(text, separator) for separator in (",", *others)}
    best = max(others, key=agreeing.__getitem__)
    if agreeing[best] == agreeing[","] > 0:
        raise InputError(
            f"header and rows of {path} agree on the number of commas, and on that of {READ[best]}; say what separates "
            'the columns with --separator "," or another one (separator= in Python).'
        )
    return best if agreeing[best] > agreeing[","] else ","


def _agreeing(text: bytes, separator: str) -> int:
    """How many rows have as many fields as the header; 0 if it has one."""
    header, *rows = _rows(text, separator) or [[]]
    return sum(len(row) == len(header) for row in rows) if len(header) > 1 else 0


def _first(start: bytes, offset: int, separator: str) -> list[str]:
    return next(iter(_rows(start[offset:], separator, 1)), [])


def _rows(text: bytes, separator: str, most: int = SAMPLE) -> list[list[str]]:
    """The first rows of a text, without those that may be cut; none of a text that cannot be read."""
    whole = len(text) < START - 4096
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""), delimiter=separator)
        rows = []
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > most:
                break
    except (csv.Error, TypeError):
        return []
    return rows[:most] if whole or len(rows) > most else rows[:-1]


def _line(text: bytes, offset: int) -> str:
    return text[offset : _next_line(text, offset)].decode("utf-8", "replace").strip("\r\n")


def _next_line(text: bytes, offset: int) -> int:
    ends = [end for mark in (b"\n", b"\r") if (end := text.find(mark, offset)) >= 0]
    return min(ends) + 1 if ends else len(text)


def _after_blank_lines(text: bytes, offset: int) -> int:
    while offset < len(text) and text[offset : offset + 1] in (b"\n", b"\r"):
        offset += 1
    return offset


def _count_up(numbers: Sequence[int]) -> bool:
    return numbers == [0] or (
        len(numbers) > 1 and all(later == number + 1 for number, later in itertools.pairwise(numbers))
    )


def _is_value(text: str) -> bool:
    return _is_number(text) or bool(_DATE.match(text.strip()))


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
