"""Speed of Glow beside normflows' in one process: a training step, and draws.

    python benchmarks/images_speed.py PEERS_PYTHON [--pairs 15] [-o benchmarks/images_speed.json]

PEERS_PYTHON is the interpreter of a virtual environment with benchmarks/requirements.txt (`make bench` makes it);
normflows alone is taken from there. The images have 1 × 28 × 28 numbers, the batch 64 images; both flows have two
scales of 8 steps with affine couplings, whose networks have 64 channels: normflows' three convolutions of 3 × 3, 1 × 1
and 3 × 3, ours two of 3 × 3 (`equal channels`), or as many more channels as make up for the multiplications of the
third (`equal multiplications`); or both have two of 3 × 3 and 64 channels (`equal networks`). Ours has one coupling
more, between the scales.

The libraries take turns in pairs, each first in every other pair, on one thread. Times are processor time, in
milliseconds for an image, medians of all pairs; so are the ratios, with their quartiles. Both run with freed memory
kept in the process, as in our own commands.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import machine

import pushforward as pf
from pushforward.cli.allocator import keep_memory

SHAPE, SCALES, STEPS, BATCH, HIDDEN = (1, 28, 28), 2, 8, 64, 64
PAIRS = 15


def multiplications() -> tuple[int, int]:
    """Those of normflows' networks for an image, and of ours for each of their channels.

    A network of h channels that sees c and gives p parameters takes 9 h (c + p) for each pixel, and h² more for a
    convolution of 1 × 1 between.
    """
    pixels, theirs, ours = SHAPE[1] * SHAPE[2], 0, 0
    channels = SHAPE[0]
    for scale in range(SCALES):
        pixels, channels = pixels // 4, 4 * channels
        ends = 9 * (channels // 2 + channels)
        theirs += STEPS * pixels * (HIDDEN * ends + HIDDEN**2)
        ours += (STEPS + (scale < SCALES - 1)) * pixels * ends
        channels //= 2
    return theirs, ours


def equal_multiplications() -> int:
    """Channels of ours with which both libraries multiply equally often."""
    theirs, ours = multiplications()
    return round(theirs / ours)


def pushforward_glow(hidden: int) -> tuple[list[torch.nn.Parameter], Callable, Callable]:
    """The parameters, log_prob and sample of our Glow."""
    flow = pf.glow(SHAPE, scales=SCALES, steps=STEPS, hidden=hidden, blocks=0)
    return list(flow.parameters()), lambda x: flow.log_prob(x.flatten(1)), lambda count: flow.sample((count,))


def normflows_glow(convolutions: int) -> tuple[list[torch.nn.Parameter], Callable, Callable]:
    """The same of normflows', built as in its documentation; of two convolutions, without the one of 1 × 1."""
    import normflows as nf

    def step(channels: int) -> torch.nn.Module:
        block = nf.flows.GlowBlock(channels, HIDDEN, split_mode="channel", scale=True, scale_map="exp")
        if convolutions == 2:
            network = nf.nets.ConvNet2d((channels // 2, HIDDEN, channels), (3, 3))
            block.flows[0] = nf.flows.AffineCouplingBlock(network, True, "exp", "channel")
        return block

    channels, height, width = SHAPE
    bases, merges, flows = [], [], []
    for scale in range(SCALES):
        squeezed = channels * 2 ** (SCALES + 1 - scale)
        flows.append([*(step(squeezed) for _ in range(STEPS)), nf.flows.Squeeze()])
        side = 2 ** (SCALES - scale)
        latent = (squeezed, height // side, width // side)
        if scale:
            merges.append(nf.flows.Merge())
            latent = (squeezed // 2, *latent[1:])
        bases.append(nf.distributions.DiagGaussian(latent))
    model = nf.MultiscaleFlow(bases, flows, merges, class_cond=False)
    return list(model.parameters()), lambda x: model.log_prob(x, None), lambda count: model.sample(count)[0]


def works(parameters: list[torch.nn.Parameter], log_prob: Callable, sample: Callable) -> dict[str, Callable]:
    """A training step, and draws, of a batch."""
    x = torch.randn(BATCH, *SHAPE)
    optimizer = torch.optim.Adam(parameters, 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        (-log_prob(x).mean()).backward()
        optimizer.step()

    def draw() -> None:
        with torch.no_grad():
            sample(BATCH)

    return {"step": step, "draw": draw}


def seconds(work: Callable) -> float:
    """Processor time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def compare(name: str, hidden: int, convolutions: int, pairs: int) -> dict[str, Any]:
    """The figures of both libraries, in turns."""
    torch.manual_seed(0)
    built = {"pushforward": pushforward_glow(hidden), "normflows": normflows_glow(convolutions)}
    work = {library: works(*parts) for library, parts in built.items()}
    found: dict[str, Any] = {"comparison": name, "hidden": {"pushforward": hidden, "normflows": HIDDEN}}
    found["parameters"] = {library: sum(one.numel() for one in parts[0]) for library, parts in built.items()}
    for what in ("step", "draw"):
        times: dict[str, list[float]] = {library: [] for library in work}
        for number in range(-2, pairs):
            # Whoever comes second finds warm caches, or a warm processor.
            for library in sorted(work, reverse=number % 2 == 0):
                taken = seconds(work[library][what])
                if number >= 0:
                    times[library].append(1000 * taken / BATCH)
        ratios = [b / a for a, b in zip(times["pushforward"], times["normflows"], strict=True)]
        lower, middle, upper = statistics.quantiles(ratios, n=4)
        found[what] = {library: round(statistics.median(values), 3) for library, values in times.items()}
        found[what] |= {"ratio": round(middle, 2), "quartiles": [round(lower, 2), round(upper, 2)]}
    return found


def main() -> None:
    """Compare, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", help="interpreter that has normflows")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("images_speed.json"))
    options = parser.parse_args()
    command = [options.peers, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    sys.path.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    torch.set_num_threads(1)
    keep_memory()
    figures = [
        compare("equal channels", HIDDEN, 3, options.pairs),
        compare("equal multiplications", equal_multiplications(), 3, options.pairs),
        compare("equal networks", HIDDEN, 2, options.pairs),
    ]
    result = {"date": str(datetime.date.today()), "machine": machine(), "torch": torch.__version__, "figures": figures}
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    for one in figures:
        for what in ("step", "draw"):
            figure = one[what]
            low, high = figure["quartiles"]
            print(
                f"{one['comparison']:22} {what}: {figure['pushforward']:.3f} ms beside {figure['normflows']:.3f}, "
                f"{figure['ratio']:.2f} times as fast ({low:.2f} to {high:.2f})"
            )


if __name__ == "__main__":
    main()
