"""Parallel WaveNet: inverse autoregressive flows with WaveNets, which generate all samples of a sequence at once."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from pushforward.audio.models.conditionals import MappedDistribution
from pushforward.audio.models.harmonic_source import HarmonicSource
from pushforward.audio.models.inverse_gradient import through_inverse
from pushforward.audio.models.logistic import Logistic
from pushforward.audio.models.sequences import Sampler, SequenceDensity
from pushforward.bijections import Affine, RelativeAffine, Univariate
from pushforward.distributions import logistic_noise
from pushforward.kernels.wavenet import HeadShape
from pushforward.networks.wavenet import WaveNet, shifted

# The numbers by which the compiled loop knows the inverses of these families.
INVERSE_HEADS: dict[type[Affine], int] = {Affine: 1, RelativeAffine: 3}
BASES: dict[str, type[Normal] | type[Logistic]] = {"normal": Normal, "logistic": Logistic}


class ParallelWaveNet(SequenceDensity):
    """K inverse autoregressive flows on sequences of any length, all in the order of time.

    z_k[t] = univariate(z_{k-1}[t]; network_k(z_{k-1}[before t], context)),   x = scale · z_K,

    with independent z_0[t] of the base. z_{k-1} is known before z_k is computed, so one pass of each network gives all
    samples. The values before t of any z_k and of x determine each other: x[t] given x[before t] is therefore z_0[t]
    mapped by K univariate maps whose parameters are known with the draw. If the maps are affine,

        x[t] = location[t] + exp(log_scale[t]) · z_0[t],
        location <- shift_k + exp(log_scale_k) · location,   log_scale <- log_scale + log_scale_k,

    where shift_k is exp(log_scale_k) times the network's shift if the family is `RelativeAffine`.

    With a source, the first flow takes z_0 + source(context) in place of z_0: a voice that is known from the context,
    in units of the noise. The Jacobian determinant of this shift is 1.

    Arguments:
        networks: K, each with as many outputs as the family has parameters, all with the same context and hop.
        univariate: The family: `Affine` as in the papers, `RelativeAffine` or a spline.
        base: "normal" (default) or "logistic".
        scale: Scale of x where all parameters are 0; default 1.
        length: Default length of a draw; default 8000 samples.
        config: The named architecture and its options, set by `pushforward.parallel_wavenet`.
        source: Of the same context and hop as the networks; default none.

    Raises:
        ValueError: There is no network, the networks do not fit the family, the base is unknown, or there is a source
            and no frames; see also `SequenceDensity`.

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

    samples_in_parallel = True

    def __init__(
        self,
        networks: Sequence[WaveNet],
        univariate: Univariate,
        base: str = "normal",
        scale: float = 1.0,
        length: int = 8000,
        config: dict[str, Any] | None = None,
        source: HarmonicSource | None = None,
    ):
        if not networks or base not in BASES:
            raise ValueError(
                f"A parallel WaveNet needs at least one network and a base out of {', '.join(BASES)}; "
                f"got {len(networks)} networks, {base=}."
            )
        super().__init__(networks, scale, length, config)
        if any(network.parameter_count != univariate.parameter_count for network in networks):
            raise ValueError(f"{univariate} needs {univariate.parameter_count} outputs of each network.")
        if source is not None and source.hop != self.hop:
            raise ValueError(f"A source of {source.hop} samples per frame needs frames as long, not {self.hop}.")
        self.networks: Sequence[WaveNet] = nn.ModuleList(networks)  # type: ignore[assignment]
        self.univariate = univariate
        self.base = base
        self.source = source

    @property
    def normal_conditionals(self) -> bool:
        """Whether the maps are affine and the base is normal."""
        return self.univariate.affine and self.base == "normal"

    def wavenets(self) -> list[WaveNet]:
        """Return the network of each flow, from noise to data."""
        return list(self.networks)

    def rsample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw sequences with their log-density, differentiable in weights and context.

        Arguments:
            shape: The number of draws; with a context, of draws for each of its rows.
            context: (*batch, C), or with a hop (*batch, frames, C).
            length: T; default the duration of the context's frames, or `length` of the model.

        Returns:
            x, (*shape, *batch, T), and log q(x | context) in nats, (*shape, *batch).
        """
        z = self._noise(self._shape_of_draws(shape, context, length))
        x, log_det, _, _ = self._forward(z, context)
        return x, self._base_of(z).log_prob(z).sum(-1) - log_det

    def rsample_with_conditionals(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Distribution]:
        """Draw sequences with the distributions of all x[t] given x[before t]; as for `rsample_with_log_prob`.

        Returns:
            x, (*shape, *batch, T), and a distribution of this batch shape: `torch.distributions.Normal` or `Logistic`
            if the flows are affine, otherwise `MappedDistribution`. Both are differentiable in weights and context.
        """
        z = self._noise(self._shape_of_draws(shape, context, length))
        x, _, location, parameters = self._forward(z, context)
        if not self.univariate.affine:
            return x, MappedDistribution(self._base_of(x, location), self.univariate, parameters, self.scale)
        log_scale = torch.zeros_like(x)
        for flow_parameters in parameters:
            location, log_derivative = self.univariate.forward(location, flow_parameters)
            log_scale = log_scale + log_derivative
        return x, BASES[self.base](location * self.scale, log_scale.exp() * self.scale, validate_args=False)

    def sample_with_log_prob(
        self, shape: int | tuple[int, ...] = (), context: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw sequences with their log-density, without gradients; as for `rsample_with_log_prob`."""
        with torch.no_grad():
            return self.rsample_with_log_prob(shape, context, length)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log q(x | context), (*batch), of any sequences, from their z_0; as for `SequenceDensity`."""
        z, log_det = self._inverse(x, context)
        return self._base_of(z).log_prob(z).sum(-1) + log_det

    def scored_log_prob(self, x: Tensor, scored: Tensor, context: Tensor | None = None) -> Tensor:
        """Return Σ_t scored[t] log q(x[t] | x[before t], context), (rows,); as for `SequenceDensity`.

        z_0 is found step by step without a record of the steps. The gradient comes from one pass over the flows from
        z_0, by the implicit function theorem: see `through_inverse`.

        Cost: K · T steps in compiled code and a pass of each network; with gradients, as many backward passes as the
        adjoint equation of each flow takes, at most T.
        """
        with torch.no_grad():
            z = self.to_latent(x, context)
        value, rows, _ = self._as_rows(z, context)
        source = self._source_of(value, rows)
        value = (value + source).detach()
        noise = value - source
        log_prob = scored * (self._base_of(noise).log_prob(noise) - math.log(self.scale))
        adjoint = self._slope_of_base(z) * scored if torch.is_grad_enabled() else None
        for network in self.wavenets():
            flow = partial(self._one_flow, network, context=rows)
            value, of_flow, adjoint = through_inverse(flow, value, scored, adjoint)
            log_prob = log_prob + of_flow
        return log_prob.sum(-1)

    def _one_flow(self, network: WaveNet, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.univariate.forward(z, network(z, context))

    @torch.enable_grad()
    def _slope_of_base(self, z: Tensor) -> Tensor:
        """Return the derivative of the base's log-density at z."""
        z = z.detach().requires_grad_()
        return torch.autograd.grad(self._base_of(z).log_prob(z).sum(), z)[0]

    def to_latent(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the noise z_0, (*batch, T), of sequences x, (*batch, T)."""
        return self._inverse(x, context)[0]

    def to_data(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the sequences x, (*batch, T), of noise z_0, (*batch, T)."""
        return self._forward(z, context)[0]

    def _forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Return x of z_0, log|det ∂x/∂z_0|, the source, and the parameters of each flow, (*batch, T, P)."""
        value, rows, batch = self._as_rows(z, context)
        source = self._source_of(value, rows)
        value = value + source
        total, stack = torch.full_like(value, math.log(self.scale)), []
        for network in self.wavenets():
            parameters = network(value, rows)
            value, log_derivative = self.univariate.forward(value, parameters)
            total = total + log_derivative
            stack.append(parameters.reshape(*batch, *parameters.shape[1:]))
        x, source = (part.reshape(*batch, part.shape[-1]) for part in (value * self.scale, source))
        return x, total.sum(-1).reshape(batch), source, stack

    def _inverse(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return z_0 of x, and log|det ∂z_0/∂x|."""
        value, rows, batch = self._as_rows(x, context)
        value = value / self.scale
        total = torch.full_like(value, -math.log(self.scale)).sum(-1)
        for network in reversed(self.wavenets()):
            value, log_det = solve_in_time(network, self.univariate, value, rows)
            total = total + log_det
        value = value - self._source_of(value, rows)
        return value.reshape(*batch, value.shape[-1]), total.reshape(batch)

    @torch.no_grad()
    def round_trip_error(self, samples: int, context: Tensor | None = None) -> float:
        """Return the largest difference between noise and the noise recovered, step by step, from a draw."""
        noise = self._noise((1, samples))
        return float((self.to_latent(self.to_data(noise, context), context) - noise).abs().max())

    def _sampler(self, rows: int) -> Sampler:
        states = [network.compiled(rows) or network.initial_state(rows) for network in self.wavenets()]
        # For each flow the last of the values that its network has seen.
        last = [self.reference.new_zeros(rows, 1)] * len(states)
        whole: Tensor | None = None
        time = 0

        def sampler(noise: Tensor, context: Tensor | None, temperature: float) -> Tensor:
            nonlocal whole, time
            value = temperature * noise
            if self.source is not None:
                if whole is None:
                    whole = self.source(context)
                value = value + whole[:, time : time + noise.shape[1]]
            time += noise.shape[1]
            for flow, (network, state) in enumerate(zip(self.wavenets(), states, strict=True)):
                network.check_context(context, state.time + value.shape[1])
                parameters = state.parameters(shifted(value, last[flow]), context)
                last[flow] = value[:, -1:]
                value, _ = self.univariate.forward(value, parameters)
            return value * self.scale

        return sampler

    def _source_of(self, like: Tensor, context: Tensor | None) -> Tensor:
        """Return the source of rows (rows, T) with a context: (rows, T), zeros if there is none."""
        if self.source is None:
            return torch.zeros_like(like)
        self.wavenets()[0].check_context(context, like.shape[1])
        return self.source(context)[:, : like.shape[1]]

    def _base_of(self, like: Tensor, location: Tensor | None = None) -> Distribution:
        location = torch.zeros_like(like) if location is None else location
        return BASES[self.base](location, torch.ones_like(like), validate_args=False)

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        empty = self.reference.new_empty(tuple(shape))
        return empty.normal_(generator=generator) if self.base == "normal" else logistic_noise(empty, generator)


def solve_in_time(
    network: WaveNet, univariate: Univariate, x: Tensor, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Solve x[t] = univariate(z[t]; network(z[before t], context)) for z, sample by sample.

    Arguments:
        network: Gives the parameters.
        univariate: The family of maps.
        x: (batch, T).
        context: As for the network.

    Returns:
        z, (batch, T), and log|det ∂z/∂x|, (batch,), differentiable where gradients are enabled.

    Cost: T steps, which together are the arithmetic of one pass.
    """
    network.check_context(context, x.shape[1])
    compiled = network.compiled(len(x)) if x.dtype is torch.float32 else None
    if compiled is not None and isinstance(univariate, Affine):
        head = HeadShape(INVERSE_HEADS[type(univariate)], univariate.log_scale_bound)
        z, log_det = compiled.loop(x, context, head)
        return z, log_det.to(x.dtype)
    state, last = network.initial_state(len(x)), torch.zeros_like(x[:, :1]).sum(1)
    samples, total = [], last
    for value in x.unbind(1):
        last, log_derivative = univariate.inverse(value, state.step(last, context))
        samples.append(last)
        total = total + log_derivative
    return torch.stack(samples, 1) if samples else x, total
