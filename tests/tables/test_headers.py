"""What stands before the rows of a CSV: comments, a line about separators, names, or values where names should be."""

import gc
import threading

import pyarrow as pa
import pytest

from pushforward import InputError
from pushforward.tables import TableReader, column_names, open_table, read_columns

ROWS = [["1.5", "x"], ["2.5", "y"], ["3.5", "x"]]


def write(folder, text):
    path = folder / "t.csv"
    path.write_text(text)
    return path


def read(path, **options):
    with TableReader(path, **options) as reader:
        table = pa.Table.from_batches(reader.batches(2), reader.schema)
        return table.column_names, [list(row.values()) for row in table.to_pylist()], list(reader.notes)


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value).removeprefix(str(path)).strip()


BODY = "a,b\n1.5,x\n2.5,y\n3.5,x\n"
READ = {
    "plain": (BODY, []),
    "byte order mark": ("\ufeff" + BODY, []),
    "sep of Excel": ("sep=,\n" + BODY, []),
    "sep of Excel in Windows": ("\ufeffsep=,\r\n" + BODY.replace("\n", "\r\n"), []),
    "another sep": ("sep=;\n" + BODY.replace(",", ";"), ["separates its columns by semicolons"]),
    "sep, a bar": ("SEP=|\n" + BODY.replace(",", "|"), ["separates its columns by vertical bars"]),
    "a comment before sep": ("# site 4\nsep=,\n" + BODY, ["begins with a comment, left out"]),
    "semicolons": (BODY.replace(",", ";"), ["separates its columns by semicolons"]),
    "tabs": (BODY.replace(",", "\t"), ["separates its columns by tabs"]),
    "a comment": ("# logger 3\n" + BODY, ["begins with a comment, left out"]),
    "comments": ("# logger 3\n#\n# a, b, c\n\n" + BODY, ["begins with 4 lines of comments, left out"]),
    "a comment with as many commas": ("# logger 3, site 4\n" + BODY, ["begins with a comment, left out"]),
    "trailing commas": (
        BODY.replace("\n", ",\n"),
        ["has commas at the ends of its lines: the last column, without name and values, is left out"],
    ),
    "a comment over semicolons": (
        "# made by hand\n" + BODY.replace(",", ";"),
        ["begins with a comment, left out", "separates its columns by semicolons"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_a_file_is_read_for_what_it_says(tmp_path, case):
    text, notes = READ[case]
    path = write(tmp_path, text)
    assert read(path) == (["a", "b"], ROWS, [f"{path} {note}" for note in notes])
    assert read_columns(path, ["b"]).to_pydict() == {"b": ["x", "y", "x"]}


NAMES = {
    "numbers that count up": ("0,1,2\n0.5,1.5,2\n", ["0", "1", "2"]),
    "one column": ("0\n0.5\n", ["0"]),
    "years": ("2019,2020,2021\n1,2,3\n", ["2019", "2020", "2021"]),
    "a year beside levels": ("country,2020\nDE,3\nFR,5\nDE,4\nFR,4\n", ["country", "2020"]),
    "a number over numbers, a name over numbers": ("id,7.5\n1,2\n2,3\n", ["id", "7.5"]),
    "text alone": ("red,small\nblue,big\n", ["red", "small"]),
    "a name that begins with a hash": ("#a,b\n1,2\n", ["#a", "b"]),
    "a name of two lines": ('"a\nb",c\n1,2\n', ["a\nb", "c"]),
    "a header that stands again": ("a,b\n1,2\na,b\n3,4\n", ["a", "b"]),
    "sodium": ("Na,K\n1,2\n", ["Na", "K"]),
    "months over numbers": ("site,2020-01,Jan 2020\nA,2.5,3\nB,3.5,4\n", ["site", "2020-01", "Jan 2020"]),
    "money over numbers": ("$1000,$2000\n4,3\n7,2\n", ["$1000", "$2000"]),
    "boxes that were ticked": ("mail,phone\nmail,\n,phone\nmail,phone\n", ["mail", "phone"]),
    "a name that is a level, beside numbers": ("x,y\nx,1\nz,2\nx,3\n", ["x", "y"]),
    "a name that is a level, beside levels": ("x,y\nx,a\nz,b\nx,a\nz,a\n", ["x", "y"]),
    "a comma within a name": ('"load, kW";temp\n1;2\n', ["load, kW", "temp"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path, case):
    text, names = NAMES[case]
    assert column_names(write(tmp_path, text)) == names


AMONG_COMMAS = {
    "in a name and in cells": ("date;x;city, land\n02.04.2023;1.066,66;Wien, AT\n03.04.2023;7;Graz, AT\n", ";"),
    "in a name alone": ("x;city, land\n1;Wien\n2;Graz\n", ";"),
    "in some cells": ("x;city, land\n1;Wien\n2;Graz, AT\n", ";"),
    "over tabs": ("x\tcity, land\n1,5\tWien, AT\n2\tGraz\n", "\t"),
    "a semicolon in a name": ("a;b,c\n1,2\n3,4\n", ","),
    "a semicolon in some cells": ("a;b,c\n1,2\n3;4,5\n", ","),
}


@pytest.mark.parametrize("case", AMONG_COMMAS)
def test_commas_within_names_and_cells_separate_nothing(tmp_path, case):
    text, separator = AMONG_COMMAS[case]
    path = write(tmp_path, text)
    assert column_names(path) == text.splitlines()[0].split(separator)
    assert read(path)[1] == [line.split(separator) for line in text.splitlines()[1:]]


def test_commas_and_semicolons_that_both_agree_are_the_users_choice(tmp_path):
    path = write(tmp_path, "x;city, land\n1;Wien, AT\n2;Graz, AT\n")
    assert "agree on the number of commas, and on that of semicolons" in refusal(path)
    assert open_table(path, separator=";").schema.names == ["x", "city, land"]
    assert open_table(path, separator=",").schema.names == ["x;city", " land"]


VALUES = {
    "whole numbers": "1024,17\n1030,12\n1011,3\n",
    "numbers": "0.5,1.5\n0.2,1\n",
    "numbers and text": "1503.2,red\n1500,blue\n1499,red\n",
    "whole numbers and text": "1503,red\n1500,blue\n1499,red\n",
    "dates": "2020-01-01,0.5\n2020-01-02,1\n",
    "times": "2020-01-01T10:00:00Z,red\n2020-01-02T10:00:00Z,red\n",
    "names of rows": "Vega,0.03,7.7\nSirius,-1.46,2.6\nCapella,0.08,13\n",
    "a gap": "1.5,NA,\n2,3,1\n",
    "two equal numbers": "3,3\n4,5\n",
    "one column": "17\n18\n",
    "semicolons": "1503.2;red\n1500;blue\n",
    "German dates": "01.01.2020,x0\n02.01.2020,x1\n14.01.2020,x2\n",
    "dates with months": "05 Jan 2020,x\n17 Feb 2020,y\n18 Mar 2021,x\n",
    "money": "$5.08,u\n$1017.25,u\n$-3.10,v\n",
    "percent": "5.08%,u\n17%,u\n-3.1%,v\n",
    "times of day": "00:00,k0\n01:05,k1\n13:10,k2\n",
    "booleans": "True,False\nFalse,False\nTrue,True\n",
    "a mark beside text": "NA,u\n0.5,u1\n0.7,u2\n",
    "levels": "u,x\nv,x\nu,y\nw,x\n",
    "levels and unlike names": "u,Smith\nv,Jones\nu,Brown\n",
}


@pytest.mark.parametrize("case", VALUES)
def test_values_where_names_should_be(tmp_path, case):
    path = write(tmp_path, VALUES[case])
    assert refusal(path).startswith("has values where its header should be (") and "--no-header" in refusal(path)
    names, rows, _ = read(path, header=False)
    separator = ";" if case == "semicolons" else ","
    lines = VALUES[case].splitlines()
    assert names == [str(place) for place in range(lines[0].count(separator) + 1)]
    assert rows == [line.split(separator) for line in lines]


def test_rows_without_a_header_are_counted_from_the_first_line(tmp_path):
    path = write(tmp_path, "# logger\n1,2\n3,4\n5\n")
    assert refusal(path, header=False) == (
        f'row 3 of {path} ("5") has 1 field, and the first row has 2; correct or remove that row.'
    )
    path = write(tmp_path, "1,2\n3,x\n")
    assert 'the text "x" in row 2' in refusal(path, numeric=["0", "1"], header=False)
    assert 'has no column "a"; there are 0, 1.' in refusal(path, numeric=["a"], header=False)


REFUSED = {
    "a line of spaces": ("a,b\n1,2\n  \n3,4\n", "is a line of spaces alone; remove it, or leave nothing in it."),
    "an old mark of the end": ("a,b\n1,2\n\x1a", "is a line of spaces alone"),
    "a remark at the end": (
        "a,b\n1,2\nSource: us\n",
        '("Source: us") has 1 field, and the header has 2; correct or remove',
    ),
    "a title over one line": ("Table 3\na,b\n", '("Table 3") has 1 field, and row 1 has 2; remove it if it is a title'),
    "a title": ("Table 3\na,b\n1,2\n", "begins with a line that is not a header (Table 3)"),
    "a comment at the end": ("a,b\n1,2\n3,4\n# end\n", "begins with # and has 1 field, and the header has 2; if it is"),
    "a comma in the header": ("a,b,\n1,2\n3,4\n", "has a comma at the end of the header, and none at the end of row 1"),
    "commas in the rows": ("a,b\n1,2,\n3,4,\n", "has a comma at the end of row 1, and none at the end of the header"),
    "semicolons in the header": ("a;b;c\n1;2\n", "separates its columns by semicolons; save it with commas."),
    "another separator than is said": ("sep=;\na,b\n1,2\n", "says that semicolons separate its columns"),
    "tabs where semicolons are said": ("sep=;\na\tb\n1\t2\n", "says that semicolons separate its columns, and its"),
    "a comment or a header": ("#kind,site\nred,a\nblue,b\n", "begins with a line that may be a comment or the header"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_truly(tmp_path, case):
    text, words = REFUSED[case]
    assert words in refusal(write(tmp_path, text))


@pytest.mark.slow
def test_a_value_under_no_name_is_no_trailing_comma(tmp_path):
    path = write(tmp_path, "a,b,\n" + "1,2,\n" * 250_000 + "1,2,3\n")
    assert refusal(path) == (
        f"the last column of {path} has no name, and holds a value in row 250001; give it a name, or remove that value."
    )


@pytest.mark.slow
def test_a_stream_that_is_not_read_to_its_end_is_closed(tmp_path):
    path = write(tmp_path, "a,b\n" + "1.5,2.5\n" * 600_000)
    before = {thread.ident for thread in threading.enumerate()}
    with TableReader(path, ["a"]) as reader:
        batches = reader.batches(10)
        assert next(batches).num_rows == 10
    gc.collect()
    # No more than the rest of the block that was read already.
    assert len(list(batches)) < 20_000
    path.unlink()
    assert {thread.ident for thread in threading.enumerate()} == before


def test_a_reader_may_have_no_column_of_numbers(tmp_path):
    path = write(tmp_path, "kind,day\nu,2020-06-01\n")
    assert read(path, numeric=[]) == (["kind", "day"], [["u", "2020-06-01"]], [])
    with pytest.raises(InputError, match=r"no column of .* is named"):
        read_columns(path, [])
