"""What densities of images of whole numbers have in common: a flow of the images with noise."""

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Flow, check_context
from pushforward.support.arguments import is_whole
from pushforward.support.modules import check_module, check_tensor

# Numbers of images that are mapped at once: the networks hold some hundred times as many.
NUMBERS_AT_A_TIME = 2**20
# An image is hashed to fewer than this many numbers, by sums of whole numbers that are exact below 2⁵³.
HASHES, LARGEST_SUM = 2**26, 2**52


class OfLevels(nn.Module):
    """A density of images x of whole numbers from 0 to levels - 1: that of a flow at x with noise.

    In training mode noise is new at every call. In evaluation mode it is a function of the image, and of `noise_seed`:
    an image always has the same value. A density of your own defines `with_noise`.

    Arguments:
        flow: of images as vectors of intensities.
        levels: how many a pixel may have.
        config: how to build this density again.

    Attributes:
        noise_seed: of the noise in evaluation mode, 0: noises of different seeds are independent.

    Raises:
        InputError: in `log_prob`: a number that is not a level.
    """

    allows_gaps = False
    context_allows_gaps = False

    def __init__(self, flow: Flow, levels: int, config: dict[str, Any] | None = None):
        super().__init__()
        self.flow = flow
        self.levels = levels
        self.config = config
        self.noise_seed = 0

    def with_noise(self, x: Tensor, v: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """Images with the noise that v, uniform in [0, 1), stands for, and what its law takes from their log-density.

        Arguments:
            x: (*batch, D), float64.
            v: (*batch, D), float64.
            context: (*batch, C).

        Returns:
            The images, (*batch, D), float64, and the log-density of their noise, (*batch), 0 if that does not count.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what noise its images get.")

    @property
    def features(self) -> int:
        """D, the number of numbers of an image."""
        return self.flow.features

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return self.flow.context_features

    @property
    def reference(self) -> Tensor:
        """A tensor of the precision and on the device of the flow."""
        return self.flow.reference

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-density at images with noise, in nats, (*batch).

        Arguments:
            x: (*batch, D), whole numbers from 0 to levels - 1, of any dtype.
            context: (*batch, C).

        Returns:
            (*batch), in the precision of x, or of the flow if x has a dtype of whole numbers.
        """
        self.check_images(x, context)
        v = torch.rand_like(x, dtype=torch.float64) if self.training else self.noise_of(x)
        if self.training or x.dim() != 2 or not len(x) or (context is not None and len(context) != len(x)):
            return self._log_prob(x, v, context)
        rows = max(1, NUMBERS_AT_A_TIME // self.features)
        contexts = [None] * -(-len(x) // rows) if context is None else context.split(rows)
        return torch.cat([self._log_prob(*part) for part in zip(x.split(rows), v.split(rows), contexts, strict=True)])

    def check_images(self, x: Tensor, context: Tensor | None) -> None:
        """Refuse images of another size or of other numbers, and a context that is missing or does not fit."""
        check_tensor(x, "x")
        self.flow.bijection.check_event(x)
        check_context(context, self.context_features)
        check_levels(x, self.levels)

    def _log_prob(self, x: Tensor, v: Tensor, context: Tensor | None) -> Tensor:
        noisy, log_noise = self.with_noise(x.double(), v, context)
        dtype = x.dtype if x.is_floating_point() else self.reference.dtype
        return (self.flow.log_prob(noisy, context) - log_noise).to(dtype)

    def noise_of(self, x: Tensor) -> Tensor:
        """Noise in [0, 1), (*batch, D), float64, which is a function of the images x, (*batch, D)."""
        generator = torch.Generator().manual_seed(self.noise_seed)
        largest = min(HASHES, LARGEST_SUM // (self.features * self.levels))
        weights = torch.randint(largest, (self.features,), generator=generator).double()
        steps, start = torch.rand(2, self.features, generator=generator, dtype=torch.float64)
        # A multiple of an irrational step is nearly uniform.
        hashed = (x.detach().cpu().double() @ weights) % HASHES
        return ((start + hashed[..., None] * steps) % 1.0).to(x.device)

    def quantized(self, x: Tensor) -> Tensor:
        """The levels that intensities x have."""
        return x.floor().clamp(0, self.levels - 1)

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training; none if that is unknown."""
        return self.flow.beyond_range(context)


def check_parts(function: str, flow: object, levels: object) -> None:
    """Refuse something else than a flow of vectors, or than a number of levels.

    Example:
        >>> check_parts("noised", 3, 256)
        Traceback (most recent call last):
        pushforward.errors.InputError: noised takes a flow of images, such as pushforward.glow((1, 8, 8)), and not an
            object of type int.
    """
    check_module(flow, function, "a flow of images, such as pushforward.glow((1, 8, 8))", "bijection", "base")
    if not is_whole(levels) or levels < 2:  # type: ignore[operator]
        raise InputError(f"A pixel needs a whole number of at least 2 levels, got {levels!r}.")


def check_levels(x: Tensor, levels: int) -> None:
    """Refuse images, (*batch, D), that do not consist of whole numbers from 0 to levels - 1.

    Raises:
        InputError: they hold another number; the message says what.
    """
    if not x.numel():
        return
    low, high = (float(end) for end in x.detach().aminmax())
    within = low >= 0 and high <= levels - 1
    whole = not x.is_floating_point() or bool((x == x.floor()).all())
    if not within or not whole:
        raise InputError(
            f"Pixels are whole numbers from 0 to {levels - 1}; these lie between {low:g} and {high:g}"
            + (" and are not whole." if within else ".")
        )
