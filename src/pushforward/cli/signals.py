"""What the process of a command does when it is interrupted: while it starts, while it works, and while it ends."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

_ENDED = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}


def end_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the process with a sentence, as long as nothing has been opened or written."""
    signal.signal(signal.SIGTERM, _end)
    # Whoever is to be left alone by Ctrl-C, such as a job of a script behind &, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, which a command clears up after."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Do what the system asks for after the block, in which a process says why it ends.

    A launcher ends all processes when one has ended. Which of the others says so is decided once, and this one must
    then be able to say it.
    """
    before = signal.getsignal(signal.SIGTERM)
    asked = []
    signal.signal(signal.SIGTERM, lambda *of: asked.append(of))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if asked:
        signal.raise_signal(signal.SIGTERM)


def ignore() -> None:
    """Let the process end as it does: its status is known, and an exception would only be shown."""
    for number in _ENDED:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: Any) -> None:
    # Imported here: what is imported before comes before Ctrl-C is answered. It may be what is interrupted.
    first = True
    with contextlib.suppress(ImportError):
        from pushforward.support.processes import first_to_say

        first = first_to_say(every_machine=True)
    if first:
        with contextlib.suppress(OSError):
            os.write(2, f"{_ENDED[signal.Signals(number)]}; no result was written.\n".encode())
    os._exit(128 + number)
