"""Lightning Fabric as the training loop uses it: devices, precision, processes."""

from __future__ import annotations

import inspect
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning_fabric.plugins.precision import DoublePrecision, MixedPrecision
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from pushforward.errors import InputError, TrainingError
from pushforward.support.processes import processes

Value = TypeVar("Value")


class MixedOperations(MixedPrecision):
    """Autocast inside the model only: Fabric's own class also rounds the data, which would change the density."""

    def convert_input(self, data: Any) -> Any:
        """Leave the data as they are."""
        return data


class DoubleThroughout(DoublePrecision):
    """Double precision throughout: Fabric's own class rounds the losses to the default dtype."""

    def convert_output(self, data: Any) -> Any:
        """Leave the losses as they are."""
        return data


def make_fabric(device: torch.device, precision: str) -> Fabric:
    """Return a launched Fabric on one device, or on one per process if a launcher has started several."""
    of_precision: dict[str, Any] = {
        "32-true": None,
        "64-true": DoubleThroughout(),
        "bf16-mixed": MixedOperations("bf16-mixed", device.type),
    }
    place = processes()
    options: dict[str, Any] = {"devices": place.local_count, "num_nodes": place.machines}
    plugins = [] if of_precision[precision] is None else [of_precision[precision]]
    if place.count > 1:
        # No buffer changes from step to step; PyTorch 2.13 has given the option another name.
        known = inspect.signature(nn.parallel.DistributedDataParallel).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        unchanged: dict[str, Any] = {name: False}
        options["strategy"] = DDPStrategy(**unchanged)
    if place.count == 1:
        # A Slurm job has several tasks even if its script calls a single process.
        plugins.append(LightningEnvironment())
    elif place.by_torch:
        # Ray Train sets the same variables, and may itself run inside a Slurm job.
        plugins.append(TorchElasticEnvironment())
    with quiet_fabric():
        fabric = Fabric(accelerator=device.type, plugins=plugins, **options)
        fabric.launch()
    return fabric


@contextmanager
def quiet_fabric() -> Iterator[None]:
    """Silence Fabric's messages about hardware inside the `with` block; its warnings still appear."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def equalize_processes(fabric: Fabric, module: nn.Module) -> None:
    """Give every process the first one's weights and buffers: layers may have initialized themselves on their rows."""
    if fabric.world_size == 1:
        return
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.copy_(fabric.broadcast(tensor))


def from_first(fabric: Fabric, make: Callable[[], Value]) -> Value:
    """What the first process makes, in every process.

    Raises:
        InputError: the first process could not make it; every process says the same.
    """
    if fabric.world_size == 1:
        return make()
    made: tuple[Value | None, str | None] = (None, None)
    if fabric.is_global_zero:
        try:
            made = (make(), None)
        except InputError as error:
            made = (None, str(error))
    value, sentence = fabric.broadcast(made)
    if sentence is not None:
        raise InputError(sentence)
    return value  # type: ignore[return-value]


def from_every(fabric: Fabric, value: Value) -> list[Value]:
    """What every process has, in their order, in every process."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def lost_processes_explained(fabric: Fabric, hint: str = "") -> Iterator[None]:
    """Say in a sentence that another process has ended while this one waited for it.

    Arguments:
        fabric: of the processes.
        hint: ends the sentence.

    Raises:
        TrainingError: it has.
    """
    try:
        yield
    except RuntimeError as error:
        if fabric.world_size == 1 or not _is_of_communication(error):
            raise
        raise TrainingError(
            f"One of the {fabric.world_size} processes of this fit has ended, and the others cannot go on without "
            f"it{hint}."
        ) from error


def _is_of_communication(error: RuntimeError) -> bool:
    # Gloo raises plain RuntimeErrors.
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


@contextmanager
def interrupts_noted(fabric: Fabric) -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C in a process of several, which must all stop after the same step; another one is raised.

    Yields:
        A function that says whether there was one. A single process is interrupted as usual.
    """
    if fabric.world_size == 1 or threading.current_thread() is not threading.main_thread():
        yield bool
        return
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)
