"""Triton kernels against the same layers in torch: in Triton's interpreter, on the processor, or on a GPU.

The interpreter is switched on before triton is imported, so these tests run in a process of their own, which
`test_gpu_kernels_in_the_interpreter` starts. With PUSHFORWARD_TEST_GPU=1 they run on a GPU, compiled.
"""

import copy
import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections import Additive, Affine, Autoregressive, Coupling, RationalQuadraticSpline
from pushforward.evaluation.contracts import randomized
from pushforward.kernels import univariate as for_processors
from pushforward.kernels.gpu import eligibility
from pushforward.networks import Conditioner
from pushforward.solvers import sequential

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ON_GPU = os.environ.get("PUSHFORWARD_TEST_GPU") == "1"
DEVICE = "cuda" if ON_GPU else "cpu"
HAS_TRITON = importlib.util.find_spec("triton") is not None
interpreted = pytest.mark.skipif(
    not (HAS_TRITON and (INTERPRETED or ON_GPU)), reason="runs in a process of its own, or on a GPU"
)
FAMILIES = [
    Additive(),
    Affine(0.5),
    *(RationalQuadraticSpline(5, 1.3, tails) for tails in ("identity", "linear", "circular")),
]
# Some digits fewer than the numbers have.
TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-12}


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
def test_gpu_kernels_in_the_interpreter():
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "not slow", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def as_on_gpu(monkeypatch):
    """Take tensors of the processor for those of a GPU, or not."""
    monkeypatch.setattr(for_processors, "native", None)

    def switch(on):
        monkeypatch.setattr(eligibility, "lies_on_gpu", lambda tensor: on)

    def counted(*arguments):
        switch.calls += 1
        return function(*arguments)

    from pushforward.kernels.gpu import layer

    function, switch.calls = layer.whole_layer_on_gpu, 0
    monkeypatch.setattr(layer, "whole_layer_on_gpu", counted)
    return switch


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(DEVICE, dtype)


def noisy(layer):
    return randomized(layer, 0).to(DEVICE)


def with_gradients(layer, x, context=None, direction="inverse"):
    """Results, and the gradients of a random sum of them with respect to what is given and every parameter."""
    given = [part.clone().requires_grad_() for part in (x, context) if part is not None]
    z, log_det = getattr(layer, direction)(*given)
    loss = (normal(*z.shape, seed=3) * z).sum() + (normal(*log_det.shape, seed=4) * log_det).sum()
    gradients = torch.autograd.grad(loss, [*given, *layer.parameters()])
    return [part.detach() for part in (z, log_det, *gradients)]


def check(found, expected, dtype, slack=1):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype is other.dtype is dtype
        torch.testing.assert_close(one, other, rtol=0, atol=slack * TOLERANCES[dtype] * (1 + float(other.abs().max())))


def compare_gradients(layer, x, as_on_gpu, slack=1, **options):
    as_on_gpu(False)
    expected = with_gradients(layer, x, **options)
    assert not as_on_gpu.calls
    as_on_gpu(True)
    check(with_gradients(layer, x, **options), expected, x.dtype, slack)
    assert as_on_gpu.calls


@interpreted
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("univariate", FAMILIES)
def test_masked_layers_and_their_gradients(univariate, dtype, as_on_gpu):
    layer = noisy(Autoregressive(4, univariate, Conditioner((20, 13)), order=[2, 0, 3, 1])).to(dtype)
    compare_gradients(layer, normal(21, 4, seed=2, dtype=dtype), as_on_gpu)


@interpreted
@pytest.mark.parametrize("hidden", [(), (70, 65)], ids=str)
def test_masked_layers_wider_than_a_tile(hidden, as_on_gpu):
    layer = noisy(Autoregressive(9, Affine(), Conditioner(hidden)))
    compare_gradients(layer, normal(37, 9, seed=2), as_on_gpu)


@interpreted
@pytest.mark.parametrize("univariate", [FAMILIES[1], FAMILIES[2]])
def test_tiles_of_many_rows(univariate, as_on_gpu, monkeypatch):
    from pushforward.kernels.gpu import layer as of_layers

    monkeypatch.setattr(of_layers, "MANY", 1)
    layer = noisy(Autoregressive(9, univariate, Conditioner((70, 150)))).float()
    compare_gradients(layer, normal(37, 9, seed=2, dtype=torch.float32), as_on_gpu)


def test_weights_of_another_device_or_precision_are_left_to_torch():
    takes = eligibility.fits_beside(torch.zeros(2))
    assert takes(torch.nn.Parameter(torch.zeros(3)))
    assert not takes(torch.zeros(3).double()) and not takes(torch.zeros(3, device="meta"))


@interpreted
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize(("univariate", "contexts"), [(FAMILIES[1], 1), (FAMILIES[2], 17)])
def test_coupling_layers_residual_and_conditional(univariate, contexts, direction, as_on_gpu):
    layer = noisy(Coupling([True, False, True], univariate, Conditioner((9, 9, 9), residual=True), 2))
    context = normal(contexts, 2, seed=5)
    compare_gradients(layer, normal(17, 3, seed=2), as_on_gpu, context=context, direction=direction)


@interpreted
@pytest.mark.parametrize("univariate", [FAMILIES[1], FAMILIES[2]])
def test_networks_that_read_the_context_alone(univariate, as_on_gpu):
    layer = noisy(Autoregressive(1, univariate, Conditioner((9, 7)), 3))
    compare_gradients(layer, normal(17, 1, seed=2), as_on_gpu, context=normal(17, 3, seed=5))


@interpreted
def test_an_adjacency(as_on_gpu):
    adjacency = [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    layer = noisy(Autoregressive(3, Affine(), Conditioner((8, 8)), adjacency=adjacency))
    compare_gradients(layer, normal(17, 3, seed=2), as_on_gpu)


@interpreted
@pytest.mark.parametrize("case", ["batch", "strided", "one row"])
def test_values_however_they_lie_in_memory(case, as_on_gpu):
    layer = noisy(Coupling([True, False, True], Affine(), Conditioner((9,))))
    x = {"batch": normal(2, 5, 3), "strided": normal(3, 7).t(), "one row": normal(3)}[case]
    compare_gradients(layer, x, as_on_gpu)


@interpreted
@pytest.mark.parametrize("univariate", FAMILIES)
def test_far_values_and_their_gradients(univariate, as_on_gpu):
    layer = noisy(Coupling([True, False, True], univariate, Conditioner((9,))))
    x = normal(6, 3, seed=2) * torch.tensor([1.0, 1e3, 30.0], device=DEVICE)
    # The rounding of a far value is multiplied by slopes.
    compare_gradients(layer, x, as_on_gpu, slack=100)
    z, log_det = layer.inverse(
        torch.tensor([[torch.nan, 0.0, 0.0], [0.3, 0.0, 0.0]], dtype=torch.float64, device=DEVICE)
    )
    assert bool(z[0, 0].isnan()) and bool(z[1].isfinite().all()) and bool(log_det[1].isfinite())


@interpreted
def test_second_derivatives_are_those_of_torch(as_on_gpu):
    layer, x = noisy(Autoregressive(3, FAMILIES[2], Conditioner((9,)))), normal(6, 3)

    def penalty():
        value = x.clone().requires_grad_()
        z, log_det = layer.inverse(value)
        (gradient,) = torch.autograd.grad(z.square().sum() + log_det.sin().sum(), [value], create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), [value, *layer.parameters()])

    as_on_gpu(False)
    expected = penalty()
    as_on_gpu(True)
    check(penalty(), expected, torch.float64)


@interpreted
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("univariate", FAMILIES)
def test_layers_solved_in_one_launch(univariate, dtype, as_on_gpu, monkeypatch):
    layer = noisy(Autoregressive(4, univariate, Conditioner((20, 13)), order=[2, 0, 3, 1])).to(dtype)
    compare_solutions(layer, normal(21, 4, seed=2, dtype=dtype), None, as_on_gpu, monkeypatch)


@interpreted
@pytest.mark.parametrize("contexts", [0, 1, 17])
@pytest.mark.parametrize("activation", ["relu", "elu", "silu", "gelu", "tanh"])
def test_networks_of_every_kind_solved(activation, contexts, as_on_gpu, monkeypatch):
    conditioner = Conditioner((9, 9, 9), activation, residual=True)
    layer = noisy(Autoregressive(3, Affine(), conditioner, 2 if contexts else 0))
    context = normal(contexts, 2, seed=5) if contexts else None
    compare_solutions(layer, normal(17, 3, seed=2), context, as_on_gpu, monkeypatch)


@interpreted
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize(
    ("features", "hidden"),
    [(7, ()), (7, (3,)), (7, (40,)), (1, (5,)), (2, (200,)), (70, ()), (70, (5,)), (9, (150, 99))],
)
def test_narrow_and_wide_networks_solved(features, hidden, context, as_on_gpu, monkeypatch):
    layer = noisy(Autoregressive(features, Affine(), Conditioner(hidden), context))
    given = normal(5, context, seed=5) if context else None
    compare_solutions(layer, normal(5, features, seed=2), given, as_on_gpu, monkeypatch)


def compare_solutions(layer, z, context, as_on_gpu, monkeypatch):
    with torch.no_grad():
        as_on_gpu(False)
        expected = layer(z, context)
        as_on_gpu(True)
        with monkeypatch.context() as patched:
            patched.setattr(sequential, "_fill_in_place", None)
            found = layer(z, context)
    check(found, expected, z.dtype)


@interpreted
@pytest.mark.parametrize("name", ["nice", "realnvp", "maf", "iaf", "nsf"])
def test_a_step_of_training_is_that_of_torch(name, as_on_gpu):
    flow = randomize(getattr(pf, name)(features=3, layers=2, hidden=(12, 12)).double()).to(DEVICE)
    x = normal(40, 3)
    weights = []
    for on in (False, True):
        as_on_gpu(on)
        own = copy.deepcopy(flow)
        optimizer = torch.optim.SGD(own.parameters(), 0.1)
        (-own.log_prob(x).mean()).backward()
        optimizer.step()
        weights.append([parameter.detach() for parameter in own.parameters()])
    check(weights[1], weights[0], torch.float64)


@interpreted
def test_transforms_and_autocast_run_in_torch(as_on_gpu):
    layer, x = noisy(Autoregressive(3, Affine(), Conditioner((9,)))), normal(5, 3)
    as_on_gpu(True)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda value: layer.inverse(value)[0]))(x)
    torch.testing.assert_close(jacobian.diagonal(dim1=1, dim2=2).log().sum(1), layer.inverse(x)[1])
    calls = as_on_gpu.calls
    with torch.autocast(DEVICE, torch.bfloat16):
        layer.inverse(x)
    assert as_on_gpu.calls == calls
