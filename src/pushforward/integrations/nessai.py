"""Flows as proposals of nessai's nested sampling."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.integrations.requirement import requires
from pushforward.integrations.torch_distributions import base_of
from pushforward.zoo.registry import build, check_config, config_of

with requires("nessai", "nessai"):
    from nessai.flows.base import BaseFlow


def flow_config(flow: str = "nsf", **options: Any) -> dict[str, Any]:
    """What nessai's samplers take as `flow_config`, so that they make flows of ours.

    Arguments:
        flow: the name of an architecture or of a univariate family, default "nsf".
        options: of the architecture, such as `layers` and `hidden`.

    Returns:
        {"flow": NessaiFlow, "architecture": ..., ...}, to which settings of nessai's own may be added.

    Raises:
        InputError: an unknown architecture, or an option that is unknown or cannot be.

    Source: nessai, Williams, Veitch and Messenger 2021, arXiv:2102.11056.

    Example:
        >>> sorted(flow_config("realnvp", layers=4))
        ['architecture', 'flow']
    """
    architecture = config_of(flow) | options
    check_config(architecture, ["features"])
    return {"flow": NessaiFlow, "architecture": architecture}


class NessaiFlow(BaseFlow):
    """A flow with the methods of nessai, whose `forward` leads from data to latent.

    Arguments:
        features: D.
        n_neurons, n_blocks, n_layers: nessai's sizes of its own flows, which do not count here.
        architecture: the config of the flow, without its number of features.
        options: nessai's other settings of its own flows, which do not count here.

    Raises:
        InputError: an architecture that is not a config, or has unknown options; a base beside it.

    Example:
        >>> import torch
        >>> flow = NessaiFlow(2, None, None, None, architecture={"architecture": "maf", "layers": 2})
        >>> z, log_prob = flow.forward_and_log_prob(torch.zeros(5, 2))
        >>> torch.equal(log_prob, flow.log_prob(torch.zeros(5, 2)))
        True
    """

    def __init__(
        self,
        features: int,
        n_neurons: Any = None,
        n_blocks: Any = None,
        n_layers: Any = None,
        *,
        architecture: dict[str, Any],
        **options: Any,
    ):
        super().__init__()
        if "distribution" in options:
            raise InputError(
                'The base of the flow is an option of its architecture: flow_config("nsf", base="normal").'
            )
        if not isinstance(architecture, dict):
            raise InputError(
                f"The architecture of a flow is a config as flow_config makes it, not {type(architecture).__name__}."
            )
        self.flow: Flow = build(architecture | {"features": features})

    def freeze_transform(self) -> None:
        """Let training leave the map as it is."""
        self.flow.bijection.requires_grad_(False)

    def unfreeze_transform(self) -> None:
        """Let training change the map again."""
        self.flow.bijection.requires_grad_(True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The latent z, (n, D), of x, (n, D), and log|det ∂z/∂x|, (n)."""
        z, log_det = self.flow.bijection.inverse(x, context)
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The data x, (n, D), of z, (n, D), and log|det ∂x/∂z|, (n)."""
        x, log_det = self.flow.bijection(z, context)
        return x, log_det

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats, (n), of x, (n, D)."""
        return self.flow.log_prob(x, context)

    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draws, (n, D)."""
        return self.flow.sample(n, context)

    def sample_latent_distribution(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draws from the base, (n, D)."""
        return self.flow.noise(n)

    def base_distribution_log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of the base in nats, (n), of z, (n, D)."""
        return base_of(self.flow).log_prob(z)

    def forward_and_log_prob(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The latent z, (n, D), of x, (n, D), and the log-density of x, (n)."""
        z, log_det = self.forward(x, context)
        return z, self.flow.base.log_prob(z) + log_det

    def sample_and_log_prob(self, n: int, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draws, (n, D), and their log-densities, (n)."""
        return self.flow.rsample_with_log_prob(n, context)
