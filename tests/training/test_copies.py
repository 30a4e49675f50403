"""Copies of rows: which rows are, and that they, and groups of rows, stand on one side of a split."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.training.copies import copies_of, share_of_copies
from pushforward.training.splitting import split_groups, split_last, split_rows, split_table

RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=(2100, 3))
TAKEN = RANDOM.integers(0, 2100, 900)
COPIES = np.concatenate([np.arange(2100), TAKEN])
OVERSAMPLED = NORMAL[COPIES]
COMMON = NORMAL[:2000, :1]
SHARE = 900 / 3000

COPIED = {
    "identical": OVERSAMPLED,
    "nearly identical": OVERSAMPLED * (1 + 1e-13 * RANDOM.normal(size=OVERSAMPLED.shape)),
    "single precision": OVERSAMPLED.astype(np.float32),
    "rounded": np.round(OVERSAMPLED, 2),
    "one column": OVERSAMPLED[:, :1],
    "beside a flag": np.column_stack([OVERSAMPLED[:, 0], OVERSAMPLED[:, 1] > 0]),
    "large counts": np.round(OVERSAMPLED * 300),
    "far from zero": 1e5 + 1e-3 * OVERSAMPLED,
    "five rounded columns": np.round(RANDOM.normal(size=(2100, 5)), 1)[COPIES],
    "six counts": RANDOM.integers(0, 50, (2100, 6)).astype(float)[COPIES],
    "thirty grades": RANDOM.integers(1, 6, (2100, 30)).astype(float)[COPIES],
    "dates": np.column_stack([RANDOM.integers(0, 10**7, 2100), np.round(NORMAL[:, 0], 1)])[COPIES],
    "gaps": np.where(RANDOM.random((2100, 5)) < 0.3, np.nan, RANDOM.normal(size=(2100, 5)))[COPIES],
}
INDEPENDENT = {
    "normal": NORMAL,
    "one column": NORMAL[:, :1],
    "rounded": np.round(NORMAL, 2),
    "one rounded column": np.round(NORMAL[:, :1], 2),
    "one finely rounded column": np.round(NORMAL[:, :1], 4),
    "coarsely rounded": np.round(NORMAL, 1),
    "two categories": RANDOM.integers(0, 2, (2000, 2)).astype(float),
    "counts": RANDOM.poisson(5, (2000, 3)).astype(float),
    "rare counts": RANDOM.poisson(0.3, (2000, 6)).astype(float),
    "codes of places": np.repeat(RANDOM.integers(0, 500, (2000, 1)), 2, 1).astype(float),
    "a rounded column and a function of it": np.exp(np.round(NORMAL[:, :1], 2) * [0, 1]) + np.round(NORMAL[:, :1], 2),
    "fifty products": NORMAL[:50][RANDOM.integers(0, 50, 2000)],
    "zeros": np.where(RANDOM.random((2000, 1)) < 0.3, 0, NORMAL[:2000, :1]),
    "gaps": np.where(RANDOM.random((2000, 3)) < 0.8, np.nan, NORMAL[:2000]),
    "six related grades": np.clip(np.round(COMMON + 0.3 * RANDOM.normal(size=(2000, 6))), -2, 2),
    "counts of a rate": RANDOM.poisson(np.exp(1 + COMMON), (2000, 3)).astype(float),
    "rounded twins": np.round(np.column_stack([COMMON, COMMON + 0.05 * RANDOM.normal(size=COMMON.shape)]), 1),
    "rounded triplets": np.round(COMMON + 0.05 * RANDOM.normal(size=(2000, 3)), 1),
    "a sum of rounded columns": np.round(NORMAL[:, [0, 1, 0]] + NORMAL[:, [0, 1, 1]] * [0, 0, 1], 1),
    "a flag that hardly errs": np.column_stack([np.round(COMMON, 1), (COMMON > 0) ^ (RANDOM.random((2000, 1)) < 0.02)]),
    "rare amounts": np.where(RANDOM.random((2000, 6)) < 0.9, np.nan, RANDOM.integers(1, 60, (2000, 6))),
    "an outlier": np.concatenate([NORMAL, [[1e300, 0, 1e-300]]]),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIED)
def test_copies_are_found(name):
    labels = copies_of(COPIED[name])
    # Two rows more are alike by chance where numbers are rounded.
    assert share_of_copies(labels) == pytest.approx(SHARE, abs=0.005)
    assert np.mean(labels[TAKEN] == labels[2100:]) > 0.995


@pytest.mark.parametrize("copies", [100, 3000])
@pytest.mark.parametrize("name", ["five rounded columns", "six counts", "normal"])
def test_few_and_many_copies_are_found(name, copies):
    distinct = {**COPIED, **INDEPENDENT}[name][:2100]
    labels = copies_of(np.concatenate([distinct, distinct[np.random.default_rng(1).integers(0, 2100, copies)]]))
    assert share_of_copies(labels) == pytest.approx(copies / (2100 + copies), abs=0.005)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_rows_that_are_alike_by_themselves_are_no_copies(name):
    assert copies_of(INDEPENDENT[name]) is None


def test_a_table_without_copies_is_split_as_ever():
    order = torch.randperm(2100, generator=torch.Generator().manual_seed(3))
    training, held_out = split_table(torch.from_numpy(NORMAL), 0.1, 3, copies=copies_of(NORMAL))
    assert torch.equal(training, order[210:]) and torch.equal(held_out, order[:210].sort().values)


@pytest.mark.parametrize("seed", range(3))
def test_copies_stand_on_one_side_and_count_once_among_held_out_rows(seed):
    labels = copies_of(OVERSAMPLED)
    training, held_out = split_table(torch.from_numpy(OVERSAMPLED), 0.1, seed, copies=labels)
    assert not set(labels[training]) & set(labels[held_out])
    assert len(set(labels[held_out])) == len(held_out)
    # A tenth of 3000 rows, of which copies are left out.
    assert 300 * 0.6 < len(held_out) < 300 and len(training) == pytest.approx(2700, abs=5)


def test_every_group_is_as_likely_to_be_held_out_whatever_its_size():
    groups = np.repeat(np.arange(100), np.tile([1, 5], 50))
    counts = np.zeros(2)
    for seed in range(400):
        held_out = np.unique(groups[split_groups(groups, 0.1, seed)[1].numpy()])
        counts += np.bincount(held_out % 2, minlength=2)
    # Five standard errors of a difference of counts of about 2000 each.
    assert abs(counts[0] - counts[1]) < 5 * np.sqrt(counts.sum())


def test_groups_of_weighted_rows_reach_the_share_of_the_weight():
    groups = np.arange(1000) // 4
    weights = torch.from_numpy(np.random.default_rng(0).exponential(size=1000))
    weights[::10] = 0
    training, held_out = split_groups(groups, 0.2, 0, weights)
    assert not set(groups[training]) & set(groups[held_out])
    assert float(weights[held_out].sum() / weights.sum()) == pytest.approx(0.2, abs=0.01)
    assert len(training) + len(held_out) == 900


def test_groups_none_of_which_is_small_enough_are_refused():
    with pytest.raises(InputError, match="No group is small enough"):
        split_groups(np.repeat([0, 1], 50), 0.1, 0)


def test_the_last_rows_are_held_out():
    weights = torch.ones(20)
    weights[[3, 19]] = 0
    training, held_out = split_last(20, 0.1, weights)
    assert held_out.tolist() == [17, 18] and 3 not in training and len(training) == 16


def test_a_fit_of_arrays_keeps_copies_on_one_side():
    x = torch.from_numpy(OVERSAMPLED)
    history = pf.fit(pf.maf(features=3, layers=1), x, max_steps=1)
    assert history.rows[1] < 300 and history.rows[0] == pytest.approx(2700, abs=5)
    split = split_rows(3000, 0.3, 1)
    assert pf.fit(pf.maf(features=3, layers=1), x, max_steps=1, split=split).rows == (2100, 900)
