"""Variational inference: fit a flow to a density known up to a factor, by reverse Kullback-Leibler divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from torch import Tensor

from pushforward.errors import InputError
from pushforward.support.devices import choose_device
from pushforward.support.modules import check_module, device_of
from pushforward.support.seeding import seeded
from pushforward.training.checkpoint import checkpoint_for
from pushforward.training.loop import train
from pushforward.training.reverse_kl import AnnealedDraws, LogDensity, ReverseKL
from pushforward.training.settings import TrainingOptions, settings_for_draws
from pushforward.training.variational_fit import VariationalFit, evaluate_on_target, log_weights

if TYPE_CHECKING:
    from pushforward.flow import Flow

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

    >>> import pushforward as pf, torch
    >>> target = torch.distributions.Normal(torch.tensor([1.0, -1.0]), 0.5)
    >>> fit = pf.fit_to_target(pf.realnvp(2, layers=2, hidden=(16,)), lambda x: target.log_prob(x).sum(-1),
    ...                        log_normalizer=0.0, max_steps=100, learning_rate=5e-2)
    >>> fit.kl < 0.05
    True
    """
    check_module(flow, "fit_to_target", "a flow, such as pushforward.realnvp(features=2)", "rsample_with_log_prob")
    if flow.context_features:
        raise InputError("fit_to_target takes a flow without context.")
    settings = settings_for_draws("fit_to_target", training, DEFAULT_STEPS)
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
        value="evidence lower bound",
        unit="nats",
    )
    return evaluate_on_target(
        flow, log_density, draws=draws, log_normalizer=log_normalizer, seed=settings.seed + 2, history=history
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
