"""A WaveNet in compiled code: sample by sample, each from the samples made before it, or many samples at once."""

import math
from collections.abc import Callable
from ctypes import byref
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from pushforward.kernels import Native, native
from pushforward.kernels.eligibility import derivatives_wanted
from pushforward.kernels.structures import Head, WaveNetCall, WaveNetLoop, WaveNetPass
from pushforward.kernels.threads import thread_count

LANES = 16


def functions_of(library: Native) -> tuple[Callable[..., None], Callable[..., None]]:
    """The two kernels: sample by sample, and many samples at once."""
    return library.function("wavenet_loop", WaveNetLoop), library.function("wavenet_pass", WaveNetPass)


if native is not None:
    _loop, _pass = functions_of(native)


class HeadShape(NamedTuple):
    """What the kernel makes of parameters: see `pushforward.audio.models.heads`, whose constants these are.

    Attributes:
        kind: 0 shift + exp(log_scale) · number, 1 the inverse of it, 2 a logistic mixture, 3 the inverse of
            exp(log_scale) · (number + shift).
        components: of the mixture.
        bound: of log-scales.
        reach: where the mixture's centers start.
        scale: where its scales start.
    """

    kind: int
    bound: float
    components: int = 0
    reach: float = 0.0
    scale: float = 1.0


class WaveNetWeights(NamedTuple):
    """A WaveNet as the kernels see it.

    Attributes:
        channels: of its layers.
        outputs: P, parameters of each sample.
        inputs: how many numbers describe a sample.
        layers: how many.
        rings: how many past inputs all layers keep together.
        sizes: inputs, channels, skip channels, outputs, layers, kernel size, and the dilations.
        weights: all weights as `pushforward.networks.wavenet` lays them out.
        context: (layers · 2 · channels, C), the weight of the context, or None.
        hop: how many samples each frame of the context is for, or None for one context for all.
    """

    channels: int
    outputs: int
    inputs: int
    layers: int
    rings: int
    sizes: Tensor
    weights: Tensor
    context: Tensor | None
    hop: int | None


def may_run_compiled(weight: Tensor) -> bool:
    """Whether the kernels take a network with such weights: float32, on a processor, nothing to be differentiated."""
    return (
        native is not None
        and weight.dtype is torch.float32
        and weight.is_cpu
        and not derivatives_wanted()
        and not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is None
    )


class CompiledState:
    """A WaveNet with its past, which `loop` and `parameters` keep each in its own way: a state is for one of them.

    Arguments:
        network: its weights as they are now.
        rows: how many sequences.
        adaptive: the numbers of an adaptive scale: order, count of spans, gain, floor, ceiling, spans and coefficients;
            samples are then in its units. Default None.
        remembered: (rows, n) what describes the sample before the first, and what an adaptive scale keeps of it;
            default 0.

    Attributes:
        time: the next sample.
    """

    def __init__(
        self, network: WaveNetWeights, rows: int, adaptive: Tensor | None = None, remembered: Tensor | None = None
    ):
        self.network = network
        self.time = 0
        self._memory = network.weights.new_zeros(rows, network.rings * padded(network.channels))
        self._adaptive = adaptive
        self._last = network.weights.new_zeros(rows, 1) if remembered is None else remembered

    def loop(
        self,
        noise: Tensor,
        context: Tensor | None,
        head: HeadShape,
        temperature: float = 1.0,
        reads_noise: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The next samples of each sequence.

        Arguments:
            noise: (rows, T) or (rows, T, n), the numbers that the head needs for each sample; float32.
            context: as the network takes it, of the whole sequences.
            head: what a sample's parameters make of its noise.
            temperature: factor on the scale of what is made.
            reads_noise: whether the network reads the noise, or (default) what is made.

        Returns:
            What is made, (rows, T), and for affine heads the sum of its log-derivatives, (rows,), in float64.
        """
        if noise.dtype is not torch.float32:
            raise ValueError(f"A model in float32 takes numbers in float32, got {noise.dtype}.")
        noise = noise.contiguous()
        rows, samples = noise.shape[:2]
        added = self._added(context, samples)
        made, log_det = noise.new_empty(rows, samples), torch.zeros(rows, dtype=torch.float64)
        loop = WaveNetLoop(
            self._call(rows, samples, added),
            Head(head.kind, head.components, head.bound, head.reach, head.scale, temperature),
            reads_noise,
            self._last.data_ptr(),
            None if self._adaptive is None else self._adaptive.data_ptr(),
            noise.data_ptr(),
            math.prod(noise.shape[2:]),
            made.data_ptr(),
            log_det.data_ptr(),
        )
        _loop(byref(loop))
        self.time += samples
        return made, log_det

    def parameters(self, previous: Tensor, context: Tensor | None) -> Tensor:
        """The parameters of the next samples, (rows, T, P), as `WaveNet.advance` gives them.

        Arguments:
            previous: (rows, T), or (rows, T, F), what describes the sample before each; float32.
            context: as the network takes it, of the whole sequences.
        """
        rows, samples = previous.shape[:2]
        previous = previous.reshape(rows, samples, self.network.inputs).permute(2, 0, 1).contiguous()
        added = self._added(context, samples)
        parameters = previous.new_empty(self.network.outputs, rows, samples)
        call = self._call(rows, samples, added)
        _pass(byref(WaveNetPass(call, previous.data_ptr(), parameters.data_ptr())))
        self.time += samples
        return parameters.permute(1, 2, 0)

    def _call(self, rows: int, samples: int, added: Tensor | None) -> WaveNetCall:
        network = self.network
        return WaveNetCall(
            rows,
            samples,
            self.time,
            network.sizes.data_ptr(),
            network.weights.data_ptr(),
            self._memory.data_ptr(),
            None if added is None else added.data_ptr(),
            1 if added is None else added.shape[1],
            network.hop or 2**62,
            thread_count(),
        )

    def _added(self, context: Tensor | None, samples: int) -> Tensor | None:
        """What the frames of the next samples add to the gates, (rows, frames, layers, 2, channels rounded up)."""
        network, hop = self.network, self.network.hop
        if network.context is None or context is None:
            return None
        if hop is not None:
            context = context[:, self.time // hop : -(-(self.time + samples) // hop)]
        frames = context.shape[1] if hop is not None else 1
        added = linear(context, network.context).reshape(len(context), frames, network.layers, 2, network.channels)
        return pad(added, (0, padded(network.channels) - network.channels)).contiguous()


def padded(size: int) -> int:
    """The next multiple of the numbers in a vector."""
    return -(-size // LANES) * LANES
