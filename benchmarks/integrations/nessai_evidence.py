"""nessai with flows of ours and with its own of the same sizes: evidence, evaluations of the likelihood, seconds.

    python benchmarks/integrations/nessai_evidence.py

needs `pip install 'pushforward[nessai]'` and takes several minutes. The evidence of each target is known.
"""

import json
import math
import tempfile
import time

import numpy as np
import torch
from nessai.flowsampler import FlowSampler
from nessai.model import Model
from scipy import stats

from pushforward.integrations.nessai import flow_config

LAYERS, WIDTH = 4, 32


class Target(Model):
    """A likelihood under a uniform prior on a box."""

    def __init__(self, features, bound, log_likelihood):
        self.names = [f"x{k}" for k in range(features)]
        self.bounds = {name: [-bound, bound] for name in self.names}
        self.volume = features * math.log(2 * bound)
        self.function = log_likelihood

    def log_prior(self, x):
        """Of points, uniform."""
        return np.log(self.in_bounds(x), dtype=float) - self.volume

    def log_likelihood(self, x):
        """Of points with a field for each parameter."""
        return self.function(np.stack([x[name] for name in self.names], -1))


def rosenbrock(x):
    return -(10 * (x[..., 0] ** 2 - x[..., 1]) ** 2 + (x[..., 0] - 1) ** 2)


def two_gaussians(x):
    return np.logaddexp(*(stats.norm(center, 0.3).logpdf(x).sum(-1) for center in (-2, 2))) - math.log(2)


# Over y the integral of rosenbrock is √(π / 10), over x √π, but for what is outside the box.
TARGETS = {
    "Rosenbrock, 2-D": (2, 10.0, rosenbrock, math.log(math.pi / math.sqrt(10) / 400)),
    "two Gaussians, 4-D": (4, 5.0, two_gaussians, -4 * math.log(10)),
}
NESSAI = {"n_blocks": LAYERS, "n_layers": 2, "n_neurons": WIDTH}
OURS = {"layers": LAYERS, "hidden": (WIDTH, WIDTH)}
FLOWS = {
    "pushforward, realnvp": flow_config("realnvp", **OURS),
    "nessai, realnvp": {"ftype": "realnvp", **NESSAI},
    "pushforward, nsf": flow_config("nsf", kind="coupling", **OURS),
    "nessai, nsf": {"ftype": "nsf", **NESSAI},
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for target, (features, bound, function, truth) in TARGETS.items():
        for name, config in FLOWS.items():
            found = []
            for seed in range(2):
                model = Target(features, bound, function)
                began = time.process_time()
                with tempfile.TemporaryDirectory() as folder:
                    sampler = FlowSampler(
                        model,
                        output=folder,
                        nlive=1_000,
                        flow_config=dict(config),
                        seed=seed,
                        plot=False,
                        resume=False,
                        checkpointing=False,
                        signal_handling=False,
                    )
                    sampler.run(plot=False, save=False)
                off, error = sampler.log_evidence - truth, sampler.log_evidence_error
                found.append((off, error, model.likelihood_evaluations, time.process_time() - began))
            off, error, evaluations, seconds = np.mean(found, axis=0)
            row = {"target": target, "flow": name, "off": [round(float(one[0]), 3) for one in found]}
            row |= {"error stated": round(float(error), 3), "evaluations": round(evaluations)}
            print(json.dumps({**row, "processor seconds": round(seconds)}), flush=True)
