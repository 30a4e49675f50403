"""Two tables under one model: whether and where the second differs from the first."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import fisher_exact, ks_2samp

from pushforward.errors import InputError
from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.evaluation.report.calibration import randomized
from pushforward.evaluation.report.changes import change_of
from pushforward.evaluation.report.column_surprise import column_surprise, rows_within
from pushforward.evaluation.report.comparison import check_comparable
from pushforward.evaluation.report.contents import Estimate, OddRow, TwoSample, UnseenValues, as_json
from pushforward.evaluation.report.correction import LEVEL, holm
from pushforward.evaluation.report.evidence import Evidence, log_prob_in_parts
from pushforward.evaluation.report.marginals import same_spread, two_samples
from pushforward.evaluation.report.oddest import OddestOfTable
from pushforward.evaluation.report.sampled_rows import FEWEST_ROWS, SampledRows, sample_rows
from pushforward.evaluation.report.trained_on import lines_of_training, trained_on
from pushforward.evaluation.report.transforms import transforms
from pushforward.evaluation.report.two_sample import two_sample_test
from pushforward.evaluation.report.unseen import sentence_of, unseen_values
from pushforward.support.arguments import check_seed
from pushforward.support.progress import progress as progress_bar
from pushforward.support.seeding import stream
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted, p_value_is, percent
from pushforward.table_models.model import TableModel
from pushforward.table_models.ranks import Ranks
from pushforward.table_models.training_rows import hashes_of_rows
from pushforward.tables.columns.values import UNSEEN

ROWS, ROWS_OF_COLUMNS = 5000, 200
ODD = 0.01
TABLES = ("The first table", "The second table")
PERMUTATIONS = 1999
MOST_NAMED = 8
# Of the density for the transforms of each table.
EVALUATIONS = 500_000


@dataclass(frozen=True)
class ColumnDrift:
    """How a column differs between two tables.

    Attributes:
        column: its name.
        statistic: of the two-sample test of its values: that of Kolmogorov and Smirnov, or the largest difference of
            shares.
        p_value: the smallest of two to five tests, times their number: of its values, of their spread, where they have
            an order, of its transforms given other columns under the model, and of its shares of gaps and of values
            that the model has never seen, where it has any.
        adjusted: after Holm's correction over the columns, times the number of tests that `Drift.p_value` is the
            smallest of: never below that.
        nats: mean of -log p(column | all other columns) in the second table less that in the first.
        share: its part of the sum of all positive `nats`.
        change: of the column by itself, in words, such as "0.4 standard deviations higher"; "" where nothing stands
            out, such as where only its relation to other columns changed.
    """

    column: str
    statistic: float
    p_value: float
    adjusted: float
    nats: Estimate
    share: float
    change: str


@dataclass(frozen=True)
class Drift:
    """Two tables under one model.

    Attributes:
        sentences: what was found.
        rows_a: rows of the first table that have a density.
        rows_b: of the second. With fewer than 20 in one of the tables the other numbers of densities are not known, and
            the p-values are those of the columns' values and of the shares of rows without a density.
        unseen_b: rows of the second with a value that the model has never seen.
        unseen: in which columns of the second there are such values, and which; those of conditions are taken for
            missing.
        nats_a: log-density per row of the first table.
        nats_b: of the second.
        p_value: of no drift: the smallest of the next two, of the smallest corrected one of the columns, and of that of
            equal shares of rows with a value that the model has never seen, where there are such rows; times their
            number, at most 1.
        p_value_of_density: of equal mean log-densities, by random permutations of the rows of both tables.
        two_sample: a classifier that tells the rows of the second from those of the first; None with few rows.
        odd: share of rows of the second with a conformal p-value among those of the first of at most 0.01.
        divergence: KL(A‖B), where there is a model of each: mean of log p_A - log p_B over rows of A; else NaN.
        columns: the least p-value first.
        oddest: rows of the second, of all of them.
    """

    sentences: list[str]
    rows_a: int
    rows_b: int
    unseen_b: int
    unseen: list[UnseenValues]
    nats_a: Estimate
    nats_b: Estimate
    p_value: float
    p_value_of_density: float
    two_sample: TwoSample | None
    odd: Estimate
    divergence: Estimate
    columns: list[ColumnDrift]
    oddest: list[OddRow]

    def to_json(self) -> str:
        """The result as JSON; numbers that JSON does not know become null."""
        return as_json(self)


def drift(
    model: TableModel | str | os.PathLike[str],
    a: Any,
    b: Any,
    *,
    model_b: TableModel | str | os.PathLike[str] | None = None,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> Drift:
    """Find out whether a table differs from another one, in which columns, and by which rows.

    Arguments:
        model: of the first table, or the path of its file; it need not be perfect, since both tables are seen by it.
        a: rows of the first table that the model was not trained on, in memory or outside it.
        b: rows of the second table.
        model_b: of the second table, for the divergence KL(A‖B); default none.
        rows: most rows of each that are looked at, chosen by the seed; default 5000.
        seed: of that choice, of the permutations and of the classifier; default 0.
        progress: whether to show a bar on standard error; default True.

    Returns:
        The result: `drift.sentences`, `drift.p_value`, `drift.columns`, `drift.to_json()`.

    Raises:
        InputError: tables without the model's columns or with too few rows, models that are not comparable, or too few
            rows of both tables with a density.

    Example:
        >>> import pushforward as pf
        >>> table = np.random.default_rng(0).normal(size=(500, 2))
        >>> model = pf.fit_table(table[:300], flow="nice", max_steps=20).model
        >>> found = drift(model, table[300:400], table[400:] + [2.0, 0.0])
        >>> found.columns[0].column, found.p_value < 1e-3
        ('0', True)
    """
    check_seed(seed)
    loaded = model if isinstance(model, TableModel) else TableModel.load(model)
    other = model_b if model_b is None or isinstance(model_b, TableModel) else TableModel.load(model_b)
    if other is not None:
        check_comparable(loaded, other)
    with progress_bar("comparing", not progress) as bar:
        first = sample_rows(loaded, a, rows, seed)
        oddest = OddestOfTable(loaded)
        second = sample_rows(loaded, b, rows, seed, watch=oddest.add)
        bar(0.3)
        divergence = None if other is None else _divergence(loaded, other, first)
        return _Tables(loaded, first, second, seed).found(divergence, oddest)


def _divergence(model: TableModel, other: TableModel, first: SampledRows) -> Estimate:
    """The mean of log p_A - log p_B over rows of A, infinite if B gives one of them no density."""
    theirs = log_prob_in_parts(other, other.roles.known(_encoded(other, first), other.names))
    apart = log_prob_in_parts(model, first.codes) - theirs
    return Estimate(*mean_and_standard_error(apart[~np.isnan(apart)]))


def _encoded(model: TableModel, rows: SampledRows) -> np.ndarray:
    missing = [name for name in model.names if name not in rows.table.column_names]
    if missing:
        raise InputError(f'The second model needs column "{missing[0]}", which the first has not; fit both alike.')
    return model.encode(rows.table)


class _Tables:
    """Both tables as codes, and what is found about them."""

    def __init__(self, model: TableModel, first: SampledRows, second: SampledRows, seed: int) -> None:
        self.model, self.seed = model, seed
        self.known = [trained_on(model, some) for some in (first, second)]
        self.parts = [
            Evidence(model, some.codes[some.seen], stream(seed, f"drift: draws beside {table}"))
            for table, some in zip("AB", (first, second), strict=True)
        ]
        self.both = (first, second)
        self.dense = all(len(part.codes) >= FEWEST_ROWS for part in self.parts)
        self.never = unseen_values(model, second)
        if not any(len(part.codes) >= FEWEST_ROWS for part in self.parts):
            raise InputError(
                f"Too few rows of both tables have a density to compare them. {self._unseen_sentences()[0]}"
            )
        self.unseen = [int((~some.seen).sum()) for some in (first, second)]
        self.whole = [len(some.codes) for some in (first, second)]
        self.same = "" if self.never or not _same(first, second) else _of_same(first)
        self.generator = np.random.default_rng(stream(seed, "drift: permutations"))

    def found(self, divergence: Estimate | None, oddest: OddestOfTable) -> Drift:
        """The result."""
        a, b = (_finite(part.log_prob) for part in self.parts)
        of_density = _permutation_test(a, b, self.generator) if self.dense else math.nan
        columns = self._columns()
        told = self._two_sample() if self.dense else None
        tests = [of_density] if self.dense else []
        tests += [*([told.p_value] if told else []), min((one.adjusted for one in columns), default=1.0)]
        tests += [equal_shares(self.unseen, self.whole)] if any(self.unseen) else []
        p_value = min(1.0, len(tests) * min(tests))
        columns = [dataclasses.replace(one, adjusted=min(1.0, len(tests) * one.adjusted)) for one in columns]
        nothing = Estimate(math.nan, math.nan)
        odd = _odd(a, b) if self.dense else nothing
        nats = [Estimate(*mean_and_standard_error(values)) if len(values) > 1 else nothing for values in (a, b)]
        return Drift(
            sentences=[
                *_sentences(p_value, self.same, nats, odd, columns, told, divergence),
                *self._unseen_sentences(),
                *lines_of_training(self.known, TABLES),
            ],
            rows_a=len(a),
            rows_b=len(b),
            unseen_b=self.unseen[1],
            unseen=self.never,
            nats_a=nats[0],
            nats_b=nats[1],
            p_value=p_value,
            p_value_of_density=of_density,
            two_sample=told,
            odd=odd,
            divergence=nothing if divergence is None else divergence,
            columns=columns,
            oddest=oddest.explained(),
        )

    @property
    def names(self) -> list[str]:
        """The columns that are compared, the modeled ones and the given ones."""
        return [*self.model.roles.modeled, *self.model.roles.conditioned]

    def _values(self, name: str) -> list[np.ndarray]:
        """Codes of a column that the model has seen, also of rows with others that it has not."""
        columns = [some.codes[:, self.model.names.index(name)] for some in self.both]
        return [column[column != UNSEEN] for column in columns]

    def _unseen_sentences(self) -> list[str]:
        """What the model has never seen in the second table, and where rows have no density for it."""
        if not self.never and all(some.seen.all() for some in self.both):
            return []
        said = sentence_of(self.never, f" in the second table{self.both[1].file}")
        columns = [self.model.names.index(one.column) for one in self.never]
        if columns and not self.both[0].never[:, columns].any():
            said += " The first table has none of them."
        for name, some in zip(("the first table", "the second table"), self.both, strict=True):
            count, whole = int((~some.seen).sum()), len(some.codes)
            if count:
                rows = f"All {counted(whole, 'row')}" if count == whole else f"{count:,} of {counted(whole, 'row')}"
                have = "has" if count == 1 else "have"
                said += f" {rows} of {name}{some.file} {have} a value that the model has never seen, and no density."
        return [said.strip()]

    def _two_sample(self) -> TwoSample | None:
        count = min(len(part.codes) for part in self.parts)
        places = [self.model.names.index(name) for name in self.names]
        a, b = (part.codes[self.generator.permutation(len(part.codes))[:count]][:, places] for part in self.parts)
        return two_sample_test(a, b, self.names, paired=False, seed=stream(self.seed, "drift: classifier"))

    def _columns(self) -> list[ColumnDrift]:
        pits = [transforms(part, evaluations=EVALUATIONS).ends if self.dense else {} for part in self.parts]
        surprise = self._surprise() if self.dense else {}
        found = []
        for name in self.names:
            a, b = (_present(part) for part in self._values(name))
            kind = self.model.schema[name]
            statistic, p_value = two_samples(a, b, kind.discrete)
            p_values = [p_value, *([same_spread(a, b)[1]] if kind.measured and not kind.circular else [])]
            if name in pits[0] and name in pits[1]:
                given_others = ks_2samp(*(randomized(ends[name], self.generator) for ends in pits))
                p_values.append(float(given_others.pvalue))
            gaps = [int(np.isnan(part).sum()) for part in self._values(name)]
            if any(gaps):
                p_values.append(equal_shares(gaps, list(map(len, self._values(name)))))
            never = [int(some.never[:, self.model.names.index(name)].sum()) for some in self.both]
            if any(never):
                p_values.append(equal_shares(never, self.whole))
            p_values = [one for one in p_values if not math.isnan(one)]
            p_value = min(1.0, len(p_values) * min(p_values, default=1.0))
            found.append((name, statistic, p_value, surprise.get(name, Estimate(math.nan, math.nan))))
        total = sum(max(0.0, one[3].value) for one in found if math.isfinite(one[3].value))
        adjusted = holm([one[2] for one in found])
        columns = [
            ColumnDrift(
                name, statistic, p_value, float(corrected), nats,
                max(0.0, nats.value) / total if total > 0 and math.isfinite(nats.value) else 0.0,
                change_of(self.model, name, *self._values(name)),
            )
            for (name, statistic, p_value, nats), corrected in zip(found, adjusted, strict=True)
        ]  # fmt: skip
        return sorted(columns, key=lambda one: (one.p_value, -one.statistic))

    def _surprise(self) -> dict[str, Estimate]:
        names = self.model.roles.modeled
        if not names:
            return {}
        rows = rows_within([self.model] * 2, names, ROWS_OF_COLUMNS)
        a, b = (column_surprise(self.model, part.codes[:rows], names, self.seed) for part in self.parts)
        found = {}
        for name, first, second in zip(names, a.T, b.T, strict=True):
            (x, of_x), (y, of_y) = (mean_and_standard_error(values[np.isfinite(values)]) for values in (first, second))
            found[name] = Estimate(y - x, math.hypot(of_x, of_y))
        return found


def _same(first: SampledRows, second: SampledRows) -> bool:
    """Whether two tables have the same rows, as far as these were looked at, in any order."""
    if first.total != second.total or len(first.codes) != len(second.codes):
        return False
    a, b = (np.sort(hashes_of_rows(some.codes)) for some in (first, second))
    return bool((a == b).all())


def _of_same(rows: SampledRows) -> str:
    looked = len(rows.codes)
    where = "hold the same rows" if looked == rows.total else f"are the same in all {counted(looked, 'row')} looked at"
    return f"The tables {where}: there is no drift to find."


def equal_shares(counts: Sequence[int], of: Sequence[int]) -> float:
    """The p-value of equal shares in two samples, by Fisher's exact test.

    Example:
        >>> round(equal_shares([1, 9], [10, 10]), 4)
        0.0011
    """
    return float(fisher_exact([[count, whole - count] for count, whole in zip(counts, of, strict=True)]).pvalue)


def _odd(a: np.ndarray, b: np.ndarray) -> Estimate:
    """The share of the second log-densities that are as low as the lowest hundredth of the first."""
    share = float((Ranks.of(a).p_values(b) <= ODD).mean())
    return Estimate(share, math.sqrt(max(share * (1 - share), ODD * (1 - ODD)) / len(b)))


def _present(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def _finite(log_prob: np.ndarray) -> np.ndarray:
    """Log-densities with the smallest finite one in place of those that are not."""
    return np.maximum(log_prob, log_prob[np.isfinite(log_prob)].min(initial=0.0))


def _permutation_test(a: np.ndarray, b: np.ndarray, generator: np.random.Generator) -> float:
    """The p-value of equal means, two-sided, by random permutations of the rows of both.

    Means are of ranks among all, so that single rows far from all others do not decide.
    """
    both = np.concatenate([a, b])
    ranks = both.argsort().argsort().astype(float)
    ranks -= ranks.mean()
    own = abs(ranks[: len(a)].sum())
    others = np.array([abs(ranks[generator.permutation(len(both))[: len(a)]].sum()) for _ in range(PERMUTATIONS)])
    return float((1 + (others >= own - 1e-9).sum()) / (1 + PERMUTATIONS))


def _with_change(column: ColumnDrift) -> str:
    """The name of a column, and how it changed by itself."""
    return f"{quoted(column.column)} ({column.change})" if column.change else quoted(column.column)


def _sentences(
    p_value: float,
    same: str,
    nats: list[Estimate],
    odd: Estimate,
    columns: list[ColumnDrift],
    told: TwoSample | None,
    divergence: Estimate | None,
) -> list[str]:
    if p_value >= LEVEL:
        said = [same or f"No drift is found ({p_value_is(p_value)})."]
    else:
        said = [f"The tables differ ({p_value_is(p_value)})."]
        drifted = [one for one in columns if one.adjusted < LEVEL]
        said += [f"Columns that drifted: {'; '.join(map(_with_change, drifted[:MOST_NAMED]))}."] if drifted else []
    if told is not None:
        said.append(f"A classifier tells them apart with an accuracy of {told.accuracy}, 1/2 expected.")
    if math.isfinite(odd.value):
        said.append(
            f"{percent(odd.value)} of the rows of the second table are as odd as 1% of those of the first; mean "
            f"log-density {nats[1]} against {nats[0]} nats."
        )
    if divergence is not None:
        said.append(f"KL(A‖B) = {divergence} nats per row.")
    return said
