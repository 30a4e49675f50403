"""The named models of sound, registered like the flows of `pushforward.zoo`."""

from typing import Annotated, Literal

from pydantic import Field

from pushforward.audio.models.heads import LOG_SCALE_BOUND, make_head
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet
from pushforward.bijections import Affine, Chain, RationalQuadraticSpline, RelativeAffine, Univariate
from pushforward.errors import InputError
from pushforward.networks.wavenet import WaveNet
from pushforward.zoo.options import Context
from pushforward.zoo.registry import architecture

Channels = Annotated[int, Field(ge=1, le=10_000)]
LayersOfStack = Annotated[int, Field(ge=1, le=20)]
Stacks = Annotated[int, Field(ge=1, le=100)]
KernelSize = Annotated[int, Field(ge=2, le=100)]
Hop = Annotated[int, Field(ge=1, le=1_000_000)] | None
Scale = Annotated[float, Field(gt=0, lt=float("inf"))]
Length = Annotated[int, Field(ge=1, le=1_000_000_000)]
Family = Literal["affine", "relative_affine", "spline"]
Bins = Annotated[int, Field(ge=1, le=64)]
Bound = Annotated[float, Field(gt=0, lt=float("inf"))]


@architecture
def wavenet(
    channels: Channels = 16,
    skip_channels: Channels | None = None,
    layers: LayersOfStack = 7,
    stacks: Stacks = 2,
    kernel_size: KernelSize = 2,
    context: Context = 0,
    hop: Hop = None,
    head: Literal["gaussian", "logistic_mixture"] = "gaussian",
    components: Annotated[int, Field(ge=1, le=1_000)] = 10,
    scale: Scale = 1.0,
    length: Length = 8000,
) -> AutoregressiveWaveNet:
    """WaveNet: the density of a sequence sample by sample, each given those before it.

    log p(x) = Σ_t log p(x[t] | x[before t], context), the parameters of each from dilated causal convolutions.

    Arguments:
        channels: Channels of the convolutions; default 16.
        skip_channels: Channels of the two layers after them; default the same as `channels`.
        layers: Layers of each stack, with dilations 1, 2, 4 ...; default 7.
        stacks: Stacks of layers; default 2, a receptive field of 255 samples.
        kernel_size: Kernel size of the convolutions; default 2.
        context: C, the number of context features; default 0.
        hop: Samples per frame of the context; default None, one context for the whole sequence.
        head: "gaussian" (default) or "logistic_mixture".
        components: Components of the mixture; default 10.
        scale: The standard deviation of the data; default 1.
        length: Default length of a draw; default 8000 samples.

    Cost: log_prob 1 pass; sample T steps, together the arithmetic of 1 pass.

    Source: van den Oord et al. 2016, arXiv:1609.03499; 2017, arXiv:1711.10433.

    Example:
        >>> teacher = wavenet(channels=8, layers=5, context=20, hop=80, head="logistic_mixture", components=3)
        >>> import torch
        >>> mel = torch.zeros(2, 4, 20)  # two rows of four frames
        >>> x = teacher.sample(context=mel)
        >>> x.shape, teacher.log_prob(x, mel).shape
        (torch.Size([2, 320]), torch.Size([2]))
    """
    sample_head = make_head(head, components)
    network = make_network(
        sample_head.parameter_count, channels, skip_channels, layers, stacks, kernel_size, context, hop
    )
    return AutoregressiveWaveNet(network, sample_head, scale, length)


@architecture
def parallel_wavenet(
    flows: Annotated[int, Field(ge=1, le=100)] = 2,
    channels: Channels = 16,
    skip_channels: Channels | None = None,
    layers: LayersOfStack = 8,
    stacks: Stacks = 1,
    kernel_size: KernelSize = 2,
    context: Context = 0,
    hop: Hop = None,
    univariate: Family = "affine",
    bins: Bins = 8,
    bound: Bound = 5.0,
    base: Literal["normal", "logistic"] = "normal",
    scale: Scale = 1.0,
    length: Length = 8000,
) -> ParallelWaveNet:
    """Parallel WaveNet: inverse autoregressive flows with WaveNets, which generate all samples at once.

    z_k[t] = univariate(z_{k-1}[t]; network_k(z_{k-1}[before t], context)), x = scale · z_flows. A new model
    is the base times scale.

    Arguments:
        flows: Number of flows, all in the order of time; default 2.
        channels: Channels of each flow's convolutions; default 16.
        skip_channels: Channels of the two layers after them; default the same as `channels`.
        layers: Layers of each stack, with dilations 1, 2, 4 ...; default 8.
        stacks: Stacks of each flow; default 1.
        kernel_size: Kernel size of the convolutions; default 2.
        context: C, the number of context features; default 0.
        hop: Samples per frame of the context; default None, one context for the whole sequence.
        univariate: "affine" (default), with normal (or logistic) conditional distributions; "relative_affine", the same
            with shifts in units of the scale; or "spline", with a rational quadratic spline before each affine map, for
            conditional distributions of any shape.
        bins: Bins of the spline; default 8.
        bound: The spline acts on [-bound, bound]; default 5.
        base: "normal" (default) or "logistic".
        scale: Scale of x in a new model; default 1. Use the standard deviation of the data.
        length: Default length of a draw; default 8000 samples.

    Cost: sample `flows` passes; log_prob flows · T steps.

    Source: van den Oord et al. 2017, arXiv:1711.10433; Ping, Peng and Chen 2018, arXiv:1807.07281.

    Example:
        >>> student = parallel_wavenet(flows=2, layers=5, univariate="spline", scale=0.1)
        >>> student.sample((3,), length=100).shape
        torch.Size([3, 100])
    """
    maps = make_univariate(univariate, bins, bound)
    networks = [
        make_network(maps.parameter_count, channels, skip_channels, layers, stacks, kernel_size, context, hop)
        for _ in range(flows)
    ]
    return ParallelWaveNet(networks, maps, base, scale, length)


def make_univariate(univariate: Family, bins: int = 8, bound: float = 5.0) -> Univariate:
    """Return the univariate maps of a parallel WaveNet, by their name and the sizes of a spline."""
    if univariate == "affine":
        return Affine(LOG_SCALE_BOUND)
    relative = RelativeAffine(LOG_SCALE_BOUND)
    if univariate == "relative_affine":
        return relative
    return Chain([RationalQuadraticSpline(bins, bound, "linear"), relative])


def make_network(
    outputs: int,
    channels: int,
    skip_channels: int | None,
    layers: int,
    stacks: int,
    kernel_size: int,
    context: int,
    hop: int | None,
    inputs: int = 1,
) -> WaveNet:
    """Return a network whose layers are dilated by powers of two in each stack, and whose last layer is zero.

    Raises:
        InputError: There is a hop without a context.
    """
    if hop is not None and not context:
        raise InputError("hop is the number of samples per frame of a context: it needs context=C.")
    dilations = [2**layer for layer in range(layers)] * stacks
    network = WaveNet(outputs, channels, skip_channels, dilations, kernel_size, context, hop, inputs)
    network.start_at_zero()
    return network
