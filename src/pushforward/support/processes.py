"""Which of the processes of one program this one is, as their launcher says it in the environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from pushforward.errors import InputError


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that torchrun, Ray Train or Slurm has started for one program.

    Attributes:
        number: of this process, from 0; the first one writes and prints.
        count: how many there are.
        local_number: of this process among those on its machine.
        local_count: how many there are on each machine.
        by_torch: whether torchrun's variables say so.
    """

    number: int = 0
    count: int = 1
    local_number: int = 0
    local_count: int = 1
    by_torch: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the first process."""
        return self.number == 0

    @property
    def machines(self) -> int:
        """How many machines there are, with as many processes each."""
        return self.count // self.local_count


def processes() -> Processes:
    """The place of this process; the only one, unless a launcher says otherwise.

    Example:
        >>> processes().count
        1

    Raises:
        InputError: the launcher's variables are not numbers.
    """
    environment = os.environ
    if "LOCAL_WORLD_SIZE" in environment:  # torchrun, and Ray Train
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        number, count, local_number, local_count = (_number_in(name) for name in names)
        return Processes(number, count, local_number, local_count, by_torch=True)
    # Slurm sets the second of these for what srun starts: a batch script by itself is one process.
    if "SLURM_NTASKS" in environment and "SLURM_STEP_ID" in environment:
        count, machines = _number_in("SLURM_NTASKS"), _number_in("SLURM_NNODES", "1")
        local_count = _number_in("SLURM_NTASKS_PER_NODE", str(count // max(1, machines)))
        return Processes(_number_in("SLURM_PROCID"), count, _number_in("SLURM_LOCALID"), local_count)
    return Processes()


def _number_in(variable: str, otherwise: str = "") -> int:
    found = os.environ.get(variable, otherwise)
    if not found.isdecimal():
        raise InputError(
            f'The environment variable {variable} is "{found}", and not a number, although others say that a launcher '
            "has started several processes; correct it, or unset those that begin alike."
        )
    return int(found)


def first_to_say(every_machine: bool = False) -> bool:
    """Whether this process should say how the program ends, for all of them.

    Once they know each other, the first that asks does: another one may have ended, and the rest only because of it.
    Before that, it is one process on each machine if all on a machine meet the same, or else every one.

    Arguments:
        every_machine: whether all processes of a machine meet the same, such as a file that is not there.
    """
    try:
        place = processes()
    except InputError:
        return True
    if place.count == 1:
        return True
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_initialized():
        return place.local_number == 0 or not every_machine
    try:
        store = distributed.distributed_c10d._get_default_store()
        return int(store.add("pushforward: said how it ends", 1)) == 1
    except Exception:  # the process that keeps the store has ended
        return True
