"""What has not the shape of a table is refused in a sentence that shows no array and says what to do."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf

X = np.random.default_rng(0).normal(size=(40, 2))
FEW = {"max_steps": 1}
NO_TABLES = {
    "a column": (X[:, 0], r"X has shape \(40,\), .* Reshape your data: X.reshape\(-1, 1\) makes one column"),
    "a series": (pd.Series(X[:, 0]), r"X has shape \(40,\), .* Reshape your data: X.to_frame\(\)"),
    "a cube": (X[:, :, None], r"X has shape \(40, 2, 1\), and 3 dimensions are too many; give an array of shape"),
    "nothing": (None, r"X is None; give an array of shape \(rows, columns\) or a data frame\.$"),
    "a number": (3.0, "X is a single float; give"),
    "a dictionary": ({"a": [1, 2]}, "X is a single dict; give"),
    "ragged rows": ([[1, 2], [3]], "X has rows of different lengths"),
    "complex numbers": (X + 1j, "^Complex data not supported: X holds complex numbers; give their real"),
}


@pytest.fixture(scope="module")
def fitted():
    return pf.FlowDensity(**FEW).fit(X)


@pytest.mark.parametrize("case", NO_TABLES)
def test_no_table(case, fitted):
    values, said = NO_TABLES[case]
    for use in (pf.FlowDensity(**FEW).fit, fitted.score_samples, lambda X: pf.ConditionalFlowDensity(**FEW).fit(X, X)):
        with pytest.raises(pf.InputError, match=said) as error:
            use(values)
        assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_targets():
    for y, said in (
        (X[:30, 0], r"^X has 40 rows, and y 30; give one target for each row\.$"),
        (X[:0, 0], "^X has 40 rows, and y 0;"),
        (X[:, :, None], r"^y has shape \(40, 2, 1\), .* give an array of shape \(rows,\) or \(rows, targets\)"),
        (1.0, "^y is a single float; give an array of shape"),
    ):
        with pytest.raises(pf.InputError, match=said):
            pf.ConditionalFlowDensity(**FEW).fit(X, y)
