"""Scores of `FlowOutlierDetector` on simulated outliers, by which its default was chosen: no label is looked at.

    python benchmarks/simulated_outliers.py [--data FOLDER] [--sets glass,WPBC] [--seconds 8] [--seed 100]

The base are the normal training rows of the sets that `benchmarks/outliers.py` takes, of which 30 % are held out as
inliers. Outliers are local (held-out rows √5 times as far from the mean of their ten nearest rows), global (a quarter
of the values uniform over the range), a cluster (held-out rows moved by the difference of two rows), of dependency
(half of the columns of another row), and one of five clusters of k-means that the fit has not seen. AUROC in per
cent.
"""

import argparse
import statistics
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from outliers import sets_of, split_of
from runs import folder_of_sets
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import pushforward as pf
from pushforward.estimator.outlier_scores import SCORES
from pushforward.training.copies import copies_of
from pushforward.training.splitting import split_table

MOST_ROWS, MOST_OUTLIERS = 12_000, 250
KINDS = ("local", "global", "cluster", "dependency", "unseen cluster")
# It takes hundreds of densities a row and column.
SLOW = "largest_conditional"


def simulated(kind: str, train: np.ndarray, inliers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Outliers of one kind, made from held-out inliers."""
    rows = inliers[generator.permutation(len(inliers))[:MOST_OUTLIERS]]
    columns = rows.shape[1]
    if kind == "local":
        near = NearestNeighbors(n_neighbors=min(10, len(train))).fit(train).kneighbors(rows)[1]
        center = train[near].mean(1)
        return center + np.sqrt(5) * (rows - center)
    if kind == "global":
        low, high = train.min(0), train.max(0)
        margin = 0.05 * (high - low)
        changed = generator.random(rows.shape) < 0.25
        changed[np.arange(len(rows)), generator.integers(columns, size=len(rows))] = True
        return np.where(changed, generator.uniform(low - margin, high + margin, rows.shape), rows)
    if kind == "cluster":
        return rows + train[generator.integers(len(train))] - train[generator.integers(len(train))]
    changed = np.zeros(columns, dtype=bool)
    changed[generator.permutation(columns)[: max(1, columns // 2)]] = True
    return np.where(changed, inliers[generator.integers(len(inliers), size=len(rows))], rows)


def scores_of(train: np.ndarray, rows: np.ndarray, seconds: float, seed: int) -> dict[str, np.ndarray]:
    """Each score of rows, from one fit."""
    detector = pf.FlowOutlierDetector(criterion="log_density", max_time=seconds, random_state=seed)
    fit = detector._fit_rows(train)
    density = detector._density(fit.rows.dtype)
    return {name: score(density, fit).of(density, rows) for name, score in SCORES.items() if name != SLOW}


def judged(path: Path, seconds: float, seed: int) -> dict[tuple[str, str], float]:
    """{(score, kind): AUROC} of one set."""
    rows, generator = split_of(path, seed)[0][:MOST_ROWS], np.random.default_rng(seed)
    parts_of_rows = split_table(torch.from_numpy(rows), 0.3, seed, copies=copies_of(rows))
    train, inliers = (rows[part.numpy()] for part in parts_of_rows)
    clusters = KMeans(5, n_init=3, random_state=seed).fit(train)
    own, held_out = clusters.labels_, clusters.predict(inliers)
    sizes = np.bincount(own, minlength=5)
    unseen = min((size, label) for label, size in enumerate(sizes) if size >= max(10, 0.03 * len(train)))[1]
    left = np.concatenate([inliers[held_out == unseen], train[own == unseen]])
    made = {kind: simulated(kind, train, inliers, generator) for kind in KINDS[:-1]}
    parts = [(train, inliers, made), (train[own != unseen], inliers[held_out != unseen], {KINDS[-1]: left})]
    found = {}
    for fitted, normal, of_kinds in parts:
        normal = normal[:MOST_OUTLIERS]
        some = {kind: outliers[:MOST_OUTLIERS] for kind, outliers in of_kinds.items()}
        scores = scores_of(fitted, np.concatenate([normal, *some.values()]), seconds, seed)
        ends = np.cumsum([len(normal), *map(len, some.values())])
        for name, values in scores.items():
            odd = -np.nan_to_num(values)
            for kind, start, end in zip(some, ends, ends[1:], strict=False):
                labels = np.repeat([0, 1], [len(normal), end - start])
                pair = np.concatenate([odd[: len(normal)], odd[start:end]])
                found[name, kind] = 100 * float(roc_auc_score(labels, pair))
    return found


def main() -> None:
    """Print a table of the means over the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--sets", default="", help="default all of the folder")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=100, help="other than those of the benchmark")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    files: dict[str, Any] = sets_of(folder_of_sets(options.data, "outliers", "ADBench's sets"))
    names = [name for name in options.sets.split(",") if name] or list(files)
    every = [judged(files[name], options.seconds, options.seed) for name in names]
    print(f"| score | {' | '.join(KINDS)} | mean |\n|---|{'---|' * (len(KINDS) + 1)}")
    for name in SCORES:
        if name != SLOW:
            means = [statistics.fmean(found[name, kind] for found in every) for kind in KINDS]
            print(f"| {name} | {' | '.join(f'{mean:.1f}' for mean in [*means, statistics.fmean(means)])} |")


if __name__ == "__main__":
    main()
