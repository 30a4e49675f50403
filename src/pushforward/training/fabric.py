"""Lightning Fabric as the training loop uses it: devices, precision, processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import DoublePrecision, MixedPrecision
from torch import nn


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
    """Return a launched Fabric on one device, or on one per process when `torchrun` has started this process."""
    plugins: dict[str, Any] = {
        "32-true": None,
        "64-true": DoubleThroughout(),
        "bf16-mixed": MixedOperations("bf16-mixed", device.type),
    }
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    machines = int(os.environ.get("WORLD_SIZE", "1")) // local_processes if "LOCAL_WORLD_SIZE" in os.environ else 1
    with quiet_fabric():
        fabric = Fabric(
            accelerator=device.type, devices=local_processes, num_nodes=machines, plugins=plugins[precision]
        )
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
