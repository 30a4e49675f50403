"""IAF (Kingma et al. 2016): MAF turned round, samples in one pass.

Fitted by maximum likelihood here, through its slow direction, which costs the arithmetic of one pass.
"""

import torch

import pushforward as pf
from plane import MOONS_ENTROPY, fit_and_draw, moons

torch.manual_seed(0)
fit_and_draw("iaf", pf.iaf(2, layers=8, hidden=(64, 64)), moons, MOONS_ENTROPY)
