"""What is not a path is refused as what it is, and not as the name of a file that does not exist."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.tables import open_table


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [1.0]}), np.zeros((2, 2)), {"a": [1.0]}, 3, None, ["t.csv", 3]])
def test_objects_are_not_names_of_files(data):
    with pytest.raises(pf.InputError, match=rf"not an object of type {type(data).__name__}; write a table in memory"):
        open_table(data)


def test_an_empty_list_names_no_file():
    with pytest.raises(pf.InputError, match="no file is named"):
        open_table([])
