"""pyarrow, imported where it is first used: what a model file says of its columns is read and shown without it."""

from typing import TYPE_CHECKING

from pushforward.support.lazy import LaterModule

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = LaterModule("pyarrow")
    pc = LaterModule("pyarrow.compute")

__all__ = ["pa", "pc"]
