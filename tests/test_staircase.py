"""Products with staircases against whole ones, to the second derivative."""

import pytest
import torch
from torch.nn.functional import linear

from pushforward.networks import MADE
from pushforward.networks.staircase import Block, _Product, blocks_of, staircase_linear

BLOCKS = [Block(0, 2, 0, 1, 0), Block(2, 3, 0, 0, 2), Block(3, 5, 1, 4, 2)]
MASK = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [(), (3,), (0,), (2, 3)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_the_product_is_that_of_the_whole_matrix(batch, with_bias):
    x, weight, bias = normal(*batch, 4), normal(5, 4), normal(5) if with_bias else None
    torch.testing.assert_close(staircase_linear(x, weight, MASK, bias, BLOCKS), linear(x, weight * MASK, bias))


@pytest.mark.parametrize("with_bias", [True, False])
def test_first_and_second_derivatives(with_bias):
    inputs = [normal(3, 4).requires_grad_(), normal(5, 4, seed=1).requires_grad_()]
    inputs += [normal(5, seed=2).requires_grad_()] if with_bias else []

    def product(x, weight, bias=None):
        return _Product.apply(x, weight, MASK, bias, BLOCKS)

    assert torch.autograd.gradcheck(product, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(product, inputs, check_fwd_over_rev=True)


def test_function_transforms():
    x, weight = normal(3, 4), normal(5, 4)
    jacobian = torch.func.jacrev(lambda v: staircase_linear(v, weight, MASK, None, BLOCKS))(x[0])
    torch.testing.assert_close(jacobian, weight * MASK)
    many = torch.func.vmap(lambda w: staircase_linear(x, w, MASK, None, BLOCKS))(torch.stack([weight, 2 * weight]))
    torch.testing.assert_close(many[1], 2 * x @ (weight * MASK).T)
    by_weight = torch.func.jacrev(lambda w: staircase_linear(x, w, MASK, None, BLOCKS))(weight)
    torch.testing.assert_close(by_weight, torch.func.jacrev(lambda w: linear(x, w * MASK))(weight))


def test_every_live_entry_lies_in_a_block():
    for order in (None, list(range(40))[::-1], torch.randperm(40).tolist()):
        made = MADE(40, 3, (300, 250), order=order)
        for layer in made.layers:
            if layer.blocks is None:
                continue
            covered = torch.zeros_like(layer.mask, dtype=torch.bool)
            rows = torch.zeros(len(layer.mask), dtype=torch.long)
            for top, bottom, left, right, above in layer.blocks:
                covered[top:bottom, left:right] = True
                beside = layer.mask[above:top].clone()
                beside[:, left:right] = 0
                assert above <= top and not beside.any()
                rows[top:bottom] += 1
            assert bool((rows == 1).all()) and not bool(layer.mask[~covered].any())
    assert made.layers[1].blocks is not None and blocks_of(torch.ones(400, 400).bool()) is None


def test_a_wide_network_is_what_its_masked_matrices_say():
    made = MADE(50, 2, (300, 300), context=2).double()
    x, context = normal(7, 50), normal(7, 2)
    hidden = linear(x, made.layers[0].weight * made.layers[0].mask, made.layers[0].bias) + made.context(context)
    for layer in made.layers[1:]:
        hidden = linear(hidden.relu(), layer.weight * layer.mask, layer.bias)
    torch.testing.assert_close(made(x, context), hidden.view(7, 2, 50).mT)
    compiled = torch.compile(lambda v, c: made(v, c), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, context), made(x, context))
    gradients = [torch.autograd.grad(f(x, context).square().sum(), list(made.parameters())) for f in (compiled, made)]
    torch.testing.assert_close(*gradients)
