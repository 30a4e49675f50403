"""Flows by name: each is one short function, checked, and rebuilt from its own call.

The signature of a function is its configuration: `flow.config` records the call (name and options) as plain JSON, and
`build(config)` makes the same flow again, with fresh weights. An unknown option is an error that names the nearest one.
"""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError, validate_call
from torch import Tensor

from pushforward.bijections import UNIVARIATES
from pushforward.errors import InputError
from pushforward.support.suggestions import nearest
from pushforward.zoo.names import ARCHITECTURES, IN_CONTINUOUS_TIME, OTHERS

# A univariate family with more parameters for each feature is a mistake, or an attack on the memory.
MOST_PARAMETERS = 10_000

Options = ParamSpec("Options")
Model = TypeVar("Model")
# Those whose modules are imported, by name, and how each is called.
_MAKERS: dict[str, Callable[..., Any]] = {}
_CALLS: dict[str, "_Call"] = {}


def architecture(function: Callable[Options, Model]) -> Callable[Options, Model]:
    """Register a function that makes a model: check its options, and record the call as the model's config.

    A function with `**family` takes, besides its own options, those of the univariate family that its option
    `univariate` names.
    """
    name = function.__name__
    call = _Call(name, function)

    @functools.wraps(function)
    def make(*args: Options.args, **options: Options.kwargs) -> Model:
        arguments = call.arguments(args, options)
        model: Any = call.made(arguments)
        model.config = {"architecture": name, **arguments}
        return model

    make.__signature__ = _readable(call.signature, function)  # type: ignore[attr-defined]
    _MAKERS[name], _CALLS[name] = make, call
    return make


def register(name: str) -> Callable[[Callable[..., Model]], Callable[..., Model]]:
    """Register a function that builds a model from the options of its config, which it sets by itself."""

    def decorator(function: Callable[..., Model]) -> Callable[..., Model]:
        call = _Call(name, function)

        @functools.wraps(function)
        def make(**options: Any) -> Model:
            return call.made(call.arguments((), options))

        _MAKERS[name], _CALLS[name] = make, call
        return function

    return decorator


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
        pushforward.errors.InputError: There is no architecture 'realnpv'; did you mean "realnvp"?...
    """
    name, options = _imported(config)
    return _MAKERS[name](**options)


def check_config(config: dict[str, Any], later: Sequence[str]) -> None:
    """Refuse a config that cannot become one of a flow, before all of its options are known.

    Arguments:
        config: as `build` takes it, without some options.
        later: those options, such as "features": what another package says when it makes the flow.

    Raises:
        InputError: an unknown architecture, or one without these options; an option that is one of them, is unknown or
            lacking, or has a value of the wrong kind.

    Example:
        >>> check_config({"architecture": "maf", "layers": 0}, ["features"])
        Traceback (most recent call last):
        pushforward.errors.InputError: maf: option layers cannot be 0: Input should be greater than or equal to 1.
    """
    name, options = _imported(config)
    _CALLS[name].check(options, later)


def _imported(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the architecture of a config, whose module is imported, and its options."""
    options = dict(config)
    name = str(options.pop("architecture", None))
    module = (ARCHITECTURES | IN_CONTINUOUS_TIME | OTHERS).get(name)
    if module is not None:
        importlib.import_module(module)
    if name not in _MAKERS:
        # A user's own architectures are among them.
        known = sorted(ARCHITECTURES | IN_CONTINUOUS_TIME | _MAKERS)
        raise InputError(f"There is no architecture {name!r}; {nearest(name, known, most=len(known))}")
    return name, options


def config_of(name: str) -> dict[str, Any]:
    """The config of a flow that is asked for by one name: of an architecture, or of a univariate family.

    A family stands for autoregressive layers of its maps.

    Raises:
        InputError: neither; the nearest name is given.

    Example:
        >>> config_of("maf"), config_of("bernstein")
        ({'architecture': 'maf'}, {'architecture': 'autoregressive', 'univariate': 'bernstein'})
    """
    if not isinstance(name, str):
        raise InputError(f'An architecture is chosen by its name, such as "maf", not by a {type(name).__name__}.')
    if name in ARCHITECTURES or name in IN_CONTINUOUS_TIME or name in _MAKERS:
        return {"architecture": name}
    if name in UNIVARIATES:
        return {"architecture": "autoregressive", "univariate": name}
    known = sorted(ARCHITECTURES | IN_CONTINUOUS_TIME) + sorted(UNIVARIATES)
    raise InputError(f"There is no architecture or univariate family {name!r}; {nearest(name, known, most=len(known))}")


def _readable(signature: inspect.Signature, function: Callable[..., Any]) -> inspect.Signature:
    """A signature with plain types: the bounds of an option are said by the error that refuses a value."""
    hints = get_type_hints(function)
    parameters = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
    ]
    return signature.replace(parameters=parameters, return_annotation=hints.get("return", signature.return_annotation))


class _Call:
    """A function whose options are checked before it is called."""

    def __init__(self, name: str, function: Callable[..., Any]):
        self.name = name
        self.checked = validate_call(function)
        self.signature = inspect.signature(function)
        kinds = {parameter.kind: key for key, parameter in self.signature.parameters.items()}
        self.family = kinds.get(inspect.Parameter.VAR_KEYWORD)
        self.options = [key for key in self.signature.parameters if key != self.family]

    def arguments(self, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """All options by name, defaults included, as plain JSON."""
        if self.family is None:
            self._refuse_unknown(options, self.options)
        try:
            bound = self.signature.bind(*args, **options)
        except TypeError as error:
            raise InputError(f"{self.name}: {error}.") from None
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        if self.family is not None:
            given = arguments.pop(self.family)
            arguments |= self._family_options(arguments["univariate"], given)
        return {key: _plain(value) for key, value in arguments.items()}

    def check(self, options: dict[str, Any], later: Sequence[str]) -> None:
        """Refuse options that cannot be, before those that come later are known."""
        for option in later:
            if option not in self.options:
                raise InputError(f"{self.name} is not a flow that can be made here: it has no option {option!r}.")
            if option in options:
                raise InputError(f"{self.name}: leave out the option {option!r}, which is known when the flow is made.")
        for option in self.options:
            if (
                option not in (*later, *options)
                and self.signature.parameters[option].default is inspect.Parameter.empty
            ):
                raise InputError(f"{self.name} needs the option {option!r}.")
        of_family = {key: value for key, value in options.items() if key not in self.options}
        if self.family is None:
            self._refuse_unknown(of_family, self.options)
        else:
            default = self.signature.parameters["univariate"].default
            self._family_options(options.get("univariate", default), of_family)
        self._refuse_booleans(options, get_type_hints(self.checked))
        hints = get_type_hints(self.checked, include_extras=True)
        for option, value in options.items():
            if option not in self.options:
                continue
            try:
                TypeAdapter(hints[option]).validate_python(value)
            except ValidationError as error:
                raise self._refusal(error, option) from None

    def made(self, arguments: dict[str, Any]) -> Any:
        """What the function returns, or an InputError that names the option at fault."""
        self._refuse_booleans(arguments, get_type_hints(self.checked))
        try:
            return self.checked(**arguments)
        except ValidationError as error:
            raise self._refusal(error) from None
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from None

    def _family_options(self, univariate: object, given: dict[str, Any]) -> dict[str, Any]:
        """The options of a univariate family, defaults included."""
        kind: Any = UNIVARIATES.get(str(univariate))
        if kind is None:
            raise InputError(
                f"{self.name}: there is no univariate family {univariate!r}; {nearest(str(univariate), UNIVARIATES)}"
            )
        self._refuse_unknown(given, [*(field.name for field in dataclasses.fields(kind)), *self.options])
        self._refuse_booleans(given, get_type_hints(kind))
        try:
            family = TypeAdapter(kind).validate_python(given)
        except ValidationError as error:
            raise self._refusal(error) from None
        if family.parameter_count > MOST_PARAMETERS:
            raise InputError(
                f"{self.name}: the univariate family has {family.parameter_count} parameters for each feature; "
                f"{MOST_PARAMETERS} are the most."
            )
        return dataclasses.asdict(family)

    def _refuse_booleans(self, options: dict[str, Any], hints: dict[str, Any]) -> None:
        """Refuse True and False for a number, which Python takes for 1 and 0."""
        for option, value in options.items():
            hint = hints.get(option, Any)
            if isinstance(value, bool) and {int, float} & set(kinds := (hint, *get_args(hint))) and bool not in kinds:
                raise InputError(f"{self.name}: option {option} cannot be {value!r}: Input should be a number.")

    def _refuse_unknown(self, options: dict[str, Any], known: list[str]) -> None:
        for option in options:
            if option not in known:
                raise InputError(f"{self.name} has no option {option!r}; {nearest(option, known, most=len(known))}")

    def _refusal(self, error: ValidationError, *of: str) -> InputError:
        first = error.errors()[0]
        reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        place = (*of, *first["loc"])
        if not place:
            return InputError(f"{self.name}: {reason}.")
        option = ".".join(str(part) for part in place)
        return InputError(f"{self.name}: option {option} cannot be {first['input']!r}: {reason}.")


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Tensor | np.ndarray):
        return value.tolist()
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value
