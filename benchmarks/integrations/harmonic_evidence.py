"""Evidences that harmonic finds with a flow of ours and with its own, from the same chains.

    python benchmarks/integrations/harmonic_evidence.py

needs `pip install 'pushforward[harmonic]'` and takes a few minutes. Chains are independent draws of posteriors whose
evidence is known; half of them fit the model, the other half give the evidence.
"""

import json
import math
import time

import harmonic
import numpy as np
import torch
from harmonic.model import RealNVPModel, RQSplineModel

from pushforward.integrations.harmonic import FlowModel

CHAINS, LENGTH, FEATURES = 100, 200, 8


def rosenbrock(generator, count):
    first = 1 + math.sqrt(0.5) * generator.normal(size=count)
    second = first**2 + math.sqrt(0.05) * generator.normal(size=count)
    return np.stack([first, second], 1), -(10 * (second - first**2) ** 2 + (first - 1) ** 2)


COVARIANCE = 0.6 + 0.4 * np.eye(FEATURES)


def gaussian(generator, count):
    x = generator.multivariate_normal(np.zeros(FEATURES), COVARIANCE, count)
    return x, -0.5 * (x * np.linalg.solve(COVARIANCE, x.T).T).sum(1)


TARGETS = {
    "Rosenbrock, 2-D": (rosenbrock, 2, math.log(math.pi / math.sqrt(10))),
    f"Gaussian, {FEATURES}-D": (gaussian, FEATURES, 0.5 * np.linalg.slogdet(2 * math.pi * COVARIANCE).logabsdet),
}
MODELS = {
    "pushforward, nsf": (lambda features: FlowModel(features, "nsf", layers=4, hidden=(64, 64)), {"seed": 0}),
    "harmonic, RQSplineModel": (
        lambda features: RQSplineModel(features, n_layers=4, standardize=True),
        {"epochs": 20, "batch_size": 256},
    ),
    "harmonic, RealNVPModel": (
        lambda features: RealNVPModel(features, standardize=True),
        {"epochs": 20, "batch_size": 256},
    ),
}


def chains_of(draw, features, seed):
    x, log_posterior = draw(np.random.default_rng(seed), CHAINS * LENGTH)
    chains = harmonic.Chains(features)
    chains.add_chains_3d(x.reshape(CHAINS, LENGTH, features), log_posterior.reshape(CHAINS, LENGTH))
    return chains


if __name__ == "__main__":
    torch.set_num_threads(1)
    for target, (draw, features, truth) in TARGETS.items():
        fitted, judged = (chains_of(draw, features, seed) for seed in (0, 1))
        for name, (make, training) in MODELS.items():
            torch.manual_seed(0)
            began = time.process_time()
            model = make(features)
            model.fit(fitted.samples, **training)
            evidence = harmonic.Evidence(CHAINS, model)
            evidence.add_chains(judged)
            below, above = evidence.compute_ln_inv_evidence_errors()
            row = {"target": target, "model": name, "off": round(-float(evidence.ln_evidence_inv) - truth, 4)}
            row["error stated"] = round(float(above - below) / 2, 4)
            print(json.dumps({**row, "processor seconds": round(time.process_time() - began)}), flush=True)
