"""What a density of torch.distributions costs with the map of a flow, beside the flow itself.

    python benchmarks/integrations/transformed_density.py

takes less than a minute of one processor. A transform of torch computes its value and its log-determinant in two
methods, so that a map without the memory of its last call is evaluated twice.
"""

import json
import time

import torch
from torch.distributions import TransformedDistribution

import pushforward as pf
from pushforward.integrations import FlowTransform, as_transform, base_of

ROWS, FEATURES, REPETITIONS = 2_000, 8, 9


class Forgetful(FlowTransform):
    """The transform without what the last call computed."""

    def log_abs_det_jacobian(self, z, x):
        """By one more evaluation of the map."""
        self._last = None
        return super().log_abs_det_jacobian(z, x)


def milliseconds(function):
    """The median of the processor's time."""
    times = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return round(1_000 * sorted(times)[REPETITIONS // 2], 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, flow in {
        "nsf": pf.nsf(features=FEATURES),
        "iaf": pf.iaf(features=FEATURES),
        "realnvp": pf.realnvp(features=FEATURES),
    }.items():
        ours = TransformedDistribution(base_of(flow), as_transform(flow))
        twice = TransformedDistribution(base_of(flow), Forgetful(flow.bijection))
        x = flow.sample((ROWS,))

        def trained(density, x=x):
            density.log_prob(x).mean().backward()

        row = {"flow": name} | {
            kind: milliseconds(lambda density=density: trained(density))
            for kind, density in (("flow.log_prob", flow), ("as_transform", ours), ("evaluated twice", twice))
        }
        print(json.dumps(row), flush=True)
