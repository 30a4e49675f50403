"""Rows that are held out in turn."""

import numpy as np
import torch

from pushforward.training.folds import FoldedRows


def test_folds_hold_out_every_row_once_and_groups_whole():
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(53, 2)))
    folds = FoldedRows(matrix).split(5, seed=1)
    assert sorted(int(row) for _, held_out in folds for row in held_out) == list(range(53))
    assert all(len({*training.tolist(), *held_out.tolist()}) == 53 for training, held_out in folds)
    groups = np.arange(53) // 4
    for training, held_out in FoldedRows(matrix, groups=groups).split(5, seed=1):
        assert not {*groups[training]} & {*groups[held_out]}


def test_folds_keep_one_of_copies_and_train_on_rows_far_away():
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 2)))
    copies = np.arange(40)
    matrix[20:] = matrix[:20]
    copies[20:] = np.arange(20)
    held = [held_out.tolist() for _, held_out in FoldedRows(matrix, copies).split(4, seed=0)]
    assert sorted(row % 20 for part in held for row in part) == list(range(20))
    matrix[3] = 1e9
    copies = np.arange(40)
    assert all(3 in training for training, _ in FoldedRows(matrix, copies).split(4, seed=0))
