"""Timings on a GPU against other flow libraries, for gpu.py."""

import statistics
import time
from typing import NamedTuple

import torch
import worker

import pushforward as pf

BATCH = 4096
# Of the time of an operation the least of so many rounds counts, each of so many seconds.
ROUNDS, SECONDS = 3, 0.25
REMARKS = (
    "The checks ran side by side, the timings afterwards alone; of each the least median of three rounds, in which the "
    "libraries took turns. The time is that of a call from Python to the end of the work on the GPU.",
    "normflows is left out of the comparison of MAF: its affine layer is autoregressive in the latent value (an IAF), "
    "so that it is fast where a MAF is slow, and the other way around.",
)


class Case(NamedTuple):
    """Sizes, and for each operation how many times faster than the best peer is the aim."""

    name: str
    features: int
    hidden: int
    bins: int
    aims: dict
    batch: int = BATCH
    peers: tuple = ("zuko", "nflows", "normflows")


def cases(quick):
    """The cases of the table."""
    if quick:
        aims = {"log_prob": 1, "step": 1, "sample": 1}
        return [Case("spline, D = 3", 3, 16, 4, aims, 32), Case("MAF, D = 4", 4, 16, 0, aims, 32)]
    return [
        Case("spline, D = 6, hidden 2 x 128", 6, 128, 8, {"log_prob": 3, "step": 3, "sample": 20}),
        Case("spline, D = 43, hidden 2 x 256", 43, 256, 8, {"log_prob": 3, "step": 3, "sample": 20}),
        Case(
            "MAF, D = 63, hidden 2 x 512",
            63,
            512,
            0,
            {"log_prob": 2, "step": 2, "sample": 20},
            peers=("zuko", "nflows"),
        ),  # normflows' affine layer is autoregressive in the latent value: an IAF
        Case("MAF, D = 784, hidden 2 x 1024", 784, 1024, 0, {"sample": 100}, peers=("zuko",)),
    ]


def build(library, case, device):
    """The operations of a library's flow on a device."""
    torch.manual_seed(0)
    x = torch.randn(case.batch, case.features, device=device)
    if library == "pushforward":
        sizes = {"layers": 5, "hidden": (case.hidden, case.hidden)}
        flow = pf.nsf(case.features, bins=case.bins, **sizes) if case.bins else pf.maf(case.features, **sizes)
        flow.to(device)
        return worker.torch_operations(flow.log_prob, flow.sample, list(flow.parameters()), x)
    flow, log_prob, sample = PEERS[library](case)
    flow.to(device)
    return worker.torch_operations(log_prob, sample, list(flow.parameters()), x)


def zuko(case):
    import zuko

    sizes = {"transforms": 5, "hidden_features": (case.hidden, case.hidden)}
    flow = (
        zuko.flows.NSF(case.features, 0, bins=case.bins, **sizes)
        if case.bins
        else zuko.flows.MAF(case.features, 0, **sizes)
    )
    return flow, lambda x: flow().log_prob(x), lambda count: flow().sample((count,))


def nflows(case):
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow, MaskedAutoregressiveFlow
    from nflows.transforms import (
        CompositeTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    network = {"use_residual_blocks": False}
    if not case.bins:
        flow = MaskedAutoregressiveFlow(case.features, case.hidden, num_layers=5, num_blocks_per_layer=1, **network)
        return flow, flow.log_prob, flow.sample
    layers = []
    for _ in range(5):
        layers.append(ReversePermutation(case.features))
        layers.append(
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                case.features, case.hidden, num_bins=case.bins, tails="linear", tail_bound=5.0, num_blocks=1, **network
            )
        )
    flow = Flow(CompositeTransform(layers), StandardNormal([case.features]))
    return flow, flow.log_prob, flow.sample


def normflows(case):
    import normflows as nf

    layers = []
    for _ in range(5):
        if case.bins:
            layers.append(
                nf.flows.AutoregressiveRationalQuadraticSpline(case.features, 1, case.hidden, num_bins=case.bins)
            )
        else:
            layers.append(nf.flows.MaskedAffineAutoregressive(case.features, case.hidden, num_blocks=1))
        layers.append(nf.flows.Permute(case.features, mode="swap" if case.features % 2 == 0 else "shuffle"))
    flow = nf.NormalizingFlow(nf.distributions.base.DiagGaussian(case.features, trainable=False), layers)
    return flow, flow.log_prob, lambda count: flow.sample(count)[0]


PEERS = {"zuko": zuko, "nflows": nflows, "normflows": normflows}


def milliseconds(operation, device):
    """The median time of an operation, of a quarter of a second of repetitions, once it is built and warm.

    One that takes longer than that is timed once after the first.
    """

    def once():
        start = time.perf_counter()
        operation()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()  # compiles, and fills caches
    seen, began = [once()], time.perf_counter()
    if seen[0] < SECONDS:
        seen = []
        while len(seen) < 5 or time.perf_counter() - began < SECONDS:
            seen.append(once())
    return statistics.median(seen) * 1e3


def times_of(report, case):
    """The milliseconds of each library and operation: the least of some rounds, in which the libraries take turns."""
    built, times = {}, {}
    for library in ("pushforward", *case.peers):
        try:
            built[library] = build(library, case, report.device)
        except ImportError:
            continue
    for operation in case.aims:
        broken = set()
        for turn in range(ROUNDS):
            for library in [name for name in built if name not in broken]:
                found = times.get((library, operation), 0.0)
                if turn and found > SECONDS * 1e3:
                    continue
                try:
                    now = milliseconds(built[library][operation], report.device)
                except Exception as error:
                    if library == "pushforward":
                        raise
                    report.add(f"{case.name}, {operation}", library, type(error).__name__, "-", "not run")
                    broken.add(library)
                    continue
                times[library, operation] = min(found, now) if turn else now
    return times


def time_case(report, case):
    """Every operation of a case, ours beside each peer that is installed."""
    times = times_of(report, case)
    for operation, aim in case.aims.items():
        ours = times["pushforward", operation]
        peers = {library: times[library, operation] for library in case.peers if (library, operation) in times}
        found = f"{ours:.2f} ms; " + ", ".join(f"{library} {value:.2f}" for library, value in peers.items())
        if not peers:
            report.add(f"{case.name}, {operation}", f"batch {case.batch}, no peer is installed", found, "-", "measured")
            continue
        ratio = min(peers.values()) / ours
        verdict = "met" if ratio >= aim else "missed"
        compared, found = f"batch {case.batch}, the best peer's time over ours", f"{ratio:.2f} ({found})"
        report.add(f"{case.name}, {operation}", compared, found, f"aim {aim}", verdict)


def time_all(report):
    """All cases, each with the memory of the GPU to itself."""
    for case in cases(report.quick):
        report.run(case.name, time_case, case)
        if report.device == "cuda":
            torch.cuda.empty_cache()
