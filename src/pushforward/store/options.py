"""The options of the architectures that are read without PyTorch: which each has, and what they may be.

They are those of the functions in `pushforward.zoo`, which build the same flows with PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from pushforward.errors import InputError


class NeedsPyTorch(InputError):
    """A model that is not read without PyTorch.

    Arguments:
        kind: what it is, "model of the architecture" or "flow of the univariate family".
        name: of its architecture or family.
        known: the names of those that are read.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        self.name = str(name)
        self.part = f"{kind} {str(name)[:100]!r}"
        self.others = f"those that can are {', '.join(known)}."
        super().__init__(f"A {self.part} cannot be read without PyTorch; {self.others}")


# Gives an option as it is used, or raises a ValueError.
Check = Callable[[Any], Any]
LOG_1000 = math.log(1e3)
MOST_PARAMETERS = 10_000


def _whole(low: int, high: float) -> Check:
    def checked(value: Any) -> int:
        # An option that was given as 5.0 is written so.
        whole = type(value) is int or (type(value) is float and value.is_integer())
        if not whole or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return checked


def _number(low: float, high: float) -> Check:
    """Numbers between two ends, which are not among them."""

    def checked(value: Any) -> float:
        if type(value) not in (int, float) or not low < value < high:
            raise ValueError(f"a number between {low} and {high}")
        return float(value)

    return checked


def _share(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise ValueError("a number from 0 to below 1")
    return float(value)


def _one_of(*names: str) -> Check:
    def checked(value: Any) -> Any:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return value

    return checked


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | int) or value not in (0, 1):
        raise ValueError("true or false")
    return bool(value)


def _list_of(check: Check) -> Check:
    def checked(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueError("a list")
        return [check(part) for part in value]

    return checked


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _order(value: Any) -> Any:
    return value if value in ("alternating", "same") else _list_of(_whole(0, 100_000))(value)


def _config(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("the config of a flow")
    return value


REQUIRED: Any = object()
FINITE, FEATURES = _number(-math.inf, math.inf), (_whole(1, 100_000), REQUIRED)
BOUND, KNOTS = (_number(0, math.inf), 5.0), _whole(4, 10_000)
# The options of univariate families; an option is what may be, and what is where nothing is said.
FAMILIES: dict[str, dict[str, tuple[Check, Any]]] = {
    "additive": {},
    "affine": {"log_scale_bound": (FINITE, LOG_1000)},
    "relative_affine": {"log_scale_bound": (FINITE, LOG_1000)},
    "sinh_arcsinh": {"log_scale_bound": (FINITE, LOG_1000), "log_tail_bound": (FINITE, math.log(2))},
    "spline": {
        "bins": (_whole(1, MOST_PARAMETERS), 8),
        "bound": BOUND,
        "tails": (_one_of("identity", "linear", "circular"), "identity"),
    },
    "logistic_mixture": {"components": (_whole(1, MOST_PARAMETERS), 8), "log_scale_bound": (FINITE, LOG_1000)},
    "bernstein": {"degree": (_whole(1, MOST_PARAMETERS), 16), "bound": BOUND},
    "sum_of_squares": {
        "polynomials": (_whole(1, MOST_PARAMETERS), 3),
        "degree": (_whole(0, MOST_PARAMETERS), 4),
        "bound": BOUND,
    },
    "monotone_network": {"units": (_whole(1, MOST_PARAMETERS), 8), "bound": BOUND},
}
COUNTS: dict[str, Callable[[dict[str, Any]], int]] = {
    "additive": lambda own: 1,
    "affine": lambda own: 2,
    "relative_affine": lambda own: 2,
    "sinh_arcsinh": lambda own: 4,
    "spline": lambda own: 3 * own["bins"] - 1 + {"identity": 0, "linear": 2, "circular": 1}[own["tails"]],
    "logistic_mixture": lambda own: 2 + 3 * own["components"],
    "bernstein": lambda own: 1 + own["degree"],
    "sum_of_squares": lambda own: 1 + own["polynomials"] * (own["degree"] + 1),
    "monotone_network": lambda own: 2 + 3 * own["units"],
}
SHARED = {
    "features": FEATURES,
    "context": (_whole(0, 100_000), 0),
    "base": (_one_of("normal", "logistic", "uniform", "student_t", "mixture"), "normal"),
    "hidden": (_list_of(_whole(1, 100_000)), [128, 128]),
    "activation": (_one_of("relu", "elu", "silu", "gelu", "tanh"), "relu"),
}
MADE = {**SHARED, "layers": (_whole(1, 1_000), 5), "residual": (_truth, False), "dropout": (_share, 0.0)}
ORDER, MIXING = {"order": (_order, "alternating")}, ("none", "lu", "householder", "actnorm")
PUSHED = {**SHARED, "layers": (_whole(1, 1_000), 16), "hidden": (_list_of(_whole(1, 100_000)), [64])}
OF_CONTEXT: dict[str, tuple[Check, Any]] = {
    "context_range": (_truth, False),
    "context_knots": (_or_none(KNOTS), None),
    "context_flags": (_list_of(_whole(0, 100_000)), []),
    "context_trend": (_or_none(_whole(1, 10_000)), None),
}
OF_NAMED: dict[str, dict[str, tuple[Check, Any]]] = {
    "autoregressive": {
        **MADE,
        **ORDER,
        "univariate": (_one_of(*FAMILIES), "affine"),
        "linear": (_one_of(*MIXING), "none"),
        "inverse": (_truth, False),
        "adjacency": (_or_none(_list_of(_list_of(_truth))), None),
    },
    "coupling": {**MADE, "univariate": (_one_of(*FAMILIES), "affine"), "linear": (_one_of(*MIXING), "none")},
    "iaf": {**SHARED, **ORDER, "layers": (_whole(1, 1_000), 5)},
    "maf": {**MADE, **ORDER},
    "mixture_cdf": {
        **MADE,
        "kind": (_one_of("autoregressive", "coupling"), "autoregressive"),
        "components": (_whole(1, 1_000), 8),
    },
    "nice": {**SHARED, "layers": (_whole(1, 1_000), 4)},
    "nsf": {
        **MADE,
        **ORDER,
        "kind": (_one_of("autoregressive", "inverse_autoregressive", "coupling"), "autoregressive"),
        "bins": (_whole(1, 1_000), 8),
        "bound": BOUND,
        "tails": (_one_of("identity", "linear"), "identity"),
        "linear": (_one_of(*MIXING[:3]), "none"),
        "regression": (_truth, False),
    },
    "realnvp": {**MADE, "layers": (_whole(1, 1_000), 6), "actnorm": (_truth, True)},
    "planar": {**PUSHED, "activation": (_one_of("tanh", "leaky_relu"), "tanh")},
    "radial": {name: option for name, option in PUSHED.items() if name != "activation"},
    "sylvester": {
        **{name: option for name, option in PUSHED.items() if name != "activation"},
        "layers": (_whole(1, 1_000), 8),
        "rank": (_or_none(_whole(1, 100_000)), None),
    },
    "standardized": {"flow": (_config, REQUIRED), **OF_CONTEXT},
    "gaussianized": {
        "flow": (_config, REQUIRED),
        "knots": (KNOTS, REQUIRED),
        "bounded": (_truth, False),
        "clusters": (_whole(1, 32), 1),
        "labels": (_truth, False),
        **OF_CONTEXT,
    },
    "normal_mixture": {"features": FEATURES, "components": (_whole(1, 10_000), REQUIRED)},
    "kernel_density": {"features": FEATURES, "points": (_whole(1, 100_000), REQUIRED)},
    "flow_mixture": {"flows": (_list_of(_config), REQUIRED), "regressions": (_list_of(_config), [])},
    "arbitrary_conditional": {
        "features": FEATURES,
        "widths": (_list_of(_whole(0, 10_000)), REQUIRED),
        "circular": (_list_of(_whole(0, 100_000)), REQUIRED),
        "hidden": (_whole(1, 100_000), REQUIRED),
        "blocks": (_whole(0, 1_000), REQUIRED),
        "bins": (_whole(1, 1_000), REQUIRED),
        "knots": (KNOTS, REQUIRED),
        "bounded": (_truth, REQUIRED),
        "limited": (_truth, False),
        "trend": (_truth, False),
        "circle_knots": (_whole(0, 100_000), 0),
    },
}
SIZES = {name: (_whole(0, most), REQUIRED) for name, most in (("features", 100_000), ("points", 100_000))}
REGRESSIONS: dict[str, dict[str, tuple[Check, Any]]] = {
    "kernels": SIZES,
    "trees": {
        "features": SIZES["features"],
        "trees": (_whole(0, 100_000), REQUIRED),
        "nodes": (_whole(0, 100_000_000), REQUIRED),
        "depth": (_whole(0, 1_000), REQUIRED),
    },
}


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a flow with all of its options, and of the flows within it.

    Raises:
        InputError: an architecture that is not read here, by its name; an option that it has not, or that cannot be.
    """
    name = config.get("architecture")
    if not isinstance(name, str) or name not in OF_NAMED:
        known = sorted(one for one in OF_NAMED if one != "arbitrary_conditional")
        raise NeedsPyTorch("model of the architecture", name, known)
    options, known_options = {key: value for key, value in config.items() if key != "architecture"}, OF_NAMED[name]
    if name in ("autoregressive", "coupling"):
        family = options.get("univariate", "affine")
        if not isinstance(family, str) or family not in FAMILIES:
            raise NeedsPyTorch("flow of the univariate family", family, FAMILIES)
        known_options = {**known_options, **FAMILIES[family]}
    found = {"architecture": name, **_checked(name, options, known_options)}
    if found.get("clusters", 1) > 1:  # which have none of these
        found |= {"context_knots": None, "context_flags": [], "context_trend": None}
    if "flow" in found:
        found["flow"] = complete(found["flow"])
        if found["flow"]["architecture"] in ("flow_mixture", "arbitrary_conditional"):
            raise InputError(f"A flow in units of data cannot be a {found['flow']['architecture']}.")
    if "flows" in found:
        found["flows"] = [complete(one) for one in found["flows"]]
        found["regressions"] = [_regression(one) for one in found["regressions"]]
    return found


def _regression(sizes: dict[str, Any]) -> dict[str, Any]:
    kind = sizes.get("kind")
    if not isinstance(kind, str) or kind not in REGRESSIONS:
        raise InputError(f"A regression is one of {', '.join(REGRESSIONS)}, not {str(kind)[:100]!r}.")
    options = {key: value for key, value in sizes.items() if key != "kind"}
    return {"kind": kind, **_checked(kind, options, REGRESSIONS[kind])}


def _checked(name: str, options: dict[str, Any], known: dict[str, tuple[Check, Any]]) -> dict[str, Any]:
    for key in options:
        if key not in known:
            raise InputError(f"{name} has no option {str(key)[:100]!r}; there are {', '.join(known)}.")
    found = {}
    for key, (check, default) in known.items():
        value = options.get(key, default)
        if value is REQUIRED:
            raise InputError(f"{name} needs the option {key}.")
        try:
            found[key] = check(value)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{name}: option {key} must be {error}, not {str(value)[:100]!r}.") from None
    return found
