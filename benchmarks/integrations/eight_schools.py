"""How near guides of Pyro come to the evidence of eight schools: ours, Pyro's own flow, and a Gaussian.

    python benchmarks/integrations/eight_schools.py

needs `pip install 'pushforward[pyro]'` and takes two minutes. The truth is a sum over a grid.
"""

import json
import sys
import time
from pathlib import Path

import pyro
import torch
from pyro.distributions.transforms import affine_autoregressive, iterated
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormalizingFlow

import pushforward as pf
from pushforward.integrations.pyro import PyroTransform

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integrations"))
from coached_schools import eight_schools, evidence_bounds, fitted, log_evidence

STEPS = 800


def ours(size):
    return PyroTransform(pf.iaf(features=size, layers=3, hidden=(32, 32)))


def pyros(size):
    return iterated(3, affine_autoregressive, size, hidden_dims=[32, 32])


GUIDES = {
    "pushforward, iaf": lambda: AutoNormalizingFlow(eight_schools, ours),
    "Pyro, affine autoregressive": lambda: AutoNormalizingFlow(eight_schools, pyros),
    "Gaussian": lambda: AutoMultivariateNormal(eight_schools),
}

if __name__ == "__main__":
    truth = log_evidence()
    for name, make in GUIDES.items():
        torch.manual_seed(0)
        pyro.clear_param_store()
        began = time.perf_counter()
        guide = fitted(make(), STEPS)
        seconds = time.perf_counter() - began
        bounds = evidence_bounds(guide)
        gap, error = truth - bounds.mean(), bounds.std() / len(bounds) ** 0.5
        print(json.dumps({"guide": name, "gap": round(gap, 3), "error": round(error, 3), "seconds": round(seconds)}))
