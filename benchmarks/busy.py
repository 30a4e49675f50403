"""A training step beside other programs: idle and with as many busy processes as processors, in one thread and in all.

    python benchmarks/busy.py [--rounds 5] [--seconds 2]

Writes a table to standard output, in milliseconds: the mean and the median of a step of Adam at batch 512, and the mean
in units of that of one thread on the idle machine, which beside busy processes is to be at most 2.2. "fit" is as `fit`
does it: kernels in as many threads as torch has, torch's own operations in one; "own loop" leaves torch its threads.
Idle and busy take turns, and within each the ways to run. Start it on an idle machine, and leave OMP_WAIT_POLICY unset:
waiting threads of OpenMP then spin, which is the worst case for a host that has set nothing.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
from machine import machine

import pushforward as pf
from pushforward.kernels.threads import torch_in_one_thread
from pushforward.support.processors import usable_processors

BATCH = 512
FLOWS: dict[str, Callable[[], pf.Flow]] = {
    "spline, D = 6, 5 × (2 × 128), 8 bins": lambda: pf.nsf(6, layers=5, hidden=(128, 128), bins=8),
    "MAF, D = 63, 5 × (2 × 512)": lambda: pf.maf(63, layers=5, hidden=(512, 512)),
}


def stepper(flow: pf.Flow) -> Callable[[], None]:
    """A training step."""
    x = torch.randn(BATCH, flow.features)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss = -flow.log_prob(x).mean()
        loss.backward()
        optimizer.step()

    return step


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """As many processes that compute without end."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(0.5 if count else 0.0)
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def timed(step: Callable[[], None], threads: int, alone: bool, seconds: float) -> list[float]:
    """The times of steps, in milliseconds, after two that do not count."""
    torch.set_num_threads(threads)
    times = []
    with torch_in_one_thread() if alone else contextlib.nullcontext():
        step()
        step()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            step()
            times.append((time.perf_counter() - start) * 1e3)
    return times


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    processors = usable_processors()
    print(f"{machine()}, torch {torch.__version__}")
    print(
        f"OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'unset')}, {options.rounds} × {options.seconds} s each\n"
    )
    ways = [(1, True, "1"), (processors, True, f"{processors}, fit"), (processors, False, f"{processors}, own loop")]
    for name, make in FLOWS.items():
        torch.manual_seed(0)
        step = stepper(make())
        times: dict[tuple[int, str], list[float]] = {}
        for _ in range(options.rounds):
            for count in (0, processors):
                with busy_processes(count):
                    for threads, alone, way in ways:
                        times.setdefault((count, way), []).extend(timed(step, threads, alone, options.seconds))
        print(f"| {name} | threads | mean | median | mean / idle with 1 |\n|---|---|---|---|---|")
        unit = statistics.fmean(times[0, "1"])
        for (count, way), seen in times.items():
            mean = statistics.fmean(seen)
            beside = f"{count} busy processes" if count else "idle"
            print(f"| {beside} | {way} | {mean:.2f} | {statistics.median(seen):.2f} | {mean / unit:.2f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
