"""Variational inference: fit a flow to a density known up to a factor, by reverse Kullback-Leibler divergence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.support.modules import device_of
from pushforward.support.seeding import seeded
from pushforward.training.checkpoint import checkpoint_for
from pushforward.training.history import History
from pushforward.training.importance import LARGEST_PARETO_K, effective_share, pareto_k
from pushforward.training.likelihood import CHUNK_ROWS
from pushforward.training.loop import train
from pushforward.training.objectives import log_prob_of_still_weights
from pushforward.training.settings import Settings, TrainingOptions, choose_device, settings_from

if TYPE_CHECKING:
    from pushforward.flow import Flow

LogDensity = Callable[[Tensor], Tensor]

ESTIMATORS = ("path", "plain")
DEFAULT_STEPS = 5000
HELD_OUT_DRAWS = 4096


def fit_to_target(
    flow: Flow,
    log_density: LogDensity,
    *,
    log_normalizer: float | None = None,
    estimator: str = "path",
    importance_samples: int = 1,
    annealing_steps: int = 0,
    first_temperature: float = 0.01,
    draws: int = 20_000,
    **training: Unpack[TrainingOptions],
) -> VariationalFit:
    """Fit a flow q to an unnormalized density p̃ = Z p in place, by minimizing KL(q || p) = log Z - ELBO.

    ELBO = E_q[log p̃(x) - log q(x)]. With K importance samples the bound is the tighter E[log mean_k p̃(x_k) / q(x_k)].
    The flow is left with the (averaged) weights whose ELBO on a fixed set of base draws is highest, in eval mode; the
    figures returned come from fresh draws. For parameters with a support (positive, simplex ...) use a flow that ends
    in a map into it: `pushforward.constrained`.

    Arguments:
        flow: The flow to fit.
        log_density: log p̃ in nats, (batch,), of points, (batch, features), differentiable.
        log_normalizer: log Z, if it is known; KL = log Z - ELBO is then reported.
        estimator: "path" (sticking the landing): the gradient of log q goes through the draw alone, so that its
            variance vanishes as q approaches p; needs the flow's inverse. "plain": the whole gradient.
        importance_samples: K; the path estimator is doubly reparameterized for K > 1. It divides `batch_size`.
        annealing_steps: Steps over which the target rises from p̃^first_temperature to p̃, by the same factor in each,
            so that no mode is missed; 0 for none.
        first_temperature: The power at which annealing starts, in (0, 1]; small enough for one broad
            mode.
        draws: Fresh draws for the figures returned.
        training: Options of the run by name: see `pushforward.training.TrainingOptions`. Here `batch_size` counts
            draws, `max_steps` is 5000 if neither it nor `max_time` is given, `weight_decay` is 0, `evaluate_every` is
            100 and `patience` is None (never stop early). There are no epochs. On `resume`, log_density must be the
            same as before, which cannot be checked.

    Returns:
        ELBO, importance-weighted log Z, effective sample size, Pareto k̂, and KL where log Z is known.

    Raises:
        InputError: An option is out of range, or log_density gives no number for each draw.
        TrainingError: Losses or gradients were not finite too often.

    Cost: A step takes one forward of the flow, for "path" one inverse as well, and their backward passes.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770; Roeder, Wu and Duvenaud 2017, arXiv:1703.09194 (path); Burda,
    Grosse and Salakhutdinov 2015, arXiv:1509.00519, Tucker et al. 2018, arXiv:1810.04152 (importance weights).

    >>> import pushforward as pf
    >>> target = torch.distributions.Normal(torch.tensor([1.0, -1.0]), 0.5)
    >>> fit = pf.fit_to_target(pf.realnvp(2, layers=2, hidden=(16,)), lambda x: target.log_prob(x).sum(-1),
    ...                        log_normalizer=0.0, max_steps=400, learning_rate=1e-2)
    >>> fit.kl < 0.05
    True
    """
    if flow.context_features:
        raise InputError("fit_to_target takes a flow without context.")
    settings = _settings(training)
    _check_options(estimator, importance_samples, settings.batch_size, annealing_steps, first_temperature, draws)
    device = choose_device(settings.device)
    if settings.precision == "64-true":
        flow.double()
    checkpoint = checkpoint_for(
        flow,
        {},
        settings,
        device,
        estimator=estimator,
        importance_samples=importance_samples,
        annealing_steps=annealing_steps,
        first_temperature=first_temperature,
    )
    flow.to(device)
    _check_density(flow, log_density)

    # Imported here: it takes seconds, which `import pushforward` should not.
    from pushforward.training.fabric import make_fabric

    history = train(
        make_fabric(device, settings.precision),
        ReverseKL(flow, log_density, estimator, importance_samples),
        AnnealedDraws(settings.batch_size, annealing_steps, first_temperature, settings.evaluate_every),
        lambda: float(log_weights(flow, log_density, HELD_OUT_DRAWS, settings.seed + 1).mean()),
        settings,
        checkpoint=checkpoint,
    )
    return evaluate_on_target(
        flow, log_density, draws=draws, log_normalizer=log_normalizer, seed=settings.seed + 2, history=history
    )


def _settings(training: TrainingOptions) -> Settings:
    if training.get("epochs") is not None:
        raise InputError("fit_to_target draws its own rows and has no epochs; give max_steps or max_time.")
    limited = training.get("max_steps") is not None or training.get("max_time") is not None
    return settings_from(
        training if limited else {**training, "max_steps": DEFAULT_STEPS},
        evaluate_every=100,
        weight_decay=0.0,
        patience=None,
    )


def _check_options(
    estimator: str,
    importance_samples: int,
    batch_size: int,
    annealing_steps: int,
    first_temperature: float,
    draws: int,
) -> None:
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator must be one of {', '.join(ESTIMATORS)}; it is {estimator!r}.")
    if importance_samples < 1 or batch_size % importance_samples:
        raise InputError(
            f"importance_samples, at least 1, must divide batch_size; they are {importance_samples} and {batch_size}."
        )
    if annealing_steps < 0 or draws < 2:
        raise InputError(f"annealing_steps must be 0 or more and draws at least 2; got {annealing_steps} and {draws}.")
    if not 0 < first_temperature <= 1:
        raise InputError(f"first_temperature must be above 0 and at most 1; it is {first_temperature}.")


class ReverseKL(nn.Module):
    """The negative (importance-weighted) evidence lower bound, one estimate for each K draws.

    Arguments:
        flow: q.
        log_density: log p̃.
        estimator: "path" or "plain".
        importance_samples: K.
    """

    def __init__(self, flow: Flow, log_density: LogDensity, estimator: str, importance_samples: int) -> None:
        super().__init__()
        self.flow = flow
        self.log_density = log_density
        self.estimator = estimator
        self.importance_samples = importance_samples

    def train(self, mode: bool = True) -> ReverseKL:
        """Leave the flow in eval mode: its own draws must not initialise layers that start from data."""
        super().train(mode)
        self.flow.eval()
        return self

    def forward(self, count: int, temperature: float) -> Tensor:
        """Return -bound in nats, (count / K,), of fresh draws; the target is p̃^temperature."""
        x, log_q = self.flow.rsample_with_log_prob((count,))
        if self.estimator == "path":
            log_q = log_prob_of_still_weights(self.flow, x)
        log_weight = (temperature * self.log_density(x) - log_q).view(-1, self.importance_samples)
        bound = log_weight.logsumexp(-1) - math.log(self.importance_samples)
        if self.estimator == "path":
            # Doubly reparameterized: squared weights; with one sample it is log_weight itself.
            moving = (log_weight.softmax(-1).detach().square() * log_weight).sum(-1)
            bound = bound.detach() + moving - moving.detach()
        return -bound


class AnnealedDraws:
    """The number of draws in each step, and the temperature.

    Arguments:
        count: Draws in a step.
        annealing_steps: Steps in which the temperature rises to 1.
        first_temperature: The temperature from which it rises geometrically: each doubling of a target's sharpness
            takes the same number of steps.
        steps: Steps in an epoch.
    """

    def __init__(self, count: int, annealing_steps: int, first_temperature: float, steps: int) -> None:
        self.count = count
        self.annealing_steps = annealing_steps
        self.first_temperature = first_temperature
        self.steps = steps
        self._taken = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[int, float]]:
        for _ in range(self.steps):
            left = max(0.0, 1 - self._taken / self.annealing_steps) if self.annealing_steps else 0.0
            self._taken += 1
            yield self.count, self.first_temperature**left

    def state_dict(self) -> dict[str, Any]:
        """The number of steps so far."""
        return {"taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after that number of steps."""
        self._taken = int(state["taken"])


@dataclass
class VariationalFit:
    """How well a flow q fits an unnormalized density p̃ = Z p, from draws of q.

    Attributes:
        elbo: E_q[log p̃ - log q], at most log Z, in nats.
        elbo_error: Its standard error.
        log_normalizer: The importance-weighted estimate of log Z, log mean p̃ / q.
        log_normalizer_error: Its standard error, which is only right where `pareto_k` is small.
        effective_sample_size: (Σ weights)² / Σ weights², as a share of the draws: 1 is perfect.
        pareto_k: Shape of the tail of the weights; above 0.7 do not trust anything computed from them.
        kl: KL(q || p) = log Z - ELBO, where log Z is known; else None.
        draws: The number of draws behind the figures.
        history: The history of the fit, whose held-out values are the ELBO on fixed draws; None if there was no fit.
    """

    elbo: float
    elbo_error: float
    log_normalizer: float
    log_normalizer_error: float
    effective_sample_size: float
    pareto_k: float
    kl: float | None
    draws: int
    history: History | None = None

    def __str__(self) -> str:
        known = "" if self.kl is None else f", KL {self.kl:.4f}"
        trust = "" if self.pareto_k <= LARGEST_PARETO_K else " (do not trust it)"
        return (
            f"ELBO {self.elbo:.4f} ± {self.elbo_error:.4f}{known}; importance-weighted log Z "
            f"{self.log_normalizer:.4f} ± {self.log_normalizer_error:.4f}, effective sample size "
            f"{self.effective_sample_size:.1%} of {self.draws}, Pareto k {self.pareto_k:.2f}{trust}"
        )


def evaluate_on_target(
    flow: Flow,
    log_density: LogDensity,
    *,
    draws: int = 20_000,
    log_normalizer: float | None = None,
    seed: int = 0,
    history: History | None = None,
) -> VariationalFit:
    """Measure how well a flow fits an unnormalized density, from fresh draws of the flow.

    Arguments:
        flow: q.
        log_density: log p̃ in nats, (batch,), of points, (batch, features).
        draws: The number of draws.
        log_normalizer: log Z, where it is known.
        seed: Seed of the draws.
        history: Put into the result.

    Returns:
        ELBO, importance-weighted log Z, effective sample size, Pareto k̂, and KL where log Z is known. A
        RuntimeWarning says if the fit cannot be trusted.

    Raises:
        InputError: log_density gives no finite number for a draw.
    """
    with torch.no_grad():
        weights = log_weights(flow, log_density, draws, seed)
    if not bool(weights.isfinite().all()):
        bad = int((~weights.isfinite()).nonzero()[0])
        raise InputError(f"log p̃ - log q is {float(weights[bad])} at draw {bad} of {draws}: is p̃ zero there?")
    shape, share = pareto_k(weights), effective_share(weights)
    mean = weights.logsumexp(0) - math.log(draws)
    relative = (weights - mean).exp()
    elbo = float(weights.mean())
    if shape > LARGEST_PARETO_K:
        warnings.warn(
            f"The importance weights have Pareto k {shape:.2f}, above {LARGEST_PARETO_K}, and an effective sample "
            f"size of {share:.2%}: the flow's tails are lighter than the target's, or it misses a part of it. Do not "
            "trust log Z or moments; train longer, anneal, or use a more flexible flow.",
            RuntimeWarning,
            stacklevel=2,
        )
    return VariationalFit(
        elbo=elbo,
        elbo_error=float(weights.std()) / math.sqrt(draws),
        log_normalizer=float(mean),
        log_normalizer_error=float(relative.std()) / math.sqrt(draws),
        effective_sample_size=share,
        pareto_k=shape,
        kl=None if log_normalizer is None else log_normalizer - elbo,
        draws=draws,
        history=history,
    )


def log_weights(flow: Flow, log_density: LogDensity, draws: int, seed: int) -> Tensor:
    """Return log p̃(x) - log q(x) of draws x from q, float64, (draws,)."""
    parts = []
    with seeded(seed, device_of(flow)):
        for start in range(0, draws, CHUNK_ROWS):
            x, log_q = flow.rsample_with_log_prob((min(CHUNK_ROWS, draws - start),))
            parts.append((log_density(x).double() - log_q.double()).cpu())
    return torch.cat(parts)


def _check_density(flow: Flow, log_density: LogDensity) -> None:
    """Check that log_density gives one number for each row, with a gradient."""
    with seeded(0, device_of(flow)):
        x = flow.sample((3,)).requires_grad_()
    value = log_density(x)
    if not isinstance(value, Tensor) or value.shape != (3,):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"log_density must give one number for each row: (3,) for {tuple(x.shape)}, not {shape}.")
    if not value.requires_grad:
        raise InputError("log_density must be differentiable: its result has no gradient with respect to x.")
