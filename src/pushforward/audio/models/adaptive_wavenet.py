"""The WaveNet with an adaptive scale, for recordings from digital silence to full scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from pushforward.audio.models.adaptive import AdaptiveScale
from pushforward.audio.models.architectures import (
    Channels,
    Hop,
    KernelSize,
    LayersOfStack,
    Length,
    Stacks,
    make_network,
)
from pushforward.audio.models.heads import Head, make_head
from pushforward.audio.models.sequences import Sampler
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.networks.wavenet import WaveNet
from pushforward.zoo.options import Context
from pushforward.zoo.registry import architecture


class AdaptiveWaveNet(AutoregressiveWaveNet):
    """A WaveNet that models each sample about its linear prediction, in units of the errors of the last ones.

        x[t] = location[t] + scale[t] y[t],   y[t] ~ head(network(features before t, context)),

    with location, scale and features of an `AdaptiveScale`. Sounds span five decades; inputs and outputs of the network
    are of order one at any volume. With a new network, whose last layer is zero, the density is that of the Gaussian
    autoregression with adaptive scale.

    Arguments:
        network: With as many outputs as the head has parameters, and as many inputs as the scale has features.
        head: `GaussianHead()` or `LogisticMixtureHead(components)`.
        adaptive: The scale; see `pushforward.audio.models.adaptive.fit_adaptive_scale`.
        length: Default length of a draw; default 8000 samples.
        config: The named architecture and its options, set by `pushforward.audio.models.adaptive_wavenet`.

    Cost: as for `AutoregressiveWaveNet`.

    Example:
        >>> model = adaptive_wavenet(order=2, layers=4, stacks=1)
        >>> x = model.sample((2,), length=50)
        >>> x.shape, model.log_prob(x).shape
        (torch.Size([2, 50]), torch.Size([2]))
    """

    def __init__(
        self,
        network: WaveNet,
        head: Head,
        adaptive: AdaptiveScale,
        length: int = 8000,
        config: dict[str, Any] | None = None,
    ) -> None:
        if network.inputs != adaptive.feature_count:
            raise ValueError(f"The scale has {adaptive.feature_count} features, the network {network.inputs} inputs.")
        super().__init__(network, head, 1.0, length, config)
        self.adaptive = adaptive

    @property
    def prediction_coefficients(self) -> Tensor | None:
        """The coefficients of the adaptive scale's linear prediction; None if its order is 0."""
        return self.adaptive.coefficients if self.adaptive.order else None

    def _standardized(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        location, log_scale, features = self.adaptive(rows)
        return location, log_scale.exp(), features

    def _sampler(self, rows: int) -> Sampler:
        last = self.reference.new_zeros(rows, self.adaptive.feature_count)
        scale_state = self.adaptive.initial_state(rows)
        remembered = torch.cat([last, scale_state.latest, torch.stack(scale_state.powers, 1)], 1)
        compiled = self.network.compiled(rows, _packed(self.adaptive), remembered)
        if compiled is not None:
            return self._compiled_sampler(compiled)
        state = self.network.initial_state(rows)

        def sampler(noise: Tensor, context: Tensor | None, temperature: float) -> Tensor:
            nonlocal last, scale_state
            self.network.check_context(context, state.time + noise.shape[1])
            samples: list[Tensor] = []
            for sample_noise in noise.unbind(1):
                location, log_scale = self.adaptive.predict(scale_state)
                y = self.head.draw(state.step(last, context), sample_noise, temperature)
                samples.append(location + log_scale.exp() * y)
                last, scale_state = self.adaptive.step(samples[-1], scale_state)
            return torch.stack(samples, 1) if samples else noise[..., 0]

        return sampler


@architecture
def adaptive_wavenet(
    order: Annotated[int, Field(ge=0, le=1_000)] = 16,
    spans: Sequence[Annotated[float, Field(ge=1, le=1e6)]] = (8.0, 32.0, 128.0),
    channels: Channels = 16,
    skip_channels: Channels | None = None,
    layers: LayersOfStack = 7,
    stacks: Stacks = 2,
    kernel_size: KernelSize = 2,
    context: Context = 0,
    hop: Hop = None,
    head: Literal["gaussian", "logistic_mixture"] = "gaussian",
    components: Annotated[int, Field(ge=1, le=1_000)] = 10,
    length: Length = 8000,
) -> AdaptiveWaveNet:
    """A WaveNet with an adaptive scale, for recordings with pauses: `AdaptiveWaveNet`.

    Arguments:
        order: Order of the linear prediction; default 16. Its coefficients are 0 until they are fitted.
        spans: Time constants of the scale's averages, in samples; the first one gives the scale.
        channels: Channels of the convolutions; default 16.
        skip_channels: Channels of the two layers after them; default the same as `channels`.
        layers: Layers of each stack, with dilations 1, 2, 4 ...; default 7.
        stacks: Stacks of layers; default 2, a receptive field of 255 samples besides the averages.
        kernel_size: Kernel size of the convolutions; default 2.
        context: C, the number of context features; default 0.
        hop: Samples per frame of the context; default None, one context for the whole sequence.
        head: "gaussian" (default) or "logistic_mixture".
        components: Components of the mixture; default 10.
        length: Default length of a draw; default 8000 samples.

    Cost: log_prob 1 pass; sample T steps.

    Source: van den Oord et al., 2016, arXiv:1609.03499.

    Example:
        >>> adaptive_wavenet(order=2, layers=4, stacks=1).log_prob(torch.zeros(3, 100)).shape
        torch.Size([3])
    """
    sample_head = make_head(head, components)
    adaptive = AdaptiveScale(torch.zeros(order), spans)
    network = make_network(
        sample_head.parameter_count,
        channels,
        skip_channels,
        layers,
        stacks,
        kernel_size,
        context,
        hop,
        inputs=adaptive.feature_count,
    )
    return AdaptiveWaveNet(network, sample_head, adaptive, length)


def _packed(adaptive: AdaptiveScale) -> Tensor:
    """Return the parameters of an adaptive scale in the layout of the compiled kernel."""
    sizes = adaptive.coefficients.new_tensor([adaptive.order, len(adaptive.spans)])
    scales = [adaptive.gain, adaptive.gain.new_tensor(adaptive.floor), adaptive.ceiling]
    return torch.cat([sizes, torch.stack(scales), sizes.new_tensor(adaptive.spans), adaptive.coefficients])
