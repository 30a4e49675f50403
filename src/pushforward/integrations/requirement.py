"""What an adapter says where its package is missing, or where it is given something else than a flow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pushforward.errors import InputError
from pushforward.flow import Flow


class MissingPackageError(InputError, ImportError):
    """A package that an adapter needs is not installed."""


@contextmanager
def requires(package: str, extra: str) -> Iterator[None]:
    """Say which extra installs a package that an import in this block does not find.

    Arguments:
        package: the name of the package, as it is imported.
        extra: the extra of pushforward that installs it.

    Raises:
        MissingPackageError: the package is not installed.

    Example:
        >>> with requires("unheard_of", "all"):
        ...     import unheard_of
        Traceback (most recent call last):
        pushforward.integrations.requirement.MissingPackageError: unheard_of is not installed; pip install
        'pushforward[all]' brings it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # Another missing module is a fault of the package.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingPackageError(
            f"{package} is not installed; pip install 'pushforward[{extra}]' brings it."
        ) from error


def required_flow(flow: Any, adapter: str) -> Flow:
    """Return the flow that an adapter is given.

    Arguments:
        flow: anything.
        adapter: what it is given to.

    Raises:
        InputError: it has no map or no base of its own, such as a mixture of flows or the model of a table.

    Example:
        >>> required_flow("nsf", "as_zuko")
        Traceback (most recent call last):
        pushforward.errors.InputError: as_zuko takes a flow, such as pushforward.nsf(features=2), not an object of the
        type str.
    """
    if not (hasattr(flow, "bijection") and hasattr(flow, "base")):
        raise InputError(
            f"{adapter} takes a flow, such as pushforward.nsf(features=2), not an object of the type "
            f"{type(flow).__name__}."
        )
    found: Flow = flow
    return found
