"""Flows inside other packages, one package a file, and flows of other packages as ours.

A module is imported when something in it is first used, and needs its package then.
"""

from pushforward.support.lazy import lazy

_HOMES = {
    "pushforward.integrations.from_zuko": ["from_zuko"],
    "pushforward.integrations.nflows": ["from_nflows"],
    "pushforward.integrations.torch_distributions": ["FlowTransform", "as_transform", "base_of"],
    "pushforward.integrations.zuko": ["as_zuko"],
}

__all__ = [name for names in _HOMES.values() for name in names]
__getattr__, __dir__ = lazy(__name__, _HOMES)
