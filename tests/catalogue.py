"""Every bijection of the library, listed once: the contract suite runs on all of them.

A factory takes (features, context) and returns a fresh map; `randomize` then gives it parameters that are not zero,
since a map that starts at the identity would hide its faults.
"""

from collections.abc import Callable

import torch
from torch import nn

from pushforward import build
from pushforward.bijections import (
    LU,
    UNIVARIATES,
    ActNorm,
    Affine,
    Autoregressive,
    Bijection,
    Chain,
    Compose,
    Continuous,
    Convolution1x1,
    Coupling,
    ElementwiseAffine,
    Householder,
    ImageCoupling,
    Inverse,
    MarginalSpline,
    Permutation,
    Pixelwise,
    Planar,
    Radial,
    RationalQuadraticSpline,
    Rescaling,
    Residual,
    Split,
    Standardized,
    Sylvester,
    TailTransform,
)
from pushforward.bijections.circular_marginal import CircularMarginal
from pushforward.bijections.cluster_marginals import ClusterMarginals
from pushforward.bijections.clustered import Clustered
from pushforward.bijections.clusters import Boxes
from pushforward.bijections.image_coupling import checkerboard
from pushforward.networks import Conditioner

HIDDEN = (16, 12)
# Options of families that would take long otherwise; any other family is made with its defaults.
SMALL = {
    "bernstein": {"degree": 4},
    "logistic_mixture": {"components": 3},
    "monotone_network": {"units": 3},
    "spline": {"bins": 4, "bound": 3.0},
    "sum_of_squares": {"polynomials": 2, "degree": 2, "bound": 3.0},
}
FAMILIES = {name: family(**SMALL.get(name, {})) for name, family in UNIVARIATES.items()}


def coupling(univariate, hidden=HIDDEN, residual=False):
    def make(features: int, context: int) -> Bijection:
        transformed = torch.arange(features) % 2 == 1 if features > 1 else torch.tensor([True])
        return Coupling(transformed, univariate, Conditioner(hidden, "elu", residual, dropout=0.2), context)

    return make


def autoregressive(univariate, hidden=HIDDEN, reverse=False, residual=False):
    def make(features: int, context: int) -> Bijection:
        order = list(range(features))[:: -1 if reverse else 1]
        return Autoregressive(features, univariate, Conditioner(hidden, "elu", residual, dropout=0.2), context, order)

    return make


def architecture(name: str):
    def make(features: int, context: int) -> Bijection:
        options = {"layers": 2, "hidden": HIDDEN}
        if name == "mixture_cdf":
            # Log-scales of a map and of its components add up: two random layers scale by more than float64 has digits.
            options["layers"] = 1
        if name in ("nice", "realnvp", "maf", "iaf", "nsf", "mixture_cdf"):
            options["activation"] = "elu"
        return build({"architecture": name, "features": features, "context": context, **options}).bijection

    return make


def standardized(features: int, context: int) -> Bijection:
    inner = autoregressive(Affine())(features, context)
    data = ElementwiseAffine(shift=torch.linspace(-3, 5, features), scale=torch.linspace(0.5, 2, features))
    return Standardized(inner, data, ElementwiseAffine(scale=torch.full((context,), 3.0)) if context else None)


def marginal_spline(features: int, context: int) -> Bijection:
    """Marginals of as many kinds as there are, with a float64 generator of their own."""
    draws = torch.randn(400, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kinds = [lambda z: z.exp(), lambda z: z.clamp_min(0), lambda z: 5 + z.sinh(), lambda z: torch.erf(z)]
    x = torch.stack([kinds[k % len(kinds)](column) for k, column in enumerate(draws.unbind(1))], 1)
    return MarginalSpline.from_data(x, 16)


def clustered(features: int, context: int) -> Bijection:
    """Two clusters far apart in the first feature, correlated, with a map that sees the labels."""
    draws = torch.randn(400, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws[::4, 0] += 100.0
    end = torch.full((2, features), torch.inf, dtype=torch.float64)
    boxes = Boxes(-end, end.clone())
    # The label of the first is 1, so that a map of numbers near 0 sees it.
    boxes.low[0, 0] = boxes.high[1, 0] = 50.0
    data = ClusterMarginals.from_data(draws, boxes, 8)
    data.root.copy_(torch.eye(features) + 0.3 * torch.ones(features, features).tril(-1))
    inner = autoregressive(Affine(), reverse=True)(features, context + 1)
    return Clustered(inner, data, ElementwiseAffine(scale=torch.full((context,), 3.0)) if context else None)


def image_coupling(features: int, context: int, odd: bool) -> Bijection:
    """Of every other pixel of an image of one row, or its only one."""
    shape = (1, 1, features)
    changed = checkerboard(shape, odd) if features > 1 else torch.ones(shape, dtype=torch.bool)
    return ImageCoupling(changed, Affine(), hidden=4, blocks=1, context=context)


# What holds for coupling layers of three families, and for the others in autoregressive layers, holds for these.
COUPLED_FAMILIES = [f"{name} coupling" for name in FAMILIES if name not in ("additive", "affine", "spline")]

# Several layers of the kinds above them in the catalogue.
ARCHITECTURES = (
    *("nice", "realnvp", "maf", "iaf", "nsf", "mixture_cdf"),
    *("planar flow", "radial flow", "residual flow", "sylvester flow"),
)

CATALOGUE: dict[str, Callable[[int, int], Bijection]] = {
    "elementwise affine": lambda d, c: ElementwiseAffine(torch.linspace(-1, 2, d), torch.linspace(0.3, 3, d)),
    "rescaling": lambda d, c: Rescaling(d),
    "permutation": lambda d, c: Permutation(torch.arange(d).roll(1)),
    "lu": lambda d, c: LU(d),
    "householder": lambda d, c: Householder(d),
    "householder, two reflections": lambda d, c: Householder(d, 2),
    "actnorm": lambda d, c: ActNorm(d),
    **{f"{name} coupling": coupling(family) for name, family in FAMILIES.items()},
    **{f"{name} autoregressive": autoregressive(family) for name, family in FAMILIES.items()},
    "affine coupling, residual": coupling(Affine(), hidden=(6, 6, 6), residual=True),
    "affine autoregressive, reversed": autoregressive(Affine(), reverse=True),
    "affine autoregressive, narrow": autoregressive(Affine(), hidden=(2, 2)),
    "affine autoregressive, residual": autoregressive(Affine(), hidden=(6, 6, 6), residual=True),
    "affine autoregressive, no hidden layer": autoregressive(Affine(), hidden=()),
    "spline coupling, linear tails": coupling(RationalQuadraticSpline(3, 1.0, "linear")),
    "spline coupling, circular": coupling(RationalQuadraticSpline(5, 2.0, "circular")),
    "chained coupling": coupling(Chain([RationalQuadraticSpline(4, 3.0, "linear"), Affine()])),
    "chained autoregressive": autoregressive(Chain([Affine(), RationalQuadraticSpline(3, 2.0)])),
    "planar": lambda d, c: Planar(d, context=c, hidden=(5,)),
    "planar, leaky ReLU": lambda d, c: Planar(d, "leaky_relu", 0.2, context=c, hidden=(5,)),
    "radial": lambda d, c: Radial(d, context=c, hidden=(5,)),
    "continuous": lambda d, c: Continuous(d, c, hidden=(6, 5), steps=80),
    "residual": lambda d, c: Residual(d, c, hidden=(6, 5)),
    "residual, one hidden layer": lambda d, c: Residual(d, c, hidden=(6,), activation="tanh"),
    "sylvester, rank 1": lambda d, c: Sylvester(d, 1, context=c, hidden=(5,)),
    "sylvester": lambda d, c: Sylvester(d, d, context=c, hidden=(5,)),
    "tail transform": lambda d, c: TailTransform(d),
    "marginal spline": marginal_spline,
    "circular marginal": lambda d, c: CircularMarginal.from_data(
        torch.linspace(0.1, 1, 200)[:, None].sin().expand(-1, d)
    ),
    "1x1 convolution": lambda d, c: Convolution1x1(d, pixels=1),
    "pixelwise": lambda d, c: Pixelwise(LU(d), pixels=1),
    "split": lambda d, c: Split(LU((d + 1) // 2), d),
    "image couplings": lambda d, c: Compose([image_coupling(d, c, odd) for odd in (True, False)]),
    "inverse": lambda d, c: Inverse(autoregressive(Affine())(d, c)),
    "compose": lambda d, c: Compose([coupling(Affine())(d, c), Permutation(torch.arange(d).flip(0)), Rescaling(d)]),
    "standardized": standardized,
    "clustered": clustered,
    **{name: architecture(name.removesuffix(" flow")) for name in ARCHITECTURES},
}


@torch.no_grad()
def randomize(module: nn.Module, seed: int = 0, scale: float = 0.3) -> nn.Module:
    """Fill every parameter with normal noise, and leave data-dependent initialization behind."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module.eval()


def make(name: str, features: int = 3, context: int = 0, seed: int = 0) -> Bijection:
    """A bijection of the catalogue in float64, in evaluation mode, with random parameters."""
    return randomize(CATALOGUE[name](features, context).double(), seed)
