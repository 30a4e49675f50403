"""Where each process of a run is: in its batches, and in its random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pushforward.training.batches import ResumableBatches

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The states of random generators.
RANDOM = ("random", "random_cuda")


def places(fabric: Fabric, batches: ResumableBatches) -> dict[str, Any]:
    """The places of all processes, for a checkpoint; all must ask at the same time.

    What differs from process to process is in `processes`, by their numbers; the first one's is outside as well, for a
    run that resumes with another number of processes.
    """
    own = batches.state_dict()
    random = {"random": torch.default_generator.get_state()}
    if fabric.device.type == "cuda":
        random["random_cuda"] = torch.cuda.get_rng_state(fabric.device)
    state: dict[str, Any] = {"batches": own, **random}
    if fabric.world_size > 1:
        # Imported here: it takes seconds, and is loaded already.
        from pushforward.training.fabric import from_every

        every = from_every(fabric, {**own, **random})
        state["processes"] = {f"{place}.{name}": part for place, one in enumerate(every) for name, part in one.items()}
    return state


def go_to_place(fabric: Fabric, batches: ResumableBatches, state: dict[str, Any], new_seed: tuple[int, int]) -> None:
    """Go to the place that this process had.

    Arguments:
        fabric: Device and processes.
        batches: Of this process.
        state: Has what `places` gave.
        new_seed: Seeds the random numbers of a process that the saved run did not have.
    """
    number, every = fabric.global_rank, state.get("processes", {})
    saved = len({name.partition(".")[0] for name in every}) or 1
    own, random = state["batches"], {name: state[name] for name in RANDOM if name in state}
    if saved == fabric.world_size > 1:
        own = {name: every[f"{number}.{name}"] for name in own}
        random = {name: every[f"{number}.{name}"] for name in random}
    batches.load_state_dict(own)
    # Last: nothing between here and the next step draws random numbers.
    if saved != fabric.world_size and number > 0:
        # Its numbers are those of no other process or step.
        torch.manual_seed(hash((*new_seed, number)))
        return
    if fabric.device.type == "cuda":
        torch.cuda.set_rng_state(random["random_cuda"], fabric.device)
    torch.default_generator.set_state(random["random"])
