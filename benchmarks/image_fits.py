"""Fits of densities of images: the options that their benchmarks share, and what a fit took."""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import nn

import pushforward as pf


def parser_of(
    description: str | None, log: Path, seconds: float, batch_size: int, learning_rate: float
) -> argparse.ArgumentParser:
    """A parser of the options of a fit, with defaults for some."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=seconds, help="of training")
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--weight-decay", type=float, default=1e-6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="leave the test images out")
    parser.add_argument("--log", type=Path, default=log, help="the course of the run, to write")
    return parser


def fitted(density: nn.Module, *data: Any, options: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """Fit a density until its time is over, and say what that took.

    Arguments:
        density: of images.
        data: to train on, with a context if there is one.
        options: those of `parser_of`.
        more: options of `pushforward.fit`.
    """
    began = time.perf_counter()
    history = pf.fit(
        density,
        *data,
        max_time=options.seconds,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=None,
        seed=options.seed,
        log_path=options.log,
        **more,
    )
    return {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "parameters": sum(one.numel() for one in density.parameters()),
        "steps": history.steps,
        "seconds": time.perf_counter() - began,
    }
