"""The compiled autoregressive layer against the same layer in torch and float64, whose equations it must solve."""

import copy
import pickle

import pytest
import torch
from catalogue import randomize
from instruction_sets import SETS, use

from pushforward.bijections import Additive, Affine, Autoregressive, RationalQuadraticSpline
from pushforward.kernels import autoregressive, native
from pushforward.kernels import univariate as eligibility
from pushforward.networks import Conditioner

pytestmark = pytest.mark.skipif(native is None, reason="The kernels were not built.")

FAMILIES = [
    Additive(),
    Affine(),
    Affine(log_scale_bound=0.5),
    RationalQuadraticSpline(8, 3.0),
    RationalQuadraticSpline(3, 2.0, "linear"),
    RationalQuadraticSpline(5, 4.0, "circular"),
    RationalQuadraticSpline(1, 2.0),
]


@pytest.fixture(params=SETS)
def instructions(request, monkeypatch):
    """Each instruction set that this processor supports."""
    use(autoregressive, ("_autoregressive", "_autoregressive_float64"), request.param, monkeypatch)
    return request.param


@pytest.fixture
def calls(monkeypatch):
    """How often the kernel ran."""
    seen, kernel = [], autoregressive._autoregressive

    def counted(*arguments):
        seen.append(arguments)
        kernel(*arguments)

    monkeypatch.setattr(autoregressive, "_autoregressive", counted)
    return seen


def layer_of(features, univariate, hidden=(24, 20), context=0, activation="relu", residual=False, seed=0, scale=0.15):
    order = torch.randperm(features, generator=torch.Generator().manual_seed(seed)).tolist()
    layer = Autoregressive(features, univariate, Conditioner(hidden, activation, residual), context, order)
    # Also weights that the masks hold at zero: nobody may read them.
    return randomize(layer, seed, scale=scale)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def both_ways(layer, value, context=None):
    with torch.no_grad():
        return [*layer(value, context), *layer.inverse(value, context)]


def check(layer, value, context=None, tolerance=2e-4):
    """Both directions of a layer solve the equations of its copy in float64."""
    truth = copy.deepcopy(layer).double()
    wide = None if context is None else context.double()
    z = value.double()
    x, log_det, back, back_log_det = (result.double() for result in both_ways(layer, value, context))
    # Where derivatives are wanted, float64 runs in torch. x is a solution where each feature is what its own equation
    # makes of the features that were found before it.
    step, log_derivative = layer.univariate.forward(z.expand_as(x), truth.conditioner(x, wide))
    expected_back, expected_back_log_det = truth.inverse(z, wide)
    options = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(x, step, **options)
    torch.testing.assert_close(log_det, log_derivative.sum(-1), rtol=tolerance, atol=tolerance * value.shape[-1])
    torch.testing.assert_close(back, expected_back, **options)
    torch.testing.assert_close(back_log_det, expected_back_log_det, rtol=tolerance, atol=tolerance * value.shape[-1])


NAMES = ["additive", "affine", "bounded", "spline", "linear", "circular", "one bin"]


@pytest.mark.parametrize("activation", ["relu", "elu", "silu", "gelu", "tanh"])
@pytest.mark.parametrize("univariate", FAMILIES, ids=NAMES)
def test_every_family_and_activation(instructions, calls, univariate, activation):
    check(layer_of(5, univariate, activation=activation), normal(40, 5))
    assert len(calls) == 2


@pytest.mark.parametrize("features", [1, 2, 5, 20])
@pytest.mark.parametrize("count", [1, 7, 16, 100, 513])
@pytest.mark.parametrize("univariate", [FAMILIES[1], FAMILIES[3]], ids=["affine", "spline"])
def test_sizes(instructions, features, count, univariate):
    check(layer_of(features, univariate, seed=features), normal(count, features))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("hidden", [(), (7,), (40, 40, 40), (5, 5, 5), (30,) * 5, (200, 200, 200)], ids=str)
def test_networks(instructions, calls, hidden, context, residual):
    if residual and not hidden:
        return
    layer = layer_of(9, Affine(), hidden, context, "silu", residual, scale=0.1)
    # One row of context for each row, one for all, and one for each column of a batch.
    check(layer, normal(50, 9), normal(50, context) if context else None)
    if context:
        check(layer, normal(50, 9), normal(context))
        check(layer, normal(50, 9), normal(1, context))
        check(layer, normal(4, 5, 9), normal(5, context))
        check(layer, normal(1, 9), normal(30, context))
    assert len(calls) == (10 if context else 2)


def test_wide_networks_with_several_blocks_and_threads(instructions):
    check(layer_of(63, Affine(), (300, 300), scale=0.02), normal(200, 63))


def test_layouts_of_memory():
    layer, value = layer_of(6, Affine()), normal(64, 6)
    expected = both_ways(layer, value)
    wide = normal(64, 12)
    wide[:, ::2] = value
    several = normal(128, 6)
    several[::2] = value
    for same in (value.t().contiguous().t(), wide[:, ::2], several[::2], value.view(8, 8, 6)):
        for found, wanted in zip(both_ways(layer, same), expected, strict=True):
            assert torch.equal(found.reshape(wanted.shape), wanted)
    row = value[:1]
    for found, wanted in zip(both_ways(layer, row.expand(40, 6)), both_ways(layer, row), strict=True):
        assert torch.equal(found, wanted.expand_as(found))
    for found, shape in zip(both_ways(layer, value[0]), [(6,), (), (6,), ()], strict=True):
        assert found.shape == shape
    for found, shape in zip(both_ways(layer, value[:0]), [(0, 6), (0,), (0, 6), (0,)], strict=True):
        assert found.shape == shape


@pytest.mark.parametrize("univariate", FAMILIES, ids=NAMES)
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_a_row_does_not_depend_on_its_neighbors(instructions, univariate, activation):
    layer, value = layer_of(7, univariate, activation=activation, context=2), normal(75, 7)
    context = normal(75, 2)
    together = both_ways(layer, value, context)
    for row in (0, 15, 16, 31, 32, 63, 74):
        alone = both_ways(layer, value[row : row + 1], context[row : row + 1])
        for found, wanted in zip(alone, together, strict=True):
            assert torch.equal(found[0], wanted[row])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("univariate", FAMILIES, ids=NAMES)
@pytest.mark.parametrize("activation", ["relu", "elu", "silu", "gelu", "tanh"])
def test_what_is_not_finite_shows_as_in_torch_and_stays_in_its_row(
    instructions, monkeypatch, univariate, bad, activation
):
    layer, value = layer_of(6, univariate, activation=activation), normal(20, 6)
    spoiled = value.clone()
    first = layer.order()[0]
    spoiled[3, first] = bad
    expected, found = both_ways(layer, value), both_ways(layer, spoiled)
    monkeypatch.setattr(eligibility, "native", None)
    plain = both_ways(layer, spoiled)
    others = [row for row in range(20) if row != 3]
    for clean, dirty, in_torch in zip(expected, found, plain, strict=True):
        assert torch.equal(clean[others], dirty[others])
        # Torch multiplies what is not finite by weights of zero, which spoils features that do not depend on it.
        assert bool((~in_torch[3].isfinite() | dirty[3].isfinite()).all())
    if bad != bad:
        assert bool(found[0][3].isnan().any()) and bool(found[2][3].isnan().any())


def test_who_takes_the_kernel(calls, monkeypatch):
    layer, value = layer_of(4, Affine()), normal(8, 4)

    def runs(layer=layer, value=value):
        calls.clear()
        results = layer(value)[0], layer.inverse(value)[0]
        assert all(bool(result.isfinite().all()) for result in results)
        return len(calls)

    assert runs() == 0
    with torch.no_grad():
        assert runs() == 2
        assert runs(copy.deepcopy(layer)) == 2
        assert runs(pickle.loads(pickle.dumps(layer))) == 2
        assert runs(copy.deepcopy(layer).double(), value.double()) == 0  # it takes the one for float64
        assert runs(copy.deepcopy(layer).double().float()) == 2
        with torch.autocast("cpu", torch.bfloat16):
            assert runs() == 1  # of the solver, which mixes no precisions
        calls.clear()
        torch.func.vmap(layer)(value)
        torch.func.jvp(layer.inverse, (value,), (value,))
        assert not calls
    with torch.inference_mode():
        assert runs() == 2
    monkeypatch.setattr(eligibility, "native", None)
    with torch.no_grad():
        assert runs() == 0


def test_a_family_of_ones_own_is_left_to_torch(calls):
    class Doubled(Affine):
        def inverse(self, x, parameters):
            z, log_derivative = super().inverse(x, parameters)
            return 2 * z, log_derivative + 2.0**0.5

    made = layer_of(4, Affine())
    layer = Autoregressive(4, Doubled(), Conditioner((24, 20)), order=made.conditioner.order)
    layer.load_state_dict(made.state_dict())
    value = normal(8, 4)
    with torch.no_grad():
        torch.testing.assert_close(layer.inverse(value)[0], 2 * made.inverse(value)[0])
    assert len(calls) == 1


def test_another_default_dtype_changes_nothing():
    layer, value = layer_of(4, Affine()), normal(8, 4)
    expected = both_ways(layer, value)
    torch.set_default_dtype(torch.float64)
    try:
        found = both_ways(layer, value)
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_weights_are_read_anew_at_every_call():
    layer, value = layer_of(4, Affine()), normal(8, 4)
    before = both_ways(layer, value)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(0.5)
    check(layer, value)
    assert not torch.equal(both_ways(layer, value)[0], before[0])


def test_results_may_be_used_where_there_are_gradients():
    layer = layer_of(4, Affine())
    with torch.no_grad():
        x, log_det = layer(normal(3, 4))
    weight = torch.ones(4, requires_grad=True)
    ((x * weight).sum() + log_det.sum()).backward()
    torch.testing.assert_close(weight.grad, x.sum(0))
