"""Flows in the units of data, and flows over a support."""

import copy
import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from pushforward.bijections import Bijection, Compose, Constrained, ElementwiseAffine, MarginalSpline, Standardized
from pushforward.bijections.cluster_marginals import ClusterMarginals
from pushforward.bijections.clustered import Clustered
from pushforward.bijections.clusters import MOST_CLUSTERS, Boxes, find_clusters
from pushforward.bijections.context_features import ContextFeatures
from pushforward.bijections.context_range import ContextRange
from pushforward.bijections.context_trend import ContextTrend
from pushforward.distributions import StandardNormal
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.zoo.covariance import LEAST_SHARE, covariance_of_scores
from pushforward.zoo.registry import build, register
from pushforward.zoo.trend import trend_of

MOST_KNOTS = 10_000


def standardized(flow: Flow, x: Tensor, context: Tensor | None = None) -> Flow:
    """The flow in the units of data x: x and context are standardized first, and log_prob accounts for it.

    x = mean + deviation · f(z; (context - context_mean) / context_deviation)

    Arguments:
        flow: the flow in standardized units; it is used, not copied.
        x: (N, D) data that gives mean and standard deviation; give float64 to keep the data side in float64.
        context: (N, C), for a conditional flow. Beyond its range the flow goes on along the linear trend of the data,
            ever less certain, see `ContextTrend`.

    Returns:
        A flow that takes and gives x in its own units and in the precision of the x given here.

    Raises:
        ValueError: fewer than two rows, or a feature or context that is constant or not finite.

    Example:
        >>> import pushforward as pf
        >>> x = 1000 + 5 * torch.randn(100, 2, dtype=torch.float64)
        >>> flow = standardized(pf.maf(features=2), x)
        >>> flow.sample((10,)).dtype
        torch.float64
    """
    of_context = _of_context(flow, x, context, trends=range(x.shape[-1]))
    return _standardized(flow, _standardization(x, "x"), of_context)


def gaussianized(
    flow: Flow,
    x: Tensor,
    context: Tensor | None = None,
    knots: int = 32,
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    normal: Sequence[int] = (),
    weights: Tensor | None = None,
    known: Tensor | None = None,
    straight: Collection[int] = (),
    context_knots: int | None = None,
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> Flow:
    """The flow behind a spline that makes each feature of data x nearly normal, and log_prob in the data's own units.

    x = spline(f(z; (context - context_mean) / context_deviation)), with `MarginalSpline.from_data(x, knots)`: skew,
    heavy tails, bounds and outliers are removed feature by feature, and the flow has only to learn how features depend
    on each other. Where `find_clusters` finds clusters that are far apart in several features, each has splines and a
    share of its own, see `Clustered`, unless the flow has an order of the features or another base than the normal one.

    Arguments:
        flow: the flow in standardized units; it is used, not copied.
        x: (N, D) data that gives the splines; give float64 to keep the data side in float64.
        context: (N, C), for a conditional flow; it is standardized by mean and deviation, and beyond its range the flow
            goes on along the linear trend of the data, ever less certain, see `ContextTrend`.
        knots: of each spline, 4 to 10 000, default 32.
        low: lower bounds of the features, which no sample passes; -inf for none.
        high: upper bounds of the features, inf for none.
        normal: features that are nearly normal already and are left unchanged; in clusters their tails are.
        weights: (N,) weights above 0, of the rows in quantiles, mean and deviation; default all equal.
        known: (M, C) rows whose range is that of the context; default those of the context itself.
        straight: features that are only shifted and scaled; default none. Those of clusters are chosen for each.
        context_knots: of splines that give the flow a normal score beside each context, without their correlations: see
            `ContextFeatures`. The flow given here then takes 2 C context features, less the number of flags. Default
            none: it takes C.
        flags: numbers of the context from -1 to 1 that the flow is given as they are, such as flags, which may be
            constant; default none.
        trends: features of which the location follows a linear trend of the context; default all without bounds that
            are not nearly normal already. There are none in clusters.
        predictions: numbers of the context that are functions of the others, along which there is no trend; default
            none.

    Returns:
        A flow that takes and gives x in its own units and in the precision of the x given here.

    Raises:
        InputError: a number of knots outside its limits.
        ValueError: fewer than two rows, or a feature or context that is constant or not finite.

    Example:
        >>> import pushforward as pf
        >>> x = torch.randn(200, 2, dtype=torch.float64).exp()
        >>> flow = gaussianized(pf.maf(features=2), x)
        >>> flow.log_prob(x).shape, flow.sample((10,)).dtype
        (torch.Size([200]), torch.float64)
    """
    ends = {"low": low, "high": high}
    boxes = find_clusters(x) if takes_clusters(flow) else None
    if boxes is not None:
        return in_clusters(
            flow, x, boxes, context, knots, **ends, normal=normal, weights=weights, known=known, labels=False,
            flags=flags,
        )  # fmt: skip
    return behind_splines(
        flow, x, context, knots, **ends, normal=normal, weights=weights, known=known, straight=straight,
        context_knots=context_knots, flags=flags, trends=trends, predictions=predictions,
    )  # fmt: skip


def behind_splines(
    flow: Flow,
    x: Tensor,
    context: Tensor | None = None,
    knots: int = 32,
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    normal: Sequence[int] = (),
    weights: Tensor | None = None,
    known: Tensor | None = None,
    straight: Collection[int] = (),
    context_knots: int | None = None,
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> Flow:
    """The flow in the units of data x as `gaussianized` gives it, without a search for clusters.

    Arguments: as for `gaussianized`.
    """
    spline = MarginalSpline.from_data(
        x, _checked_knots(knots), low=low, high=high, normal=normal, weights=weights, straight=straight
    )
    if trends is None:
        bounded = [feature for ends in (low, high) if ends for feature, end in enumerate(ends) if math.isfinite(end)]
        trends = set(range(x.shape[1])) - {*normal, *bounded}
    of_context = _of_context(flow, x, context, weights, known, context_knots, flags, trends, predictions)
    return _gaussianized(flow, spline, of_context)


def in_clusters(
    flow: Flow,
    x: Tensor,
    boxes: Boxes,
    context: Tensor | None = None,
    knots: int = 32,
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    normal: Sequence[int] = (),
    weights: Tensor | None = None,
    known: Tensor | None = None,
    labels: bool = True,
    flags: Collection[int] = (),
) -> Flow:
    """The flow in the units of data x as `gaussianized` gives it, with splines and a share for each cluster.

    Arguments: as for `gaussianized`, and
        boxes: around the clusters, K, see `find_clusters`.
        labels: whether the flow is given the cluster, by K - 1 features of context after those of the context.
    """
    ends = {"low": low, "high": high}
    data = ClusterMarginals.from_data(x, boxes, _checked_knots(knots), **ends, normal=normal, weights=weights)
    of_context = _of_context(flow, x, context, weights, known, flags=flags)
    found = _clustered(flow, data, labels, *of_context[:2])
    assert isinstance(found.bijection, Clustered)
    of_row = torch.ones_like(x[:, 0]) if weights is None else weights.to(x)
    scores, label, _ = data.scores(x)
    for cluster in range(data.clusters):
        own = label == cluster
        mean, covariance = covariance_of_scores(scores[own], None if weights is None else weights[own])
        # Of few rows it may have no inverse.
        covariance = torch.lerp(covariance, torch.eye(len(mean)).to(covariance), LEAST_SHARE)
        data.mean[cluster], data.root[cluster] = mean, torch.linalg.cholesky(covariance)
    sums = torch.zeros(data.clusters, dtype=x.dtype, device=x.device).index_add(0, label, of_row)
    found.bijection.log_shares.copy_((sums / sums.sum()).log())
    return found


def takes_clusters(flow: Flow) -> bool:
    """Whether a flow in standardized units may be given clusters: they leave no order of the features."""
    return flow.features > 1 and isinstance(flow.base, StandardNormal) and flow.bijection.order() is None


def inner_context(flow: Flow) -> int:
    """The number of context features of the flow in standardized units, if there is one; else of the flow itself."""
    bijection = flow.bijection
    return (bijection.bijection if isinstance(bijection, Standardized) else bijection).context_features


def straight(
    flow: Flow,
    x: Tensor,
    context: Tensor | None = None,
    weights: Tensor | None = None,
    context_knots: int | None = None,
    normal: Collection[int] = (),
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> Flow:
    """The flow in the units of data x as `standardized` gives it, with the tails of `gaussianized` beyond the data.

    Arguments:
        flow: the flow in standardized units; it is used, not copied.
        x: (N, D) data.
        context: (N, C), for a conditional flow.
        weights: (N,) weights above 0, of the rows in mean and deviation; default all equal.
        context_knots: as in `gaussianized`.
        normal: features that are nearly normal already and are left unchanged, tails included.
        flags: as in `gaussianized`.
        trends: as in `gaussianized`.
        predictions: as in `gaussianized`.

    Raises:
        ValueError: fewer than two rows, or a feature or context that is constant or not finite.
    """
    spline = MarginalSpline.from_data(x, 4, straight=range(x.shape[1]), normal=[*normal], weights=weights, apart=False)
    trends = set(range(x.shape[1])) - {*normal} if trends is None else trends
    of_context = _of_context(flow, x, context, weights, None, context_knots, flags, trends, predictions)
    return _gaussianized(flow, spline, of_context)


def in_units_of(flow: Flow, other: Flow) -> Flow:
    """The flow in the units of another one made by `standardized` or `gaussianized`, with copies of its fixed maps.

    Arguments:
        flow: the flow in standardized units; it is used, not copied.
        other: the flow whose units are taken.

    Raises:
        ValueError: the other flow was made by neither.

    Example:
        >>> import pushforward as pf
        >>> other = standardized(pf.maf(features=2), 1000 + torch.randn(50, 2))
        >>> abs(float(in_units_of(pf.iaf(features=2), other).sample((1000,)).mean()) - 1000) < 5
        True
    """
    units = copy.deepcopy(other.bijection)
    if not isinstance(units, Standardized):
        raise ValueError("The other flow was made by neither standardized nor gaussianized: it has no units to take.")
    if isinstance(units, Clustered):
        units.bijection = flow.bijection
        return Flow(units, flow.base, _config_of_clusters(flow, units))
    of_context = units.context, units.context_range, units.features_of_context, units.context_trend
    if isinstance(units.data, MarginalSpline):
        return _gaussianized(flow, units.data, of_context)
    if isinstance(units.data, ElementwiseAffine):
        return _standardized(flow, units.data, of_context)
    return _in_units_of_data(flow, units.data, of_context, None)


def constrained(flow: Flow, blocks: Sequence[Constraint | tuple[Constraint, int]]) -> Flow:
    """The flow followed by a map into a support: positive numbers, intervals, simplices, ordered numbers.

    Arguments:
        flow: a flow over the free coordinates; it is used, not copied.
        blocks: pairs of a constraint of `torch.distributions.constraints` and its number of coordinates, in their
            order; a constraint alone stands for one coordinate. A simplex of K coordinates takes K - 1 free ones.

    Returns:
        A flow over the support. It has no config: save its `state_dict()`.

    Raises:
        ValueError: the free coordinates are not as many as the flow's features.

    Example:
        >>> import pushforward as pf
        >>> from torch.distributions import constraints
        >>> flow = constrained(pf.maf(features=3), [constraints.positive, (constraints.simplex, 3)])
        >>> x = flow.sample((100,))
        >>> bool((x[:, 0] > 0).all()), x.shape
        (True, torch.Size([100, 4]))
    """
    return Flow(Compose([flow.bijection, Constrained(blocks)]), flow.base)


@register("standardized")
def _build_standardized(
    flow: dict[str, Any],
    context_range: bool = False,
    context_knots: Any = None,
    context_flags: Any = (),
    context_trend: Any = None,
) -> Flow:
    inner = build(flow)
    return _standardized(inner, None, _fresh(inner, context_range, context_knots, context_flags, context_trend))


@register("gaussianized")
def _build_gaussianized(
    flow: dict[str, Any],
    knots: Any,
    bounded: bool = False,
    context_range: bool = False,
    clusters: int = 1,
    labels: bool = False,
    context_knots: Any = None,
    context_flags: Any = (),
    context_trend: Any = None,
) -> Flow:
    inner = build(flow)
    if not isinstance(clusters, int) or not 1 <= clusters <= MOST_CLUSTERS:
        raise InputError(f"gaussianized: option clusters must be a number from 1 to {MOST_CLUSTERS}, got {clusters!r}.")
    if clusters > 1:
        data = ClusterMarginals(inner.features, clusters, _checked_knots(knots), bounded)
        own = inner.context_features - (clusters - 1 if labels else 0)
        if own < 0:
            raise InputError(f"gaussianized: the flow takes too few features of context for {clusters} labels.")
        return _clustered(inner, data, labels, None, ContextRange(own) if context_range else None)
    spline = MarginalSpline(inner.features, _checked_knots(knots), bounded)
    return _gaussianized(inner, spline, _fresh(inner, context_range, context_knots, context_flags, context_trend))


# Shift and scale of a context, its range in those units, what a flow sees of it, and how data go on beyond the range.
_OfContext = tuple[ElementwiseAffine | None, ContextRange | None, ContextFeatures | None, ContextTrend | None]


def _fresh(
    inner: Flow, context_range: bool, context_knots: Any, flags: Any = (), context_trend: Any = None
) -> _OfContext:
    """The maps of a context with fresh numbers, before those of a file are read."""
    size, seen = inner.context_features, None
    if context_knots is not None:
        size = (inner.context_features + len(_checked_flags(flags, inner.context_features))) // 2
        seen = ContextFeatures(size, _checked_knots(context_knots), _checked_flags(flags, size))
    trend = None
    if context_trend is not None:
        if not isinstance(context_trend, int) or not 1 <= context_trend <= MOST_KNOTS:
            raise InputError(f"option context_trend must be a number of points to {MOST_KNOTS}, got {context_trend!r}.")
        trend = ContextTrend(inner.features, size, context_trend)
    return None, ContextRange(size) if context_range else None, seen, trend


def _checked_flags(flags: Any, size: int) -> list[int]:
    known = isinstance(flags, list | tuple) and all(type(place) is int and 0 <= place < size for place in flags)
    if not known or len(set(flags)) < len(flags):
        raise InputError(f"gaussianized: option context_flags must be different places below {size}, got {flags!r}.")
    return list(flags)


def _standardized(
    flow: Flow, data: ElementwiseAffine | None = None, of_context: _OfContext = (None, None, None, None)
) -> Flow:
    data = data or ElementwiseAffine(shift=torch.zeros(flow.features))
    config = None if flow.config is None else {"architecture": "standardized", "flow": flow.config}
    return _in_units_of_data(flow, data, of_context, config)


def _gaussianized(flow: Flow, data: MarginalSpline, of_context: _OfContext = (None, None, None, None)) -> Flow:
    config = None
    if flow.config is not None:
        config = {"architecture": "gaussianized", "flow": flow.config, "knots": data.z_knots.shape[1]}
        if data.low is not None:
            config["bounded"] = True
    return _in_units_of_data(flow, data, of_context, config)


def _clustered(
    flow: Flow,
    data: ClusterMarginals,
    labels: bool,
    context: ElementwiseAffine | None = None,
    context_range: ContextRange | None = None,
) -> Flow:
    own = flow.context_features - (data.clusters - 1 if labels else 0)
    if context is None and own:
        context = ElementwiseAffine(shift=torch.zeros(own))
    bijection = Clustered(flow.bijection, data, context, context_range)
    return Flow(bijection, flow.base, _config_of_clusters(flow, bijection))


def _config_of_clusters(flow: Flow, units: Clustered) -> dict[str, Any] | None:
    if flow.config is None:
        return None
    splines = units.data.splines
    config = {"architecture": "gaussianized", "flow": flow.config, "knots": splines.z_knots.shape[1]}
    config |= {"clusters": units.data.clusters, "labels": units.sees_labels}
    if splines.low is not None:
        config["bounded"] = True
    if units.context_range is not None:
        config["context_range"] = True
    return config


def _in_units_of_data(flow: Flow, data: Bijection, of_context: _OfContext, config: dict[str, Any] | None) -> Flow:
    context, context_range, seen, trend = of_context
    if context is None and flow.context_features:
        size = flow.context_features if seen is None else seen.features
        context = ElementwiseAffine(shift=torch.zeros(size))
    if config is not None and context_range is not None:
        config["context_range"] = True
    if config is not None and seen is not None:
        config["context_knots"] = seen.scores.z_knots.shape[1]
        if seen.flags:
            config["context_flags"] = seen.flags
    if config is not None and trend is not None:
        config["context_trend"] = len(trend.latents)
    return Flow(Standardized(flow.bijection, data, context, context_range, seen, trend), flow.base, config)


def _checked_knots(knots: object) -> int:
    if not isinstance(knots, int) or not 4 <= knots <= MOST_KNOTS:
        raise InputError(f"gaussianized: option knots must be a number from 4 to {MOST_KNOTS}, got {knots!r}.")
    return knots


def _of_context(
    flow: Flow,
    x: Tensor,
    context: Tensor | None,
    weights: Tensor | None = None,
    known: Tensor | None = None,
    knots: int | None = None,
    flags: Collection[int] = (),
    trends: Collection[int] | None = None,
    predictions: Collection[int] = (),
) -> _OfContext:
    """The maps of a context, (N, C): its range is that of known rows; with knots a flow sees its features.

    With trends, of features of x, (N, D), the flow goes on beyond the range.
    """
    if context is None:
        return None, None, None, None
    affine = _standardization(context, "context", weights, flags)
    standard = affine.inverse(context)[0]
    context_range = ContextRange(context.shape[1]).set(standard if known is None else affine.inverse(known)[0])
    trend = None if trends is None else trend_of(flow.base, x, standard, trends, weights, predictions)
    if knots is None:
        return affine, context_range, None, trend
    return affine, context_range, ContextFeatures.from_data(standard, _checked_knots(knots), weights, flags), trend


def _standardization(
    rows: Tensor, name: str, weights: Tensor | None = None, flags: Collection[int] = ()
) -> ElementwiseAffine:
    if rows.dim() != 2 or len(rows) < 2:
        raise ValueError(f"{name} must have shape (N, features) with at least two rows, got {tuple(rows.shape)}.")
    # Always in float64: a float32 sum over millions of rows would lose the mean.
    deviation, mean = torch.std_mean(rows.double(), 0, correction=0)
    if weights is not None:
        shares = (weights.double() / weights.double().sum())[:, None]
        mean = (shares * rows.double()).sum(0)
        deviation = (shares * (rows.double() - mean) ** 2).sum(0).sqrt()
    mean[list(flags)], deviation[list(flags)] = 0.0, 1.0
    if not bool((torch.isfinite(deviation) & (deviation > 0)).all()):
        bad = int((~(torch.isfinite(deviation) & (deviation > 0))).nonzero()[0])
        raise ValueError(f"Column {bad} of {name} is constant or not finite: it cannot be standardized.")
    return ElementwiseAffine(shift=mean.to(rows.dtype), scale=deviation.to(rows.dtype))
