"""A corpus of malformed and hostile files, the same every time: each is given to commands, which must refuse it."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
from case import MODEL, TABLE, Case
from recorded import as_recorded

import pushforward as pf


def cases(folder: Path, large: bool = False) -> Iterator[Case]:
    """All cases, for a folder made by `prepare`; the large ones only if wanted."""
    yield from as_recorded()
    for kind in (_texts, _cells, _foreign, _parquet, _feather, _models, _checkpoints):
        yield from kind(folder)
    if large:
        yield from _large(folder)


def prepare(folder: Path) -> None:
    """Write a good table, a good model of it, and a good checkpoint."""
    rows = np.random.default_rng(0).normal(size=(60, 3))
    (folder / TABLE).write_bytes(_csv([",".join(map(repr, row)) for row in rows.tolist()]))
    fitted = pf.fit_table(str(folder / TABLE), flow="nice", max_steps=2, checkpoint=folder / "kept.checkpoint")
    fitted.model.save(folder / MODEL)


def good(folder: Path) -> Iterator[Case]:
    """A good file of each format, for every command."""
    yield Case("good", "also.csv", (folder / TABLE).read_bytes())
    yield Case("good", "also.parquet", _parquet_bytes(_table()))
    yield Case("good", "also.feather", _feather_bytes(_table()))
    yield Case("good", "also.safetensors", (folder / MODEL).read_bytes(), ("info", "sample", "use"))


ROWS = [f"{row}.5,{row * row % 7},{row * 5 % 11}" for row in range(40)]


def _csv(rows: list[str], header: str = "a,b,c") -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


def _with(row: int, text: str) -> list[str]:
    return [*ROWS[:row], text, *ROWS[row + 1 :]]


def _texts(folder: Path) -> Iterator[Case]:
    good = _csv(ROWS)
    nothing = {
        "empty": b"",
        "spaces": b"  \n",
        "newlines": b"\n" * 40,
        "header only": b"a,b,c\n",
        "header": b"a,b,c",
        "mark only": b"\xef\xbb\xbf",
        "commas": b",,\n" * 30,
        "carriage returns": b"\r" * 40,
    }
    for name, content in nothing.items():
        yield Case("nothing in it", f"{name}.csv", content)
    for name, separator in {
        "pipe": "|",
        "space": " ",
        "colon": ":",
        "unit": "\x1f",
    }.items():
        yield Case("wrong separator", f"{name}.csv", good.replace(b",", separator.encode()))
    yield from _beginnings(good)
    for row in (0, 20, 39):
        for name, text in {"short": "1,2", "long": "1,2,3,4", "one": "1", "very long": "1," * 5000 + "1"}.items():
            yield Case("ragged rows", f"{name} {row}.csv", _csv(_with(row, text)))
        yield Case("quotation marks", f"open {row}.csv", _csv(_with(row, '"1,2,3')))
        yield Case("quotation marks", f"newlines {row}.csv", _csv(_with(row, '"1\n2\n3",2,3')))
        yield Case("quotation marks", f"stray {row}.csv", _csv(_with(row, '1"1,2,3')))
    yield Case("quotation marks", "open header.csv", _csv(ROWS, '"a,b,c'))
    headers = {
        "twice": "a,a,c",
        "thrice": "a,a,a",
        "unnamed": "a,,",
        "numbers": "1.5,2.5,3.5",
        "more": "a,b,c,d",
        "fewer": "a,b",
        "quoted twice": '"a","a",c',
    }
    for name, header in headers.items():
        yield Case("headers", f"{name}.csv", _csv(ROWS, header))
    yield Case("headers", "long name.csv", _csv(ROWS, "a" * 2**21 + ",b,c"))
    text = good.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7", "cp500"):
        if encoding != "utf-7":
            yield Case("encodings", f"{encoding}.csv", text.encode(encoding))
    wrong = {
        "latin-1": "né".encode("latin-1"),
        "overlong": b"\xc0\xaf",
        "surrogate": b"\xed\xa0\x80",
        "255": b"\xff",
        "cut": b"\xe2\x82",
        "beyond": b"\xf5\x80\x80\x80",
        "windows": b"\x93x\x94",
    }
    for name, raw in wrong.items():
        yield Case("encodings", f"{name} in header.csv", good.replace(b"a,", raw + b",", 1))
        yield Case("encodings", f"{name} in a cell.csv", good.replace(b"7.5,", raw + b",", 1))
    for place, at in {"start": 0, "header": 2, "row": 30, "end": len(good)}.items():
        yield Case("zero bytes", f"zero at {place}.csv", good[:at] + b"\0" + good[at:])
    yield Case("zero bytes", "zeros.csv", bytes(10_000))
    yield Case("zero bytes", "zeros after text.csv", good + bytes(10_000))
    yield Case("too wide", "wide header.csv", _csv(["1"], ",".join(f"c{n}" for n in range(10**5))))


def _beginnings(good: bytes) -> Iterator[Case]:
    """What stands before the rows, in place of names, and at the ends of lines."""
    dates = [f"2024-01-{row % 28 + 1:02},{row},{row * row % 7}" for row in range(40)]
    headerless = {
        "numbers": "\n".join(ROWS),
        "whole numbers": "\n".join(f"{row * row + 900},{row % 7},{row * 5 % 11}" for row in range(40)),
        "numbers and text": "\n".join(
            f"{row * 37 % 101},{'red' if row % 2 else 'blue'},{row % 7}" for row in range(40)
        ),
        "dates": "\n".join(dates),
        "comment and numbers": "# logger\n" + "\n".join(ROWS),
        "separator and numbers": "sep=,\n" + "\n".join(ROWS),
        "semicolons": "\n".join(ROWS).replace(",", ";"),
    }
    for name, text in headerless.items():
        yield Case("no header", f"headerless {name}.csv", text.encode() + b"\n")
    lines = {
        "sep without rows": b"sep=,\n",
        "sep of semicolons over commas": b"sep=;\n" + good,
        "comments alone": b"# a\n# b\n",
        "comment or header": b"#kind,site\n" + b"red,a\nblue,b\n" * 20,
        "comma in the header": _csv(ROWS, "a,b,c,"),
        "commas in the rows": _csv([f"{row}," for row in ROWS]),
        "a value under no name": _csv(
            [*(f"{row}," for row in ROWS[:30]), f"{ROWS[30]},7", *(f"{row}," for row in ROWS[31:])], "a,b,c,"
        ),
        "ragged semicolons": _csv(ROWS, "a,b,c,d").replace(b",", b";"),
        "ragged tabs": _csv(_with(9, "1,2"), "a,b,c").replace(b",", b"\t"),
    }
    for name, content in lines.items():
        # A column without a name that has values is the index of a data frame, left out by fit and copied by score.
        yield Case("first lines and last commas", f"{name}.csv", content, certain=name != "a value under no name")
    read = {
        "semicolon": good.replace(b",", b";"),
        "tab": good.replace(b",", b"\t"),
        "sep": b"sep=,\n" + good,
        "comments": b"# logger\n# site\n" + good,
        "trailing commas": _csv([f"{row}," for row in ROWS], "a,b,c,"),
    }
    for name, content in read.items():
        yield Case("read for what they are", f"{name}.csv", content, certain=False)


def _cells(folder: Path) -> Iterator[Case]:
    cells = [
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "-1e999",
        "9007199254740993",
        "1" + "0" * 400,
        "-" + "9" * 25,
        "0x10",
        "1e",
        "--1",
        "1.2.3",
        "1,5",
        "1 000",
        "∞",
        "٣",
        "$3",
        "5%",
        "=1+1",
        "1/2",
        "ten",
        "2024-13-45",
        "😀",
        "#REF!",
        "1e5e5",
        "+",
        ".",
        "nan0",
        "1_000",
        "1d5",
        "x" * 10**5,
    ]
    for index, text in enumerate(cells):
        quoted = f'"{text}",2,3'
        # Text makes a column of text; a model that was fitted to numbers has no use for it.
        sure = ("fit", "score") if text in cells[:8] else ("score",)
        yield Case("cells that are no numbers", f"cell {index}.csv", _csv(_with(33, quoted)), sure)
    columns = {
        "infinite": pa.array([1.0, float("inf"), *map(float, range(38))]),
        "lists": pa.array([[1, 2]] * 40),
        "structs": pa.array([{"u": n} for n in range(40)]),
        "bytes": pa.array([b"\xff"] * 40),
        "maps": pa.array([[("k", 1)]] * 40, pa.map_(pa.string(), pa.int64())),
        "large integers": pa.array([2**53 + 1, *(k % 13 for k in range(39))]),
        "unsigned": pa.array([2**64 - 1, *(k % 13 for k in range(39))], pa.uint64()),
    }
    for name, column in columns.items():
        table = pa.table({"a": column, "b": np.arange(40.0) ** 2, "c": np.arange(40) * 7 % 11})
        for ending, content in (("parquet", _parquet_bytes(table)), ("feather", _feather_bytes(table))):
            yield Case("columns of no use", f"{name}.{ending}", content)


def _foreign(folder: Path) -> Iterator[Case]:
    random = np.random.default_rng(1)
    contents = {
        "png": b"\x89PNG\r\n\x1a\n" + random.bytes(3000),
        "zip": b"PK\x03\x04" + random.bytes(3000),
        "gzip": b"\x1f\x8b\x08\0" + random.bytes(3000),
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + random.bytes(3000),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(3000),
        "pickle": b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        "html": b"<!doctype html><title>404</title>\n<p>Not found, sorry\n",
        "json": b'{"a": [1, 2, 3],\n "b": [1, 2, 3], "x": 4}\n',
        **{f"noise {n}": random.bytes(2000) for n in range(4)},
    }
    for name, content in contents.items():
        for ending in ("csv", "parquet", "feather"):
            yield Case("another kind of file", f"{name}.{ending}", content)
        yield Case("another kind of file", f"{name}.safetensors", content, ("info", "sample", "use"))
    yield Case("another kind of file", "table.xlsx", b"PK\x03\x04")


def _table() -> pa.Table:
    return pa.table({"a": np.arange(60.0) ** 1.5, "b": np.arange(60) * 7 % 11, "c": np.arange(60) * 3 % 13 + 0.5})


def _parquet_bytes(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def _feather_bytes(table: pa.Table, compression: str = "zstd") -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _cut(category: str, ending: str, whole: bytes, pieces: int, commands: tuple[str, ...]) -> Iterator[Case]:
    for place in np.linspace(1, len(whole) - 1, pieces).astype(int).tolist():
        yield Case(category, f"cut at {place}.{ending}", whole[:place], commands)


def _flipped(
    category: str, ending: str, whole: bytes, first: int, count: int, commands: tuple[str, ...]
) -> Iterator[Case]:
    """Single bytes changed from this place on: some are refused, some do no harm, none may do any other thing."""
    random = np.random.default_rng(2)
    for index in range(count):
        place = int(random.integers(first, len(whole)))
        content = bytearray(whole)
        content[place] ^= int(random.integers(1, 256))
        yield Case(category, f"flipped {index}.{ending}", bytes(content), commands, certain=False)


def _odd_tables() -> Iterator[tuple[str, pa.Table]]:
    table = _table()
    yield "no rows", table.slice(0, 0)
    yield "two names", pa.Table.from_arrays(table.columns, names=["a", "a", "c"])
    yield "no columns", pa.table({})
    yield "long name", table.rename_columns(["a" * 2**20, "b", "b"])


def _parquet(folder: Path) -> Iterator[Case]:
    whole = _parquet_bytes(_table())
    both = ("fit", "score")
    yield from _cut("truncated Parquet", "parquet", whole, 20, both)
    (footer,) = struct.unpack("<I", whole[-8:-4])
    for name, length in {
        "none": 0,
        "small": footer - 5,
        "large": footer + 50,
        "huge": 2**31 - 1,
        "minus": 2**32 - 1,
    }.items():
        yield Case(
            "altered Parquet", f"footer {name}.parquet", whole[:-8] + struct.pack("<I", length) + whole[-4:], both
        )
    yield Case("altered Parquet", "encrypted.parquet", b"PARE" + whole[4:-4] + b"PARE", both)
    yield Case("altered Parquet", "magic.parquet", whole[:-4] + b"PAR2", both)
    yield Case(
        "altered Parquet",
        "zero pages.parquet",
        whole[:4] + bytes(len(whole) - footer - 12) + whole[-footer - 8 :],
        both,
    )
    yield from _flipped("altered Parquet", "parquet", whole, len(whole) - footer - 8, 20, both)
    for name, table in _odd_tables():
        yield Case("odd tables", f"{name}.parquet", _parquet_bytes(table), both)
    named = _parquet_bytes(_table().rename_columns(["a ", "B", "c\n"]))
    yield Case("odd tables", "other names.parquet", named, ("score",))


def _feather(folder: Path) -> Iterator[Case]:
    whole, both = _feather_bytes(_table()), ("fit", "score")
    yield from _cut("truncated Feather", "feather", whole, 12, both)
    yield from _flipped("altered Feather", "feather", whole, 0, 20, both)
    for name, table in _odd_tables():
        yield Case("odd tables", f"{name}.feather", _feather_bytes(table), both)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, _table().schema) as writer:
        writer.write_table(_table())
    yield Case("altered Feather", "stream.feather", sink.getvalue(), both)
    yield Case("altered Feather", "first version.feather", b"FEA1" + whole[6:-6] + b"FEA1", both)
    # The unpacked length, which stands before each packed buffer, is a lie.
    place = whole.index(struct.pack("<q", 480))
    for name, length in {"huge": 2**62, "terabyte": 2**40, "minus": -5, "short": 8}.items():
        content = whole[:place] + struct.pack("<q", length) + whole[place + 8 :]
        yield Case("bombs", f"unpacked {name}.feather", content, both)


def _header_of(whole: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", whole[:8])
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def _safetensors(header: dict | bytes, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def _models(folder: Path) -> Iterator[Case]:
    whole = (folder / MODEL).read_bytes()
    header, numbers = _header_of(whole)
    (length,) = struct.unpack("<Q", whole[:8])
    all_three = ("info", "sample", "use")
    loading = ("sample", "use")
    yield from _cut("truncated models", "safetensors", whole, 12, all_three)
    for size in (0, 1, 2**31, 2**63, 2**64 - 1, length - 1, length + 1, 10):
        yield Case(
            "altered model headers", f"length {size}.safetensors", struct.pack("<Q", size) + whole[8:], all_three
        )
    texts = {
        "not JSON": b"{" * 100,
        "not UTF-8": b'{"\xff": 1}',
        "deep": b'{"a":' * 10**5 + b"1" + b"}" * 10**5,
        "null": b"null",
    }
    for name, text in texts.items():
        yield Case("altered model headers", f"{name}.safetensors", _safetensors(text, numbers), all_three)
    for case in _flipped("altered model headers", "safetensors", whole[: 8 + length], 0, 40, all_three):
        yield Case(case.category, case.name, case.content + numbers, all_three, certain=False)

    def described(**changes: object) -> bytes:
        metadata = {
            **header["__metadata__"],
            **{key: value if isinstance(value, str) else json.dumps(value) for key, value in changes.items()},
        }
        return _safetensors({**header, "__metadata__": {k: v for k, v in metadata.items() if v != "absent"}}, numbers)

    descriptions = {
        "foreign": {"pushforward": "absent"},
        "no config": {"config": "absent"},
        "no notes": {"notes": "absent"},
        "no dtype": {"dtype": "absent"},
        "newer": {"pushforward": {"format": 99, "version": "99"}},
        "older": {"pushforward": {"format": 0, "version": "0"}},
        "format text": {"pushforward": {"format": "two", "version": "0"}},
        "format list": {"pushforward": [2]},
        "deep config": {"config": '{"a":' * 10**5 + "1" + "}" * 10**5},
        "deep list": {"config": "[" * 10**5 + "]" * 10**5},
        "config not JSON": {"config": "{nice}"},
        "config list": {"config": [1, 2]},
        "dtype unknown": {"dtype": "float8"},
        "dtype number": {"dtype": 32},
        "dtype function": {"dtype": "load"},
    }
    for name, changes in descriptions.items():
        yield Case("altered model descriptions", f"{name}.safetensors", described(**changes), all_three)
    notes = {
        "no columns": {},
        "notes list": [1],
        "too few": {"columns": ["a"], "given": []},
        "numbers": {"columns": [1, 2, 3], "given": []},
        "given too": {"columns": ["a", "b", "c"], "given": ["d"]},
        "null": {"columns": None, "given": None},
        "text": {"columns": "abc", "given": ""},
        "same name": {"columns": ["a", "a", "b"], "given": []},
    }
    for name, value in notes.items():
        yield Case("altered model descriptions", f"notes {name}.safetensors", described(notes=value), loading)

    config = json.loads(header["__metadata__"]["config"])
    inner = config["flow"]
    hostile = [
        *({"features": value} for value in (10**9, 10**5, -1, 0, 2.5, "three", None, True, [3], 10**400)),
        *({"layers": value} for value in (10**6, 1000, -1, "many", None)),
        *({"hidden": value} for value in ([10**9], [10**5, 10**5], [10**5] * 1000, [], ["a"], 5, [-1], None)),
        {"features": 10**5, "hidden": [10**5]},
        {"context": 10**9},
        {"context": 10**5},
        {"activation": "exec"},
        {"base": "__import__"},
        {"base": ["normal"]},
        {"unknown": 1},
        {"architecture": "nicer"},
        {"architecture": None},
        {"architecture": ["nice"]},
        {"architecture": "standardized"},
    ]
    for index, changes in enumerate(hostile):
        content = described(config={**config, "flow": {**inner, **changes}})
        yield Case("hostile configs", f"config {index}.safetensors", content, loading)
    others = [
        *(
            {"architecture": name, "features": 10**5, "layers": 1000}
            for name in ("maf", "iaf", "nsf", "realnvp", "planar", "radial", "mixture_cdf")
        ),
        {"architecture": "sylvester", "features": 10**5, "layers": 1000},
        {"architecture": "nsf", "features": 3, "bins": 10**6},
        {"architecture": "nsf", "features": 10**5, "linear": "lu", "hidden": [1]},
        {"architecture": "nsf", "features": 10**4, "linear": "householder", "hidden": [1]},
        {"architecture": "mixture_cdf", "features": 1000, "components": 10**7},
        {"architecture": "iaf", "features": 10**5, "hidden": [2]},
        {"architecture": "residual", "features": 10**5, "layers": 1000},
        {"architecture": "continuous", "features": 10**5, "hidden": [10**5]},
        {"architecture": "glow", "shape": [3, 4096, 4096]},
        {"architecture": "realnvp_image", "shape": [4096, 64, 64], "hidden": 1000},
        {"architecture": "tarflow", "shape": [1, 4096, 4096], "patch": 2},
    ]
    for index, other in enumerate(others):
        yield Case(
            "hostile configs", f"other {index}.safetensors", described(config={**config, "flow": other}), loading
        )
        yield Case("hostile configs", f"bare {index}.safetensors", described(config=other), loading)
    deep = '{"architecture": "standardized", "flow": ' * 300 + json.dumps(inner) + "}" * 300
    yield Case("hostile configs", "standardized 300 times.safetensors", described(config=deep), loading)
    for knots in (10**9, 10**4, -1, 0, None, "many", 2.5):
        content = described(config={"architecture": "gaussianized", "flow": inner, "knots": knots})
        yield Case("hostile configs", f"knots {knots}.safetensors", content, loading)

    names = [name for name in header if name != "__metadata__"]
    for name in (names[0], names[len(names) // 2], names[-1]):
        entry = header[name]
        start, end = entry["data_offsets"]
        changed = {
            "shape more": {**entry, "shape": [*entry["shape"], 2]},
            "shape huge": {**entry, "shape": [2**40, 2**40]},
            "shape minus": {**entry, "shape": [-1]},
            "shape other": {**entry, "shape": [1, *entry["shape"]]},
            "integers": {**entry, "dtype": {"F32": "I32", "F64": "I64"}.get(entry["dtype"], "F32")},
            "booleans": {**entry, "dtype": "BOOL", "shape": [end - start]},
            "bytes": {**entry, "dtype": "U8", "shape": [end - start]},
            "complex": {**entry, "dtype": "C64"},
            "unknown": {**entry, "dtype": "F3"},
            "beyond": {**entry, "data_offsets": [start, end + 10**9]},
            "backwards": {**entry, "data_offsets": [end, start]},
            "minus": {**entry, "data_offsets": [-4, end]},
        }
        for what, value in changed.items():
            content = _safetensors({**header, name: value}, numbers)
            yield Case("altered weights", f"{what} {names.index(name)}.safetensors", content, loading)
        without = _safetensors({key: value for key, value in header.items() if key != name}, numbers)
        yield Case("altered weights", f"without {names.index(name)}.safetensors", without, loading)
        renamed = _safetensors({("other" if key == name else key): value for key, value in header.items()}, numbers)
        yield Case("altered weights", f"renamed {names.index(name)}.safetensors", renamed, loading)
        for word, number in {"nan": np.nan, "inf": np.inf, "minus inf": -np.inf}.items():
            kind = np.dtype({"F32": "<f4", "F64": "<f8"}[entry["dtype"]])
            bad = bytearray(numbers)
            bad[start : start + kind.itemsize] = np.array(number, kind).tobytes()
            yield Case(
                "altered weights", f"{word} {names.index(name)}.safetensors", _safetensors(header, bytes(bad)), loading
            )


def _checkpoints(folder: Path) -> Iterator[Case]:
    whole = (folder / "kept.checkpoint").read_bytes()
    for case in _cut("damaged checkpoints", "checkpoint", whole, 6, ("resume",)):
        yield Case(case.category, "resumed.checkpoint", case.content, ("resume",))
    header, numbers = _header_of(whole)
    for content in (
        b"",
        b"no checkpoint",
        (folder / MODEL).read_bytes(),
        _safetensors({**header, "__metadata__": {}}, numbers),
        _safetensors({**header, "__metadata__": {"pushforward_checkpoint": "{"}}, numbers),
        whole,
    ):
        yield Case("damaged checkpoints", "resumed.checkpoint", content, ("resume",))


def _large(folder: Path) -> Iterator[Case]:
    names = [f"c{n}" for n in range(10**6)]
    yield Case("too wide", "million columns.csv", _csv([",".join("1" * 10**6)] * 2, ",".join(names)), large=True)
    yield Case("too wide", "long line.csv", b"a,b,c\n" + b"1" * (5 * 10**7) + b",2,3\n", large=True)
    wide = pa.Table.from_arrays([pa.array([1.0, 2.0])] * 10**5, names=names[: 10**5])
    yield Case("too wide", "hundred thousand columns.parquet", _parquet_bytes(wide), large=True)
    yield Case("too wide", "hundred thousand columns.feather", _feather_bytes(wide), large=True)
    many = pa.table(
        {name: pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**7, np.int32)), pa.array([1.5])) for name in "abc"}
    )
    bomb = _parquet_bytes(many, compression="zstd", row_group_size=10**7)
    yield Case("bombs", "thirty million numbers in little.parquet", bomb, large=True)
    # Four thousand copies of a megabyte of text, which stands in the file once, and packed.
    rows = 4096
    note = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 2**20]))
    numbers = {name: np.random.default_rng(0).normal(size=rows) for name in "abc"}
    options = {"compression": "zstd", "store_schema": False, "dictionary_pagesize_limit": 2**24}
    text = _parquet_bytes(pa.table({**numbers, "note": note}), **options)
    yield Case("bombs", "four gigabytes of text in little.parquet", text, large=True)
    sink = io.BytesIO()
    column = pa.array(np.full(10**7, 1.5))
    group = pa.table(dict.fromkeys("abc", column))
    with pq.ParquetWriter(sink, group.schema, compression="zstd") as writer:
        for _ in range(30):
            writer.write_table(group, row_group_size=10**7)
    yield Case("bombs", "a billion numbers.parquet", sink.getvalue(), ("fit", "score"), large=True)
