"""RealNVP (Dinh, Sohl-Dickstein and Bengio 2016): affine coupling."""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("realnvp", pf.realnvp(2, layers=8, hidden=(64, 64)), moons, MOONS_ENTROPY)
