"""The named architectures: one short function each, checked, and rebuilt from its own call.

The signature of a function is its configuration: `flow.config` records the call (name and options) as plain JSON, and
`build(config)` makes the same flow again, with fresh weights. An unknown option is an error that names the nearest one.
"""

import copy
import difflib
import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import torch
from pydantic import Field, ValidationError, validate_call
from torch import Tensor
from torch.distributions.constraints import Constraint

from pushforward.bijections import (
    LU,
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    Bijection,
    Compose,
    Constrained,
    Coupling,
    ElementwiseAffine,
    Householder,
    Inverse,
    LogisticMixture,
    MarginalSpline,
    Planar,
    Radial,
    RationalQuadraticSpline,
    Rescaling,
    Standardized,
    Sylvester,
    Univariate,
)
from pushforward.distributions import BASES
from pushforward.errors import InputError
from pushforward.flow import Flow
from pushforward.networks.mlp import skips_of
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow

Features = Annotated[int, Field(ge=1, le=100_000)]
Context = Annotated[int, Field(ge=0, le=100_000)]
Layers = Annotated[int, Field(ge=1, le=1_000)]
Hidden = tuple[Annotated[int, Field(ge=1, le=100_000)], ...]
Activation = Literal["relu", "elu", "silu", "gelu", "tanh"]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Order = Literal["alternating", "same"] | tuple[int, ...]
BaseName = Literal["normal", "logistic", "uniform", "student_t", "mixture"]

MOST_KNOTS = 10_000

Options = ParamSpec("Options")
Model = TypeVar("Model")
ARCHITECTURES: dict[str, Callable[..., Flow]] = {}
# Models of sequences of any length, which have no number of features.
SEQUENCES: dict[str, Callable[..., Any]] = {}


def architecture(function: Callable[Options, Model]) -> Callable[Options, Model]:
    """Register a function that makes a model: check its options, and record the call as the model's config."""
    name = function.__name__
    signature = inspect.signature(function)
    checked = validate_call(function)

    @functools.wraps(function)
    def make(*args: Options.args, **options: Options.kwargs) -> Model:
        for option in options:
            if option not in signature.parameters:
                raise InputError(f"{name} has no option {option!r}{_nearest(option, signature.parameters)}.")
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        try:
            model: Any = checked(**bound.arguments)  # type: ignore[call-arg]
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{name}: option {option} cannot be {first['input']!r}: {first['msg']}.") from None
        model.config = {"architecture": name, **{key: _plain(value) for key, value in bound.arguments.items()}}
        return model

    registry: dict[str, Any] = ARCHITECTURES if "features" in signature.parameters else SEQUENCES
    registry[name] = make
    return make


def build(config: dict[str, Any]) -> Any:
    """Make the flow, or the model of sound, that a config describes, with fresh weights.

    Arguments:
        config: {"architecture": name, option: value, ...}, as in `flow.config`; a value may itself be the config of a
            flow.

    Raises:
        InputError: an unknown architecture or option (the nearest is named), or a value of the wrong kind.

    Example:
        >>> flow = build({"architecture": "realnvp", "features": 3, "layers": 2})
        >>> flow.config["hidden"]
        [128, 128]
        >>> build({"architecture": "realnpv", "features": 3})
        Traceback (most recent call last):
        pushforward.errors.InputError: There is no architecture 'realnpv'; did you mean 'realnvp'?...
    """
    options = dict(config)
    name = options.pop("architecture", None)
    if name == "standardized":
        if set(options) != {"flow"} or not isinstance(options["flow"], dict):
            raise InputError("A standardized flow is described by {'architecture': 'standardized', 'flow': {...}}.")
        return _standardized(build(options["flow"]))
    if name == "gaussianized":
        bounded = options.pop("bounded", False)
        if set(options) != {"flow", "knots"} or not isinstance(options["flow"], dict) or not isinstance(bounded, bool):
            raise InputError(
                "A gaussianized flow is described by {'architecture': 'gaussianized', 'flow': {...}, 'knots': K}, and "
                "perhaps 'bounded': true."
            )
        knots, flow = _checked_knots(options["knots"]), build(options["flow"])
        return _gaussianized(flow, MarginalSpline(flow.features, knots, bounded))
    if name in SEQUENCES:
        return SEQUENCES[name](**options)
    if name == "arbitrary_conditional":
        return _arbitrary_conditional(options)
    if name not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise InputError(f"There is no architecture {name!r}{_nearest(str(name), ARCHITECTURES)} (there are {known}).")
    if "features" not in options:
        raise InputError(f"{name} needs the number of features.")
    return ARCHITECTURES[name](**options)


@architecture
def planar(
    features: Features,
    context: Context = 0,
    layers: Layers = 16,
    hidden: Hidden = (64,),
    activation: Literal["tanh", "leaky_relu"] = "tanh",
    base: BaseName = "normal",
) -> Flow:
    """Planar flow: pushes along one direction after the other.

    x = f_layers(... f_1(z)), each f(z) = z + û h(wᵀz + b).

    Arguments:
        features: D.
        context: C; u, w and b of each layer are then functions of the context, default 0.
        layers: number of layers, default 16.
        hidden: widths of the hidden layers of those functions, default (64,).
        activation: h, "tanh" (default) or "leaky_relu".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: sample 1 pass; log_prob a scalar root for each layer with tanh, else 1 pass.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770.

    Example:
        >>> flow = planar(features=2, layers=8)
        >>> flow.bijection.cost
        Cost(forward='1 pass', inverse='8 × scalar root')
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    return Flow(
        Compose([Planar(features, activation, context=context, hidden=hidden) for _ in range(layers)]),
        BASES[base](features),
    )


@architecture
def radial(
    features: Features,
    context: Context = 0,
    layers: Layers = 16,
    hidden: Hidden = (64,),
    base: BaseName = "normal",
) -> Flow:
    """Radial flow: pushes towards or away from one point after the other.

    x = f_layers(... f_1(z)), each f(z) = z + β (z - centre) / (α + |z - centre|).

    Arguments:
        features: D.
        context: C; centre, α and β of each layer are then functions of the context, default 0.
        layers: number of layers, default 16.
        hidden: widths of the hidden layers of those functions, default (64,).
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Rezende and Mohamed 2015, arXiv:1505.05770.

    Example:
        >>> radial(features=2).sample((3,)).shape
        torch.Size([3, 2])
    """
    return Flow(
        Compose([Radial(features, context, hidden) for _ in range(layers)]),
        BASES[base](features),
    )


@architecture
def sylvester(
    features: Features,
    context: Context = 0,
    layers: Layers = 8,
    rank: Annotated[int, Field(ge=1)] | None = None,
    hidden: Hidden = (64,),
    base: BaseName = "normal",
) -> Flow:
    """Sylvester flow: pushes along M directions at once.

    x = f_layers(... f_1(z)), each f(z) = z + Q R tanh(S Qᵀz + b).

    Arguments:
        features: D.
        context: C; all weights are then functions of the context, default 0.
        layers: number of layers, default 8.
        rank: M, at most D; default D, but at most 8.
        hidden: widths of the hidden layers of those functions, default (64,).
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: sample 1 pass; log_prob M scalar roots for each layer.

    Source: van den Berg, Hasenclever, Tomczak and Welling 2018, arXiv:1803.05649.

    Example:
        >>> sylvester(features=4, rank=2).sample((3,)).shape
        torch.Size([3, 4])
    """
    rank = min(features, 8) if rank is None else rank
    if rank > features:
        raise InputError(f"sylvester: rank {rank} is more than the number of features, {features}.")
    return Flow(
        Compose([Sylvester(features, rank, context, hidden) for _ in range(layers)]),
        BASES[base](features),
    )


@architecture
def nice(
    features: Features,
    context: Context = 0,
    layers: Layers = 4,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    base: BaseName = "normal",
) -> Flow:
    """NICE: additive coupling layers, which preserve volume, and one rescaling layer.

    x = b_layers(... b_1(exp(log_scale) · z)), each b moving every other feature by a function of the rest.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of coupling layers, default 4 as in the paper (at least 3 let every feature reach every other).
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Dinh, Krueger and Bengio 2014, arXiv:1410.8516.

    Example:
        >>> nice(features=4).sample((2,)).shape
        torch.Size([2, 4])
    """
    _warn_if_one_feature("nice", features, context)
    couplings = [Coupling(_moved(features, k), Additive(), hidden, context, activation) for k in range(layers)]
    return Flow(Compose([Rescaling(features), *couplings]), BASES[base](features))


@architecture
def realnvp(
    features: Features,
    context: Context = 0,
    layers: Layers = 6,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    actnorm: bool = True,
    base: BaseName = "normal",
) -> Flow:
    """RealNVP: affine coupling layers that move every other feature in turn.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of coupling layers, default 6.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        actnorm: an ActNorm after each coupling layer (in place of the paper's batch normalisation), default True. It
            takes its scale from the first batch that `log_prob` sees in training mode.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: 1 pass in both directions.

    Source: Dinh, Sohl-Dickstein and Bengio 2016, arXiv:1605.08803.

    Example:
        >>> flow = realnvp(features=4)
        >>> flow.to_latent(torch.zeros(7, 4)).shape
        torch.Size([7, 4])
    """
    _check_residual("realnvp", hidden, residual)
    _warn_if_one_feature("realnvp", features, context)
    parts: list[Bijection] = []
    for k in range(layers):
        parts.append(Coupling(_moved(features, k), Affine(), hidden, context, activation, residual, dropout))
        if actnorm:
            parts.append(ActNorm(features))
    return Flow(Compose(parts), BASES[base](features))


@architecture
def maf(
    features: Features,
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    base: BaseName = "normal",
    order: Order = "alternating",
) -> Flow:
    """MAF, the masked autoregressive flow: affine autoregressive layers, the order reversed from one to the next.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of autoregressive layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.

    Cost: log_prob 1 pass; sample D steps.

    Source: Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057.

    Example:
        >>> flow = maf(features=6, layers=2)
        >>> flow.log_prob(torch.zeros(3, 6)).shape
        torch.Size([3])
        >>> flow.bijection.cost
        Cost(forward='2 × D steps', inverse='1 pass')
    """
    _check_residual("maf", hidden, residual)
    _warn_if_one_feature("maf", features, context)
    parts = [
        Autoregressive(features, Affine(), hidden, context, one_order, activation, residual, dropout)
        for one_order in _orders("maf", features, layers, order)
    ]
    return Flow(Compose(parts), BASES[base](features))


@architecture
def iaf(
    features: Features,
    context: Context = 0,
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    activation: Activation = "relu",
    base: BaseName = "normal",
    order: Order = "alternating",
) -> Flow:
    """IAF, the inverse autoregressive flow: MAF's layers with their directions swapped.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        layers: number of autoregressive layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.

    Cost: sample 1 pass; log_prob D steps.

    Source: Kingma et al. 2016, arXiv:1606.04934.

    Example:
        >>> x, log_prob = iaf(features=6).sample_with_log_prob((3,))
        >>> x.shape, log_prob.shape
        (torch.Size([3, 6]), torch.Size([3]))
    """
    _warn_if_one_feature("iaf", features, context)
    parts = [
        Inverse(Autoregressive(features, Affine(), hidden, context, one_order, activation))
        for one_order in _orders("iaf", features, layers, order)
    ]
    return Flow(Compose(parts), BASES[base](features))


@architecture
def nsf(
    features: Features,
    context: Context = 0,
    kind: Literal["autoregressive", "inverse_autoregressive", "coupling"] = "autoregressive",
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    bins: Annotated[int, Field(ge=1, le=1_000)] = 8,
    bound: Annotated[float, Field(gt=0, lt=float("inf"))] = 5.0,
    tails: Literal["identity", "linear"] = "identity",
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    linear: Literal["none", "lu", "householder"] = "none",
    base: BaseName = "normal",
    order: Order = "alternating",
) -> Flow:
    """Neural spline flow: layers of rational quadratic splines, autoregressive (either way round) or coupling.

    x = f_layers(... f_1(z)), each f moving a feature along a spline whose knots depend on features before it (kind
    "autoregressive", the order reversed from one layer to the next) or on every other feature ("coupling"); in the
    inverse autoregressive kind f⁻¹ is such a layer.

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        kind: "autoregressive" (default), "inverse_autoregressive" or "coupling".
        layers: number of layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        bins: pieces of each spline, default 8.
        bound: half the side of the box in which the splines bend, default 5: data should be standardised.
        tails: outside it, "identity" (default), or "linear" with trained slopes.
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        linear: a layer that mixes all features before each layer of splines, seen from the data: "none" (default),
            "lu", a free matrix that starts at the identity, or "householder", a rotation that starts at random.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".
        order: of the features: "alternating" (default), 0 .. D-1 and its reverse in turn; "same", 0 .. D-1 in every
            layer; or (D,) numbers, the features from first to last in every layer. One order throughout leaves the flow
            with conditionals x[d] given x[before d], which distillation can compare one by one.

    Cost: autoregressive: log_prob 1 pass, sample D steps; its inverse the other way round; coupling: 1 pass in both
    directions.

    Source: Durkan, Bekasov, Murray and Papamakarios 2019, arXiv:1906.04032.

    Example:
        >>> flow = nsf(features=6, kind="coupling", layers=2)
        >>> flow.sample((3,)).shape
        torch.Size([3, 6])
    """
    _check_residual("nsf", hidden, residual)
    spline = RationalQuadraticSpline(bins, bound, tails)
    parts: list[Bijection] = []
    for k, one_order in enumerate(_orders("nsf", features, layers, order)):
        parts.append(_layer(kind, k, features, spline, hidden, context, activation, residual, dropout, one_order))
        if linear != "none":
            parts.append(LU(features) if linear == "lu" else Householder(features))
    return Flow(Compose(parts), BASES[base](features))


@architecture
def mixture_cdf(
    features: Features,
    context: Context = 0,
    kind: Literal["autoregressive", "coupling"] = "autoregressive",
    layers: Layers = 5,
    hidden: Hidden = (128, 128),
    components: Annotated[int, Field(ge=1, le=1_000)] = 8,
    activation: Activation = "relu",
    residual: bool = False,
    dropout: Dropout = 0.0,
    base: BaseName = "normal",
) -> Flow:
    """Mixture CDF flow: layers of distribution functions of logistic mixtures, autoregressive or coupling.

    z = f_layers(... f_1(x)), each f(x) = shift + exp(log_scale) · logit(Σ_k π_k σ((x - μ_k) / s_k)) of a feature, with
    parameters that depend on features before it (kind "autoregressive", the order reversed from one layer to the next)
    or on every other feature ("coupling").

    Arguments:
        features: D.
        context: C, number of context features, default 0.
        kind: "autoregressive" (default) or "coupling".
        layers: number of layers, default 5.
        hidden: widths of each conditioner's hidden layers, default (128, 128).
        components: of each mixture, default 8.
        activation: "relu" (default), "elu", "silu", "gelu", "tanh".
        residual: whether hidden layers after the first come in pairs, each pair's input added to its output, default
            False; they are then 1, 3, 5 ... of one width.
        dropout: share of hidden activations set to zero in training, default 0.
        base: "normal" (default), "logistic", "uniform", "student_t", "mixture".

    Cost: log_prob 1 pass; sample a scalar root for each layer, and, if autoregressive, for each feature.

    Source: Ho et al. 2019, Flow++, arXiv:1902.00275; Huang et al. 2018, neural autoregressive flows, arXiv:1804.00779.

    Example:
        >>> flow = mixture_cdf(features=6, kind="coupling", layers=2)
        >>> flow.sample((3,)).shape
        torch.Size([3, 6])
        >>> flow.bijection.cost
        Cost(forward='2 × scalar root', inverse='1 pass')
    """
    _check_residual("mixture_cdf", hidden, residual)
    mixture = LogisticMixture(components)
    return Flow(
        Compose(
            [_layer(kind, k, features, mixture, hidden, context, activation, residual, dropout) for k in range(layers)]
        ),
        BASES[base](features),
    )


def standardized(flow: Flow, x: Tensor, context: Tensor | None = None) -> Flow:
    """The flow in the units of data x: x and context are standardised on their way in, and log_prob counts it.

    x = mean + deviation · f(z; (context - context_mean) / context_deviation)

    Arguments:
        flow: the flow in standardised units; it is used, not copied.
        x: (N, D) data that gives mean and standard deviation; give float64 to keep the data side in float64.
        context: (N, C), for a conditional flow.

    Returns:
        A flow that takes and gives x in its own units and in the precision of the x given here.

    Raises:
        ValueError: fewer than two rows, or a feature or context that is constant or not finite.

    Example:
        >>> x = 1000 + 5 * torch.randn(100, 2, dtype=torch.float64)
        >>> flow = standardized(maf(features=2), x)
        >>> flow.sample((10,)).dtype
        torch.float64
    """
    return _standardized(
        flow, _standardization(x, "x"), None if context is None else _standardization(context, "context")
    )


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
) -> Flow:
    """The flow behind a spline that makes each feature of data x nearly normal, and log_prob in the data's own units.

    x = spline(f(z; (context - context_mean) / context_deviation)), with `MarginalSpline.from_data(x, knots)`: skewed
    and heavy tails, bounds and outliers are taken away feature by feature before the flow sees any of them, which is
    left with how features depend on each other.

    Arguments:
        flow: the flow in standardised units; it is used, not copied.
        x: (N, D) data that gives the splines; give float64 to keep the data side in float64.
        context: (N, C), for a conditional flow; it is standardised by mean and deviation.
        knots: of each spline, 4 to 10 000, default 32.
        low: lower bounds of the features, which no sample passes; -inf for none.
        high: upper bounds of the features, inf for none.
        normal: features that are nearly normal already, and are left as they are.
        weights: (N,) weights above 0, by which rows count in quantiles, mean and deviation; default all alike.

    Returns:
        A flow that takes and gives x in its own units and in the precision of the x given here.

    Raises:
        InputError: a number of knots outside its limits.
        ValueError: fewer than two rows, or a feature or context that is constant or not finite.

    Example:
        >>> x = torch.randn(200, 2, dtype=torch.float64).exp()
        >>> flow = gaussianized(maf(features=2), x)
        >>> flow.log_prob(x).shape, flow.sample((10,)).dtype
        (torch.Size([200]), torch.float64)
    """
    spline = MarginalSpline.from_data(x, _checked_knots(knots), low=low, high=high, normal=normal, weights=weights)
    return _gaussianized(flow, spline, None if context is None else _standardization(context, "context", weights))


def in_units_of(flow: Flow, other: Flow) -> Flow:
    """The flow in the units of another one made by `standardized` or `gaussianized`, with copies of its fixed maps.

    Arguments:
        flow: the flow in standardised units; it is used, not copied.
        other: the flow whose units are taken.

    Raises:
        ValueError: the other is in no units of data.

    Example:
        >>> other = standardized(maf(features=2), 1000 + torch.randn(50, 2))
        >>> abs(float(in_units_of(iaf(features=2), other).sample((1000,)).mean()) - 1000) < 5
        True
    """
    units = copy.deepcopy(other.bijection)
    if not isinstance(units, Standardized):
        raise ValueError("The other flow is made neither by standardized nor by gaussianized: it has no units to take.")
    if isinstance(units.data, MarginalSpline):
        return _gaussianized(flow, units.data, units.context)
    if isinstance(units.data, ElementwiseAffine):
        return _standardized(flow, units.data, units.context)
    return _in_units_of_data(flow, units.data, units.context, None)


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
        >>> from torch.distributions import constraints
        >>> flow = constrained(maf(features=3), [constraints.positive, (constraints.simplex, 3)])
        >>> x = flow.sample((100,))
        >>> bool((x[:, 0] > 0).all()), x.shape
        (True, torch.Size([100, 4]))
    """
    return Flow(Compose([flow.bijection, Constrained(blocks)]), flow.base)


def _arbitrary_conditional(options: dict[str, Any]) -> Any:
    try:
        return validate_call(ArbitraryConditionalFlow.checked)(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"arbitrary_conditional: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def _standardized(flow: Flow, data: ElementwiseAffine | None = None, context: ElementwiseAffine | None = None) -> Flow:
    data = data or ElementwiseAffine(shift=torch.zeros(flow.features))
    config = None if flow.config is None else {"architecture": "standardized", "flow": flow.config}
    return _in_units_of_data(flow, data, context, config)


def _gaussianized(flow: Flow, data: MarginalSpline, context: ElementwiseAffine | None = None) -> Flow:
    config = None
    if flow.config is not None:
        config = {"architecture": "gaussianized", "flow": flow.config, "knots": data.z_knots.shape[1]}
        if data.low is not None:
            config["bounded"] = True
    return _in_units_of_data(flow, data, context, config)


def _in_units_of_data(
    flow: Flow, data: Bijection, context: ElementwiseAffine | None, config: dict[str, Any] | None
) -> Flow:
    if context is None and flow.context_features:
        context = ElementwiseAffine(shift=torch.zeros(flow.context_features))
    return Flow(Standardized(flow.bijection, data, context), flow.base, config)


def _checked_knots(knots: object) -> int:
    if not isinstance(knots, int) or not 4 <= knots <= MOST_KNOTS:
        raise InputError(f"gaussianized: option knots must be a number from 4 to {MOST_KNOTS}, got {knots!r}.")
    return knots


def _standardization(rows: Tensor, name: str, weights: Tensor | None = None) -> ElementwiseAffine:
    if rows.dim() != 2 or len(rows) < 2:
        raise ValueError(f"{name} must have shape (N, features) with at least two rows, got {tuple(rows.shape)}.")
    # In float64 whatever comes in: a float32 sum over millions of rows would lose the mean.
    deviation, mean = torch.std_mean(rows.double(), 0, correction=0)
    if weights is not None:
        shares = (weights.double() / weights.double().sum())[:, None]
        mean = (shares * rows.double()).sum(0)
        deviation = (shares * (rows.double() - mean) ** 2).sum(0).sqrt()
    if not bool((torch.isfinite(deviation) & (deviation > 0)).all()):
        bad = int((~(torch.isfinite(deviation) & (deviation > 0))).nonzero()[0])
        raise ValueError(f"Column {bad} of {name} is constant or not finite: it cannot be standardised.")
    return ElementwiseAffine(shift=mean.to(rows.dtype), scale=deviation.to(rows.dtype))


def _layer(
    kind: str,
    layer: int,
    features: int,
    univariate: Univariate,
    hidden: Sequence[int],
    context: int,
    activation: str,
    residual: bool,
    dropout: float,
    order: Sequence[int] | None = None,
) -> Bijection:
    """A layer of a flow that may be of any kind; it starts near the identity, whence it trains soonest."""
    options = (univariate, hidden, context)
    made = (
        Coupling(_moved(features, layer), *options, activation, residual, dropout)
        if kind == "coupling"
        else Autoregressive(features, *options, order or _order(features, layer), activation, residual, dropout)
    )
    made.conditioner.start_at_zero()
    return Inverse(made) if kind == "inverse_autoregressive" else made


def _moved(features: int, layer: int) -> Tensor:
    """Every other feature, beginning with the second, then the first, and so on; a single feature always moves."""
    return (torch.arange(features) + layer) % 2 == 1 if features > 1 else torch.tensor([True])


def _order(features: int, layer: int) -> list[int]:
    """Forwards in even layers, backwards in odd ones."""
    return list(range(features))[:: -1 if layer % 2 else 1]


def _orders(name: str, features: int, layers: int, order: Order) -> list[list[int]]:
    """The order of each layer."""
    if isinstance(order, tuple) and sorted(order) != list(range(features)):
        raise InputError(f"{name}: order must hold each of 0 .. {features - 1} once, got {list(order)}.")
    if order == "alternating":
        # Two lists, however many layers a hostile file asks for.
        forwards, backwards = _order(features, 0), _order(features, 1)
        return [backwards if layer % 2 else forwards for layer in range(layers)]
    return [list(range(features)) if order == "same" else [int(feature) for feature in order]] * layers


def _warn_if_one_feature(name: str, features: int, context: int) -> None:
    if features == 1 and not context:
        warnings.warn(
            f"{name} of one feature and no context can only shift and scale its base: "
            'base="mixture" gives it a shape of its own.',
            stacklevel=6,
        )


def _check_residual(name: str, hidden: Sequence[int], residual: bool) -> None:
    try:
        skips_of(hidden, residual)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; it is one of {', '.join(known)}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
