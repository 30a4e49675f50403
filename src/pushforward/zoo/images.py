"""Flows of images: RealNVP of several scales, and Glow."""

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from pushforward.bijections import UNIVARIATES, ActNorm, Bijection, Compose, Univariate
from pushforward.bijections.convolution import Convolution1x1
from pushforward.bijections.image_coupling import ImageCoupling, channels, checkerboard
from pushforward.bijections.pixelwise import Pixelwise
from pushforward.bijections.split import Split
from pushforward.bijections.squeeze import squeeze
from pushforward.distributions import BASES
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.zoo.options import Context
from pushforward.zoo.registry import architecture

Side = Annotated[int, Field(ge=1, le=4096)]
Shape = tuple[Side, Side, Side]
Scales = Annotated[int, Field(ge=0, le=12)] | None
Count = Annotated[int, Field(ge=1, le=1_000)]
Blocks = Annotated[int, Field(ge=0, le=100)]
# Images are squeezed as often as their sides can be halved and leave this many pixels on each, but no more often.
LEAST_SIDE, MOST_SCALES = 2, 3


class _Layers:
    """The coupling layers of one flow, each behind its activation normalization, seen from the data."""

    def __init__(self, univariate: Univariate, hidden: int, blocks: int, context: int):
        self.univariate, self.hidden, self.blocks, self.context = univariate, hidden, blocks, context

    def coupling(self, changed: Tensor) -> Bijection:
        return ImageCoupling(changed, self.univariate, self.hidden, self.blocks, self.context)

    def normalized(self, changed: Tensor) -> list[Bijection]:
        count, height, width = changed.shape
        return [_normalization((count, height, width)), self.coupling(changed)]

    def glow_step(self, shape: Shape) -> list[Bijection]:
        pixels = shape[1] * shape[2]
        return [_normalization(shape), Convolution1x1(shape[0], pixels), self.coupling(channels(shape))]

    def split(self, shape: Shape, inner: Bijection) -> list[Bijection]:
        """What is factored out gets its scale and shift from what is not."""
        return [self.coupling(channels(shape)), Split(inner, shape[0] * shape[1] * shape[2])]


@architecture
def realnvp_image(
    shape: Shape,
    context: Context = 0,
    scales: Scales = None,
    couplings: Count = 3,
    hidden: Count = 32,
    blocks: Blocks = 2,
    univariate: str = "affine",
    **family: Any,
) -> Flow:
    """RealNVP of images: coupling layers between pixels, then between channels, at several scales.

    Seen from the data, each scale transforms every other pixel in turn, as on a chessboard, squeezes each square of
    2 × 2 pixels into four channels, transforms one half of the channels in turn, and factors out the other half; the
    last scale has checkerboards alone. An image is a vector of its C · H · W numbers, channel by channel.

    Arguments:
        shape: (C, H, W).
        context: number of context features, default 0.
        scales: how often the image is squeezed, default as often as both sides can be halved, at most 3 times.
        couplings: coupling layers of each kind in a scale, default 3; the last scale has one more.
        hidden: channels of the hidden layers of each network, default 32.
        blocks: residual pairs of hidden layers of each network, default 2.
        univariate: the family of maps, a name in `pushforward.bijections.UNIVARIATES`, default "affine".
        family: options of the univariate family, such as `bins` of "spline".

    Cost: 1 pass in both directions, unless the univariate family is a scalar root in one of them.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803; activation normalization in place of batch
    normalization as in `pushforward.realnvp`.

    Example:
        >>> flow = realnvp_image((1, 8, 8), hidden=8, blocks=1)
        >>> flow.sample((2,)).shape
        torch.Size([2, 64])
    """
    layers = _Layers(UNIVARIATES[univariate](**family), hidden, blocks, context)
    bijection = _realnvp(shape, _scales(shape, scales, "realnvp_image"), couplings, layers)
    return Flow(bijection, BASES["normal"](bijection.features))


@architecture
def glow(
    shape: Shape,
    context: Context = 0,
    scales: Scales = None,
    steps: Count = 8,
    hidden: Count = 32,
    blocks: Blocks = 1,
    univariate: str = "affine",
    **family: Any,
) -> Flow:
    """Glow: at several scales, steps of activation normalization, invertible 1 × 1 convolution and coupling.

    Seen from the data, each scale squeezes each square of 2 × 2 pixels into four channels, takes `steps` steps, and
    factors out half of the channels, which get a scale and a shift from the other half. An image is a vector of its
    C · H · W numbers, channel by channel.

    Arguments:
        shape: (C, H, W), both sides even.
        context: number of context features, default 0.
        scales: how often the image is squeezed, default as often as both sides can be halved, at most 3 times.
        steps: steps of each scale, default 8.
        hidden: channels of the hidden layers of each network, default 32.
        blocks: residual pairs of hidden layers of each network, default 1.
        univariate: the family of maps, a name in `pushforward.bijections.UNIVARIATES`, default "affine".
        family: options of the univariate family, such as `bins` of "spline".

    Cost: 1 pass in both directions, unless the univariate family is a scalar root in one of them.

    Source: Kingma and Dhariwal 2018, arXiv:1807.03039; residual networks in place of its three convolutions.

    Example:
        >>> import torch
        >>> flow = glow((3, 4, 4), steps=2, hidden=8, context=10)
        >>> flow.sample((2,), context=torch.eye(10)).shape
        torch.Size([2, 10, 48])
    """
    if shape[1] % 2 or shape[2] % 2:
        raise InputError(f"glow squeezes images, and an image of {shape[1]} × {shape[2]} pixels has an odd side.")
    scales = max(_scales(shape, scales, "glow"), 1)
    layers = _Layers(UNIVARIATES[univariate](**family), hidden, blocks, context)
    bijection = _glow(shape, scales, steps, layers)
    return Flow(bijection, BASES["normal"](bijection.features))


def _realnvp(shape: Shape, scales: int, couplings: int, layers: _Layers) -> Bijection:
    from_data: list[Bijection] = []
    for number in range(couplings + (scales == 0)):
        from_data += layers.normalized(checkerboard(shape, odd=number % 2 == 0))
    if scales:
        squeezed = _squeezed(shape)
        from_data.append(squeeze(shape))
        for number in range(couplings):
            from_data += layers.normalized(channels(squeezed, first=number % 2 == 1))
        inner = _realnvp(_half(squeezed), scales - 1, couplings, layers)
        from_data += layers.split(squeezed, inner)
    return Compose(from_data[::-1])


def _glow(shape: Shape, scales: int, steps: int, layers: _Layers) -> Bijection:
    squeezed = _squeezed(shape)
    from_data: list[Bijection] = [squeeze(shape)]
    for _ in range(steps):
        from_data += layers.glow_step(squeezed)
    if scales > 1:
        from_data += layers.split(squeezed, _glow(_half(squeezed), scales - 1, steps, layers))
    return Compose(from_data[::-1])


def _scales(shape: Shape, scales: int | None, name: str) -> int:
    """How often an image is squeezed."""
    _, height, width = shape
    possible = 0
    while height % 2 == 0 and width % 2 == 0:
        height, width, possible = height // 2, width // 2, possible + 1
    if scales is None:
        # The largest power of 2 by which the smaller side can be divided and leave that many pixels.
        return max(min(possible, MOST_SCALES, (min(shape[1:]) // LEAST_SIDE).bit_length() - 1), 0)
    if scales > possible:
        raise InputError(
            f"{name}: the sides of an image of {shape[1]} × {shape[2]} pixels can be halved {possible} times, not "
            f"{scales}."
        )
    return scales


def _normalization(shape: Shape) -> Bijection:
    return Pixelwise(ActNorm(shape[0]), shape[1] * shape[2])


def _squeezed(shape: Shape) -> Shape:
    return 4 * shape[0], shape[1] // 2, shape[2] // 2


def _half(shape: Shape) -> Shape:
    return shape[0] // 2, shape[1], shape[2]
