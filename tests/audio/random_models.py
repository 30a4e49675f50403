"""Small models of sound with random weights, in float64."""

import torch
from catalogue import randomize

import pushforward as pf

CONTEXTS = {"none": {}, "class": {"context": 3}, "frames": {"context": 3, "hop": 7}}
SIZES = {"channels": 5, "skip_channels": 4, "layers": 3, "stacks": 2}
HEADS = {"gaussian": {}, "mixture": {"head": "logistic_mixture", "components": 3}}
FLOWS = {
    "affine": {},
    "relative affine": {"univariate": "relative_affine"},
    "logistic": {"base": "logistic"},
    "spline": {"univariate": "spline", "bins": 4},
}


def teacher(seed=0, **options):
    return randomize(pf.wavenet(**{**SIZES, "scale": 0.3, **options}).double(), seed)


def student(seed=0, **options):
    return randomize(pf.parallel_wavenet(**{**SIZES, "scale": 0.3, **options}).double(), seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def context_of(kind, batch=2, frames=8):
    return {"none": None, "class": normal(batch, 3, seed=5), "frames": normal(batch, frames, 3, seed=5)}[kind]
