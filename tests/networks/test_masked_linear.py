"""Block-triangular products against whole ones, to the second derivative, by both of torch's libraries."""

import pytest
import torch
from torch.nn.functional import linear

from pushforward.networks import MADE, Conditioner
from pushforward.networks.masked_product import Block, Blocks, _MaskedLinear, blocks_of, masked_linear
from pushforward.networks.matmul import is_faster_with_onednn, matmul

MASK = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=torch.float64)
BLOCKS = Blocks(
    [Block(0, 2, 0, 1), Block(2, 3, 0, 0), Block(3, 5, 1, 4)],
    [Block(0, 1, 0, 2), Block(1, 3, 3, 5), Block(3, 4, 4, 5)],
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [1, 3, 0])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("blocks", [BLOCKS, None])
def test_the_product_is_that_of_the_whole_matrix(batch, with_bias, blocks):
    h, weight, bias = normal(4, batch), normal(5, 4), normal(5) if with_bias else None
    expected = linear(h.T, weight * MASK, bias).T
    torch.testing.assert_close(masked_linear(h, weight, MASK, bias, blocks), expected)
    torch.testing.assert_close(_MaskedLinear.apply(h, weight, MASK, bias, blocks), expected)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("mask", "blocks"), [(MASK, BLOCKS), (MASK, None), (None, None)])
def test_first_and_second_derivatives(with_bias, mask, blocks):
    inputs = [normal(4, 3).requires_grad_(), normal(5, 4, seed=1).requires_grad_()]
    inputs += [normal(5, seed=2).requires_grad_()] if with_bias else []

    def linear_map(h, weight, bias=None):
        return _MaskedLinear.apply(h, weight, mask, bias, blocks)

    assert torch.autograd.gradcheck(linear_map, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(linear_map, inputs, check_fwd_over_rev=True)


@pytest.mark.parametrize("mask", [MASK, None])
def test_function_transforms(mask):
    h, weight = normal(4, 3), normal(5, 4)
    blocks, whole = (None, torch.ones(5, 4)) if mask is None else (BLOCKS, mask)

    def linear_map(h, weight):
        return _MaskedLinear.apply(h, weight, mask, None, blocks)

    jacobian = torch.func.jacrev(lambda v: linear_map(v[:, None], weight)[:, 0])(h[:, 0])
    torch.testing.assert_close(jacobian, weight * whole)
    many = torch.func.vmap(lambda w: linear_map(h, w))(torch.stack([weight, 2 * weight]))
    torch.testing.assert_close(many[1], 2 * (weight * whole) @ h)
    by_weight = torch.func.jacrev(lambda w: linear_map(h, w))(weight)
    torch.testing.assert_close(by_weight, torch.func.jacrev(lambda w: (w * whole) @ h)(weight))


def test_every_live_entry_lies_in_a_block():
    for order in (None, list(range(40))[::-1], torch.randperm(40).tolist()):
        made = MADE(40, 9, Conditioner((400, 380)), order=order)
        for layer in made.layers:
            for cut, mask in zip(layer.blocks or (), (layer.mask, layer.mask.T), strict=bool(layer.blocks)):
                covered = torch.zeros_like(mask, dtype=torch.bool)
                rows = torch.zeros(len(mask), dtype=torch.long)
                for top, bottom, left, right in cut:
                    covered[top:bottom, left:right] = True
                    rows[top:bottom] += 1
                assert bool((rows == 1).all()) and not bool(mask[~covered].any())
    assert made.layers[1].blocks is not None and blocks_of(torch.ones(400, 400).bool()) is None


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(300, 300), (400, 420)])
def test_a_wide_network_is_what_its_masked_matrices_say(hidden):
    made = MADE(50, 2, Conditioner(hidden), context=2).double()
    assert (made.layers[1].blocks is not None) == (hidden == (400, 420))
    x, context = normal(7, 50), normal(7, 2)
    value = linear(x, made.layers[0].weight * made.layers[0].mask, made.layers[0].bias) + made.context(context)
    for layer in made.layers[1:]:
        value = linear(value.relu(), layer.weight * layer.mask, layer.bias)
    torch.testing.assert_close(made(x, context), value.view(7, 50, 2))
    compiled = torch.compile(lambda v, c: made(v, c), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, context), made(x, context))
    gradients = [torch.autograd.grad(f(x, context).square().sum(), list(made.parameters())) for f in (compiled, made)]
    torch.testing.assert_close(*gradients)


def test_large_products_are_those_in_float64_wherever_their_factors_lie():
    wide = torch.randn(300, 400, generator=torch.Generator().manual_seed(0))
    a, b = wide[:200, :256], torch.randn(256, 300, generator=torch.Generator().manual_seed(1))
    kinds = [
        (a, b),
        (a.contiguous(), b),
        (a, b.T.contiguous().T),
        (b.T, wide.T[:256, :280]),  # neither way round contiguous
        (wide.T[:256].T, b[:, ::2]),
    ]
    for left, right in kinds:
        assert not torch.backends.mkldnn.is_available() or is_faster_with_onednn(left, right)
        expected = (left.double() @ right.double()).float()
        torch.testing.assert_close(matmul(left, right), expected, atol=1e-4, rtol=1e-5)


def test_a_wide_float32_network_and_its_gradients_are_those_in_float64():
    torch.manual_seed(0)
    made = MADE(30, 2, Conditioner((400, 400)), context=2)
    reference = MADE(30, 2, Conditioner((400, 400)), context=2).double()
    reference.load_state_dict(made.state_dict())
    x, context = torch.randn(128, 30), torch.randn(1, 2)
    for network, dtype in ((made, torch.float32), (reference, torch.float64)):
        value = network(x.to(dtype), context.to(dtype))
        gradients = torch.autograd.grad(value.square().mean(), list(network.parameters()))
        found = [value, *gradients]
        if network is made:
            expected = found
    for single, double in zip(expected, found, strict=True):
        torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=1e-3)
