"""Convolutions from and to few channels as products of matrices: against the layers of torch, with all gradients."""

import copy

import pytest
import torch
from torch import nn

from pushforward.networks import narrow_convolutions, residual_images
from pushforward.networks.residual_images import ResidualImages


def gradients(function, *tensors):
    result = function()
    weights = torch.randn(result.shape, dtype=result.dtype, generator=torch.Generator().manual_seed(5))
    return [result, *torch.autograd.grad((result * weights).sum(), tensors)]


@pytest.mark.parametrize(("height", "width", "count"), [(5, 3, 4), (1, 1, 2)])
def test_they_are_those_of_torch(height, width, count):
    first, last = nn.Conv2d(2, 20, 3, padding=1).double(), nn.Conv2d(20, 3, 3, padding=1).double()
    x = torch.randn(count, 2, height, width, dtype=torch.float64, requires_grad=True)
    added = torch.randn(20, height, width, dtype=torch.float64, requires_grad=True)
    h = torch.randn(count, 20, height, width, dtype=torch.float64, requires_grad=True)
    pairs = [
        (lambda: narrow_convolutions.widen(first, x, added), lambda: first(x) + added, (x, added, *first.parameters())),
        (lambda: narrow_convolutions.narrow(last, h), lambda: last(h), (h, *last.parameters())),
    ]
    for quick, plain, tensors in pairs:
        for found, expected in zip(gradients(quick, *tensors), gradients(plain, *tensors), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_network_has_the_same_values_and_gradients_by_either(blocks, monkeypatch):
    network = ResidualImages((1, 12, 12), outputs=1, parameter_count=2, hidden=24, blocks=blocks, context=2)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    x, context = torch.randn(6, 144, requires_grad=True), torch.randn(6, 2)
    tensors = [x, *network.parameters()]
    taken = []
    widen = narrow_convolutions.widen
    monkeypatch.setattr(narrow_convolutions, "widen", lambda *parts: taken.append(1) or widen(*parts))
    quick = gradients(lambda: network(x, context), *tensors)
    assert taken
    expected = copy.deepcopy(network).double()(x.detach().double(), context.double())
    monkeypatch.setattr(residual_images.narrow_convolutions, "are_quicker", lambda *parts: False)
    plain = gradients(lambda: network(x, context), *tensors)
    assert len(taken) == 1
    for one, other in zip(quick, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4 * float(other.detach().abs().max()), rtol=0)
    torch.testing.assert_close(quick[0].double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "hidden", "dtype"),
    [((1, 4, 4), 24, torch.float32), ((1, 12, 12), 16, torch.float32), ((1, 12, 12), 24, torch.float64)],
)
def test_where_they_are_not_quicker_the_layers_themselves_compute(shape, hidden, dtype):
    network = ResidualImages(shape, outputs=1, parameter_count=2, hidden=hidden, blocks=0).to(dtype)
    assert not narrow_convolutions.are_quicker(torch.zeros(1, *shape, dtype=dtype), network.first, network.last)
    assert network(torch.zeros(0, network.first.in_channels * shape[1] * shape[2], dtype=dtype)).shape == (0, *shape, 2)
