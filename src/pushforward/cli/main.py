"""The process of the command `pushforward`."""

import signal
import sys

from pushforward.cli import signals


def run() -> None:
    """Run the command line."""
    signals.end_at_once()
    # Imported here: it takes a tenth of a second, and several on a busy machine.
    from pushforward.cli.allocator import keep_memory
    from pushforward.cli.app import app
    from pushforward.cli.ending import end_at_once
    from pushforward.cli.output import TERMINATED, Terminated
    from pushforward.cli.processors import share_processors
    from pushforward.cli.streams import open_standard_streams

    def end(*_: object) -> None:
        """End by an exception, so that files that are being written are removed."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    keep_memory()
    share_processors()
    open_standard_streams()
    end_with = end_at_once()
    try:
        try:
            signal.signal(signal.SIGTERM, end)
            app()
        finally:
            signals.ignore()
    except SystemExit as ending:
        end_with(ending.code if isinstance(ending.code, int) else int(ending.code is not None))
        raise
    except Terminated:
        # Outside of a command nothing is being written.
        end_with(TERMINATED)
        sys.exit(TERMINATED)
