"""Unconstrained monotone networks: the integral of a positive network."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.bijections.univariate.base import soft_bound, univariate
from pushforward.bijections.univariate.linear_tails import LinearTails, check_bound

# With these bounds 40 nodes integrate every network to the last digits, so that the sum is as monotone as the integral.
NODES, NODE_WEIGHTS = (part.tolist() for part in np.polynomial.legendre.leggauss(40))
LARGEST_RISE, STEEPNESS, LOG_STEEPNESS_BOUND, LOG_SCALE_BOUND = 6.0, 3.0, math.log(2), math.log(1e3)


@univariate("monotone_network")
@dataclass(frozen=True)
class MonotoneNetwork(LinearTails):
    """z = shift + exp(log_scale) · ∫ exp(g(x)) dx from 0, g(x) = Σ_h w_h tanh(s_h (x / bound - c_h)), |x| ≤ bound.

    The integral is a sum over Gauss-Legendre nodes between 0 and x. The derivative is that of the sum, to the last
    digit. Outside the box the map continues linearly.

    Parameters of a feature are the weights of the network: shift, log_scale, and for each hidden unit w_h and
    displacements of c_h and of log s_h. At 0 it is the identity. All are bounded smoothly, Σ_h |w_h| by 6.

    Arguments:
        units: in the hidden layer, default 8.
        bound: half the side of the box, default 5.

    Raises:
        ValueError: less than one unit, or a bound that is not positive.

    Cost: inverse (x → z) 40 evaluations of the network; forward (z → x) a scalar root, with gradients by the implicit
    function theorem.

    Source: Wehenkel and Louppe 2019, Unconstrained monotonic neural networks, arXiv:1908.05164.

    Example:
        >>> network = MonotoneNetwork(units=4)
        >>> x, parameters = torch.tensor([-9.0, 0.5, 2.0]), torch.randn(3, network.parameter_count)
        >>> z, log_derivative = network.inverse(x, parameters)
        >>> torch.allclose(network.forward(z, parameters)[0], x, atol=1e-4)
        True
    """

    units: int = 8
    bound: float = 5.0

    def __post_init__(self) -> None:
        """Check the options."""
        if self.units < 1:
            raise ValueError(f"A monotone network needs at least one hidden unit, got {self.units}.")
        check_bound(self.bound)

    @property
    def parameter_count(self) -> int:  # type: ignore[override]
        """Shift and log_scale, and a weight, a center and a steepness for each unit."""
        return 2 + 3 * self.units

    def within(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over the nodes, and its derivative with respect to x."""
        nodes, weights = x.new_tensor(NODES) / 2, x.new_tensor(NODE_WEIGHTS) / 2
        shift, log_scale, *network = parameters[..., None, :].split([1, 1, *[self.units] * 3], -1)
        w, centers, steepness = network  # each (*batch, D, 1, units)
        w = LARGEST_RISE / self.units**0.5 * w / (1 + w.square().sum(-1, keepdim=True)).sqrt()
        starts = (2 * torch.arange(self.units, device=x.device) + 1).to(x) / self.units - 1
        steepness = STEEPNESS * soft_bound(steepness, LOG_STEEPNESS_BOUND).exp()
        at = (x / self.bound)[..., None] * (nodes + 0.5)  # (*batch, D, nodes)
        activations = torch.tanh(steepness * (at[..., None] - starts - soft_bound(centers, 1.0)))
        slopes = (w * activations).sum(-1).exp()
        # Each node moves along with x.
        growth = 1 + at * (w * steepness * (1 - activations.square())).sum(-1)
        log_scale = soft_bound(log_scale[..., 0, 0], LOG_SCALE_BOUND)
        z = shift[..., 0, 0] + log_scale.exp() * x * (weights * slopes).sum(-1)
        return z, log_scale + (weights * slopes * growth).sum(-1).log()
