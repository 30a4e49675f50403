"""Planar, radial and Sylvester layers beyond the common contracts."""

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections import Planar, Radial, Sylvester


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planar(u, w, b, activation="tanh", negative_slope=0.2):
    layer = Planar(len(u), activation, negative_slope).double()
    with torch.no_grad():
        layer.parameters_of.start.copy_(torch.cat([u, w, torch.tensor([b], dtype=torch.float64)]))
    return layer


def test_the_formula():
    u, w, z = normal(4), normal(4, seed=1), normal(7, 4, seed=2)
    x, log_det = planar(u, w, 0.3)(z)
    w_u = w @ u
    u_hat = u + (torch.log1p(w_u.exp()) - 1 - w_u) * w / (w @ w)
    h = torch.tanh(z @ w + 0.3)
    torch.testing.assert_close(x, z + u_hat * h[:, None], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_det, torch.log(1 + (w @ u_hat) * (1 - h**2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
@pytest.mark.parametrize("w_u", [0.0, 1e-20, -1e-20, -1.0, 1.0, 20.0, -20.0, 1000.0, -1000.0])
@pytest.mark.parametrize("b", [0.0, 3.0, -1e8])
def test_hard_parameters_are_finite_and_invertible(activation, w_u, b):
    w = normal(3, seed=1)
    layer = planar(w_u * w / (w @ w), w, b, activation)
    z = torch.cat([normal(50, 3), torch.zeros(1, 3).double(), -b * (w / (w @ w))[None]]).requires_grad_()
    x, log_det = layer(z)
    back, log_det_back = layer.inverse(x)
    for value in (x, log_det, back, log_det_back):
        assert bool(value.isfinite().all())
    # The push is as large as wᵀu, is taken back to rounding, and stretches a rounding by as much again.
    again, _ = layer(back)
    rounding = 2e-15 * (1 + abs(w_u)) * float(torch.cat([x, back]).detach().abs().max())
    assert float((again - x).detach().abs().max()) < rounding
    easy = log_det.detach() > -7
    assert float((back - z).detach()[easy].abs().max()) < 1e3 * rounding
    (x.sum() + log_det.sum() + back.sum() + log_det_back.sum()).backward()
    assert bool(z.grad.isfinite().all()) and bool(layer.parameters_of.start.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_direction_it_is_a_translation(dtype):
    u, z = normal(3), normal(5, 3).to(dtype)
    layer = planar(u, torch.zeros(3).double(), 0.7).to(dtype)
    x, log_det = layer(z)
    torch.testing.assert_close(x, z + (u.to(dtype) * torch.tensor(0.7, dtype=dtype).tanh()))
    assert bool((log_det == 0).all())
    torch.testing.assert_close(layer.inverse(x)[0], z)
    (x.sum() + layer.inverse(x)[1].sum()).backward()
    assert bool(layer.parameters_of.start.grad.isfinite().all())


def test_far_away_nothing_is_lost():
    layer = randomize(Planar(2).double(), scale=1.0)
    z = 1e8 * normal(20, 2)
    torch.testing.assert_close(layer.inverse(layer(z)[0])[0], z, rtol=1e-15, atol=0)


def test_leaky_relu_has_both_branches_and_refuses_slopes_that_fold():
    layer = planar(normal(3), normal(3, seed=1), 0.0, "leaky_relu")
    z = normal(100, 3, seed=2)
    side = (z @ layer.parameters_of.start[3:6] > 0).tolist()
    assert True in side and False in side
    torch.testing.assert_close(layer.inverse(layer(z)[0])[0], z)
    for slope in (0.0, -0.1, 1.1):
        with pytest.raises(ValueError, match="negative_slope"):
            Planar(3, "leaky_relu", slope)
    with pytest.raises(ValueError, match="activation"):
        Planar(3, "relu")


LAYERS = {
    "planar": lambda context: Planar(3, context=context, hidden=(3,)),
    "planar, leaky ReLU": lambda context: Planar(3, "leaky_relu", context=context, hidden=(3,)),
    "radial": lambda context: Radial(3, context=context, hidden=(3,)),
    "sylvester": lambda context: Sylvester(3, 2, context=context, hidden=(3,)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("context", [0, 2])
def test_first_and_second_derivatives_of_the_inverse(name, context):
    layer = randomize(LAYERS[name](context).double(), scale=0.5)
    x, conditions = normal(2, 3).requires_grad_(), normal(2, context) if context else None
    names, weights = zip(*layer.named_parameters(), strict=True)

    class Back(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer.inverse(x, conditions)

    def inverse(x, *weights):
        replaced = {f"layer.{n}": w for n, w in zip(names, weights, strict=True)}
        return torch.func.functional_call(Back(), replaced, (x,))

    # Along random directions, which takes a tenth of the time of every entry.
    assert torch.autograd.gradcheck(inverse, (x, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(inverse, (x, *weights), fast_mode=True)


def test_sylvester_columns_are_orthonormal_and_rank_one_is_planar():
    layer = randomize(Sylvester(5, 3).double())
    columns, outer, inner, products, _ = layer._weights(None)
    torch.testing.assert_close(columns.mT @ columns, torch.eye(3).double())
    assert bool((outer.tril(-1) == 0).all()) and bool((inner.tril(-1) == 0).all())
    torch.testing.assert_close(outer.diagonal() * inner.diagonal(), products)
    single = randomize(Sylvester(4, 1).double())
    columns, outer, inner, products, b = single._weights(None)
    twin = planar(torch.zeros(4).double(), (inner[0] * columns[:, 0]).detach(), float(b))
    with torch.no_grad():
        # u with wᵀu = ρ, along w.
        w, rho = inner[0] * columns[:, 0], single.parameters_of.start[-2]
        twin.parameters_of.start[:4] = rho * w / (w @ w)
    z = normal(6, 4)
    for ours, theirs in zip(single(z), twin(z), strict=True):
        torch.testing.assert_close(ours, theirs)
    with pytest.raises(ValueError, match="rank"):
        Sylvester(3, 4)


def test_radial_at_its_center():
    layer = randomize(Radial(3).double())
    center = layer.parameters_of.start[:3].detach()
    jacobian = torch.func.jacrev(lambda z: layer(z)[0])(center)
    off = jacobian - torch.eye(3).double() * jacobian[0, 0]
    torch.testing.assert_close(off, torch.zeros(3, 3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(layer(center)[1], 3 * jacobian[0, 0].log())
    torch.testing.assert_close(layer.inverse(center)[0], center)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["planar", "radial", "sylvester"])
def test_layers_begin_near_the_identity_and_learn(name):
    torch.manual_seed(0)
    flow = getattr(pf, name)(features=2, layers=3)
    z = torch.randn(1000, 2)
    with torch.no_grad():
        assert float((flow.to_data(z) - z).abs().mean()) < 1.5
    angle = 3.14159 * torch.rand(1000)
    x = torch.stack([2 * angle.cos(), 2 * angle.sin()], 1) + 0.2 * torch.randn(1000, 2)
    before = pf.evaluate(flow, x[500:])
    pf.fit(flow, x[:500], max_steps=60, batch_size=100, learning_rate=2e-2, average_decay=None)
    gain = pf.evaluate(flow, x[500:]) - before
    assert float(gain.mean()) > 5 * float(gain.std()) / 500**0.5
