"""The WaveNet teacher behind an adaptive scale: made for recordings, from digital silence to full scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pushforward.audio.models.adaptive import AdaptiveScale, AdaptiveState
from pushforward.audio.models.architectures import Channels, Hop, KernelSize, LayersOfStack, Length, Stacks, network_of
from pushforward.audio.models.conditionals import moved
from pushforward.audio.models.heads import Head, head_of
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.kernels.wavenet import CompiledState
from pushforward.networks.wavenet import State, WaveNet
from pushforward.zoo.options import Context
from pushforward.zoo.registry import architecture


class AdaptiveWaveNet(AutoregressiveWaveNet):
    """A WaveNet that models each sample about its linear prediction, in units of the errors of the last ones.

        x[t] = location[t] + scale[t] y[t],   y[t] ~ head(network(features before t, context)),

    with location, scale and features of an `AdaptiveScale`. Sounds span five decades; the network sees, and is asked
    for, numbers of order one at any volume. With a fresh network of zero last layer the density is that of the Gaussian
    autoregression with adaptive scale.

    Arguments:
        network: with as many outputs as the head has parameters, and as many inputs as the scale has features.
        head: `GaussianHead()` or `LogisticMixtureHead(components)`.
        adaptive: the scale, see `pushforward.audio.models.adaptive.fit_adaptive_scale`.
        length: samples of a draw that is not told its length, default 8000.
        config: how to build this again, set by `pushforward.audio.models.adaptive_wavenet`.

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

    def conditionals(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        """The distributions of all x[t] given x[before t], of batch shape (*batch, T); arguments as for `log_prob`."""
        rows, row_context, batch = self._as_rows(x, context)
        location, log_scale, features = self.adaptive(rows)
        parameters = self.network(features, row_context)
        law = self.head.distribution(parameters.reshape(*batch, *parameters.shape[1:]))
        return moved(law, location.reshape(*batch, -1), log_scale.exp().reshape(*batch, -1))

    def _start(self, rows: int) -> tuple[Tensor, Any]:
        """The features of the last samples, (rows, F), and what network and scale remember of those before them."""
        nothing = self.reference.new_zeros(rows, self.adaptive.feature_count)
        recent = self.adaptive.initial_state(rows)
        remembered = torch.cat([nothing, recent.latest, torch.stack(recent.powers, 1)], 1)
        compiled = self.network.compiled(rows, _numbers(self.adaptive), remembered)
        return nothing, compiled or (self.network.initial_state(rows), recent)

    def _continue(
        self, noise: Tensor, state: tuple[Tensor, Any], context: Tensor | None, temperature: float
    ) -> tuple[Tensor, tuple[Tensor, Any]]:
        last, remembered = state
        if isinstance(remembered, CompiledState):
            return super()._continue(noise, state, context, temperature)
        heard: State
        recent: AdaptiveState
        heard, recent = remembered
        self.network.check_context(context, heard.time + noise.shape[1])
        samples: list[Tensor] = []
        for now in noise.unbind(1):
            location, log_scale = self.adaptive.predict(recent)
            parameters, heard = self.network.step(last, heard, self.network.context_at(context, heard.time))
            samples.append(location + log_scale.exp() * self.head.draw(parameters, now, temperature))
            last, recent = self.adaptive.step(samples[-1], recent)
        return torch.stack(samples, 1) if samples else noise[..., 0], (last, (heard, recent))


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
    """A WaveNet behind an adaptive scale, for recordings with pauses: `AdaptiveWaveNet`.

    Arguments:
        order: samples that the linear prediction looks back, default 16; its coefficients are 0 until they are fitted.
        spans: samples over which the scale's averages reach; the first one gives the scale.
        channels: of the convolutions, default 16.
        skip_channels: of the two layers after them, default as many as channels.
        layers: in each stack, dilated by 1, 2, 4 ..., default 7.
        stacks: default 2: 255 samples are then seen, and longer averages.
        kernel_size: default 2.
        context: C, number of context features, default 0.
        hop: samples for each frame of the context, default None: one context for the whole sequence.
        head: "gaussian" (default) or "logistic_mixture".
        components: of the mixture, default 10.
        length: samples of a draw that is not told its length, default 8000.

    Cost: log_prob 1 pass; sample T steps.

    Source: van den Oord et al., 2016, arXiv:1609.03499.

    Example:
        >>> adaptive_wavenet(order=2, layers=4, stacks=1).log_prob(torch.zeros(3, 100)).shape
        torch.Size([3])
    """
    made_head = head_of(head, components)
    adaptive = AdaptiveScale(torch.zeros(order), spans)
    network = network_of(
        made_head.parameter_count,
        channels,
        skip_channels,
        layers,
        stacks,
        kernel_size,
        context,
        hop,
        inputs=adaptive.feature_count,
    )
    return AdaptiveWaveNet(network, made_head, adaptive, length)


def _numbers(adaptive: AdaptiveScale) -> Tensor:
    """An adaptive scale as the compiled kernel takes it."""
    sizes = adaptive.coefficients.new_tensor([adaptive.order, len(adaptive.spans)])
    scales = [adaptive.gain, adaptive.gain.new_tensor(adaptive.floor), adaptive.ceiling]
    return torch.cat([sizes, torch.stack(scales), sizes.new_tensor(adaptive.spans), adaptive.coefficients])
