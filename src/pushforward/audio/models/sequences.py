"""Densities of sequences of any length, in the order of time: what their shapes mean, and how they are drawn."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.audio.models.streams import BLOCK, block_sizes, in_chunks
from pushforward.networks.wavenet import WaveNet


class SequenceDensity(nn.Module):
    """p(x | context) of sequences x, (*batch, T) for any T: log p(x) = Σ_t log p(x[t] | x[before t], context).

    A sequence is drawn block by block, each a function of new noise and of what is remembered of the blocks before it.
    A subclass says what that is: `log_prob`, `_noise`, `_start` and `_continue`.

    Arguments:
        networks: at least one, all with one context and hop.
        scale: of x where all parameters of the networks are 0, default 1.
        length: samples of a draw that is not told its length, default 8000.
        config: how to build this again.

    Attributes:
        autoregressive_order: "time".
        context_features: C, the length of a context or of each of its frames, 0 for an unconditional density.
        hop: samples for each frame of the context; None for one context for the whole sequence.

    Raises:
        ValueError: scale or length is not positive, networks with different contexts; in every method, a shape that
            does not fit, a context missing, or given to an unconditional density.

    Cost: as its subclasses say; the memory of `sample` and `stream` is that of a block, however long they go on.

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
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of sequences, from their first sample on.

        Arguments:
            x: (*batch, T).
            context: (*batch, C), or with a hop (*batch, frames, C), broadcast against the batch of x.

        Returns:
            log p(x | context) in nats, (*batch); divide by T for nats per sample.
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
        """Draw sequences: exactly from the density that `log_prob` gives.

        Arguments:
            shape: how many draws; with a context, how many for each of its rows.
            context: (*batch, C), or with a hop (*batch, frames, C).
            length: T; default as long as the context's frames last, or `length` of the model.
            temperature: factor on the scale of the noise, default 1; any other draws from another density.
            generator: of the random numbers, default torch's own.

        Returns:
            x, (*shape, *batch, T), without gradients.
        """
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
        """Draw sequences in chunks, as they are made; together, the very sequences that `sample` draws from a seed.

        Arguments:
            shape: as for `sample`.
            context: as for `sample`.
            length: T; default as long as the context's frames last, and without frames for ever.
            temperature: as for `sample`.
            generator: as for `sample`.
            chunk: samples of each chunk but the last, default 1024, which is how many are made at a time.

        Yields:
            (*shape, *batch, chunk) samples, without gradients.
        """
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
        """The blocks of a draw, each (*batch, samples)."""
        nothing, row_context, _ = self._as_rows(self.reference.new_empty(*batch, 0), context)
        state = self._start(len(nothing))
        for size in block_sizes(length):
            noise = self._noise((len(nothing), size), generator)
            x, state = self._continue(noise, state, row_context, temperature)
            yield x.reshape(*batch, size)

    def _noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """The random numbers, (*shape, ...), that samples of this shape are made of."""
        raise NotImplementedError

    def _start(self, rows: int) -> Any:
        """What is remembered before the first sample of so many sequences."""
        raise NotImplementedError

    def _continue(self, noise: Tensor, state: Any, context: Tensor | None, temperature: float) -> tuple[Tensor, Any]:
        """The next samples, (rows, T), from their noise, (rows, T, ...), and what is then remembered.

        The context is that of the whole sequences, from their first sample on.
        """
        raise NotImplementedError

    def _batch_of(self, context: Tensor | None) -> tuple[int, ...]:
        """The batch that a context brings along: without its features, and without frames if it has them."""
        return () if context is None else tuple(context.shape[: -1 if self.hop is None else -2])

    def _as_rows(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, torch.Size]:
        """x, (*batch, T), and its context, broadcast against each other and laid out in rows, and that batch."""
        if x.dim() == 0:
            raise ValueError("Expected sequences of shape (..., T), got a single number.")
        known = self._batch_of(context)
        batch = torch.broadcast_shapes(x.shape[:-1], known)
        rows = math.prod(batch)
        if context is not None:
            event = context.shape[len(known) :]
            context = context.expand(*batch, *event).reshape(rows, *event)
        return x.expand(*batch, x.shape[-1]).reshape(rows, x.shape[-1]), context, batch

    def _shape_of_draws(
        self, shape: int | tuple[int, ...], context: Tensor | None, length: int | None
    ) -> tuple[int, ...]:
        """(*shape, *batch of the context, T): T as told, or as the frames of the context last, or the model's own."""
        if length is None:
            framed = context is not None and self.hop is not None and context.dim() >= 2
            length = context.shape[-2] * self.hop if framed else self.length  # type: ignore[union-attr, operator]
        if length < 0:
            raise ValueError(f"A sequence cannot have {length} samples.")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return (*shape, *self._batch_of(context), length)
