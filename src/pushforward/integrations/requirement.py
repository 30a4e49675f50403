"""What an adapter says where its package is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from pushforward.errors import InputError


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
