"""Densities of sound: the autoregressive WaveNet, the parallel WaveNet and their parts."""
