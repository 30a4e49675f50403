"""The kernels in float64, with every set of instructions of this processor, against the same maps in torch."""

import copy
import math

import pytest
import torch
from catalogue import randomize
from instruction_sets import SETS

import pushforward as pf
from pushforward.bijections import Additive, Affine, Autoregressive, Coupling, RationalQuadraticSpline
from pushforward.kernels import Native, autoregressive, layer, native, spline
from pushforward.networks import Conditioner

pytestmark = pytest.mark.skipif(native is None, reason="The kernels were not built.")

FAMILIES = pytest.mark.parametrize(
    "univariate",
    [
        Additive(),
        Affine(),
        Affine(log_scale_bound=0.5),
        RationalQuadraticSpline(8, 3.0),
        RationalQuadraticSpline(3, 2.0, "linear"),
        RationalQuadraticSpline(5, 4.0, "circular"),
        RationalQuadraticSpline(1, 2.0),
    ],
    ids=["additive", "affine", "bounded", "spline", "linear", "circular", "one bin"],
)
FEATURES = pytest.mark.parametrize("features", range(1, 9))
CONTEXTS = pytest.mark.parametrize("context", [0, 3])
PLACES = {
    autoregressive: ("_autoregressive", "_autoregressive_float64"),
    layer: ("_sizes", "_forward", "_forward_float64", "_gradients"),
    spline: ("_apply", "_apply_float64", "_gradients"),
}


@pytest.fixture(autouse=True, params=SETS)
def calls(request, monkeypatch):
    """Which kernels for float64 ran, for each instruction set."""
    library, seen = Native(native.path, request.param), []

    def counted(name, function):
        def call(*arguments):
            seen.append(name)
            function(*arguments)

        return call

    for module, names in PLACES.items():
        for name, function in zip(names, module.functions_of(library), strict=True):
            monkeypatch.setattr(module, name, counted(name, function) if "float64" in name else function)
    return seen


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_layer(make, *arguments, scale=0.3):
    return randomize(make(*arguments), scale=scale).double()


def check(apply, value, context=None, tolerance=1e-12):
    """Values without derivatives, by kernels, are those with derivatives, by torch."""
    with torch.no_grad():
        found = apply(value, context)
    expected = apply(value, context)
    assert expected[0].grad_fn is not None
    for one, other in zip(found, expected, strict=True):
        assert one.dtype is torch.float64
        torch.testing.assert_close(one, other.detach(), rtol=tolerance, atol=tolerance)


@FAMILIES
@FEATURES
@CONTEXTS
def test_autoregressive_layers_in_both_directions(calls, univariate, features, context):
    made = random_layer(Autoregressive, features, univariate, Conditioner((13, 20)), context)
    for rows in (1, 7, 33):
        known = normal(rows, context, seed=1) if context else None
        check(made.inverse, normal(rows, features), known)
        check(made.forward, normal(rows, features), known)
    assert calls == 6 * ["_autoregressive_float64"]


@FAMILIES
@FEATURES
@CONTEXTS
def test_coupling_layers_in_both_directions(calls, univariate, features, context):
    moved = [place % 2 == 0 for place in range(features)]
    made = random_layer(Coupling, moved, univariate, Conditioner((13, 13, 13), residual=True), context)
    for rows in (1, 65, 129):
        known = normal(rows, context, seed=1) if context else None
        check(made.inverse, normal(rows, features), known)
        check(made.forward, normal(rows, features), known)
    assert calls == 6 * ["_forward_float64"]


@pytest.mark.parametrize("activation", ["elu", "silu", "gelu", "tanh"])
@pytest.mark.parametrize("size", [1e-9, 0.1, 1.0, 30.0])
def test_activations_small_and_large(calls, activation, size):
    made = random_layer(Autoregressive, 5, Affine(), Conditioner((24, 24), activation), scale=1.0)
    check(made.inverse, size * normal(65, 5))
    assert calls == ["_autoregressive_float64"]


def test_splines_by_themselves_and_their_ends(calls):
    for tails in ("identity", "linear", "circular"):
        univariate = RationalQuadraticSpline(6, 2.0, tails)
        parameters = normal(101, 3, univariate.parameter_count, seed=1).requires_grad_()
        value = 3 * normal(101, 3)
        value[:3] = torch.tensor([-2.0, 2.0, 0.0]).double()
        for direction in (univariate.forward, univariate.inverse):
            # The second argument, which is a context elsewhere, is the parameters here.
            check(direction, value, parameters)
    assert calls == 6 * ["_apply_float64"]


def test_exponential_and_logarithm_over_all_their_range():
    """One bin and a slope: of the parameter r, far in the tail, x - bound is softplus(r) · (z - bound)."""
    one = RationalQuadraticSpline(1, 1.0, "linear")
    slopes = torch.linspace(-800, 800, 16001, dtype=torch.float64)
    parameters = slopes.new_zeros(len(slopes), 1, 4)
    parameters[:, 0, 2:] = slopes[:, None]
    with torch.no_grad():
        x, log_derivative = one.forward(slopes.new_full((len(slopes), 1), 2.0), parameters)
    shifted = slopes + math.log(math.expm1(1 - 1e-3))
    exact = 1e-3 + torch.where(shifted > 0, shifted, 0) + (-shifted.abs()).exp().log1p()
    torch.testing.assert_close(x[:, 0] - 1, exact, rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(log_derivative[:, 0], exact.log(), rtol=1e-14, atol=1e-14)


def test_the_layout_of_memory_and_the_other_rows_do_not_matter():
    made = random_layer(Autoregressive, 6, RationalQuadraticSpline(8), Conditioner((24, 24)), 2)
    value, context = normal(75, 6), normal(75, 2, seed=1)
    wide = normal(75, 12)
    wide[:, ::2] = value
    with torch.no_grad():
        for direction in (made.forward, made.inverse):
            expected = direction(value, context)
            for same in (value.t().contiguous().t(), wide[:, ::2]):
                assert all(torch.equal(a, b) for a, b in zip(direction(same, context), expected, strict=True))
            for row in (0, 15, 16, 74):
                alone = direction(value[row : row + 1], context[row : row + 1])
                assert all(torch.equal(a[0], b[row]) for a, b in zip(alone, expected, strict=True))


@FAMILIES
def test_what_is_not_finite_shows_and_stays_in_its_row(univariate):
    made = random_layer(Autoregressive, 4, univariate, Conditioner((16,)))
    value = normal(40, 4)
    spoiled = value.clone()
    spoiled[3, 0], spoiled[20, 0] = torch.nan, torch.inf
    others = [row for row in range(40) if row not in (3, 20)]
    with torch.no_grad():
        for direction in (made.forward, made.inverse):
            clean, dirty = direction(value), direction(spoiled)
            assert all(torch.equal(a[others], b[others]) for a, b in zip(clean, dirty, strict=True))
            assert bool(dirty[0][3].isnan().any()) and not bool(dirty[0][20].isfinite().all())


def test_what_is_to_be_differentiated_runs_in_torch(calls):
    made, value = random_layer(Autoregressive, 4, Affine(), Conditioner((16,))), normal(9, 4)
    made.inverse(value)[0].sum().backward()
    torch.func.jvp(made.inverse, (value,), (value,))
    with torch.no_grad():
        torch.func.vmap(made.inverse)(value)
        assert not calls
        with pytest.raises(RuntimeError, match="dtype"):
            copy.deepcopy(made).float().inverse(value)


def test_flows_density_and_samples(calls):
    flow = randomize(pf.nsf(3, context=2, layers=2, hidden=(16, 16)), scale=0.3).double()
    context = normal(51, 2, seed=1)
    with torch.no_grad():
        x = flow.sample((), context)
        found = flow.log_prob(x, context)
    assert set(calls) == {"_autoregressive_float64"}
    torch.testing.assert_close(found, flow.log_prob(x, context).detach(), rtol=1e-12, atol=1e-12)
