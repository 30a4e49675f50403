"""Sound: the autoregressive WaveNet and the parallel WaveNet, its student."""

from pushforward.audio.adaptive_wavenet import AdaptiveWaveNet, adaptive_wavenet
from pushforward.audio.architectures import parallel_wavenet, wavenet
from pushforward.audio.heads import GaussianHead, LogisticMixtureHead
from pushforward.audio.logistic import Logistic
from pushforward.audio.predictive_student import PredictiveParallelWaveNet, predictive_parallel_wavenet
from pushforward.audio.student import ParallelWaveNet
from pushforward.audio.teacher import AutoregressiveWaveNet

__all__ = [
    "AdaptiveWaveNet",
    "AutoregressiveWaveNet",
    "GaussianHead",
    "Logistic",
    "LogisticMixtureHead",
    "ParallelWaveNet",
    "PredictiveParallelWaveNet",
    "adaptive_wavenet",
    "parallel_wavenet",
    "predictive_parallel_wavenet",
    "wavenet",
]
