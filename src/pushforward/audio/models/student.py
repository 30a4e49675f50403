"""Parallel WaveNet: inverse autoregressive flows with WaveNets, which make all samples of a sequence at once."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from pushforward.audio.models.conditionals import Pushed
from pushforward.audio.models.logistic import Logistic
from pushforward.audio.models.sequences import SequenceDensity
from pushforward.bijections import Affine, RelativeAffine, Univariate
from pushforward.distributions import logistic_noise
from pushforward.kernels.wavenet import CompiledState, HeadShape
from pushforward.networks.wavenet import WaveNet, shifted

# What the compiled loop calls the inverses of these families.
INVERSE_HEADS: dict[type[Affine], int] = {Affine: 1, RelativeAffine: 3}
BASES: dict[str, type[Normal] | type[Logistic]] = {"normal": Normal, "logistic": Logistic}


class ParallelWaveNet(SequenceDensity):
    """K inverse autoregressive flows on sequences of any length, all in the order of time.

    z_k[t] = univariate(z_{k-1}[t]; network_k(z_{k-1}[before t], context)),   x = scale · z_K,

    with independent z_0[t] of the base. As z_{k-1} is known when z_k is made, one pass of each network serves all
    samples. What came before t in any z_k and in x are functions of each other: so x[t] given x[before t] is z_0[t]
    pushed through the K univariate maps, whose parameters are all known with the draw; if they are affine,

    x[t] = location[t] + exp(log_scale[t]) · z_0[t],   location <- shift_k + exp(log_scale_k) · location,
    log_scale <- log_scale + log_scale_k,

    where shift_k is exp(log_scale_k) times that of the network if the family is `RelativeAffine`.

    Arguments:
        networks: K, each with as many outputs as the family has parameters, all with one context and hop.
        univariate: the family, `Affine` as in the papers, `RelativeAffine` or a spline.
        base: "normal" (default) or "logistic".
        scale: of x where all parameters are 0, default 1.
        length: samples of a draw that is not told its length, default 8000.
        config: how to build this again, set by `pushforward.parallel_wavenet`.

    Raises:
        ValueError: no network, networks that do not fit, an unknown base; see also `SequenceDensity`.

    Cost: draws with their density K passes; `log_prob` and `to_latent` of any other x K · T steps.

    Source: van den Oord et al. 2017, Parallel WaveNet, arXiv:1711.10433; Kingma et al. 2016, arXiv:1606.04934; normal
    base: Ping, Peng and Chen 2018, ClariNet, arXiv:1807.07281.

    Example:
        >>> import pushforward as pf
        >>> student = pf.parallel_wavenet(flows=2, layers=4, stacks=1)
        >>> x, log_prob = student.rsample_with_log_prob((3,), length=50)
        >>> torch.allclose(student.log_prob(x), log_prob, atol=1e-3)
        True
    """

    def __init__(
        self,
        networks: Sequence[WaveNet],
        univariate: Univariate,
        base: str = "normal",
        scale: float = 1.0,
        length: int = 8000,
        config: dict[str, Any] | None = None,
    ):
        if not networks or base not in BASES:
            raise ValueError(
                f"A parallel WaveNet needs at least one network and a base out of {', '.join(BASES)}; "
                f"got {len(networks)} networks, {base=}."
            )
        super().__init__(networks, scale, length, config)
        if any(network.parameter_count != univariate.parameter_count for network in networks):
            raise ValueError(f"{univariate} needs {univariate.parameter_count} outputs of each network.")
        self.networks = nn.ModuleList(networks)
        self.univariate = univariate
        self.base = base

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw sequences with their log-density, differentiable in weights and context.

        Arguments:
            shape: how many draws; with a context, how many for each of its rows.
            context: (*batch, C), or with a hop (*batch, frames, C).
            length: T; default as long as the context's frames last, or `length` of the model.

        Returns:
            x, (*shape, *batch, T), and log q(x | context) in nats, (*shape, *batch).
        """
        z = self._noise(self._shape_of_draws(shape, context, length))
        x, log_det, _ = self._forward(z, context)
        return x, self._base_of(z).log_prob(z).sum(-1) - log_det

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draw sequences with the distributions of all x[t] given x[before t]; arguments as for the method above.

        Returns:
            x, (*shape, *batch, T), and a distribution of this batch shape: `torch.distributions.Normal` or `Logistic`
            where the flows are affine, else what the base is pushed to. Both are differentiable in weights and context.
        """
        z = self._noise(self._shape_of_draws(shape, context, length))
        x, _, parameters = self._forward(z, context)
        if not isinstance(self.univariate, Affine):
            return x, Pushed(self._base_of(x), self.univariate, parameters, self.scale)
        location, log_scale = torch.zeros_like(x), torch.zeros_like(x)
        for of_flow in parameters:
            location, log_derivative = self.univariate.forward(location, of_flow)
            log_scale = log_scale + log_derivative
        law = BASES[self.base](location * self.scale, log_scale.exp() * self.scale, validate_args=False)
        return x, law

    def sample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw sequences with their log-density, without gradients; as for `rsample_with_log_prob`."""
        with torch.no_grad():
            return self.rsample_with_log_prob(shape, context, length)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log q(x | context), (*batch), of any sequences, by the way back to z_0; as for `SequenceDensity`."""
        z, log_det = self._inverse(x, context)
        return self._base_of(z).log_prob(z).sum(-1) + log_det

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The noise z_0, (*batch, T), that makes x, (*batch, T)."""
        return self._inverse(x, context)[0]

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The sequences x, (*batch, T), that noise z_0, (*batch, T), makes."""
        return self._forward(z, context)[0]

    def _forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """x of z_0, log|det ∂x/∂z_0|, and each flow's parameters, (*batch, T, P)."""
        value, rows, batch = self._as_rows(z, context)
        total, stack = torch.full_like(value, math.log(self.scale)), []
        for network in self._flows():
            parameters = network(value, rows)
            value, log_derivative = self.univariate.forward(value, parameters)
            total = total + log_derivative
            stack.append(parameters.reshape(*batch, *parameters.shape[1:]))
        return (value * self.scale).reshape(*batch, value.shape[-1]), total.sum(-1).reshape(batch), stack

    def _inverse(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """z_0 of x, and log|det ∂z_0/∂x|."""
        value, rows, batch = self._as_rows(x / self.scale, context)
        total = torch.full_like(value, -math.log(self.scale)).sum(-1)
        for network in reversed(list(self._flows())):
            value, log_det = solve_in_time(network, self.univariate, value, rows)
            total = total + log_det
        return value.reshape(*batch, value.shape[-1]), total.reshape(batch)

    def _start(self, rows: int) -> tuple[list[Any], list[Tensor]]:
        """For each flow, what its network remembers, and the last of the values that it heard, (rows, 1)."""
        states = [network.compiled(rows) or network.initial_state(rows) for network in self._flows()]
        return states, [self.reference.new_zeros(rows, 1)] * len(states)

    def _continue(
        self, noise: Tensor, state: tuple[list[Any], list[Tensor]], context: Tensor | None, temperature: float
    ) -> tuple[Tensor, tuple[list[Any], list[Tensor]]]:
        value = temperature * noise
        states: list[Any] = []
        last = []
        for network, heard, before in zip(self._flows(), *state, strict=True):
            previous = shifted(value, before)
            if isinstance(heard, CompiledState):
                network.check_context(context, heard.time + value.shape[1])
                parameters = heard.parameters(previous, context)
                states.append(heard)
            else:
                parameters, after = network.advance(previous, heard, context)
                states.append(after)
            last.append(value[:, -1:])
            value, _ = self.univariate.forward(value, parameters)
        return value * self.scale, (states, last)

    def _flows(self) -> Iterator[WaveNet]:
        return iter(self.networks)  # type: ignore[arg-type]

    def _base_of(self, like: Tensor) -> Distribution:
        zero, one = torch.zeros_like(like), torch.ones_like(like)
        return BASES[self.base](zero, one, validate_args=False)

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        empty = self.reference.new_empty(tuple(shape))
        return empty.normal_(generator=generator) if self.base == "normal" else logistic_noise(empty, generator)


def solve_in_time(
    network: WaveNet, univariate: Univariate, x: Tensor, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Solve x[t] = univariate(z[t]; network(z[before t], context)) for z, sample by sample.

    Arguments:
        network: supplies the parameters.
        univariate: the family of maps.
        x: (batch, T).
        context: as the network takes it.

    Returns:
        z, (batch, T), and log|det ∂z/∂x|, (batch,), differentiable where gradients are enabled.

    Cost: T steps, which are together the arithmetic of one pass.
    """
    network.check_context(context, x.shape[1])
    compiled = network.compiled(len(x)) if x.dtype is torch.float32 else None
    if compiled is not None and isinstance(univariate, Affine):
        head = HeadShape(INVERSE_HEADS[type(univariate)], univariate.log_scale_bound)
        z, log_det = compiled.loop(x, context, head)
        return z, log_det.to(x.dtype)
    state, last = network.initial_state(len(x)), torch.zeros_like(x[:, :1]).sum(1)
    samples, total = [], last
    for now in x.unbind(1):
        parameters, state = network.step(last, state, network.context_at(context, state.time))
        last, log_derivative = univariate.inverse(now, parameters)
        samples.append(last)
        total = total + log_derivative
    return torch.stack(samples, 1) if samples else x, total
