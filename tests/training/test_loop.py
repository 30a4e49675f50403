"""The loop with an objective that has no data."""

import torch
from models import AffineGaussian
from torch import nn

from pushforward.training.fabric import make_fabric
from pushforward.training.loop import train
from pushforward.training.settings import Settings


class ReverseDivergence(nn.Module):
    """log q(x) - log p(x) at draws of q: its mean is the divergence of q from a standard normal p shifted by 3."""

    def __init__(self):
        super().__init__()
        self.flow = AffineGaussian()

    def forward(self, draws):
        # Draws in pairs z, -z: the mean of x is the shift exactly, and so no noise is left in its gradient.
        half = torch.randn(draws // 2, 2)
        x = self.flow.shift + self.flow.log_scale.exp() * torch.cat([half, -half])
        return self.flow.log_prob(x) + 0.5 * ((x - 3) ** 2).sum(-1)


def test_a_batch_may_be_a_number_of_draws():
    objective = ReverseDivergence()

    def held_out():
        return -float(objective(1000).mean())

    settings = Settings(evaluate_every=100, max_steps=600, learning_rate=5e-2, device="cpu")
    history = train(make_fabric(torch.device("cpu"), "32-true"), objective, [(64,)] * 50, held_out, settings)
    torch.testing.assert_close(objective.flow.shift.detach(), torch.full((2,), 3.0), atol=0.01, rtol=0)
    assert history.steps == 600 and history.epochs == 12


def test_matrices_decay_and_vectors_do_not():
    class Indifferent(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(2, 2))
            self.vector = nn.Parameter(torch.ones(2))

        def forward(self, draws):
            return (0.0 * (self.matrix.sum() + self.vector.sum())).expand(draws)

    objective = Indifferent()
    steps = iter(range(1000))
    settings = Settings(
        evaluate_every=10, max_steps=20, learning_rate=0.1, weight_decay=0.5, average_decay=None, device="cpu"
    )
    train(make_fabric(torch.device("cpu"), "32-true"), objective, [(4,)], lambda: float(next(steps)), settings)
    assert objective.matrix.max() < 0.9
    assert torch.equal(objective.vector.detach(), torch.ones(2))
