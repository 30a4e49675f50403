"""A WaveNet in compiled code: sample by sample, each hearing what was made before it, or many samples at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from pushforward.kernels import native
from pushforward.solvers.derivatives import derivatives_wanted

if TYPE_CHECKING:
    from pushforward.networks.wavenet import WaveNet

LANES = 16
LOOP = "lllpppppllilffffpplippi"
PASS = "lllppppllppi"
if native is not None:
    _loop = native.function("wavenet_loop", LOOP)
    _pass = native.function("wavenet_pass", PASS)


class HeadShape(NamedTuple):
    """What the kernel makes of parameters: see `pushforward.audio.models.heads`, whose constants these are.

    Attributes:
        kind: 0 shift + exp(log_scale) · number, 1 the inverse of it, 2 a logistic mixture, 3 the inverse of
            exp(log_scale) · (number + shift).
        components: of the mixture.
        bound: of log-scales.
        reach: where the mixture's centres start.
        scale: where its scales start.
    """

    kind: int
    bound: float
    components: int = 0
    reach: float = 0.0
    scale: float = 1.0


def has_kernel(network: WaveNet, inputs: int = 1) -> bool:
    """Whether the kernel takes this network: float32, on a processor, so many inputs, nothing to be differentiated."""
    weight = network.input.weight
    return (
        native is not None
        and weight.dtype is torch.float32
        and weight.is_cpu
        and network.inputs == inputs
        and not derivatives_wanted()
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None
    )


class CompiledState:
    """A WaveNet with its past, which `loop` and `parameters` keep each in its own way: a state is for one of them.

    Arguments:
        network: its weights are copied as they are now.
        rows: how many sequences.
        adaptive: the numbers of an adaptive scale, order, count of spans, gain, floor, ceiling, spans and coefficients:
            what is made is then in its units. Default None.
        remembered: (rows, n) what describes the sample before the first, and what an adaptive scale remembers of it;
            default 0.

    Attributes:
        time: the sample that comes next.
    """

    def __init__(self, network: WaveNet, rows: int, adaptive: Tensor | None = None, remembered: Tensor | None = None):
        self.network = network
        self.time = 0
        self._sizes = torch.tensor(
            [
                network.inputs,
                network.channels,
                network.hidden.out_features,
                network.parameter_count,
                len(network.dilations),
                network.kernel_size,
                *network.dilations,
            ]
        )
        self._weights = torch.cat([part.detach().reshape(-1) for part in _packed(network)])
        wide = _padded(network.channels)
        slots = (network.kernel_size - 1) * sum(network.dilations)
        self._memory = self._weights.new_zeros(rows, slots * wide)
        self._adaptive = adaptive
        self._last = self._weights.new_zeros(rows, 1) if remembered is None else remembered

    def loop(
        self,
        numbers: Tensor,
        context: Tensor | None,
        head: HeadShape,
        temperature: float = 1.0,
        hears_numbers: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The next samples of each sequence.

        Arguments:
            numbers: (rows, T) or (rows, T, n), what the head needs for each sample; float32.
            context: as the network takes it, of the whole sequences.
            head: what becomes of a sample's parameters and its numbers.
            temperature: factor on the scale of what is made.
            hears_numbers: whether the network hears what it is given, or (default) what is made.

        Returns:
            What is made, (rows, T), and for affine heads the sum of its log-derivatives, (rows,), in float64.
        """
        if numbers.dtype is not torch.float32:
            raise ValueError(f"A model in float32 takes numbers in float32, got {numbers.dtype}.")
        numbers = numbers.contiguous()
        added = self._of_context(context, numbers.shape[1])
        rows, samples = numbers.shape[:2]
        made, log_det = numbers.new_empty(rows, samples), torch.zeros(rows, dtype=torch.float64)
        _loop(
            rows,
            samples,
            self.time,
            self._sizes.data_ptr(),
            self._weights.data_ptr(),
            self._memory.data_ptr(),
            self._last.data_ptr(),
            None if added is None else added.data_ptr(),
            1 if added is None else added.shape[1],
            self.network.hop or 2**62,
            head.kind,
            head.components,
            head.bound,
            head.reach,
            head.scale,
            temperature,
            None if self._adaptive is None else self._adaptive.data_ptr(),
            numbers.data_ptr(),
            math.prod(numbers.shape[2:]),
            hears_numbers,
            made.data_ptr(),
            log_det.data_ptr(),
            min(rows, torch.get_num_threads()),
        )
        self.time += samples
        return made, log_det

    def parameters(self, previous: Tensor, context: Tensor | None) -> Tensor:
        """The parameters of the next samples, (rows, T, P), as `WaveNet.advance` gives them.

        Arguments:
            previous: (rows, T), or (rows, T, F), what describes the sample before each; float32.
            context: as the network takes it, of the whole sequences.
        """
        rows, samples = previous.shape[:2]
        heard = previous.reshape(rows, samples, self.network.inputs).permute(2, 0, 1).contiguous()
        added = self._of_context(context, samples)
        parameters = heard.new_empty(self.network.parameter_count, rows, samples)
        _pass(
            rows,
            samples,
            self.time,
            self._sizes.data_ptr(),
            self._weights.data_ptr(),
            self._memory.data_ptr(),
            None if added is None else added.data_ptr(),
            1 if added is None else added.shape[1],
            self.network.hop or 2**62,
            heard.data_ptr(),
            parameters.data_ptr(),
            min(rows, torch.get_num_threads()),
        )
        self.time += samples
        return parameters.permute(1, 2, 0)

    def _of_context(self, context: Tensor | None, samples: int) -> Tensor | None:
        """What the next samples' frames add to the gates, (rows, frames, layers, 2, wide)."""
        network, hop = self.network, self.network.hop
        if network.context is None or context is None:
            return None
        if hop is not None:
            context = context[:, self.time // hop : -(-(self.time + samples) // hop)]
        frames = context.shape[1] if hop is not None else 1
        added = network.context(context).reshape(len(context), frames, len(network.dilations), 2, network.channels)
        return pad(added, (0, _padded(network.channels) - network.channels)).contiguous()


def _padded(size: int) -> int:
    return -(-size // LANES) * LANES


def _columns(weight: Tensor, bias: Tensor, rows: int) -> list[Tensor]:
    """Bias and columns of a product, (rows,) and (columns, rows), filled up with zeros."""
    missing = rows - len(bias)
    return [pad(bias, (0, missing)), pad(weight.t(), (0, missing))]


def _packed(network: WaveNet) -> list[Tensor]:
    """All weights as kernels/wavenet.h wants them."""
    wide, wide_skip = _padded(network.channels), _padded(network.hidden.out_features)
    parts = _columns(network.input.weight, network.input.bias, wide)
    nothing = network.input.weight.new_zeros(network.channels + 1, wide)
    for layer, gates in enumerate(network.gates):
        # Each half, before the tanh and before the sigmoid, has registers of its own.
        halves = [_columns(w, b, wide) for w, b in zip(gates.weight.chunk(2), gates.bias.chunk(2), strict=True)]
        parts += [torch.cat(pair, -1) for pair in zip(*halves, strict=True)]
        residuals = network.residuals
        parts += _columns(residuals[layer].weight, residuals[layer].bias, wide) if layer < len(residuals) else [nothing]
    parts += _columns(network.skip.weight, network.skip.bias, wide_skip)
    parts += _columns(network.hidden.weight, network.hidden.bias, wide_skip)
    return parts + _columns(network.output.weight, network.output.bias, _padded(network.parameter_count))
