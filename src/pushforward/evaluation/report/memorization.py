"""Whether a model has learned rows by heart: how close draws come to training rows, and copies of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.stats import mannwhitneyu

from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.evaluation.report.contents import Estimate, Memorization
from pushforward.evaluation.report.correction import LEVEL
from pushforward.evaluation.report.evidence import Evidence, log_prob_in_parts
from pushforward.support.wording import counted
from pushforward.table_models.model import TableModel
from pushforward.table_models.training_rows import TrainingRows, hashes_of_rows

# Training rows that distances are measured to, and that are scored.
MOST_ROWS, MOST_SCORED, BINS = 20_000, 5000, 30
NOTHING = Estimate(math.nan, math.nan)


def memorization(evidence: Evidence, train: np.ndarray | None, kept: TrainingRows | None, seed: int) -> Memorization:
    """Compare draws with rows that the model has not seen, by their distance to the nearest training row.

    Distances are Euclidean, in standard deviations of the training rows; two levels of a category are one apart. If
    draws and rows have one distribution, P(a draw is closer than a row) = 1/2, which the test of Mann and Whitney
    checks, one-sided; it is exact given the training rows. The rows of the report must not be among these.

    Arguments:
        evidence: rows that were not trained on, and draws.
        train: (m, names) codes of training rows, or None.
        kept: hashes of training rows in the model file, or None.
        seed: of the training rows that are looked at.
    """
    model = evidence.model
    held_out = Estimate(*mean_and_standard_error(evidence.log_prob))
    unknown = Memorization(
        sentence="Training rows were not given (--train), so that distances to them are not known.",
        known=False,
        training_nats=NOTHING,
        held_out_nats=held_out,
        gap=NOTHING,
        closer=NOTHING,
        p_value=math.nan,
        distance_edges=[],
        distance_draws=[],
        distance_rows=[],
        copies_of_draws=None,
        copies_of_rows=None,
        draws=len(evidence.codes),
        rows=len(evidence.codes),
    )
    if train is None:
        return unknown if kept is None else _of_hashes(unknown, evidence, kept)
    some = train[np.random.default_rng(seed).permutation(len(train))]
    training = log_prob_in_parts(model, some[:MOST_SCORED])
    of_training = Estimate(*mean_and_standard_error(training[np.isfinite(training)]))
    gap = Estimate(of_training.value - held_out.value, math.hypot(of_training.error, held_out.error))
    draws, rows = _distances(model, some[:MOST_ROWS], evidence)
    closer, p_value = _closer(draws, rows)
    known_hashes = hashes_of_rows(TrainingRows.codes_of(model.roles, train))
    copies_of = [
        int(np.isin(hashes_of_rows(part), known_hashes).sum()) for part in (_codes(evidence, True), _codes(evidence))
    ]
    edges = np.linspace(0.0, float(np.quantile(np.concatenate([draws, rows]), 0.99)) or 1.0, BINS + 1)
    shares = [(np.histogram(np.clip(part, 0, edges[-1]), edges)[0] / len(part)).tolist() for part in (draws, rows)]
    return dataclasses.replace(
        unknown,
        sentence=_sentence(closer, gap, copies_of, len(rows)),
        known=True,
        training_nats=of_training,
        gap=gap,
        closer=closer,
        p_value=p_value,
        distance_edges=edges.tolist(),
        distance_draws=shares[0],
        distance_rows=shares[1],
        copies_of_draws=copies_of[0],
        copies_of_rows=copies_of[1],
    )


def _of_hashes(unknown: Memorization, evidence: Evidence, kept: TrainingRows) -> Memorization:
    """What the hashes in the model file tell: how many draws and rows are equal to training rows."""
    of_draws, of_rows = (kept.copies(part) for part in (_codes(evidence, True), _codes(evidence)))
    sentence = (
        f"{of_draws:,} of {unknown.draws:,} draws, and {counted(of_rows, 'row')} of the report, are equal to one of "
        f"the {len(kept.hashes):,} training rows that the model file remembers."
    )
    return dataclasses.replace(unknown, sentence=sentence, copies_of_draws=of_draws, copies_of_rows=of_rows)


def _codes(evidence: Evidence, drawn: bool = False) -> np.ndarray:
    return TrainingRows.codes_of(evidence.model.roles, evidence.draws if drawn else evidence.codes)


def _closer(draws: np.ndarray, rows: np.ndarray) -> tuple[Estimate, float]:
    """P(a draw is closer than a row) with its error, and the p-value of more than 1/2."""
    found = mannwhitneyu(draws, rows, alternative="less")
    share = 1 - float(found.statistic) / (len(draws) * len(rows))
    # Of placements, as DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837.
    of_draws = _placements(draws, rows)
    of_rows = _placements(rows, draws)
    error = math.sqrt(of_draws.var(ddof=1) / len(draws) + of_rows.var(ddof=1) / len(rows))
    return Estimate(share, error), float(found.pvalue)


def _placements(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    ordered = np.sort(among)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    placements: np.ndarray = 0.5 * (below + up_to) / len(among)
    return placements


def _distances(model: TableModel, train: np.ndarray, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """The distances of draws and of rows to the nearest training row, (n,) each."""
    from sklearn.neighbors import NearestNeighbors

    parts, names = [], [*model.roles.modeled, *model.roles.conditioned]
    places = [model.names.index(name) for name in names]
    for name, place in zip(names, places, strict=True):
        columns = [rows[:, place] for rows in (train, evidence.draws, evidence.codes)]
        if model.schema[name].measured:
            middle, scale = np.nanmean(columns[0]), np.nanstd(columns[0])
            parts.append([((column - middle) / (scale or 1.0))[:, None] for column in columns])
        else:
            levels = np.unique(columns[0][~np.isnan(columns[0])])
            parts.append([(column[:, None] == levels) / math.sqrt(2) for column in columns])
    known, draws, rows = (np.nan_to_num(np.concatenate(part, 1)) for part in zip(*parts, strict=True))
    nearest = NearestNeighbors(n_neighbors=1).fit(known)
    return nearest.kneighbors(draws)[0][:, 0], nearest.kneighbors(rows)[0][:, 0]


def with_verdict(found: Memorization, adjusted: float) -> Memorization:
    """What was found, and first of all whether draws come too close, by its p-value corrected with all others."""
    said = "Draws come closer to training rows than new rows do" if adjusted < LEVEL else "Draws keep their distance"
    return found if math.isnan(adjusted) else dataclasses.replace(found, sentence=f"{said}: {found.sentence}")


def _sentence(closer: Estimate, gap: Estimate, copies: list[int], rows: int) -> str:
    share = f"P(a draw is closer to its nearest training row than a new row is) = {closer}, 0.5 expected"
    equal = f"{copies[0]:,} of {rows:,} draws and {copies[1]:,} of the rows are equal to a training row"
    more = f"training rows have {gap} nats more than these rows"
    return f"{share}; {equal}; {more}."
