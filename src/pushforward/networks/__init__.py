"""Conditioners: networks that supply the parameters of univariate maps."""

from pushforward.networks.amortized import Amortized
from pushforward.networks.conditioner import Conditioner
from pushforward.networks.made import MADE
from pushforward.networks.mlp import MLP
from pushforward.networks.wavenet import WaveNet

__all__ = ["MADE", "MLP", "Amortized", "Conditioner", "WaveNet"]
