"""Sound: the autoregressive WaveNet and its student, the parallel WaveNet."""

from pushforward.audio.models.adaptive_wavenet import AdaptiveWaveNet, adaptive_wavenet
from pushforward.audio.models.architectures import parallel_wavenet, wavenet
from pushforward.audio.models.heads import GaussianHead, LogisticMixtureHead
from pushforward.audio.models.logistic import Logistic
from pushforward.audio.models.predictive_student import PredictiveParallelWaveNet, predictive_parallel_wavenet
from pushforward.audio.models.student import ParallelWaveNet
from pushforward.audio.models.teacher import AutoregressiveWaveNet

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
