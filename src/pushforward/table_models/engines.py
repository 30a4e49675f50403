"""Where the blocks of a table are worked on: in this process, or on a cluster, and always in their order."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Protocol, TypeVar

from pushforward.errors import InputError, TrainingError

Block = TypeVar("Block")
Result = TypeVar("Result")
ENGINES = ("ray",)
# Blocks that wait for each worker: one to work on, and one that is ready when it is done.
BLOCKS_OF_WORKER = 2


class Engine(Protocol):
    """Works on blocks one by one, which may be anywhere: each result depends on its block alone."""

    def map(self, work: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """The results of blocks, in their order, as a stream in constant memory.

        Arguments:
            work: what is done with each block; picklable.
            blocks: picklable.
        """


class InProcess:
    """Works on blocks in this process."""

    def map(self, work: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """The results, one at a time."""
        return map(work, blocks)


class OnRay:
    """Works on blocks on a Ray cluster, with a worker on each of its free processors.

    The cluster is the one that this process is connected to, or that RAY_ADDRESS names; without either, it is one of
    this machine, which ends with this process. Each worker receives `work` once. A worker that is lost is replaced.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """

    def __init__(self) -> None:
        self.ray = connected_ray()

    def map(self, work: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """The results, while as many blocks as there are workers are on their way.

        Raises:
            InputError: what `work` raised.
            TrainingError: workers were lost again and again.
        """
        ray = self.ray
        shared = ray.put(work)
        most = max(int(ray.available_resources().get("CPU", 1)), 1)
        make = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Worker)
        workers: list[Any] = []
        waiting: deque[Any] = deque()
        for number, block in enumerate(blocks):
            if number < most:
                workers.append(make.remote(shared))
            waiting.append(workers[number % most].work.remote(block))
            if len(waiting) == BLOCKS_OF_WORKER * most:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _result(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            # Its own message is the traceback of the worker.
            raise error.cause from None
        except self.ray.exceptions.RayActorError:
            raise TrainingError("Workers of the Ray cluster were lost again and again; look into its logs.") from None


class _Worker:
    """A process of the cluster that has received what is to be done."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def work(self, block: Any) -> Any:
        return self._work(block)


def engine_of(name: str | None) -> Engine:
    """The engine of a name, None for this process.

    Raises:
        InputError: there is none of this name, or its package is not installed.

    >>> engine_of("spark")
    Traceback (most recent call last):
    pushforward.errors.InputError: There is no engine 'spark'; the engines are ray.
    """
    if name is None:
        return InProcess()
    _check_known(name)
    return OnRay()


def _check_known(name: str) -> None:
    if name not in ENGINES:
        raise InputError(f"There is no engine {name!r}; the engines are {', '.join(ENGINES)}.")


def required_package(name: str, extra: str) -> ModuleType:
    """Import a package that is not always installed.

    Raises:
        InputError: it is not; the sentence names the extra that brings it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise InputError(f"{name} is not installed; pip install 'pushforward[{extra}]' brings it.") from None


def connected_ray() -> ModuleType:
    """Ray, connected to the cluster that RAY_ADDRESS names, or to one of this machine.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    ray = required_package("ray", "ray")
    if not ray.is_initialized():
        try:
            # By itself it reads RAY_ADDRESS.
            ray.init(include_dashboard=False, logging_level="warning", log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise InputError(f"No Ray cluster answers: {' '.join(str(error).split())[:200]}") from None
    return ray


def run_in_processes(engine: str | None, work: Callable[[], None], workers: int, gpus: bool) -> None:
    """Run a fit in several processes of one group, which Ray Train starts on its cluster.

    Arguments:
        engine: "ray".
        work: the fit, picklable; it runs in the folder of this process, which must be the same on all machines.
        workers: how many processes.
        gpus: whether each has a GPU.

    Raises:
        InputError: what `work` raised, or Ray is not installed.
        TrainingError: the same, or a worker was lost.
    """
    if engine is None:
        raise InputError("A number of workers needs an engine that starts them (--engine ray); see also torchrun.")
    _check_known(engine)
    connected_ray()
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchTrainer

    # Ray's own record of the run; the fit has files of its own.
    with tempfile.TemporaryDirectory() as folder:
        trainer = TorchTrainer(
            _run_in,
            train_loop_config={"work": work, "folder": os.getcwd()},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
            run_config=RunConfig(storage_path=folder, name="fit"),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            failures = list(getattr(error, "worker_failures", {}).values())
            for kind in (InputError, TrainingError):
                for failure in failures:
                    if isinstance(failure, kind):
                        raise failure from None
            # Its own message has the traceback of a worker.
            reasons = [f"{type(failure).__name__}: {' '.join(str(failure).split())[:200]}" for failure in failures]
            raise TrainingError(
                f"The processes of Ray Train failed ({'; '.join(reasons[:1]) or 'no reason'})."
            ) from error


def _run_in(config: dict[str, Any]) -> None:
    os.chdir(config["folder"])
    config["work"]()
