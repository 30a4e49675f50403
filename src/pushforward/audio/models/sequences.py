"""Densities of sequences of any length, in the order of time: their shapes, and how they are sampled."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.audio.models.streams import BLOCK, block_sizes, in_chunks
from pushforward.networks.wavenet import WaveNet
from pushforward.support.arguments import draws_shape
from pushforward.support.broadcasting import broadcast_shapes
from pushforward.support.modules import check_tensor, explain_tensors

# Turns the noise of the next samples, (rows, T, ...), into these samples, (rows, T), and remembers them for the next
# call. Its arguments are the noise, the context of the whole sequences from their first sample on, and the temperature.
Sampler = Callable[[Tensor, Tensor | None, float], Tensor]


class SequenceDensity(nn.Module):
    """p(x | context) of sequences x, (*batch, T) for any T: log p(x) = Σ_t log p(x[t] | x[before t], context).

    A sequence is drawn block by block; each block is a function of new noise and of the blocks before it. A subclass
    implements `log_prob`, `scored_log_prob`, `normal_conditionals`, `wavenets`, `round_trip_error`, `_noise` and
    `_sampler`.

    Arguments:
        networks: At least one, all with the same context and hop.
        scale: Scale of x where all parameters of the networks are 0; default 1.
        length: Default length of a draw; default 8000 samples.
        config: The named architecture and its options, from which a saved model is rebuilt.

    Attributes:
        autoregressive_order: "time".
        samples_in_parallel: Whether all samples of a draw are computed at once.
        context_features: C, the length of a context or of each of its frames; 0 for an unconditional density.
        hop: Samples per frame of the context; None for one context for the whole sequence.

    Raises:
        ValueError: scale or length is not positive, or the networks have different contexts; in every method, a shape
            does not fit, a context is missing, or an unconditional density is given one; in draws, the temperature is
            negative or not finite, or a number of the context is not.

    Cost: depends on the subclass; `sample` and `stream` need the memory of one block for any length.

    Example:
        >>> import pushforward as pf
        >>> density = pf.wavenet(layers=4, stacks=1, context=3, hop=10)
        >>> frames = torch.zeros(2, 6, 3)  # two rows of six frames
        >>> density.sample((4,), frames).shape
        torch.Size([4, 2, 60])
        >>> [list(chunk.shape) for chunk in density.stream((), frames, length=50, chunk=20)]
        [[2, 20], [2, 20], [2, 10]]
    """

    autoregressive_order = "time"
    samples_in_parallel = False
    reference: Tensor

    def __init__(
        self,
        networks: Sequence[WaveNet],
        scale: float = 1.0,
        length: int = 8000,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 0 < scale < float("inf") or length < 1:
            raise ValueError(f"scale and length must be positive, got {scale} and {length}.")
        contexts = {(network.context_features, network.hop) for network in networks}
        if len(contexts) != 1:
            raise ValueError(f"All networks must take the same context, got {len(networks)} of them.")
        self.context_features, self.hop = contexts.pop()
        self.scale = scale
        self.length = length
        self.config = config
        self.register_buffer("reference", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return `log_prob`."""
        return self.log_prob(x, context)

    @property
    def receptive_field(self) -> int:
        """The number of earlier samples that a sample depends on: of data for a teacher, of noise for a student."""
        return sum(network.receptive_field for network in self.wavenets())

    @property
    def prediction_coefficients(self) -> Tensor | None:
        """The coefficients of the linear prediction that is part of the density, latest sample first; None without."""
        return None

    @property
    def normal_conditionals(self) -> bool:
        """Whether every sample given those before it is normally distributed."""
        raise NotImplementedError

    def wavenets(self) -> list[WaveNet]:
        """Return the networks, in the order in which noise passes through them."""
        raise NotImplementedError

    def round_trip_error(self, samples: int, context: Tensor | None = None) -> float:
        """Return the largest difference between the noise of a draw and the noise recovered from the draw.

        Arguments:
            samples: Length of the draw.
            context: Of one sequence, with a batch dimension of 1.
        """
        raise NotImplementedError

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density of sequences, from their first sample on.

        Arguments:
            x: (*batch, T).
            context: (*batch, C), or with a hop (*batch, frames, C), broadcast against the batch of x.

        Returns:
            log p(x | context) in nats, (*batch); divide by T for nats per sample.
        """
        raise NotImplementedError

    def scored_log_prob(self, x: Tensor, scored: Tensor, context: Tensor | None = None) -> Tensor:
        """Return Σ_t scored[t] log p(x[t] | x[before t], context), the log-density of a part of the samples.

        Arguments:
            x: (rows, T).
            scored: The weight of each sample, (rows, T).
            context: (rows, C), or with a hop (rows, frames, C).

        Returns:
            In nats, (rows,), with first derivatives by the weights of the model.
        """
        raise NotImplementedError

    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        context: Tensor | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw sequences, exactly from the density that `log_prob` gives.

        Arguments:
            shape: The number of draws; with a context, of draws for each of its rows.
            context: (*batch, C), or with a hop (*batch, frames, C).
            length: T; default the duration of the context's frames, or `length` of the model.
            temperature: Factor on the scale of the noise; default 1. Any other value draws from a different density.
            generator: Source of the random numbers; default torch's own.

        Returns:
            x, (*shape, *batch, T), without gradients.
        """
        _check_draw(context, temperature)
        *batch, length = self._shape_of_draws(shape, context, length)
        blocks = list(self._blocks(batch, context, length, temperature, generator))
        return torch.cat(blocks, -1) if blocks else self.reference.new_empty(*batch, 0)

    def stream(
        self,
        shape: int | tuple[int, ...] = (),
        context: Tensor | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        chunk: int = BLOCK,
    ) -> Iterator[Tensor]:
        """Draw sequences and yield them in chunks; for one seed they are the sequences that `sample` draws.

        Arguments:
            shape: As for `sample`.
            context: As for `sample`.
            length: T; default the duration of the context's frames; without frames the stream never ends.
            temperature: As for `sample`.
            generator: As for `sample`.
            chunk: Samples of each chunk but the last; default 1024, the number generated at a time.

        Yields:
            (*shape, *batch, chunk) samples, without gradients.
        """
        _check_draw(context, temperature)
        *batch, whole = self._shape_of_draws(shape, context, length)
        endless = length is None and self.hop is None
        return in_chunks(self._blocks(batch, context, None if endless else whole, temperature, generator), chunk)

    @torch.no_grad()
    def _blocks(
        self,
        batch: Sequence[int],
        context: Tensor | None,
        length: int | None,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Iterator[Tensor]:
        """Yield the blocks of a draw, each (*batch, samples)."""
        empty, row_context, _ = self._as_rows(self.reference.new_empty(*batch, 0), context)
        sampler = self._sampler(len(empty))
        for size in block_sizes(length):
            noise = self._noise((len(empty), size), generator)
            yield sampler(noise, row_context, temperature).reshape(*batch, size)

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Return the random numbers, (*shape, ...), from which samples of this shape are computed."""
        raise NotImplementedError

    def _sampler(self, rows: int) -> Sampler:
        """Return the sampler of `rows` sequences, before their first sample."""
        raise NotImplementedError

    def _batch_of(self, context: Tensor | None) -> tuple[int, ...]:
        """Return the batch shape of a context: without its features, and without frames if it has them."""
        return () if context is None else tuple(context.shape[: -1 if self.hop is None else -2])

    def _as_rows(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, torch.Size]:
        """Broadcast x, (*batch, T), and its context against each other; return both as rows, and the batch shape."""
        self._check_sequences(x)
        known = self._batch_of(context)
        batch = broadcast_shapes(x.shape[:-1], known)
        rows = math.prod(batch)
        if context is not None:
            event = context.shape[len(known) :]
            context = context.expand(*batch, *event).reshape(rows, *event)
        return x.expand(*batch, x.shape[-1]).reshape(rows, x.shape[-1]), context, batch

    def _check_sequences(self, x: Tensor) -> None:
        """Raise a ValueError if x is not a tensor (*batch, T) of the precision and on the device of the density."""
        check_tensor(x, "x")
        if x.dtype != self.reference.dtype or x.device != self.reference.device:
            explain_tensors(None, self, x=x)
        if x.dim() == 0:
            raise ValueError("Expected sequences of shape (..., T), got a single number.")

    def _shape_of_draws(
        self, shape: int | tuple[int, ...], context: Tensor | None, length: int | None
    ) -> tuple[int, ...]:
        """Return (*shape, *batch of the context, T): T as given, or of the context's frames, or the model's default."""
        if length is None:
            framed = context is not None and self.hop is not None and context.dim() >= 2
            length = context.shape[-2] * self.hop if framed else self.length  # type: ignore[union-attr, operator]
        if length < 0:
            raise ValueError(f"A sequence cannot have {length} samples.")
        return (*draws_shape(shape), *self._batch_of(context), length)


def _check_draw(context: Tensor | None, temperature: float) -> None:
    """Raise a ValueError if nothing finite can be drawn."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"The temperature must be 0 or more and finite, not {temperature}.")
    if context is not None and not bool(context.isfinite().all()):
        place = tuple(context.isfinite().logical_not().nonzero()[0].tolist())
        raise ValueError(f"The context has a number that is not finite, at {place}.")
