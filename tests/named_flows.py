"""Small flows of every named architecture, with every option that a model file can hold, and their parts at random."""

import torch

import pushforward as pf
from pushforward.bijections import UNIVARIATES
from pushforward.networks.kernel_regression import KernelRegression
from pushforward.networks.regression_trees import RegressionTrees
from pushforward.zoo.flow_mixture import FlowMixture
from pushforward.zoo.kernel_density import fit_kernel_density
from pushforward.zoo.normal_mixture import fit_normal_mixture
from pushforward.zoo.units import in_units_of

SMALL = {"layers": 2, "hidden": (12, 10)}
OPTIONS = {
    "bernstein": {"degree": 4},
    "logistic_mixture": {"components": 3},
    "monotone_network": {"units": 3},
    "spline": {"bins": 4, "bound": 3.0},
    "sum_of_squares": {"polynomials": 4, "degree": 2, "bound": 3.0},
}
CHAIN = ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 0))


def shaken(flow):
    """The flow with every parameter moved at random, in double precision."""
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return flow.double().eval()


def rows_of(features, count=400, skewed=True):
    x = torch.randn(count, features, dtype=torch.float64)
    return x.exp() * torch.logspace(-3, 4, features, dtype=torch.float64) if skewed else x


def clusters(context):
    """Two clusters far apart in two features, seen as labels or not."""
    x = rows_of(3, skewed=False)
    x[::3, :2] += 1000.0
    given = torch.randn(400, 2, dtype=torch.float64) if context else None
    return pf.gaussianized(shaken(pf.nsf(features=3, layers=1, hidden=(8,), context=2 * context)), x, given)


def with_context(**options):
    """A flow that is shown scores beside its contexts, and goes on beyond their range."""
    context = torch.randn(400, 2, dtype=torch.float64).exp()
    x = context @ torch.randn(2, 2, dtype=torch.float64) + torch.randn(400, 2, dtype=torch.float64)
    seen = 2 if options.get("context_knots") is None else 4 - len(options.get("flags", ()))
    return pf.gaussianized(shaken(pf.nsf(features=2, context=seen, layers=1, hidden=(8,))), x, context, **options)


def stack(features=2):
    """A mixture of a flow, a mixture of Gaussians and kernels, in the units of rows."""
    x = rows_of(features, 60)
    flow = pf.gaussianized(shaken(pf.nsf(features=features, layers=1, hidden=(8,))), x)
    normal = flow.bijection.standardize(x)[0].double()
    parts = [
        flow,
        *(in_units_of(made, flow) for made in (fit_normal_mixture(normal, 2), fit_kernel_density(normal, 0.4))),
    ]
    return FlowMixture(parts, [0.5, 0.3, 0.2]).double().eval()


def shown_regressions():
    """A mixture of flows over one feature that are shown what trees and kernels say of the context."""
    trees = RegressionTrees(features=2, trees=2, nodes=8, depth=2)
    trees.right.copy_(torch.tensor([4, 2, 0, 0, 0, 2, 0, 0]))
    trees.feature.copy_(torch.tensor([0, 1, 0, 0, 0, 1, 0, 0]))
    trees.number.copy_(torch.randn(8))
    trees.roots.copy_(torch.tensor([0, 5]))
    kernels = KernelRegression(features=2, points=5)
    kernels.points.normal_()
    kernels.weights.normal_()
    kernels.numbers.copy_(torch.tensor([0.3, 0.7, 0.2]))
    kernels.low.fill_(-1.0)
    flows = [shaken(pf.nsf(features=1, context=4, layers=2, hidden=(8,))) for _ in range(2)]
    return FlowMixture(flows, [0.3, 0.7], [trees, kernels]).double().eval()


def autoregressive(family):
    return lambda: pf.autoregressive(3, family, **SMALL, **OPTIONS.get(family, {}))


def coupling(family):
    return lambda: pf.coupling(3, family, context=2, **SMALL, **OPTIONS.get(family, {}))


def mixture():
    return FlowMixture([shaken(pf.nsf(features=1, **SMALL)) for _ in range(3)], [0.2, 0.3, 0.5])


FLOWS = {
    **{f"{name} autoregressive": autoregressive(name) for name in UNIVARIATES},
    **{f"{name} coupling": coupling(name) for name in UNIVARIATES},
    "maf": lambda: pf.maf(features=3, **SMALL),
    "maf of one feature": lambda: pf.maf(features=1, context=2, **SMALL),
    "maf of one layer of weights": lambda: pf.maf(features=3, layers=2, hidden=()),
    "maf too narrow for its degrees": lambda: pf.maf(features=6, layers=2, hidden=(3, 2)),
    "narrow maf with a context": lambda: pf.maf(features=4, context=2, layers=2, hidden=(2,), activation="silu"),
    "maf in a chosen order": lambda: pf.maf(features=4, order=(2, 0, 3, 1), **SMALL),
    "residual maf": lambda: pf.maf(features=3, layers=2, hidden=(8,) * 5, residual=True, activation="elu"),
    "adjacency": lambda: pf.autoregressive(features=4, layers=2, hidden=(6, 5), adjacency=CHAIN, context=1),
    "narrow adjacency": lambda: pf.autoregressive(features=4, layers=1, hidden=(2,), adjacency=CHAIN),
    "iaf": lambda: pf.iaf(features=3, activation="tanh", **SMALL),
    "iaf with a context": lambda: pf.iaf(features=3, context=2, activation="gelu", **SMALL),
    "nsf": lambda: pf.nsf(features=3, linear="lu", **SMALL),
    "nsf of one bin": lambda: pf.nsf(features=2, bins=1, **SMALL),
    "nsf with a regression": lambda: pf.nsf(features=3, context=2, linear="lu", regression=True, dropout=0.2, **SMALL),
    "inverse nsf": lambda: pf.nsf(features=3, kind="inverse_autoregressive", linear="householder", **SMALL),
    "nsf of coupling layers": lambda: pf.nsf(features=4, kind="coupling", context=1, tails="linear", **SMALL),
    "circular": lambda: pf.coupling(features=2, univariate="spline", tails="circular", **SMALL),
    "actnorm": lambda: pf.autoregressive(features=3, linear="actnorm", inverse=True, **SMALL),
    "mixture_cdf": lambda: pf.mixture_cdf(features=3, layers=1, hidden=(12,)),
    "realnvp": lambda: pf.realnvp(features=3, **SMALL),
    "realnvp without actnorm": lambda: pf.realnvp(features=1, context=1, actnorm=False, **SMALL),
    "nice": lambda: pf.nice(features=4, layers=3, hidden=(16,)),
    "planar": lambda: pf.planar(features=3, layers=4),
    "planar with a context": lambda: pf.planar(features=3, layers=4, context=2, hidden=(5,)),
    "leaky planar": lambda: pf.planar(features=3, layers=4, activation="leaky_relu"),
    "radial": lambda: pf.radial(features=3, layers=4),
    "radial with a context": lambda: pf.radial(features=3, layers=4, context=2, hidden=(5,)),
    "sylvester": lambda: pf.sylvester(features=3, layers=3),
    "sylvester with a context": lambda: pf.sylvester(features=3, layers=2, rank=2, context=1, hidden=(5,)),
    "sylvester of rank 1": lambda: pf.sylvester(features=3, layers=2, rank=1),
    "logistic base": lambda: pf.maf(features=2, base="logistic", **SMALL),
    "uniform base": lambda: pf.maf(features=2, base="uniform", **SMALL),
    "student base": lambda: pf.maf(features=2, base="student_t", **SMALL),
    "mixture base": lambda: pf.maf(features=2, base="mixture", **SMALL),
}  # fmt: skip

# Those in the units of data, which are not shaken any more.
IN_UNITS = {
    "standardized": lambda: pf.standardized(shaken(pf.maf(features=3, **SMALL)), rows_of(3)),
    "gaussianized": lambda: pf.gaussianized(shaken(pf.nsf(features=3, **SMALL)), rows_of(3)),
    "bounded": lambda: pf.gaussianized(shaken(pf.nsf(features=3, **SMALL)), rows_of(3), low=[0.0, -torch.inf, 0.0]),
    "context": lambda: with_context(),
    "scores of a context": lambda: with_context(context_knots=8),
    "scores and flags of a context": lambda: with_context(context_knots=8, flags=[1]),
    "clusters": lambda: clusters(context=0),
    "clusters with a context": lambda: clusters(context=1),
    "normal mixture": lambda: fit_normal_mixture(rows_of(2, skewed=False), 3).double(),
    "kernel density": lambda: fit_kernel_density(rows_of(2, 50, skewed=False), 0.5).double(),
    "stack": stack,
    "stack of one feature": lambda: stack(1),
    "mixture of one feature": mixture,
    "regressions": shown_regressions,
}  # fmt: skip


def made(name):
    """A flow of either table, in double precision and evaluation mode, and rows and contexts to ask it about."""
    flow = shaken(FLOWS[name]()) if name in FLOWS else IN_UNITS[name]()
    flow = flow.double().eval()
    with torch.no_grad():
        context = None
        if flow.context_features:
            context = torch.randn(24, flow.context_features, dtype=torch.float64)
            context[-4:] *= 5
        draws = flow.sample((24,)) if context is None else flow.sample((), context)
        if name in FLOWS:
            # Rows far from all draws too.
            draws[12:18] = 8 * torch.randn(6, flow.features, dtype=torch.float64)
            draws[18:20] = 1e3 * torch.randn(2, flow.features, dtype=torch.float64)
    return flow, draws, context
