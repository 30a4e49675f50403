"""Sound: the autoregressive WaveNet and the parallel WaveNet, its student."""

from pushforward.audio.architectures import parallel_wavenet, wavenet
from pushforward.audio.heads import GaussianHead, LogisticMixtureHead
from pushforward.audio.logistic import Logistic
from pushforward.audio.student import ParallelWaveNet
from pushforward.audio.teacher import AutoregressiveWaveNet

__all__ = [
    "AutoregressiveWaveNet",
    "GaussianHead",
    "Logistic",
    "LogisticMixtureHead",
    "ParallelWaveNet",
    "parallel_wavenet",
    "wavenet",
]
