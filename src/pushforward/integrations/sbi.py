"""Flows as density estimators of sbi, for neural estimation of posteriors and likelihoods."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.requirement import required_flow, requires
from pushforward.zoo.registry import build, check_config, config_of
from pushforward.zoo.units import standardized

with requires("sbi", "sbi"):
    from sbi.neural_nets.estimators.base import ConditionalDensityEstimator

Builder = Callable[[Tensor, Tensor], "FlowEstimator"]


def posterior_nn(
    flow: str = "nsf",
    embedding: nn.Module | None = None,
    **options: Any,
) -> Builder:
    """What sbi's NPE takes as `density_estimator`: it builds a flow over parameters given observations.

    Parameters and observations are standardized by those of the simulations.

    Arguments:
        flow: the name of an architecture or of a univariate family, default "nsf".
        embedding: a network from observations, of any shape, to the context, (N, C); trained with the flow. Default
            none: observations are vectors.
        options: of the architecture, such as `layers` and `hidden`.

    Returns:
        A function of parameters, (N, D), and observations, (N, ...), that returns a `FlowEstimator`.

    Raises:
        InputError: an unknown architecture, an option that is unknown or cannot be, an embedding that is not a module,
            or, from the function, parameters or observations of the wrong shape, constant, or not finite.

    Example:
        >>> from sbi.inference import NPE
        >>> from sbi.utils import BoxUniform
        >>> prior = BoxUniform(-torch.ones(2), torch.ones(2))
        >>> trainer = NPE(prior, density_estimator=posterior_nn("maf", layers=2), show_progress_bars=False)
    """
    config = _checked(flow, options)
    if embedding is not None and not isinstance(embedding, nn.Module):
        raise InputError(f"An embedding is a module of torch, not an object of type {type(embedding).__name__}.")

    def builder(theta: Tensor, x: Tensor) -> FlowEstimator:
        return _estimator(config, "parameters", theta, "observations", x, embedding)

    return builder


def likelihood_nn(flow: str = "nsf", **options: Any) -> Builder:
    """What sbi's NLE takes as `density_estimator`: it builds a flow over observations given parameters.

    Arguments:
        flow: the name of an architecture or of a univariate family, default "nsf".
        options: of the architecture, such as `layers` and `hidden`.

    Returns:
        A function of parameters, (N, D), and observations, (N, D'), that returns a `FlowEstimator`.

    Raises:
        InputError: as for `posterior_nn`.

    Example:
        >>> estimator = likelihood_nn("maf", layers=2)(torch.randn(100, 2), torch.randn(100, 3))
        >>> estimator.sample((7,), torch.zeros(5, 2)).shape
        torch.Size([7, 5, 3])
    """
    config = _checked(flow, options)

    def builder(theta: Tensor, x: Tensor) -> FlowEstimator:
        return _estimator(config, "observations", x, "parameters", theta, None)

    return builder


class FlowEstimator(ConditionalDensityEstimator):
    """A conditional flow as sbi's `ConditionalDensityEstimator`.

    Arguments:
        flow: of D features given C.
        condition_shape: of what it is conditional on.
        embedding: from that to the context, (N, C), or None.

    Raises:
        InputError: something else than a flow, or, without an embedding, a condition of another shape than the flow's
            context; ValueError of sbi: values or conditions of other shapes, when it is called.

    Example:
        >>> import pushforward as pf
        >>> estimator = FlowEstimator(pf.nsf(features=2, context=3), (3,))
        >>> estimator.log_prob(torch.zeros(7, 5, 2), torch.zeros(5, 3)).shape
        torch.Size([7, 5])
    """

    def __init__(self, flow: Flow, condition_shape: Sequence[int], embedding: nn.Module | None = None):
        flow = required_flow(flow, "FlowEstimator")
        if embedding is None and tuple(condition_shape) != (flow.context_features,):
            raise InputError(
                f"The flow takes a context of shape ({flow.context_features},); the condition has shape "
                f"{tuple(condition_shape)}."
            )
        super().__init__(flow, torch.Size([flow.features]), torch.Size(condition_shape))
        self._embedding = embedding

    @property
    def embedding_net(self) -> nn.Module | None:
        """The network before the flow."""
        return self._embedding

    def log_prob(self, input: Tensor, condition: Tensor, **kwargs: Any) -> Tensor:
        """Log-density in nats, (samples, batch), of input, (samples, batch, D), given condition, (batch, ...)."""
        self._check_input_shape(input)
        if input.dim() == 2:
            input = input[None]
        return self.net.log_prob(input, self._context(condition))

    def loss(self, input: Tensor, condition: Tensor, **kwargs: Any) -> Tensor:
        """The negative log-density, (batch), of input, (batch, D), given condition, (batch, ...)."""
        return -self.log_prob(input, condition)[0]

    def sample(self, sample_shape: Any, condition: Tensor, **kwargs: Any) -> Tensor:
        """Draws, (*sample_shape, batch, D), given condition, (batch, ...)."""
        return self.net.sample(tuple(sample_shape), self._context(condition))

    def sample_and_log_prob(self, sample_shape: Any, condition: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Draws and their log-densities, in one pass."""
        return self.net.rsample_with_log_prob(tuple(sample_shape), self._context(condition))

    def _context(self, condition: Tensor) -> Tensor:
        self._check_condition_shape(condition)
        return condition if self._embedding is None else self._embedding(condition)


def _checked(flow: str, options: dict[str, Any]) -> dict[str, Any]:
    """The config of a flow whose sizes sbi will say."""
    config = config_of(flow) | options
    check_config(config, ["features", "context"])
    return config


def _check_columns(values: Tensor, name: str) -> None:
    """Refuse columns that have no units, by what sbi calls them."""
    found = values.double()
    for bad, what in ((~found.isfinite(), "has a value that is not finite"), (found == found[:1], "is constant")):
        columns = bad.any(0) if "finite" in what else bad.all(0)
        if columns.any():
            raise InputError(f"Column {int(columns.nonzero()[0])} of the {name} {what}, so that it has no units.")


def _estimator(
    config: dict[str, Any],
    name: str,
    values: Tensor,
    condition_name: str,
    condition: Tensor,
    embedding: nn.Module | None,
) -> FlowEstimator:
    """An estimator of the density of values given a condition, in the units of both."""
    if values.dim() != 2:
        raise InputError(f"Expected {name} of shape (N, D), got {tuple(values.shape)}.")
    if embedding is None:
        if condition.dim() != 2:
            raise InputError(
                f"Expected {condition_name} of shape (N, C), got {tuple(condition.shape)}; "
                "posterior_nn(embedding=...) takes a network that makes vectors of others."
            )
        context = condition
    else:
        with torch.no_grad():
            context = embedding(condition)
        if context.dim() != 2:
            raise InputError(f"The embedding must give (N, C) numbers, got {tuple(context.shape)}.")
    _check_columns(values, name)
    _check_columns(condition if embedding is None else context, condition_name if embedding is None else "embedding")
    flow = build(config | {"features": values.shape[1], "context": context.shape[1]})
    flow = standardized(flow, values, context)
    return FlowEstimator(flow, condition.shape[1:], embedding)
