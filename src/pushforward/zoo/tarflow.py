"""TarFlow: autoregressive transformers over the patches of an image."""

from typing import Annotated, Any

from pydantic import Field

from pushforward.bijections import UNIVARIATES, Compose
from pushforward.bijections.patches import PatchAutoregressive
from pushforward.distributions import BASES
from pushforward.flow import Flow
from pushforward.zoo.images import Count, Shape
from pushforward.zoo.options import Context, Layers
from pushforward.zoo.registry import architecture

Width = Annotated[int, Field(ge=1, le=100_000)]
LARGEST_PATCH = 4


@architecture
def tarflow(
    shape: Shape,
    context: Context = 0,
    patch: Count | None = None,
    layers: Layers = 4,
    width: Width = 128,
    depth: Count = 2,
    heads: Count = 4,
    univariate: str = "affine",
    **family: Any,
) -> Flow:
    """TarFlow: autoregressive layers over patches, each a causal transformer, whose order alternates.

    x = f_layers(... f_1(z)), each f(z)[t] = univariate(z[t]; transformer(x[patches before t], context)) for the patches
    of an image, row by row in one layer and from the last to the first in the next. An image is a vector of its
    C · H · W numbers, channel by channel.

    Arguments:
        shape: (C, H, W), both sides multiples of the patch.
        context: number of context features, default 0.
        patch: side of a patch in pixels, default the largest of 4, 3, 2 and 1 that both sides are multiples of and that
            leaves at least two patches.
        layers: number of autoregressive layers, default 4.
        width: numbers of a token, a multiple of `heads`, default 128.
        depth: layers of each transformer, default 2.
        heads: of attention, default 4.
        univariate: the family of maps, a name in `pushforward.bijections.UNIVARIATES`, default "affine".
        family: options of the univariate family, such as `bins` of "spline".

    Cost: log_prob 1 pass; sample as many steps as there are patches in each layer, together the arithmetic of one pass,
    since keys and values of earlier patches are kept.

    Source: Zhai et al. 2024, arXiv:2412.06329; the first patch of a layer is mapped too, given the context alone.

    Example:
        >>> flow = tarflow((1, 8, 8), layers=2, width=16, depth=1)
        >>> flow.sample((2,)).shape
        torch.Size([2, 64])
    """
    made = UNIVARIATES[univariate](**family)
    patch = _patch_of(shape) if patch is None else patch
    parts = [
        PatchAutoregressive(shape, patch, made, width, depth, heads, context, reverse=number % 2 == 1)
        for number in reversed(range(layers))
    ]
    return Flow(Compose(parts), BASES["normal"](parts[0].features))


def _patch_of(shape: Shape) -> int:
    _, height, width = shape
    sides = (side for side in range(LARGEST_PATCH, 1, -1) if not (height % side or width % side))
    return next((side for side in sides if height * width > side**2), 1)
