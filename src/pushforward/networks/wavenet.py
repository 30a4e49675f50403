"""WaveNet: dilated causal convolutions, a conditioner for sequences of any length."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pushforward.kernels.wavenet import CompiledState, WaveNetWeights, may_run_compiled, padded


@dataclass
class State:
    """What a WaveNet remembers of the samples before `time`.

    Attributes:
        rings: for each layer its last (kernel_size - 1) · dilation inputs, each (channels, batch); the input of time t
            lies at place t modulo their number.
        time: the sample whose parameters come next.
    """

    rings: list[list[Tensor]]
    time: int = 0


class WaveNet(nn.Module):
    """Parameters for every sample of a sequence from the samples before it, and a context.

    With h[0] = W x[t-1] + b, each layer l of dilation d has gates a, b from a convolution over h[l] at t, t - d, ...,
    t - (kernel_size - 1) d and the context, and

    o[l] = tanh(a) · σ(b),   h[l+1] = h[l] + V o[l],   parameters = C relu(B relu(A [o[0], o[1], ...])).

    Before the first sample, x and every h are 0: the first sample's parameters are a function of the context alone, and
    no sample is left without them.

    Arguments:
        outputs: P, how many parameters each sample needs.
        channels: of h, default 16.
        skip_channels: of the two layers after the convolutions, default as many as channels.
        dilations: of the layers, default (1, 2, 4 ... 64) twice.
        kernel_size: at least 2 (default).
        context: C, number of context features, default 0.
        hop: how many samples each frame of the context is for; default None, one context for the whole sequence, as of
            a class or a speaker (one-hot).
        inputs: F, how many numbers describe a sample, default 1, the sample itself. With more, x is (batch, T, F)
            wherever it is (batch, T) below, and (batch, F) wherever it is (batch,).

    Attributes:
        receptive_field: how many earlier samples a sample's parameters see.

    Raises:
        ValueError: a size that is not positive, a kernel_size below 2, no layer, or a hop without a context; when it
            is called, a shape that does not fit.

    Cost: `forward` and `advance` 1 pass for all samples; `step` the arithmetic of one sample.

    Source: van den Oord et al. 2016, arXiv:1609.03499; the rings: Le Paine et al. 2016, arXiv:1611.09482.

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
        # What the last layer adds to h, no one reads.
        self.residuals: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(channels, channels) for _ in range(depth - 1)
        )
        self.context = nn.Linear(context, depth * 2 * channels, bias=False) if context else None
        self.skip = nn.Linear(depth * channels, skip_channels)
        self.hidden = nn.Linear(skip_channels, skip_channels)
        self.output = nn.Linear(skip_channels, outputs)

    @property
    def receptive_field(self) -> int:
        """How many earlier samples a sample's parameters see."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of every sample at once.

        Arguments:
            x: (batch, T). Its last sample is not looked at: no parameters depend on it.
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

    def initial_state(self, batch: int) -> State:
        """The state before the first of `batch` sequences' samples: nothing was heard."""
        nothing = self.input.weight.new_zeros(self.channels, batch)
        return State([[nothing] * length for length in self._ring_lengths()])

    def compiled(
        self, rows: int, adaptive: Tensor | None = None, remembered: Tensor | None = None
    ) -> CompiledState | None:
        """The state before the first samples for the compiled kernels, or None where they cannot compute this network.

        Arguments:
            rows: how many sequences.
            adaptive: the numbers of an adaptive scale, as `CompiledState` takes them; default None.
            remembered: what describes the sample before the first, and what an adaptive scale keeps of it; default 0.
        """
        if not may_run_compiled(self.input.weight):
            return None
        weights = WaveNetWeights(
            self.channels,
            self.parameter_count,
            self.inputs,
            len(self.dilations),
            sum(self._ring_lengths()),
            torch.tensor(
                [
                    self.inputs,
                    self.channels,
                    self.hidden.out_features,
                    self.parameter_count,
                    len(self.dilations),
                    self.kernel_size,
                    *self.dilations,
                ]
            ),
            _packed(self),
            None if self.context is None else self.context.weight,
            self.hop,
        )
        return CompiledState(weights, rows, adaptive, remembered)

    def step(self, previous: Tensor, state: State, context: Tensor | None = None) -> tuple[Tensor, State]:
        """The parameters of one sample, from the sample before it and what is remembered of earlier ones.

        Arguments:
            previous: (batch,) the sample before; 0 before the first.
            state: from `initial_state`, or from the step before; it is used up.
            context: (batch, C), this sample's.

        Returns:
            Parameters, (batch, P), the same as `forward` gives for this sample; and the next sample's state.
        """
        time, channels = state.time, self.channels
        h = _linear(self.input, previous.reshape(-1, self.inputs).t())
        added = self._of_context(context)
        outs = []
        for layer, (dilation, ring, gates) in enumerate(zip(self.dilations, state.rings, self.gates, strict=True)):
            taps = [ring[(time - k * dilation) % len(ring)] for k in range(self.kernel_size - 1, 0, -1)]
            ring[time % len(ring)] = h
            gate = _linear(gates, torch.cat([*taps, h]))
            if added is not None:
                gate = gate + added[layer]
            outs.append(gate[:channels].tanh() * gate[channels:].sigmoid())
            if layer < len(self.residuals):
                h = h + _linear(self.residuals[layer], outs[-1])
        return self._head(outs).t(), State(state.rings, time + 1)

    def advance(self, previous: Tensor, state: State, context: Tensor | None = None) -> tuple[Tensor, State]:
        """The parameters of the next T samples at once, as T calls of `step` would give them.

        Arguments:
            previous: (batch, T) for each of them the sample before.
            state: from `initial_state`, or from what came before.
            context: (batch, C), or with a hop (batch, frames, C), the frames of the whole sequence from its start.

        Returns:
            Parameters, (batch, T, P), and the state after them.
        """
        time = state.time
        histories = [torch.stack([ring[(time + k) % len(ring)] for k in range(len(ring))], -1) for ring in state.rings]
        parameters, histories = self._run(previous, histories, context, time)
        time += previous.shape[1]
        rings = []
        for history in histories:
            # In order of time; the first belongs to the place that `time` comes back to.
            latest, length = list(history.unbind(-1)), history.shape[-1]
            rings.append([latest[(place - time) % length] for place in range(length)])
        return parameters, State(rings, time)

    def context_at(self, context: Tensor | None, time: int) -> Tensor | None:
        """The context of one sample, (batch, C), as `step` wants it, out of that of the whole sequence."""
        return context if context is None or self.hop is None else context[:, time // self.hop]

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let all parameters be 0 whatever the input, until training."""
        self.output.weight.zero_()
        self.output.bias.zero_()

    def check_context(self, context: Tensor | None, samples: int) -> None:
        """Refuse a context that does not fit the network or sequences of so many samples."""
        if not self.context_features:
            if context is not None:
                raise ValueError("This WaveNet takes no context: build it with context=C to make it conditional.")
            return
        dimensions, shape = (2, "(batch, C)") if self.hop is None else (3, "(batch, frames, C)")
        if context is None or context.dim() != dimensions or context.shape[-1] != self.context_features:
            got = "none" if context is None else tuple(context.shape)
            raise ValueError(f"Expected a context of shape {shape} with C = {self.context_features}, got {got}.")
        if self.hop is not None and context.shape[1] * self.hop < samples:
            raise ValueError(
                f"A context of {context.shape[1]} frames of {self.hop} samples is too short for {samples} samples."
            )

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
        """Parameters and the histories after them, from those before; a history is (channels, batch, length)."""
        batch, samples = previous.shape[:2]
        self.check_context(context, start + samples)
        channels, count = self.channels, batch * samples
        added = self._of_context(context)
        # Channel by channel in memory: each layer is then one product of small weights with long rows.
        h = _linear(self.input, previous.reshape(count, self.inputs).t()).view(channels, batch, samples)
        outs, after = [], []
        for layer, (dilation, history, gates) in enumerate(zip(self.dilations, histories, self.gates, strict=True)):
            heard = torch.cat([history, h], -1)
            taps = [heard[..., k * dilation : k * dilation + samples] for k in range(self.kernel_size - 1)]
            gate = _linear(gates, torch.cat([*taps, h]).flatten(1))
            if added is not None:
                gate = gate + self._upsampled(added[layer], start, samples).reshape(2 * channels, count)
            outs.append(gate[:channels].tanh() * gate[channels:].sigmoid())
            after.append(heard[..., samples:])
            if layer < len(self.residuals):
                h = h + _linear(self.residuals[layer], outs[-1]).view(channels, batch, samples)
        return self._head(outs).view(self.parameter_count, batch, samples).permute(1, 2, 0), after

    def _head(self, outs: list[Tensor]) -> Tensor:
        """From the layers' outputs, each (channels, n), to parameters, (P, n)."""
        return _linear(self.output, _linear(self.hidden, _linear(self.skip, torch.cat(outs)).relu()).relu())

    def _of_context(self, context: Tensor | None) -> list[Tensor] | None:
        """What the context adds to each layer's gates: (2 · channels, batch), or (2 · channels, batch, frames)."""
        if self.context is None or context is None:
            return None
        added = self.context(context).movedim(-1, 0)
        return list(added.split(2 * self.channels))

    def _upsampled(self, added: Tensor, start: int, samples: int) -> Tensor:
        """What holds for each frame, (2 · channels, batch, frames), for samples `start` and after."""
        if self.hop is None:
            return added[..., None].expand(-1, -1, samples)
        first, last = start // self.hop, math.ceil((start + samples) / self.hop)
        each = added[..., first:last, None].expand(-1, -1, -1, self.hop).flatten(2)
        return each[..., start - first * self.hop :][..., :samples]


def shifted(x: Tensor, before: Tensor) -> Tensor:
    """For each sample of x, (batch, T), the sample before it; `before` is (batch, 1)."""
    return torch.cat([before, x], 1)[:, : x.shape[1]]


def _linear(layer: nn.Linear, h: Tensor) -> Tensor:
    """W h + b for values channel by channel in memory, (channels, n)."""
    return torch.addmm(layer.bias[:, None], layer.weight, h)


def _packed(network: WaveNet) -> Tensor:
    """All weights in the order of `Network` in kernels/csrc/wavenet.h, in one tensor."""
    wide, wide_skip = padded(network.channels), padded(network.hidden.out_features)
    parts = _columns(network.input, wide)
    nothing = network.input.weight.new_zeros(network.channels + 1, wide)
    for layer, gates in enumerate(network.gates):
        # Each half, before the tanh and before the sigmoid, is filled up by itself.
        halves = [_columns(gates, wide, half) for half in range(2)]
        parts += [torch.cat(pair, -1) for pair in zip(*halves, strict=True)]
        residuals = network.residuals
        parts += _columns(residuals[layer], wide) if layer < len(residuals) else [nothing]
    parts += _columns(network.skip, wide_skip)
    parts += _columns(network.hidden, wide_skip)
    parts += _columns(network.output, padded(network.parameter_count))
    return torch.cat([part.detach().reshape(-1) for part in parts])


def _columns(layer: nn.Linear, rows: int, half: int | None = None) -> list[Tensor]:
    """Bias and columns of a linear layer, or of half of its outputs, padded with zeros: (rows,) and (inputs, rows)."""
    weight: Tensor = layer.weight
    bias: Tensor = layer.bias
    if half is not None:
        weight, bias = weight.chunk(2)[half], bias.chunk(2)[half]
    missing = rows - len(bias)
    return [pad(bias, (0, missing)), pad(weight.t(), (0, missing))]
