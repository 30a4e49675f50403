"""Which machine a benchmark ran on, for its results file."""

from pushforward.kernels import native
from pushforward.support import surroundings


def machine() -> str:
    """The machine as model files describe it, and the instructions that the kernels use, in one line."""
    kernels = "no kernels" if native is None else f"kernels for {native.instructions}"
    return f"{surroundings.machine()}, {kernels}"
