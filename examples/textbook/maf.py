"""MAF (Papamakarios, Pavlakou and Murray 2017): affine autoregressive layers, density in one pass."""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("maf", pf.maf(2, layers=8, hidden=(64, 64)), moons, MOONS_ENTROPY)
