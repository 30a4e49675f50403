import numpy as np
import pytest
import torch

from pushforward.errors import InputError
from pushforward.training.batches import ShuffledBatches
from pushforward.training.rows import Rows, as_matrix, check_shapes


def test_every_row_comes_once_a_pass_with_its_context_and_the_last_batch_is_partial():
    x = torch.arange(25.0)[:, None]
    batches = ShuffledBatches(Rows(x, -x, rows=torch.arange(2, 25)), batch_size=10, seed=0)
    sizes, seen = [], []
    for rows, context in batches:
        sizes.append(len(rows))
        seen.append(rows)
        torch.testing.assert_close(context, -rows)
    assert sizes == [10, 10, 3] and len(batches) == 3
    assert sorted(torch.cat(seen)[:, 0].tolist()) == list(range(2, 25))
    assert not torch.equal(torch.cat([rows for rows, _ in batches]), torch.cat(seen))


def test_processes_share_a_batch():
    x = torch.arange(21.0)[:, None]
    parts = [
        torch.cat([rows for (rows,) in ShuffledBatches(Rows(x), 8, seed=3, process=rank, processes=2)])
        for rank in range(2)
    ]
    assert sorted(torch.cat(parts)[:, 0].tolist()) == list(range(21))


def test_most_extreme_entry_is_named_even_if_its_square_overflows():
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[31, 1] = 1e300
    name = Rows(x, columns=["a", "b", "c"]).most_extreme(torch.tensor([30, 31]))
    assert name.startswith('row 32, column "b" (value 1e+300, +')
    with_context = Rows(x[:, :1], x[:, 1:], name="validation").most_extreme(torch.tensor([30, 31]))
    assert with_context.startswith("validation_context[31, 0] (value 1e+300, +")


def test_arrays_are_taken_as_they_are():
    array = np.arange(6.0).reshape(3, 2)
    assert as_matrix(array, "x")[0].data_ptr() == array.ctypes.data
    swapped = array.astype(">f4")[::-1]
    assert as_matrix(swapped, "x")[0].dtype == torch.float32
    assert as_matrix(swapped, "x")[0][0].tolist() == [4.0, 5.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.tensor([[0.0, 1.0], [2.0, float("inf")]]), r"x\[1, 1\] is inf"),
        (torch.zeros(3), r"x must be a matrix .* x\[:, None\]"),
        (torch.zeros(3, 2, dtype=torch.long), "x holds torch.int64"),
        (np.zeros((3, 2), dtype=np.longdouble), "x holds .*128"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        as_matrix(data, "x")


def test_large_finite_entries_are_not_mistaken_for_infinity():
    x = torch.full((4, 2), 3e38)
    assert as_matrix(x, "x")[0] is not None


@pytest.mark.parametrize(
    ("x", "context", "features", "context_features", "message"),
    [
        ((3, 2), None, 3, 0, "x has 2 columns, but the flow is over 3 features"),
        ((3, 2), None, 2, 1, "context is missing"),
        ((3, 2), (3, 1), 2, 0, "not conditional"),
        ((3, 2), (3, 2), 2, 1, "context has 2 columns, but the flow takes 1"),
        ((3, 2), (4, 1), 2, 1, "x has 3 rows and context 4"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x, context, features, context_features, message):
    with pytest.raises(InputError, match=message):
        check_shapes(torch.zeros(x), None if context is None else torch.zeros(context), features, context_features)
