"""Conditioners: networks that supply the parameters of univariate maps.

Every name is imported when it is first used, so that what needs no torch can be read without it.
"""

from typing import TYPE_CHECKING

from pushforward.support.lazy import lazy

if TYPE_CHECKING:
    from pushforward.networks.amortized import Amortized as Amortized
    from pushforward.networks.conditioner import Conditioner as Conditioner
    from pushforward.networks.made import MADE as MADE
    from pushforward.networks.mlp import MLP as MLP
    from pushforward.networks.wavenet import WaveNet as WaveNet

# The same names for Python, which does not read the block above, by the module that defines them.
_HOMES = {
    "pushforward.networks.amortized": ["Amortized"],
    "pushforward.networks.conditioner": ["Conditioner"],
    "pushforward.networks.made": ["MADE"],
    "pushforward.networks.mlp": ["MLP"],
    "pushforward.networks.wavenet": ["WaveNet"],
}

__all__ = [name for names in _HOMES.values() for name in names]
__getattr__, __dir__ = lazy(__name__, _HOMES)
