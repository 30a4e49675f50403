"""Posteriors of NPE with our flow and with sbi's own, told from the reference by a classifier.

    python benchmarks/integrations/sbi_posteriors.py [SIMULATIONS]

needs `pip install 'pushforward[sbi]'` and takes about ten minutes. Both have the same simulations and the training of
sbi. A two-sample test of 0.5 means that the classifier cannot tell them apart.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from pushforward.integrations.sbi import posterior_nn

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integrations"))
from simulators import slcp, slcp_posterior, two_moons, two_moons_posterior

COUNT = 1_000
TASKS = {"two moons": (two_moons, two_moons_posterior, 2, 1.0), "SLCP": (slcp, slcp_posterior, 5, 3.0)}


def estimators():
    ours = {"layers": 5, "hidden": (50, 50), "bins": 10}
    return {
        "pf.nsf": posterior_nn("nsf", **ours),
        "sbi nsf": "nsf",
    }


def two_sample_test(a, b):
    """The accuracy of a classifier, by five-fold cross-validation."""
    rows = torch.cat([a, b]).numpy()
    rows = (rows - a.numpy().mean(0)) / a.numpy().std(0)
    labels = np.repeat([0, 1], [len(a), len(b)])
    order = np.random.default_rng(0).permutation(len(rows))
    network = MLPClassifier((10 * a.shape[1],) * 2, max_iter=1_000, random_state=0)
    return cross_val_score(network, rows[order], labels[order], cv=5).mean()


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp())  # sbi writes logs where it runs
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for task, (simulate, reference_of, parameters, bound) in TASKS.items():
        torch.manual_seed(0)
        prior = BoxUniform(-bound * torch.ones(parameters), bound * torch.ones(parameters))
        theta = prior.sample((simulations,))
        x = simulate(theta)
        observed = simulate(prior.sample((3,)))
        references = [reference_of(one, COUNT) for one in observed]
        for name, estimator in estimators().items():
            torch.manual_seed(0)
            trainer = NPE(prior, density_estimator=estimator, show_progress_bars=False)
            began = time.perf_counter()
            trainer.append_simulations(theta, x).train(max_num_epochs=300)
            seconds = time.perf_counter() - began
            posterior = trainer.build_posterior()
            tests = [
                two_sample_test(reference, posterior.sample((COUNT,), x=one, show_progress_bars=False))
                for one, reference in zip(observed, references, strict=True)
            ]
            row = {"task": task, "estimator": name, "simulations": simulations, "seconds": round(seconds)}
            row["two-sample test"] = round(float(np.mean(tests)), 3)
            print(json.dumps({**row, "epochs": trainer.summary["epochs_trained"][-1]}), flush=True)
