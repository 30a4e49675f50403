"""Tables as people record them: numbers in dress, first lines, marks of missing values, copies, extreme numbers.

None of them is damaged. Each is read for what it is, or refused in one sentence where it can mean two things.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from case import Case
from pyarrow import feather

ROWS = 80
RANDOM = np.random.default_rng(3)
B, C = (RANDOM.normal(size=ROWS).round(6).tolist() for _ in range(2))
LETTERS = RANDOM.choice(["x", "y", "z"], ROWS).tolist()
ANY = ("--seed", "1")  # the flow that the fit chooses


def as_recorded() -> Iterator[Case]:
    """All of them."""
    for kind in (_dress, _dates, _first_lines, _names, _missing, _levels, _copies, _extremes, _weights, _declared):
        yield from kind()


def _csv(a: Sequence[object], header: str = "a,b,c") -> bytes:
    """Three columns, of which the first is quoted."""
    rows = [f'"{value}",{b},{c}' for value, b, c in zip(a, B, C, strict=True)]
    return ("\n".join([header, *rows]) + "\n").encode()


def _of(make: Callable[[int], object]) -> bytes:
    return _csv([make(row) for row in range(ROWS)])


def _some(value: object, often: Callable[[int], object], every: int = 10) -> bytes:
    """One value in every tenth row, or as often as said."""
    return _of(lambda row: value if row % every == 3 else often(row))


def _number(row: int) -> float:
    return round(B[row] * 3 - C[row] ** 2, 3)


def _cases(
    category: str, contents: dict[str, bytes], right: str, commands: tuple[str, ...] = ("fit",), **more: object
) -> Iterator[Case]:
    """Cases that are "refused", "done" or "either"."""
    for name, content in contents.items():
        options = {"options": ANY, "certain": right == "refused", "read": right == "done", **more}
        yield Case(category, f"{name}.csv", content, commands, **options)  # type: ignore[arg-type]


def _dress() -> Iterator[Case]:
    ambiguous = {
        "comma before three digits": _of(lambda row: f"{row % 9 + 1},{row * 37 % 899 + 101}"),
        "some texts among numbers": _some("unknown", _number),
        "question marks among numbers": _some("?", _number),
        "many levels": _of(lambda row: f"{row * 79 % 67}-x"),
    }
    yield from _cases("dress that means two things", ambiguous, "refused")
    mixed = {
        "two currencies": _of(lambda row: f"{'$€'[row % 2]}{row * row}"),
        "two units": _of(lambda row: f"{row * row} {'kg' if row % 2 else 'lb'}"),
        "percent and none": _of(lambda row: f"{row}%" if row % 2 else row),
        "point and comma": _of(lambda row: f"{row},5" if row % 2 else f"{row}.25"),
        "lakh": _of(lambda row: f"1,{row:02},{row * 7 % 900 + 100}"),
        "one odd percent": _some("abc%", lambda row: f"{row * row}%", every=79),
        "parentheses open": _some("(12", lambda row: f"({row * row})"),
        "spaces": _of(lambda row: f"{row} {row * 7 % 900 + 100}"),
        "apostrophes": _of(lambda row: f"{row + 1}'{row * 7 % 900 + 100}"),
        "signs alone": _some("-", lambda row: f"{row}%"),
    }
    yield from _cases("dress that is not the same everywhere", mixed, "either")
    dressed = {
        "percent": _of(lambda row: f"{row * 7 % 100}%"),
        "dollars": _of(lambda row: f"${row * row}"),
        "kilograms": _of(lambda row: f"{row * row} kg"),
        "decimal comma": _of(lambda row: f"{row},{row * 7 % 100:02}5"),
        "thousands": _of(lambda row: f"{row + 1},{row * 7 % 900 + 100},{row * 11 % 900 + 100}"),
    }
    yield from _cases("numbers in dress", dressed, "done")
    decided = {"comma": _of(lambda row: f"{row % 9 + 1},{row * 37 % 899 + 101}")}
    yield from _cases("numbers in dress", decided, "done", options=("--decimal", ","))
    # A model of plain numbers may read them or not.
    yield from _cases("dress in later tables", {**dressed, **mixed}, "either", ("score",))


def _dates() -> Iterator[Case]:
    ambiguous = {
        "days below thirteen": _of(lambda row: f"{row % 12 + 1:02}/{row * 5 % 12 + 1:02}/2022"),
        "no such days": _of(lambda row: f"2022-02-{row % 31 + 1:02}"),
    }
    yield from _cases("dates that mean two things", ambiguous, "refused", certain=False)
    odd = {
        "both orders": _of(lambda row: f"{25 if row % 2 else 2:02}/{2 if row % 2 else 25:02}/2022"),
        "some zones": _of(lambda row: f"2022-01-{row % 28 + 1:02}T{row % 24:02}:00:00{'Z' if row % 2 else ''}"),
        "two zones": _of(lambda row: f"2022-01-{row % 28 + 1:02}T{row % 24:02}:00:00+0{row % 2}:00"),
        "all zones": _of(lambda row: f"2022-01-{row % 28 + 1:02}T{row * 7 % 24:02}:00:00Z"),
        "hour 25": _of(lambda row: f"{row % 26}:30"),
        "year 0": _some("0000-00-00", lambda row: f"2022-01-{row % 28 + 1:02}"),
        "open end": _some("9999-12-31", lambda row: f"2022-01-{row * 5 % 28 + 1:02}"),
        "year 10000": _some("10000-01-01", lambda row: f"2022-01-{row % 28 + 1:02}"),
        "eight digits": _some(20221399, lambda row: 20220101 + row % 28),
        "dates and numbers": _of(lambda row: f"2022-01-{row % 28 + 1:02}" if row % 2 else row),
        "dates and times": _of(lambda row: f"2022-01-{row % 28 + 1:02}{' 10:00' if row % 2 else ''}"),
    }
    yield from _cases("dates and zones", odd, "either")
    yield from _cases("dates and zones", odd, "either", ("score",))
    bad = {"bad format": _of(lambda row: f"{row % 28 + 1:02}.01.2022")}
    for number, text in enumerate(("%Q", "", "%d", "%d.%m", "%m/%d/%Y")):
        renamed = {f"bad format {number}": bad["bad format"]}
        yield from _cases("dates and zones", renamed, "either", options=("--date-format", text))


def _first_lines() -> Iterator[Case]:
    rows = [f"{_number(row)},{B[row]},{C[row]}" for row in range(ROWS)]
    table = "\n".join(["a,b,c", *rows]) + "\n"
    both = ("fit", "score")
    read = {
        "sep in capitals": f"SEP=,\n{table}",
        "sep of tabs": "sep=\t\n" + table.replace(",", "\t"),
        "sep quoted": f'"sep=,"\n{table}',
        "comments and sep": f"# one\nsep=,\n{table}",
        "empty comment": f"#\n{table}",
        "empty lines": f"\n\n{table}",
        "comma at every end": table.replace("\n", ",\n"),
        "crlf and comma": table.replace("\n", ",\r\n"),
    }
    unread = {
        "sep of bars over commas": f"sep=|\n{table}",
        "sep of tabs over commas": f"sep=\t\n{table}",
        "sep of semicolons over tabs": "sep=;\n" + table.replace(",", "\t"),
        "comment in the middle": "\n".join(["a,b,c", *rows[:40], "# calibrated", *rows[40:]]),
        "commas at some ends": "\n".join(["a,b,c", *(f"{row}{',' * (n % 2)}" for n, row in enumerate(rows))]),
        "two commas at some ends": "\n".join(["a,b,c,", *(f"{row}{',' * (n % 3)}" for n, row in enumerate(rows))]),
        "no header": "\n".join(rows),
        "no header and a comment": "\n".join(["# 2022", *rows]),
        "no header and commas at the ends": "\n".join(f"{row}," for row in rows),
        "units below the names": "\n".join(["a,b,c", "m,s,kg", *rows]),
    }
    other = {
        "sep of nothing": f"sep=\n{table}",
        "sep of two": f"sep=;;\n{table}",
        "two sep": f"sep=,\nsep=,\n{table}",
        "comment at the end": f"{table}# 80 rows\n",
        "percent comments": f"% one\n{table}",
        "comment before the names": "#" + table,
        "comments after the names": table.replace("\n", "\n# m,s,kg\n", 1),
        "two commas at every end": table.replace("\n", ",,\n"),
        "sums at the end": f"{table}total,,\n",
        "names twice": table + table,
    }
    for right, texts in (("done", read), ("refused", unread), ("either", other)):
        contents = {name: text.encode() for name, text in texts.items()}
        yield from _cases("first lines and last commas, as recorded", contents, right, both)
    bare = {"no header, said": "\n".join(rows).encode()}
    yield from _cases("first lines and last commas, as recorded", bare, "done", options=("--no-header",))
    yield from _cases(
        "first lines and last commas, as recorded",
        {"header, denied": table.encode()},
        "either",
        options=("--no-header",),
    )


def _names() -> Iterator[Case]:
    content = _of(_number).replace(b"a,b,c", b'"a, m",b,"c ""d"""', 1)
    chosen = {
        "done": ['"a, m",b', '"a, m"', '"a, m","c ""d"""'],
        "refused": ["a, m,b", "a", ",", "b,b", "nothing"],
        "either": ['"a, m', "b,'", "", 'c "d"', "b,"],
    }
    number = 0
    for right, texts in chosen.items():
        for text in texts:
            number += 1
            renamed = {f"names {number}": content}
            yield from _cases("names with commas", renamed, right, options=("--columns", text))
    for number, text in enumerate(('"a, m"', "a, m", "b", "nothing", 'b,"c ""d"""')):
        right = "refused" if text == "nothing" else "either"
        yield from _cases("names with commas", {f"given {number}": content}, right, options=("--given", text))


def _missing() -> Iterator[Case]:
    read = {
        "NA": _some("NA", _number),
        "null in any case": _of(lambda row: ["NULL", "null", "None", "n/a"][row % 4] if row % 3 == 0 else _number(row)),
        "empty": _some("", _number),
        "most empty": _of(lambda row: _number(row) if row % 4 == 0 else ""),
        "a far number": _some(-999, _number),
        "a far number as text": _some("-999.0", lambda row: row),
        "none at all": _of(lambda row: "NA"),
    }
    yield from _cases("marks of missing values", read, "done")
    only = {"marks alone": _of(lambda row: "?"), "dashes": _some("-", _number), "blanks": _some("   ", _number)}
    yield from _cases("marks of missing values", only, "either")
    for number, marks in enumerate(("?", "-999", "?,-", "", ",", "nan", "1e999", "x" * 10**4)):
        contents = {f"marks {number}": _some("?", _number)}
        right = "done" if marks in ("?", "?,-") else "either"
        yield from _cases("marks of missing values", contents, right, options=("--missing", marks))
    gone = {"every number a mark": _of(lambda row: 1 + row % 2)}
    yield from _cases("marks of missing values", gone, "either", options=("--missing", "1,2"))


def _levels() -> Iterator[Case]:
    equal = {
        "cases of true": _of(lambda row: ["True", "true", "FALSE", "false"][row % 4]),
        "normal forms": _of(lambda row: ["é", "e\u0301", "z"][row % 3]),
        "spaces around": _of(lambda row: ["red", " red", "red ", "blue"][row % 4]),
        "zeros": _of(lambda row: ["0", "-0", "0.0", "1"][row % 4]),
        "one decimal": _of(lambda row: ["0.1", "0.10", "0.2", ".2"][row % 4]),
    }
    yield from _cases("levels that are equal", equal, "done")
    for number, levels in enumerate(
        (["x", "x", "y", "z"], ["x", "x ", "y", "z"], [1, 1.0], [], ["x"], "x", [None], [[1]])
    ):
        declared = json.dumps({"a": {"kind": "category", "levels": levels}}).encode()
        content = {f"declared {number}": _csv(LETTERS)}
        yield from _cases("levels that are equal", content, "refused", schema=declared, options=())
    dictionary = pa.DictionaryArray.from_arrays(pa.array(np.arange(ROWS) % 3), pa.array(["u", "u", "v"]), safe=False)
    sink = io.BytesIO()
    # pyarrow writes such a table to Parquet with bytes that nobody has set.
    feather.write_feather(pa.table({"a": dictionary, "b": B, "c": C}), sink, compression="uncompressed")
    yield Case("levels that are equal", "same entries.feather", sink.getvalue(), ("fit",), read=True, options=ANY)


def _copies() -> Iterator[Case]:
    def repeated(rows: Sequence[int]) -> bytes:
        return ("\n".join(["a,b,c", *(f"{_number(row)},{B[row]},{C[row]}" for row in rows)]) + "\n").encode()

    read = {
        "every row twice": repeated([row // 2 for row in range(2 * ROWS)]),
        "every row ten times": repeated([row for row in range(ROWS) for _ in range(10)]),
        "copies of one row": repeated([0] * 40 + list(range(ROWS))),
    }
    yield from _cases("equal rows", read, "done")
    yield from _cases("equal rows", {"one row": repeated([0] * ROWS)}, "refused")
    odd = {
        "two rows": repeated([row % 2 for row in range(ROWS)]),
        "five rows": repeated([row % 5 for row in range(ROWS)]),
        "one row and another": repeated([0] * 79 + [1]),
    }
    yield from _cases("equal rows", odd, "either")
    for group in ("a", "b", "nothing"):
        yield from _cases(
            "equal rows", {f"groups of {group}": read["every row twice"]}, "either", options=("--group", group)
        )


def _extremes() -> Iterator[Case]:
    refused = {
        "all of 1e300": _of(lambda row: f"{_number(row)}e300"),
        "one of 1e300": _some("1e300", _number, every=79),
        "all of 1e-300": _of(lambda row: f"{_number(row)}e-300"),
        "both": _of(lambda row: f"{_number(row)}e{300 if row % 2 else -300}"),
        "largest": _some("1.7976931348623157e308", _number),
        "smallest": _of(lambda row: f"{row % 3}e-323"),
    }
    yield from _cases("extreme numbers", refused, "refused", ("fit",), certain=False)
    yield from _cases("extreme numbers", refused, "done", ("score",), read=False, certain=False)
    read = {
        "1e12 among others": _some("1e12", _number, every=79),
        "scale of 1e-9": _of(lambda row: f"{_number(row)}e-9"),
        "scale of 1e100": _of(lambda row: f"{_number(row)}e100"),
    }
    yield from _cases("extreme numbers", read, "done", ("fit",))


def _weights() -> Iterator[Case]:
    def weighted(make: Callable[[int], object]) -> bytes:
        rows = [f"{_number(row)},{B[row]},{make(row)}" for row in range(ROWS)]
        return ("\n".join(["a,b,w", *rows]) + "\n").encode()

    weight = ("--weight", "w")
    read = {
        "weights of 1e300": weighted(lambda row: f"{1 + row % 3}e300"),
        "weights of 1e-300": weighted(lambda row: f"{1 + row % 3}e-300"),
        "half of them zero": weighted(lambda row: row % 2),
    }
    yield from _cases("row weights", read, "done", options=weight)
    refused = {
        "one weight of 1e300": weighted(lambda row: "1e300" if row == 7 else 1),
        "negative weight": weighted(lambda row: -1 if row == 7 else 1),
        "no weights": weighted(lambda row: 0),
        "missing weight": weighted(lambda row: "" if row == 7 else 1),
        "infinite weight": weighted(lambda row: "inf" if row == 7 else 1),
        "text as weight": weighted(lambda row: "much" if row == 7 else 1),
        "few weights": weighted(lambda row: int(row < 5)),
    }
    yield from _cases("row weights", refused, "refused", options=weight)
    errors = {"errors of 1e300": weighted(lambda row: "1e300"), "errors of zero": weighted(lambda row: 0)}
    yield from _cases("row weights", errors, "either", options=("--error", "a=w"))


def _declared() -> Iterator[Case]:
    """Numbers within 10 of a schema that declares their step and bounds."""
    content = _of(lambda row: _number(row) % 10)
    bounded = {"kind": "bounded", "low": -1, "high": 11}
    right: dict[str, list[dict[str, object]]] = {
        "refused": [
            {"kind": "continuous", "step": 1e300},
            {"kind": "continuous", "step": 1000},
            {"kind": "continuous", "step": 1e-300},
            {"kind": "continuous", "step": 1e-13},
            {"kind": "positive", "step": 1e300},
            {**bounded, "step": 1e300},
            {**bounded, "step": 1e-300},
            {"kind": "bounded", "low": -1e300, "high": 1e300},
            {"kind": "bounded", "low": -1.7e308},
            {"kind": "bounded", "low": -1e20, "high": 1e20},
            {"kind": "mixed", "atoms": [0.5], "high": 1e300},
            {"kind": "periodic", "period": 1e300},
            {"kind": "periodic", "period": 10, "step": 1e300},
            {"kind": "periodic", "period": 10, "low": 1e300},
            {"kind": "integer", "step": 10**30},
        ],
        "done": [
            {"kind": "continuous", "step": 0.001},
            {"kind": "continuous", "step": 1e-9},
            {"kind": "bounded", "low": -1e9, "high": 1e9},
            {**bounded, "step": 0.001},
        ],
        "either": [
            {"kind": "periodic", "period": 1e-300},
            {"kind": "mixed", "atoms": [1e300]},
            {"kind": "continuous", "step": 0.001, "offset": 1e300},
        ],
    }
    for result, columns in right.items():
        for number, column in enumerate(columns):
            declared = json.dumps({"a": column}).encode()
            renamed = {f"{result} {number}": content}
            yield from _cases("declared steps and bounds", renamed, result, schema=declared, options=())
