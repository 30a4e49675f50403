"""A column of objects of several types: the message names the first row that differs, and both types."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pushforward.errors import InputError
from pushforward.tables.frames import table_from_frame

COLUMNS = {
    "text among numbers": (
        [1.5, None, 2, float("nan"), "x", 3],
        'row 5{} holds "x" (str), and row 1 a value of type float',
    ),
    "a number among texts": ([None, "a", 3], "row 3{} holds 3 (int), and row 2 a value of type str"),
    "a time among dates": (
        [dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 5)],
        "row 2{} holds 2020-01-01 05:00:00 (datetime), and row 1 a value of type date",
    ),
    "a decimal": ([Decimal("1.5"), 2.0], "row 2{} holds 2.0 (float), and row 1 a value of type Decimal"),
    "a truth value": ([True, 1], "row 2{} holds 1 (int), and row 1 a value of type bool"),
    "a list": ([1.0, [2.0]], "row 2{} holds [2.0] (list), and row 1 a value of type float"),
}  # fmt: skip


@pytest.mark.parametrize("case", COLUMNS)
def test_the_first_row_of_another_type_is_named(case):
    values, said = COLUMNS[case]
    place = int(said.split("{")[0].removeprefix("row ")) - 1
    frame = pd.DataFrame({"a": pd.Series(values, index=[f"p{row}" for row in range(len(values))], dtype=object)})
    array = np.empty((len(values), 1), dtype=object)
    array[:, 0] = values
    for data, called, name in ((frame, f" (index p{place})", "a"), (array, "", "0")):
        with pytest.raises(InputError) as caught:
            table_from_frame(data)
        assert f'column "{name}" of the table' in str(caught.value)
        assert said.format(called) in str(caught.value)


def test_other_types_are_named_as_before():
    with pytest.raises(InputError, match=r"cannot be read as numbers \(type object\); convert it"):
        table_from_frame(pd.DataFrame({"a": pd.Series([1j, 2j], dtype=object)}))
