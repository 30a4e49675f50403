"""NICE (Dinh, Krueger and Bengio 2014): additive coupling, which preserves volume, and one rescaling."""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("nice", pf.nice(2, layers=8, hidden=(64, 64)), moons, MOONS_ENTROPY)
