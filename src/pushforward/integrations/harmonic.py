"""A flow as the model of harmonic, which estimates an evidence from the chains of a posterior."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np
import torch

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.requirement import requires
from pushforward.training import fit
from pushforward.training.settings import TrainingOptions
from pushforward.zoo.registry import build, config_of
from pushforward.zoo.units import standardized

with requires("harmonic", "harmonic"):
    from harmonic.model_abstract import Model  # isort: skip
    from jax import numpy as jnp


class FlowModel(Model):
    """A flow of ours with the methods of harmonic's models: the target density of a learned harmonic mean.

    The estimate of 1 / evidence is the mean of q(x) / posterior(x) over a chain, which has a small error where q has
    lighter tails than the posterior: q is the flow with the variance of its base times the temperature.

    log q(x) = log p(z / √temperature) - D / 2 · log temperature + log|det ∂z/∂x|

    Arguments:
        ndim: D.
        flow: the name of an architecture or of a univariate family, default "nsf".
        temperature: above 0 and at most 1, default 0.8.
        options: of the architecture, such as `layers` and `hidden`.

    Attributes:
        flow: the `Flow`, in the units of the samples once it is fitted.

    Raises:
        InputError: an unknown architecture or option, a temperature that is not above 0 and at most 1, or samples of
            another shape.

    Cost: `fit` that of `pushforward.fit`; `predict` one inverse of the bijection for each sample.

    Source: McEwen, Wallis, Price and Spurio Mancini 2021, arXiv:2111.12720; Polanska et al. 2024, arXiv:2405.05969.

    Example:
        >>> model = FlowModel(2, "maf", layers=2)
        >>> model.fit(np.random.default_rng(0).normal(size=(200, 2)), max_steps=10)
        >>> model.is_fitted(), model.predict(np.zeros((5, 2))).shape
        (True, (5,))
    """

    def __init__(self, ndim: int, flow: str = "nsf", temperature: float = 0.8, **options: Any):
        if not 0 < temperature <= 1:
            raise InputError(f"The temperature must be above 0 and at most 1; it is {temperature!r}.")
        self.ndim = ndim
        self.temperature = temperature
        self.fitted = False
        self.flow: Flow = build(config_of(flow) | options | {"features": ndim})

    def fit(self, X: Any, Y: Any = None, **training: Unpack[TrainingOptions]) -> None:
        """Fit the flow to samples of a posterior, (n, D), whatever their log-posteriors Y."""
        rows = self._rows(X)
        if not self.fitted:
            self.flow = standardized(self.flow, rows)
        options: TrainingOptions = {"progress": False, **training}
        fit(self.flow, rows, **options)
        self.fitted = True

    def predict(self, x: Any) -> Any:
        """log q(x) in nats, (n,), of x, (n, D), or one number of x, (D,)."""
        rows = self._rows(np.atleast_2d(x))
        with torch.no_grad():
            z, log_det = self.flow.bijection.inverse(rows)
            found = self.flow.base.log_prob(z / math.sqrt(self.temperature)) + log_det
        log_prob = found.numpy() - 0.5 * self.ndim * math.log(self.temperature)
        return jnp.asarray(log_prob if np.ndim(x) == 2 else log_prob[0])

    def _rows(self, x: Any) -> torch.Tensor:
        rows = np.array(x, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.ndim:
            raise InputError(f"Expected samples of shape (n, {self.ndim}), got {rows.shape}.")
        return torch.from_numpy(rows)
