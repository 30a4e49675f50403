"""Rates of flows of nflows, and of the same flows moved in by from_nflows, in rows for each second of one processor.

    python benchmarks/integrations/moved_in.py

needs `pip install 'pushforward[nflows]'` and takes two minutes. Processor time is counted, so that other work on the
machine matters little.
"""

import copy
import json
import time

import torch
from nflows import flows, transforms
from nflows.distributions import StandardNormal
from nflows.nn.nets import ResidualNet

from pushforward.integrations.nflows import from_nflows

FEATURES, ROWS, WIDTH, LAYERS = 8, 2_000, 64, 4


def network(inputs, outputs):
    return ResidualNet(inputs, outputs, hidden_features=WIDTH, num_blocks=2)


def splines():
    layers = []
    for number in range(LAYERS):
        mask = [1 if (k + number) % 2 else -1 for k in range(FEATURES)]
        layers.append(
            transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask, network, num_bins=8, tails="linear", tail_bound=4.0
            )
        )
    return flows.Flow(transforms.CompositeTransform(layers), StandardNormal([FEATURES]))


SIZES = {"hidden_features": WIDTH, "num_layers": LAYERS, "num_blocks_per_layer": 2}
FLOWS = {
    "MaskedAutoregressiveFlow": lambda: flows.MaskedAutoregressiveFlow(FEATURES, **SIZES),
    "SimpleRealNVP": lambda: flows.SimpleRealNVP(FEATURES, **SIZES),
    "splines, coupling": splines,
}


def step_of(flow, x):
    optimizer = torch.optim.Adam(flow.parameters(), 1e-4)

    def step():
        optimizer.zero_grad()
        (-flow.log_prob(x).mean()).backward()
        optimizer.step()

    return step


def rate(function, least=2.0):
    """Rows for each second of the processor, of runs of two seconds in all."""
    function()
    began, runs = time.process_time(), 0
    while time.process_time() - began < least:
        function()
        runs += 1
    return round(runs * ROWS / (time.process_time() - began))


if __name__ == "__main__":
    torch.set_num_threads(1)
    x = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    for name, make in FLOWS.items():
        torch.manual_seed(0)
        other = make()
        for kind, flow in {"nflows": other, "moved in": from_nflows(other)}.items():
            row = {"flow": name, "of": kind}
            with torch.no_grad():
                row["log_prob"] = rate(lambda flow=flow: flow.log_prob(x))
                row["sample"] = rate(lambda flow=flow: flow.sample(ROWS))
            row["training"] = rate(step_of(copy.deepcopy(flow), x))
            print(json.dumps(row), flush=True)
