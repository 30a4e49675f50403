"""IAF (Kingma et al. 2016): the inverse of MAF, samples in one pass.

It is fitted by maximum likelihood here, through its slow direction, which has the arithmetic of one pass.
"""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("iaf", pf.iaf(2, layers=8, hidden=(64, 64)), moons, MOONS_ENTROPY)
