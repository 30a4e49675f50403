"""Standard error for messages whose reader may leave, as `head` does."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any, TextIO, cast


class _Forgiving:
    """A stream that loses what it cannot write: a message must not end the work that it is about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text if that is possible."""
        # Of a stream that is closed Python says ValueError.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def standard_error() -> TextIO:
    """Standard error as it is now; what it does not take is lost without an error.

    Example:
        >>> closed = io.StringIO()
        >>> closed.close()
        >>> with contextlib.redirect_stderr(closed):
        ...     print("nobody reads this", file=standard_error())
    """
    # A process may have been started without one.
    return cast("TextIO", _Forgiving(io.StringIO() if sys.stderr is None else sys.stderr))
