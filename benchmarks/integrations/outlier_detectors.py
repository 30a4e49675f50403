"""How FlowDetector ranks outliers beside detectors of PyOD, on sets of scikit-learn that hold a few of another class.

    python benchmarks/integrations/outlier_detectors.py [DETECTOR ...]

needs `pip install 'pushforward[pyod]'` and takes about ten minutes. Half of the rows are fitted without labels, with
the outliers among them, one in twenty, or without; the other half, with theirs, are scored. Each detector has its own
defaults.
"""

import itertools
import json
import sys
import time

import numpy as np
import torch
from pyod.models.auto_encoder import AutoEncoder
from pyod.models.deep_svdd import DeepSVDD
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.metrics import average_precision_score, roc_auc_score

from pushforward.integrations.pyod import FlowDetector


class FittedAgain:
    """A flow without the tenth of the rows, as PyOD's detectors have it by default, that a first one finds oddest."""

    def __init__(self, seed):
        self.make = lambda: FlowDetector(random_state=seed, max_time=SECONDS / 2)

    def fit(self, rows):
        """The second fit, as a detector."""
        return self.make().fit(rows[self.make().fit(rows).labels_ == 0])


# Most seconds for a flow.
SECONDS = 10
# The classes that are normal.
SETS = {
    "breast cancer": (load_breast_cancer, [1]),
    "digits": (load_digits, [1, 2, 3, 4]),
    "iris": (load_iris, [0, 1]),
    "wine": (load_wine, [0, 1]),
}
DETECTORS = {
    "FlowDetector": lambda seed, features: FlowDetector(random_state=seed, max_time=SECONDS),
    "FlowDetector, again": lambda seed, features: FittedAgain(seed),
    "ECOD": lambda seed, features: ECOD(),
    "IForest": lambda seed, features: IForest(random_state=seed),
    "KNN": lambda seed, features: KNN(),
    "AutoEncoder": lambda seed, features: AutoEncoder(random_state=seed, verbose=0),
    "DeepSVDD": lambda seed, features: DeepSVDD(n_features=features, random_state=seed, verbose=0),
}
SEEDS = 3


def halves(name, seed):
    """Rows and labels of both halves."""
    load, normal = SETS[name]
    rows, classes = load(return_X_y=True)
    generator = np.random.default_rng(seed)
    inside = generator.permutation(np.flatnonzero(np.isin(classes, normal)))
    outside = generator.permutation(np.flatnonzero(~np.isin(classes, normal)))[: max(6, len(inside) // 19)]
    order = [np.concatenate([inside[half::2], outside[half::2]]) for half in (0, 1)]
    return [(rows[part], (~np.isin(classes[part], normal)).astype(int)) for part in order]


if __name__ == "__main__":
    torch.set_num_threads(1)
    kinds = sys.argv[1:] or DETECTORS
    for name, fitted_with, kind in itertools.product(SETS, (True, False), kinds):
        found = []
        for seed in range(SEEDS):
            (fitted, of_fitted), (scored, labels) = halves(name, seed)
            fitted = fitted if fitted_with else fitted[of_fitted == 0]
            began = time.process_time()
            scores = DETECTORS[kind](seed, fitted.shape[1]).fit(fitted).decision_function(scored)
            seconds = time.process_time() - began
            found.append((roc_auc_score(labels, scores), average_precision_score(labels, scores), seconds))
        auroc, precision, seconds = np.mean(found, axis=0).round(3).tolist()
        row = {"set": name, "fitted with outliers": fitted_with, "detector": kind, "AUROC": auroc}
        row |= {"average precision": precision, "processor seconds": round(seconds, 1)}
        print(json.dumps(row), flush=True)
