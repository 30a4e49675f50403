"""A fitted density as the prior of a nested sampler: a transform of the unit cube."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow

# The ends of the cube count as the points nearest to them on the grid of generators of uniform numbers.
LOWEST, HIGHEST = 2.0**-53, 1 - 2.0**-53


class Prior:
    """x = f(Φ⁻¹(u)) of u, uniform in the unit cube: distributed as the density of a flow f, exactly.

    A mixture of flows takes its component k from the interval of cumulated weights in which u₁ lies, and goes on with
    the place of u₁ in that interval, which is uniform again; the transform then jumps where the component changes.

    Arguments:
        flows: the components with their weights, from normal bases to points.
        decode: from points to parameters, (n, D) both.
        log_density: of parameters, (n, D), in nats, (n,).
        names: of the parameters.

    Attributes:
        names: of the parameters.
        features: D.
    """

    def __init__(
        self,
        flows: list[tuple[float, Flow]],
        decode: Callable[[Tensor], Tensor],
        log_density: Callable[[np.ndarray], np.ndarray],
        names: list[str],
    ) -> None:
        self.names, self.features = names, len(names)
        self._weights, self._flows = np.array([weight for weight, _ in flows]), [flow for _, flow in flows]
        self._decode, self._log_density = decode, log_density

    def __call__(self, u: Any) -> np.ndarray:
        """Parameters, of the shape of u, float64.

        Arguments:
            u: (D,) for one point or (n, D) for several, from 0 to 1; the ends count as points 2⁻⁵³ inside.

        Raises:
            InputError: another shape, a number outside of [0, 1], or a parameter that is not finite.
        """
        cube = self._rows(u, "u")
        outside = ~((cube >= 0) & (cube <= 1))
        if outside.any():
            raise InputError(f"u is a point of the unit cube; a coordinate of it is {cube[outside][0]:g}.")
        ends = np.cumsum(self._weights)[:-1]
        which = np.searchsorted(ends, cube[:, 0], side="right")
        lows = np.concatenate([[0.0], ends])
        inner = cube.copy()
        inner[:, 0] = (cube[:, 0] - lows[which]) / self._weights[which]
        z = torch.special.ndtri(torch.from_numpy(np.clip(inner, LOWEST, HIGHEST)))
        points = torch.empty_like(z)
        with torch.no_grad():
            for number in np.unique(which):
                own = torch.from_numpy(which == number)
                points[own] = self._flows[number].to_data(z[own])
            found = self._decode(points).numpy()
        bad = ~np.isfinite(found).all(0)
        if bad.any():
            name = self.names[int(bad.argmax())]
            raise InputError(f'The prior gives a value of "{name}" that is not finite: its tails leave the numbers.')
        return found.reshape(np.shape(u))

    def log_prob(self, x: Any) -> np.ndarray:
        """Log-density of parameters in nats, float64, -inf beyond the bounds of a parameter.

        Arguments:
            x: (D,) for one point or (n, D) for several.

        Returns:
            A number for one point, as an array without dimensions, or (n,).
        """
        with torch.no_grad():
            found = self._log_density(self._rows(x, "x"))
        return found.reshape(np.shape(x)[:-1])

    def _rows(self, points: Any, name: str) -> np.ndarray:
        try:
            rows = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{name} is an array of numbers; it is {type(points).__name__} of something else."
            ) from error
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.features:
            raise InputError(
                f"{name} has shape {rows.shape}; the prior of {', '.join(self.names)} takes ({self.features},) or "
                f"(n, {self.features})."
            )
        return rows.reshape(-1, self.features)


def as_prior(model: Any) -> Prior:
    """A fitted density as a transform of the unit cube, which dynesty and UltraNest call a prior transform.

    x = f(Φ⁻¹(u)): any flow f with a normal base will do, since Φ⁻¹(u) of uniform u is normal. So the posterior of one
    experiment becomes the prior of the next. It is exact, in float64, and keeps to the bounds of the parameters.

    Arguments:
        model: a flow, such as `pushforward.fit` trains, or the model of a table, without context or given columns.

    Returns:
        A function of points of the cube, (D,) or (n, D), with a method `log_prob(x)` and the attribute `names`. It
        works on a copy of the model, on the processor, and can be pickled.

    Raises:
        InputError: a density without such a transform: a conditional one, one of columns with gaps, levels, whole
            numbers or recorded steps, of measurement errors, or over another base than the normal one.

    Cost: one forward pass of the flow for each call; give many points at a time where the sampler can.

    Example:
        >>> import pushforward as pf
        >>> prior = as_prior(pf.nsf(features=2))
        >>> x = prior(np.full((3, 2), 0.5))
        >>> x.shape, prior.log_prob(x).shape, prior(np.full(2, 0.5)).shape
        ((3, 2), (3,), (2,))
    """
    if hasattr(model, "roles"):
        return _of_table(model)
    if not hasattr(model, "parts"):
        raise InputError(f"as_prior takes a flow or the model of a table, not {type(model).__name__}.")
    if model.context_features:
        raise InputError("as_prior takes a density without context; this flow is conditional.")
    density = copy.deepcopy(model).double().cpu().eval()
    names = [str(number) for number in range(density.features)]
    return Prior(_with_normal_base(density.parts), _Same(), _OfPoints(density), names)


class _Same:
    """Points that are parameters."""

    def __call__(self, points: Tensor) -> Tensor:
        return points


class _OfPoints:
    """The log-density of parameters under a flow."""

    def __init__(self, density: Any) -> None:
        self.density = density

    def __call__(self, x: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.density.log_prob(torch.from_numpy(x)).numpy()
        return found


class _OfTable:
    """The log-density of parameters under the model of a table."""

    def __init__(self, density: Any, roles: Any) -> None:
        self.density, self.roles = density, roles

    def __call__(self, x: np.ndarray) -> np.ndarray:
        names = self.roles.features
        table = pa.table(dict(zip(names, x.T, strict=True)))
        codes = self.roles.encode(table, names, "x")
        seen = np.isfinite(codes).all(1)
        found = np.full(len(x), -np.inf)
        found[seen] = self.density.log_prob(torch.from_numpy(codes[seen])).numpy()
        return found


def _of_table(model: Any) -> Prior:
    roles = model.roles
    if roles.given:
        raise InputError(f'as_prior takes a density without given columns; this model is given "{roles.given[0]}".')
    if roles.allows_gaps or roles.errors:
        what = "of any columns given any others" if roles.allows_gaps else "with measurement errors"
        raise InputError(f"as_prior takes one density of all columns; this model is one {what}; fit it without.")
    for name in roles.features:
        kind = roles.schema[name]
        if not kind.numeric:
            raise InputError(
                f'as_prior takes columns with densities; values of "{name}" are not numbers ({kind.describe()}): fit '
                "without it."
            )
        if kind.has_probabilities or kind.recorded is not None:
            raise InputError(
                f'as_prior takes columns with densities; values of "{name}" have probabilities ({kind.describe()}); '
                'declare it "continuous" with the step 0 in a schema if it is not rounded.'
            )
    density = copy.deepcopy(model.density).double().cpu().eval()
    return Prior(
        _with_normal_base(density.flow.parts), density.columns.decode, _OfTable(density, roles), list(roles.features)
    )


def _with_normal_base(parts: list[tuple[float, Flow]]) -> list[tuple[float, Flow]]:
    for _, flow in parts:
        if not isinstance(flow.base, StandardNormal):
            raise InputError(
                f"as_prior takes flows over the normal base, and a part of this density is over "
                f'{type(flow.base).__name__}; fit with a named architecture, such as flow="nsf".'
            )
    return parts
