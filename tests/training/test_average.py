import torch
from torch import nn

from pushforward.training.average import WeightAverage


def test_average_follows_the_formula():
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, decay=0.5)
    expected = module.weight.detach().clone()
    for t in range(10):
        with torch.no_grad():
            module.weight.fill_(float(t))
        average.update()
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * t
    with average.applied():
        torch.testing.assert_close(module.weight.detach(), expected)
    assert module.weight.item() == 9.0


def test_shared_parameters_are_averaged_once_and_stay_shared():
    first = nn.Linear(3, 3)
    module = nn.Sequential(first, nn.Linear(3, 3), first)
    average = WeightAverage(module, decay=0.9)
    with torch.no_grad():
        first.weight.add_(1.0)
    average.update()
    before = first.weight.detach().clone()
    with average.applied():
        assert module[0].weight is module[2].weight
        torch.testing.assert_close(module[2].weight.detach(), before - 0.1)
    torch.testing.assert_close(first.weight.detach(), before)


def test_average_keeps_the_dtype():
    module = nn.Linear(2, 2).double()
    average = WeightAverage(module, decay=0.9)
    average.update()
    assert all(tensor.dtype == torch.float64 for tensor in average.snapshot())
