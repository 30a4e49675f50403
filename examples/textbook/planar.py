"""Planar flow (Rezende and Mohamed 2015): a sequence of shifts along one direction each.

Its density needs the inverse, a scalar root for each layer.
"""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("planar", pf.planar(2, layers=32), moons, MOONS_ENTROPY, learning_rate=1e-2)
