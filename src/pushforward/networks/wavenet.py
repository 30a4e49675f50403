"""WaveNet: dilated causal convolutions, a conditioner for sequences of any length."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.kernels.wavenet import CompiledState, WaveNetWeights, may_run_compiled
from pushforward.networks.frames import check_context, upsampled
from pushforward.networks.wavenet_packing import packed


class WaveNet(nn.Module):
    """Parameters for every sample of a sequence from the samples before it, and a context.

    With h[0] = W x[t-1] + b, each layer l of dilation d has gates a, b from a convolution over h[l] at t, t - d, ...,
    t - (kernel_size - 1) d and the context, and

    o[l] = tanh(a) · σ(b),   h[l+1] = h[l] + V o[l],   parameters = C relu(B relu(A [o[0], o[1], ...])).

    Before the first sample, x and every h are 0, so the parameters of the first sample depend on the context alone.

    Arguments:
        outputs: P, the number of parameters of each sample.
        channels: Channels of h; default 16.
        skip_channels: Channels of the two layers after the convolutions; default the same as `channels`.
        dilations: Dilation of each layer; default (1, 2, 4 ... 64) twice.
        kernel_size: At least 2 (default).
        context: C, the number of context features; default 0.
        hop: Samples per frame of the context; default None, one context for the whole sequence, such as a class or a
            speaker (one-hot).
        inputs: F, the number of features that describe a sample; default 1, the sample itself. With more, x is
            (batch, T, F) wherever it is (batch, T) below, and (batch, F) wherever it is (batch,).

    Attributes:
        receptive_field: The number of earlier samples that the parameters of a sample depend on.

    Raises:
        ValueError: A size is not positive, kernel_size is below 2, there is no layer, or there is a hop without a
            context; when called, a shape does not fit.

    Cost: `forward` takes 1 pass for all samples; `WaveNetState.step` the arithmetic of one sample.

    Source: van den Oord et al. 2016, arXiv:1609.03499; the ring buffers: Le Paine et al. 2016, arXiv:1611.09482.

    Example:
        >>> network = WaveNet(outputs=2, dilations=(1, 2, 4, 8))
        >>> network.receptive_field
        16
        >>> network(torch.zeros(3, 100)).shape
        torch.Size([3, 100, 2])
    """

    def __init__(
        self,
        outputs: int,
        channels: int = 16,
        skip_channels: int | None = None,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64) * 2,
        kernel_size: int = 2,
        context: int = 0,
        hop: int | None = None,
        inputs: int = 1,
    ):
        super().__init__()
        skip_channels = channels if skip_channels is None else skip_channels
        sizes = (outputs, channels, skip_channels, inputs, *dilations)
        if kernel_size < 2 or not dilations or min(sizes) < 1 or context < 0:
            raise ValueError(
                "A WaveNet needs layers, all of its sizes positive and a kernel_size of at least 2; got "
                f"outputs={outputs}, channels={channels}, skip_channels={skip_channels}, dilations={tuple(dilations)}, "
                f"kernel_size={kernel_size}, context={context}."
            )
        if hop is not None and (hop < 1 or not context):
            raise ValueError(f"hop is the number of samples for each frame of a context, got {hop} and {context=}.")
        self.parameter_count = outputs
        self.channels = channels
        self.dilations = tuple(dilations)
        self.kernel_size = kernel_size
        self.context_features = context
        self.hop = hop
        depth = len(self.dilations)
        self.inputs = inputs
        self.input = nn.Linear(inputs, channels)
        self.gates: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(kernel_size * channels, 2 * channels) for _ in range(depth)
        )
        # The last layer needs no residual connection: nothing reads its h.
        self.residuals: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(channels, channels) for _ in range(depth - 1)
        )
        self.context = nn.Linear(context, depth * 2 * channels, bias=False) if context else None
        self.skip = nn.Linear(depth * channels, skip_channels)
        self.hidden = nn.Linear(skip_channels, skip_channels)
        self.output = nn.Linear(skip_channels, outputs)

    @property
    def receptive_field(self) -> int:
        """The number of earlier samples that the parameters of a sample depend on."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters of all samples at once.

        Arguments:
            x: (batch, T). No parameters depend on its last sample.
            context: (batch, C), or with a hop (batch, frames, C), frames · hop at least T.

        Returns:
            (batch, T, P); those of sample t depend on x[:, :t] and the context.
        """
        previous = shifted(x, torch.zeros_like(x[:, :1]))
        compiled = self.compiled(len(x)) if x.dtype is torch.float32 else None
        if compiled is not None:
            self.check_context(context, x.shape[1])
            return compiled.parameters(previous, context)
        histories = [x.new_zeros(self.channels, len(x), length) for length in self._ring_lengths()]
        return self._run(previous, histories, context, start=0)[0]

    def initial_state(self, batch: int) -> "WaveNetState":
        """Return the state before the first sample of `batch` sequences."""
        zeros = self.input.weight.new_zeros(self.channels, batch)
        return WaveNetState(self, [[zeros] * length for length in self._ring_lengths()])

    def compiled(
        self, rows: int, adaptive: Tensor | None = None, remembered: Tensor | None = None
    ) -> CompiledState | None:
        """Return the initial state for the compiled kernels, or None where they cannot compute this network.

        Arguments:
            rows: The number of sequences.
            adaptive: The parameters of an adaptive scale, in the layout of `CompiledState`; default None.
            remembered: The features of the sample before the first, and the state of the adaptive scale; default 0.
        """
        if not may_run_compiled(self.input.weight):
            return None
        sizes = (self.inputs, self.channels, self.hidden.out_features, self.parameter_count)
        weights = WaveNetWeights(
            self.channels,
            self.parameter_count,
            self.inputs,
            len(self.dilations),
            sum(self._ring_lengths()),
            torch.tensor([*sizes, len(self.dilations), self.kernel_size, *self.dilations]),
            packed(self.input, self.gates, self.residuals, [self.skip, self.hidden, self.output]),
            None if self.context is None else self.context.weight,
            self.hop,
        )
        return CompiledState(weights, rows, adaptive, remembered)

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Set the last layer to zero: before training, all parameters are 0 for any input."""
        self.output.weight.zero_()
        self.output.bias.zero_()

    def check_context(self, context: Tensor | None, samples: int) -> None:
        """Raise a ValueError if a context does not fit the network, or sequences of this many samples."""
        check_context(context, self.context_features, self.hop, samples)

    def extra_repr(self) -> str:
        """Show the sizes."""
        hop = "" if self.hop is None else f", hop={self.hop}"
        context = f", context={self.context_features}{hop}" if self.context_features else ""
        return (
            f"outputs={self.parameter_count}, channels={self.channels}, dilations={self.dilations}, "
            f"kernel_size={self.kernel_size}, receptive_field={self.receptive_field}{context}"
        )

    def _ring_lengths(self) -> list[int]:
        return [(self.kernel_size - 1) * dilation for dilation in self.dilations]

    def _run(
        self, previous: Tensor, histories: list[Tensor], context: Tensor | None, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return parameters and updated histories; the history of a layer is (channels, batch, length)."""
        batch, samples = previous.shape[:2]
        self.check_context(context, start + samples)
        channels, count = self.channels, batch * samples
        contribution = self._context_contribution(context)
        # Channels first in memory: each layer is then one multiplication of a small matrix by long rows.
        h = _linear(self.input, previous.reshape(count, self.inputs).t()).view(channels, batch, samples)
        outs, after = [], []
        for layer, (dilation, history, gates) in enumerate(zip(self.dilations, histories, self.gates, strict=True)):
            extended = torch.cat([history, h], -1)
            taps = [extended[..., k * dilation : k * dilation + samples] for k in range(self.kernel_size - 1)]
            gate = _linear(gates, torch.cat([*taps, h]).flatten(1))
            if contribution is not None:
                gate = gate + upsampled(contribution[layer], self.hop, start, samples).reshape(2 * channels, count)
            outs.append(gate[:channels].tanh() * gate[channels:].sigmoid())
            after.append(extended[..., samples:])
            if layer < len(self.residuals):
                h = h + _linear(self.residuals[layer], outs[-1]).view(channels, batch, samples)
        return self._head(outs).view(self.parameter_count, batch, samples).permute(1, 2, 0), after

    def _head(self, outs: list[Tensor]) -> Tensor:
        """Map the outputs of the layers, each (channels, n), to parameters, (P, n)."""
        return _linear(self.output, _linear(self.hidden, _linear(self.skip, torch.cat(outs)).relu()).relu())

    def _context_contribution(self, context: Tensor | None) -> list[Tensor] | None:
        """The context's term in each layer's gates: (2 · channels, batch), or (2 · channels, batch, frames)."""
        if self.context is None or context is None:
            return None
        contribution = self.context(context).movedim(-1, 0)
        return list(contribution.split(2 * self.channels))


class WaveNetState:
    """The past of a batch of sequences, from which the parameters of their next samples follow.

    Each layer keeps its last (kernel_size - 1) · dilation inputs in a ring buffer.

    Arguments:
        network: The network.
        rings: For each layer its past inputs, each (channels, batch); the input of time t is at index t modulo their
            number.

    Attributes:
        time: The index of the next sample.

    Example:
        >>> state = WaveNet(outputs=2, dilations=(1, 2)).initial_state(3)
        >>> state.step(torch.zeros(3)).shape, state.parameters(torch.zeros(3, 10)).shape, state.time
        (torch.Size([3, 2]), torch.Size([3, 10, 2]), 11)
    """

    def __init__(self, network: WaveNet, rings: list[list[Tensor]]) -> None:
        self.network = network
        self.time = 0
        self._rings = rings

    def step(self, previous: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters of the next sample.

        Arguments:
            previous: The sample before it, (batch,); 0 before the first.
            context: (batch, C), or with a hop (batch, frames, C), the frames of the whole sequence from its start.

        Returns:
            (batch, P), the same as `WaveNet.forward` gives for this sample.
        """
        network, time, channels = self.network, self.time, self.network.channels
        h = _linear(network.input, previous.reshape(-1, network.inputs).t())
        if context is not None and network.hop is not None:
            context = context[:, time // network.hop]
        contribution = network._context_contribution(context)
        outs = []
        for layer, (dilation, ring, gates) in enumerate(
            zip(network.dilations, self._rings, network.gates, strict=True)
        ):
            taps = [ring[(time - k * dilation) % len(ring)] for k in range(network.kernel_size - 1, 0, -1)]
            ring[time % len(ring)] = h
            gate = _linear(gates, torch.cat([*taps, h]))
            if contribution is not None:
                gate = gate + contribution[layer]
            outs.append(gate[:channels].tanh() * gate[channels:].sigmoid())
            if layer < len(network.residuals):
                h = h + _linear(network.residuals[layer], outs[-1])
        self.time += 1
        return network._head(outs).t()

    def parameters(self, previous: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters of the next T samples at once, the same as T calls of `step` give.

        Arguments:
            previous: The sample before each of them, (batch, T).
            context: As for `step`.

        Returns:
            (batch, T, P).
        """
        time, rings = self.time, self._rings
        histories = [torch.stack([ring[(time + k) % len(ring)] for k in range(len(ring))], -1) for ring in rings]
        parameters, histories = self.network._run(previous, histories, context, time)
        self.time = time = time + previous.shape[1]
        self._rings = []
        for history in histories:
            # A history is in the order of time; its first input belongs at index `time` modulo its length.
            inputs, length = list(history.unbind(-1)), history.shape[-1]
            self._rings.append([inputs[(index - time) % length] for index in range(length)])
        return parameters


def shifted(x: Tensor, before: Tensor) -> Tensor:
    """Return the sample before each sample of x, (batch, T); the one before the first is `before`, (batch, 1)."""
    return torch.cat([before, x], 1)[:, : x.shape[1]]


def _linear(layer: nn.Linear, h: Tensor) -> Tensor:
    """W h + b for h with channels first in memory, (channels, n)."""
    return torch.addmm(layer.bias[:, None], layer.weight, h)
