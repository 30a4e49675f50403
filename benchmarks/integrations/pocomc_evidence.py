"""pocoMC with a flow of ours and with its own: evidence and seconds.

    python benchmarks/integrations/pocomc_evidence.py

needs `pip install 'pushforward[pocomc]'` and takes a few minutes.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pocomc
import torch
from scipy import stats

import pushforward as pf
from pushforward.integrations.zuko import as_zuko

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integrations"))
from test_zuko import gaussian, rosenbrock, rosenbrock_evidence

TARGETS = {"Rosenbrock": (2, rosenbrock, rosenbrock_evidence()), "Gaussian": (10, gaussian, -10 * np.log(20))}
FLOWS = {
    "pf.nsf": lambda features: as_zuko(pf.nsf(features=features, layers=3, hidden=(32, 32))),
    "pf.maf": lambda features: as_zuko(pf.maf(features=features, layers=3, hidden=(32, 32))),
    "nsf3": lambda features: "nsf3",
}

if __name__ == "__main__":
    for target, (features, likelihood, truth) in TARGETS.items():
        for name, make in FLOWS.items():
            torch.manual_seed(0)
            began = time.perf_counter()
            prior = pocomc.Prior([stats.uniform(-10, 20)] * features)
            flow = make(features)
            sampler = pocomc.Sampler(prior, likelihood, vectorize=True, flow=flow, random_state=0)
            sampler.run(progress=False)
            found, error = sampler.evidence()
            seconds = round(time.perf_counter() - began)
            off, error = round(found - truth, 3), round(error, 3)
            print(json.dumps({"target": target, "flow": name, "off": off, "error": error, "seconds": seconds}))
