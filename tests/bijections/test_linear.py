"""Linear layers: their matrices, determinants and edges."""

import pytest
import torch
from catalogue import randomize

import pushforward as pf
from pushforward.bijections import LU, Compose, Householder, Inverse


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix_of(apply, features):
    """Column k is what the unit vector k becomes."""
    origin = apply(torch.zeros(features, dtype=torch.float64))[0]
    return (apply(torch.eye(features, dtype=torch.float64))[0] - origin).T


@pytest.mark.parametrize("features", [1, 2, 7, 40])
def test_lu_has_the_determinant_and_the_inverse_of_its_matrix(features):
    layer = randomize(LU(features).double(), scale=0.2)
    matrix = matrix_of(layer, features)
    expected = torch.linalg.slogdet(matrix)
    assert float(expected.sign.detach()) == 1
    z = normal(50, features)
    x, log_det = layer(z)
    torch.testing.assert_close(log_det, expected.logabsdet.expand(50))
    back, log_det_back = layer.inverse(x)
    torch.testing.assert_close(log_det_back, -expected.logabsdet.expand(50))
    torch.testing.assert_close(back, torch.linalg.solve(matrix, (x - layer.shift).T).T, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(back, z, rtol=1e-8, atol=1e-8)
    lower, upper = torch.eye(features).double() + layer.factors.tril(-1), layer.factors.triu(1)
    diagonal = (torch.linalg.solve(lower, matrix) - upper).diagonal()
    torch.testing.assert_close(torch.linalg.solve(lower, matrix), upper + diagonal.diag(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("features", [1, 2, 7, 40])
def test_lu_can_start_at_any_symmetric_positive_matrix(features):
    factor, shift = normal(features, 2 * features), normal(features, seed=1)
    matrix = factor @ factor.T / features + 0.1 * torch.eye(features, dtype=torch.float64)
    layer = LU(features).double()
    layer.start_at(matrix, shift)
    z = normal(50, features, seed=2)
    x, log_det = layer(z)
    torch.testing.assert_close(x, z @ matrix.T + shift)
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(matrix).logabsdet)


def test_lu_starts_at_the_identity_and_stays_invertible():
    layer = LU(5).double()
    z = normal(9, 5)
    torch.testing.assert_close(layer(z), (z, torch.zeros(9, dtype=torch.float64)))
    with torch.no_grad():
        layer.factors.diagonal().fill_(-1e4)
    x, log_det = layer(z)
    torch.testing.assert_close(log_det, torch.full((9,), 5e-3, dtype=torch.float64).div(5).log() * 5)
    torch.testing.assert_close(layer.inverse(x)[0], z)


@pytest.mark.parametrize(("features", "reflections"), [(1, None), (2, None), (5, 3), (6, 9), (64, None)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_householder_is_the_product_of_its_reflections(features, reflections, dtype):
    torch.manual_seed(0)
    layer = Householder(features, reflections).to(dtype)
    tolerance = 50 * torch.finfo(dtype).eps
    identity = torch.eye(features, dtype=torch.float64)
    expected = identity
    for v in layer.vectors.detach().double():
        expected = expected @ (identity - 2 * torch.outer(v, v) / (v @ v))
    matrix = layer(identity.to(dtype))[0].T.double()
    torch.testing.assert_close(matrix, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(layer.inverse(identity.to(dtype))[0].double(), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(matrix @ matrix.T, identity, rtol=0, atol=tolerance)
    assert float(torch.linalg.slogdet(matrix).logabsdet.abs()) < features * tolerance
    if features > 1:  # mixes: no feature passes alone
        assert float(matrix.abs().topk(2, 1).values[:, 1].min()) > tolerance


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e30])
def test_a_reflection_vector_of_any_length_is_harmless(length):
    layer = Householder(4)
    with torch.no_grad():
        layer.vectors[2] *= length
    plain = Householder(4, 3 if length == 0 else 4)
    with torch.no_grad():
        plain.vectors.copy_(layer.vectors[[0, 1, 3]] if length == 0 else layer.vectors)
        if length:
            plain.vectors[2] /= length
    z = torch.randn(10, 4)
    x, _ = layer(z)
    torch.testing.assert_close(x, plain(z)[0])
    torch.testing.assert_close(layer.inverse(x)[0], z)
    (x.square() * torch.arange(1.0, 5)).sum().backward()
    assert bool(layer.vectors.grad.isfinite().all())


def test_vectors_all_alike_cancel_in_pairs():
    layer = Householder(5, 40).double()
    with torch.no_grad():
        layer.vectors.copy_(layer.vectors[:1].expand(40, -1).clone())
    z = normal(10, 5)
    torch.testing.assert_close(layer(z)[0], z)


def test_less_than_one_reflection_is_refused():
    with pytest.raises(ValueError, match="at least one reflection, got 0"):
        Householder(3, 0)


@pytest.mark.parametrize("layer", [LU(3), Householder(3), Householder(3, 2)])
def test_gradients_of_the_weights(layer):
    layer = randomize(layer.double(), scale=0.5)
    names, weights = zip(*layer.named_parameters(), strict=True)
    for bijection, prefix in ((layer, ""), (Inverse(layer), "bijection.")):

        def apply(z, *weights, bijection=bijection, prefix=prefix):
            state = {prefix + name: weight for name, weight in zip(names, weights, strict=True)}
            return torch.func.functional_call(bijection, state, (z,))

        assert torch.autograd.gradcheck(apply, (normal(2, 3).requires_grad_(), *weights))


@pytest.mark.parametrize(("linear", "kind"), [("lu", LU), ("householder", Householder)])
def test_nsf_mixes_the_data_before_each_spline_layer(linear, kind):
    flow = pf.nsf(3, layers=2, hidden=(8,), linear=linear)
    assert isinstance(flow.bijection, Compose)
    assert [isinstance(part, kind) for part in flow.bijection] == [False, True, False, True]
    rebuilt = pf.build(flow.config)
    rebuilt.load_state_dict(flow.state_dict())
    x = torch.randn(7, 3)
    assert torch.equal(rebuilt.log_prob(x), flow.log_prob(x))
    with pytest.raises(pf.InputError, match="option linear"):
        pf.nsf(3, linear="qr")
