"""Networks of images by kernels, with every set of instructions of this processor, against torch in float64."""

import copy

import pytest
import torch
from instruction_sets import SETS, count_calls, use
from torch import nn

from pushforward.kernels import image_network as kernel
from pushforward.kernels import native
from pushforward.networks.residual_images import ResidualImages

pytestmark = pytest.mark.skipif(native is None, reason="the kernels are not built")


@pytest.fixture(autouse=True, params=SETS)
def instructions(request, monkeypatch):
    use(kernel, ("_sizes", "_forward", "_gradients"), request.param, monkeypatch)


@pytest.fixture
def seen(monkeypatch):
    """The kernels that were called."""
    return count_calls(kernel, monkeypatch, "_forward", "_gradients")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(shape, outputs, hidden, blocks, context=0):
    network = ResidualImages(shape, outputs, 1, hidden, blocks, context)
    for number, parameter in enumerate(network.parameters()):
        spread = parameter[0].numel() ** -0.5 if parameter.dim() == 4 else 1.0
        parameter.data.copy_(spread * normal(*parameter.shape, seed=number))
    return network


def with_gradients(network, *given, dtype=torch.float32):
    """The result, and the gradients of a random sum of it with respect to what is given and every parameter."""
    network, given = copy.deepcopy(network).to(dtype), [value.to(dtype).requires_grad_() for value in given]
    result = network(*given)
    loss = (normal(*result.shape, seed=3).to(dtype) * result).sum()
    return [t.detach().double() for t in (result, *torch.autograd.grad(loss, [*given, *network.parameters()]))]


# One image, more images than parts, several bands in a part, and images wider than they are high; numbers of channels
# that are multiples of a tile and such that leave every rest.
SIZES = [
    (1, (1, 5, 5), 1, 1, 0),
    (2, (5, 3, 17), 9, 33, 1),
    (9, (3, 14, 14), 5, 20, 2),
    (41, (4, 7, 7), 8, 64, 0),
    (20, (2, 9, 4), 6, 11, 1),
    (3, (6, 32, 32), 7, 10, 1),
]


@pytest.mark.parametrize(("count", "shape", "outputs", "hidden", "blocks"), SIZES)
@pytest.mark.parametrize("context", [0, 2])
def test_values_and_gradients_are_as_near_the_truth_as_those_of_torch(
    count, shape, outputs, hidden, blocks, context, seen, monkeypatch
):
    network = make(shape, outputs, hidden, blocks, context)
    given = [normal(count, network.first.in_channels * shape[1] * shape[2], seed=100)]
    given += [normal(count, context, seed=101)] if context else []
    found = with_gradients(network, *given)
    assert seen == ["_forward", "_gradients"]
    truth = with_gradients(network, *given, dtype=torch.float64)
    monkeypatch.setattr(kernel, "native", None)
    plain = with_gradients(network, *given)
    assert len(seen) == 2
    for one, other, exact in zip(found, plain, truth, strict=True):
        error, yardstick = (float((got - exact).square().mean().sqrt()) for got in (one, other))
        assert error <= 5 * yardstick + 2e-6 * float(exact.abs().max())


def test_far_out_activations_are_those_of_torch(monkeypatch):
    """Up to where exp overflows and beyond: no gradient is NaN."""
    network = make((1, 5, 20), 2, 3, 1)
    x = torch.linspace(-300, 300, 100).expand(2, -1)
    found = with_gradients(network, x)
    monkeypatch.setattr(kernel, "native", None)
    for one, other in zip(found, with_gradients(network, x), strict=True):
        assert bool(one.isfinite().all())
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_results_have_the_same_bits_however_many_threads_compute_them(monkeypatch):
    network, x = make((3, 7, 7), 5, 12, 1), normal(30, 147)
    monkeypatch.setattr(kernel, "FEWEST_FOR_THREADS", 0)
    monkeypatch.setattr(kernel, "thread_count", lambda: 1)
    expected = with_gradients(network, x)
    for count in (2, 5):
        monkeypatch.setattr(kernel, "thread_count", lambda count=count: count)
        assert all(torch.equal(one, other) for one, other in zip(with_gradients(network, x), expected, strict=True))


def test_what_is_not_finite_stays_in_its_image():
    network, x = make((2, 6, 6), 3, 8, 1), normal(12, 72)
    bad = x.clone()
    bad[5, 7], bad[11, 70] = torch.nan, torch.inf
    others = [row for row in range(12) if row not in (5, 11)]
    found, expected = network(bad), network(x)
    assert torch.equal(found[others], expected[others])
    assert not bool(found[5].isfinite().all()) and not bool(found[11].isfinite().all())


def test_without_gradients_values_are_the_same_and_frozen_weights_get_none(seen):
    network, x = make((2, 6, 6), 3, 8, 1, context=2), normal(12, 72)
    context = normal(2, seed=1)
    expected = network(x, context)
    with torch.no_grad():
        assert torch.equal(network(x, context), expected)
        assert torch.equal(network(x[:4].t().contiguous().t(), context), expected[:4])
    full = torch.autograd.grad(expected.sum(), list(network.parameters()))
    assert seen == ["_forward"] * 3 + ["_gradients"]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name == "last.weight")
    (only,) = torch.autograd.grad(network(x, context).sum(), [network.last.weight])
    names = [name for name, _ in network.named_parameters()]
    assert torch.equal(only, full[names.index("last.weight")])


def test_gradients_may_be_asked_for_twice():
    network, x = make((2, 6, 6), 3, 8, 1), normal(12, 72)
    result = network(x)
    first = torch.autograd.grad(result.sum(), list(network.parameters()), retain_graph=True)
    second = torch.autograd.grad(result.sum(), list(network.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_second_derivatives_and_transforms_are_those_of_torch(monkeypatch):
    network, x = make((1, 5, 5), 2, 6, 1), normal(3, 25)

    def all_of_them():
        value = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(value).square().sum(), [value], create_graph=True)
        second = torch.autograd.grad(gradient.square().sum(), [value, *network.parameters()])
        return (
            *second,
            torch.func.jvp(network, (x,), (normal(3, 25, seed=1),))[1],
            torch.func.vmap(network)(x),
            torch.func.jacrev(network)(x),
            torch.autograd.functional.jacobian(network, x, vectorize=True),
        )

    found = all_of_them()
    monkeypatch.setattr(kernel, "native", None)
    for one, other in zip(found, all_of_them(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.detach().abs().max()))


@pytest.mark.parametrize(
    ("shape", "hidden", "blocks", "dtype"),
    [
        ((1, 4, 4), 8, 0, torch.float32),
        ((1, 6, 6), 72, 1, torch.float32),
        ((1, 6, 6), 8, 1, torch.float64),
    ],
)
def test_where_they_are_not_quicker_torch_computes(shape, hidden, blocks, dtype, seen):
    network = make(shape, 2, hidden, blocks).to(dtype)
    assert network(torch.zeros(3, shape[1] * shape[2], dtype=dtype)).shape == (3, 2, *shape[1:], 1)
    assert network(torch.zeros(0, shape[1] * shape[2], dtype=dtype)).shape == (0, 2, *shape[1:], 1)
    assert not seen


def test_autocast_and_empty_batches_are_left_to_torch(seen):
    network = make((1, 6, 6), 2, 8, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.zeros(3, 36)).dtype is torch.float32
    assert network(torch.zeros(0, 36)).shape == (0, 2, 6, 6, 1)
    assert not seen


def test_the_plain_network_is_that_of_the_layers():
    """Residual pairs written out with the modules themselves, in float64."""
    network = make((2, 5, 4), 3, 6, 2, context=2).double()
    x, context = normal(4, 40).double(), normal(4, 2, seed=1).double()
    h = network.first(x.view(4, 2, 5, 4)) + network.position + network.context(context)[:, :, None, None]
    for block in network.blocks:
        h = h + block.second(nn.functional.silu(block.first(nn.functional.silu(h))))
    expected = network.last(nn.functional.silu(h))
    torch.testing.assert_close(network(x, context)[..., 0], expected, atol=1e-12, rtol=1e-12)
