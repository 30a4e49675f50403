"""Residual pairs and dropout of the conditioners."""

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections import Affine, Autoregressive
from pushforward.networks import MADE, MLP, Conditioner


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_a_residual_mlp_is_its_formula(pairs):
    mlp = randomize(MLP(3, 2, 4, Conditioner((7,) * (2 * pairs + 1), "tanh", residual=True), 2).double())
    x, context = normal(5, 3), normal(5, 2)
    h = x @ mlp.first.weight.T + mlp.first.bias + context @ mlp.context.weight.T
    inner = [(layer.weight, layer.bias) for layer in mlp.layers]
    for (weight, bias), (next_weight, next_bias) in zip(inner[:-1:2], inner[1:-1:2], strict=True):
        h = h + (h.tanh() @ weight.T + bias).tanh() @ next_weight.T + next_bias
    weight, bias = inner[-1]
    torch.testing.assert_close(mlp(x, context), (h.tanh() @ weight.T + bias).view(5, 2, 4))


@pytest.mark.parametrize("hidden", [(8, 8), (8, 9, 8), ()])
def test_residual_needs_an_odd_number_of_layers_of_one_width(hidden):
    with pytest.raises(ValueError, match=r"A residual network has 1, 3, 5 \.\.\. hidden layers of one width"):
        Conditioner(hidden, residual=True)
    for name in ("realnvp", "maf", "nsf"):
        with pytest.raises(pf.InputError, match=rf"{name}: A residual network has 1, 3, 5"):
            pf.build({"architecture": name, "features": 2, "hidden": hidden, "residual": True})


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(dropout):
    with pytest.raises(ValueError, match="dropout must be at least 0 and less than 1"):
        Conditioner(dropout=dropout)
    with pytest.raises(pf.InputError, match="option dropout"):
        pf.nsf(2, dropout=dropout)


def test_an_mlp_drops_the_share_in_training_alone():
    mlp = MLP(1, 4000, 1, Conditioner((4000,), dropout=0.3))
    with torch.no_grad():  # every hidden activation is 1, and each output is one of them
        mlp.first.weight.zero_()
        mlp.first.bias.fill_(1)
        mlp.layers[0].weight.copy_(torch.eye(4000))
        mlp.layers[0].bias.zero_()
    assert torch.equal(mlp.eval()(torch.zeros(1)), torch.ones(4000, 1))
    torch.manual_seed(0)
    dropped = mlp.train()(torch.zeros(1))
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 1 / 0.7]))
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("residual", [False, True])
def test_a_made_drops_in_training_alone_and_keeps_its_triangle(activation, residual):
    conditioner = Conditioner((32, 32, 32), activation, residual, dropout=0.5)
    made = randomize(MADE(4, 2, conditioner).double(), scale=0.5)
    x = normal(2000, 4)
    exact = made(x)
    made.train()
    torch.manual_seed(0)
    dropped = made(x)
    assert float((dropped - exact).detach().abs()[:, 1:].mean()) > 0.05
    assert torch.equal(dropped[:, 0], exact[:, 0])  # a constant: no hidden unit reaches the first feature
    jacobian = torch.autograd.functional.jacobian(lambda v: made(v), x[0])
    assert bool((jacobian.sum(1).triu() == 0).all())


@pytest.mark.parametrize("recorded", [True, False])
def test_the_numerical_inverse_runs_without_dropout(recorded):
    layer = randomize(Autoregressive(5, Affine(), Conditioner((16, 16), "elu", dropout=0.5)).double())
    z = normal(20, 5)
    with torch.set_grad_enabled(recorded):
        expected = layer(z)
        layer.train()
        for value, reference in zip(layer(z), expected, strict=True):
            assert torch.equal(value, reference)
        assert float((layer.inverse(expected[0])[0] - z).abs().max()) > 1e-3


@pytest.mark.parametrize("name", ["realnvp", "maf", "nsf"])
def test_no_dropout_draws_no_random_numbers(name):
    flow = pf.build({"architecture": name, "features": 3, "layers": 2, "hidden": (8,)}).train()
    state = torch.get_rng_state()
    x = torch.linspace(-1, 1, 30).view(10, 3)
    trained = flow.log_prob(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(flow.eval().log_prob(x), trained)


@pytest.mark.parametrize("kind", ["autoregressive", "coupling"])
def test_nsf_trains_with_residual_pairs_and_dropout(kind):
    torch.manual_seed(0)
    x = 2 * torch.randn(1000, 2).cumsum(1)
    flow = pf.nsf(2, kind=kind, layers=2, hidden=(8, 8, 8), residual=True, dropout=0.1)
    assert flow.config["residual"] is True and flow.config["dropout"] == 0.1
    before = flow.eval().log_prob(x).detach()
    pf.fit(flow, x, max_steps=60, learning_rate=1e-2, average_decay=None)
    gain = flow.eval().log_prob(x).detach() - before
    assert float(gain.mean()) > 5 * float(gain.std()) / 1000**0.5
