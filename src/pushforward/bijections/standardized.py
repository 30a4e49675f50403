"""A map in standardized units, followed by the map into the units of the data."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.bijections.base import Bijection, Cost
from pushforward.bijections.conditional_map import ConditionalMap
from pushforward.bijections.context_features import ContextFeatures
from pushforward.bijections.context_range import ContextRange
from pushforward.bijections.context_trend import ContextTrend, WidenedData
from pushforward.bijections.elementwise import ElementwiseAffine
from pushforward.bijections.ordering import closure
from pushforward.kernels.eligibility import is_untransformed


class Standardized(Bijection):
    """x = shift + scale · f(z; (context - context_shift) / context_scale).

    log_det includes Σ log scale, so that densities are in the units of the data. In place of shift and scale, `data`
    may be any map from standardized units to those of the data, such as `MarginalSpline`.

    `data` and `context` may be float64 around a float32 map: x is then float64 on both sides, and only the standardized
    value is rounded, so that a column such as 1013.25 ± 0.01 keeps its digits.

    Arguments:
        bijection: f, the map in standardized units.
        data: shift and scale of x, or another map into the data's units.
        context: shift and scale of the context, or None when f takes none.
        context_range: the range of standardized contexts in training, beyond which f sees its end; default none.
        features_of_context: what f sees of standardized contexts after `context_range`; default these themselves.
        context_trend: how x goes on beyond the range; by default it is as at the end of it.

    Cost: that of f; for contexts beyond their range a forward of f more for each latent point of the trend.
    """

    def __init__(
        self,
        bijection: Bijection,
        data: Bijection,
        context: ElementwiseAffine | None = None,
        context_range: ContextRange | None = None,
        features_of_context: ContextFeatures | None = None,
        context_trend: ContextTrend | None = None,
    ):
        super().__init__()
        self.features = bijection.features
        self.context_features = (
            bijection.context_features if features_of_context is None else features_of_context.features
        )
        self.bijection = bijection
        self.data = data
        self.context = context
        self.context_range = context_range
        self.features_of_context = features_of_context
        self.context_trend = context_trend

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map by f, then into the units of the data."""
        y, log_det = self.bijection(z, self.standardized_context(context, z.dtype))
        x, constant = self.data_given(context)(y)
        return x, log_det + constant.to(log_det.dtype)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardize, then map by the inverse of f."""
        y, context, constant = self.standardize(x, context)
        z, log_det = self.bijection.inverse(y, context)
        return z, log_det + constant.to(log_det.dtype)

    def stages(self, z: Tensor, context: Tensor | None = None) -> Iterator[Tensor]:
        """Those of f, in standardized units, and then x."""
        for y in self.bijection.stages(z, self.standardized_context(context, z.dtype)):
            yield y
        yield self.data_given(context)(y)[0]

    def dependencies(self) -> Tensor:
        """Those of f and of the map into the units of the data together."""
        return closure(self.bijection.dependencies(), self.data.dependencies())

    def each_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `inverse`, with one term for each feature."""
        self.check_order()
        y, constants = self.data_given(context).each_inverse(x)
        dtype = self.inner_dtype(y.dtype)
        z, terms = self.bijection.each_inverse(y.to(dtype), self.standardized_context(context, dtype))
        return z, terms + constants.to(terms.dtype)

    def forward_with_maps(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `forward`, with the maps of f and then those into the units of the data."""
        self.check_order()
        y, maps = self.bijection.forward_with_maps(z, self.standardized_context(context, z.dtype))
        x, maps_of_data = self.data_given(context).forward_with_maps(y)
        return x, [*maps, *maps_of_data]

    def inverse_with_maps(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, list[ConditionalMap]]:
        """As `inverse`, with the maps of f and then those into the units of the data."""
        self.check_order()
        y, maps_of_data = self.data_given(context).inverse_with_maps(x)
        dtype = self.inner_dtype(y.dtype)
        z, maps = self.bijection.inverse_with_maps(y.to(dtype), self.standardized_context(context, dtype))
        return z, [*maps, *maps_of_data]

    def standardize(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """x and the context in standardized units and in the precision of f, as f's inverse is given them.

        Returns:
            (x - shift) / scale, the context likewise, and log|det| of the former, (*batch).
        """
        y, constant = self.data_given(context).inverse(x)
        dtype = self.inner_dtype(y.dtype)
        return y.to(dtype), self.standardized_context(context, dtype), constant

    @property
    def inner(self) -> Bijection:
        """That of f."""
        return self.bijection.inner

    def to_inner(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x and its context in standardized units, as far as f does not standardize them in turn."""
        y, context, _ = self.standardize(x, context)
        return self.bijection.to_inner(y, context)

    @property
    def cost(self) -> Cost:
        """The cost of f."""
        return self.bijection.cost

    def standardized_context(self, context: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """The context as f is given it, (*batch, C)."""
        if self.context is None or context is None:
            return context
        return self._features_of(self.in_units(context)).to(dtype)

    def in_units(self, context: Tensor) -> Tensor:
        """The context in standardized units and within its range, (*batch, C)."""
        assert self.context is not None
        standardized = self.context.inverse(context)[0]
        return standardized if self.context_range is None else self.context_range(standardized)

    def data_given(self, context: Tensor | None) -> Bijection | WidenedData:
        """The map into the units of the data, which is another one for contexts beyond their range, if any is."""
        if self.context_trend is None or self.context_range is None or self.context is None or context is None:
            return self.data
        if self.training and self.context_range.holds_training:
            return self.data
        standardized = self.context.inverse(context)[0]
        ends = self.context_range(standardized).reshape(-1, context.shape[-1])
        rows = standardized.reshape(-1, context.shape[-1]) - ends
        some = None
        if is_untransformed():
            some = (rows != 0).any(1)
            if not bool(some.any()):
                return self.data
            rows, ends = rows[some], ends[some]
        dtype = self.inner_dtype(rows.dtype)
        latents, seen = self.context_trend.latents.to(dtype), self._features_of(ends).to(dtype)
        images = [self.bijection(latent.expand(len(rows), -1), seen)[0] for latent in latents]
        return self.context_trend.widened(self.data, torch.stack(images), rows).within(context.shape[:-1], some)

    def _features_of(self, seen: Tensor) -> Tensor:
        """What f sees, of contexts in standardized units and within their range."""
        return seen if self.features_of_context is None else self.features_of_context(seen)

    def beyond_range(self, context: Tensor) -> Tensor:
        """Which numbers of a context, (*batch, C), lie beyond the range in training; none if that is unknown."""
        if self.context is None or self.context_range is None:
            return super().beyond_range(context)
        return self.context_range.beyond(self.context.inverse(context)[0])

    def inner_dtype(self, default: torch.dtype) -> torch.dtype:
        """The precision of f."""
        return next((p.dtype for p in self.bijection.parameters()), default)
