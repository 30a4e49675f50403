"""Orders of features against Jacobians; terms of the chain rule against integrals and a Gaussian in closed form."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import CATALOGUE, COUPLED_FAMILIES, make
from scipy import stats

import pushforward as pf
from pushforward.bijections import (
    LU,
    ActNorm,
    Affine,
    Autoregressive,
    Bijection,
    Compose,
    Coupling,
    ElementwiseAffine,
    Inverse,
    Rescaling,
    Standardized,
    TailTransform,
)
from pushforward.bijections.ordering import closure
from pushforward.distributions import BASES
from pushforward.networks import Conditioner


def randomized(flow, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in flow.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return flow.double().eval()


def draws(rows, features, seed=1):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coupling(transformed):
    return Coupling(transformed, Affine(), Conditioner((8,), "elu"))


def autoregressive(order):
    return Autoregressive(4, Affine(), Conditioner((8,), "elu"), order=order)


# 1 → 0 → 2, and 3 by itself.
ADJACENCY = [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
# Beyond the catalogue: maps of several parts, and the order that each must have.
COMBINED = {
    "layers of one order": (
        lambda: Compose([autoregressive([2, 0, 3, 1]), autoregressive([2, 0, 3, 1])]), [2, 0, 3, 1],
    ),
    "layers of two orders": (lambda: Compose([autoregressive([2, 0, 3, 1]), autoregressive([2, 0, 1, 3])]), None),
    "masked and inverse": (
        lambda: Compose([autoregressive([3, 2, 1, 0]), Inverse(Compose([autoregressive([3, 2, 1, 0]), Rescaling(4)]))]),
        [3, 2, 1, 0],
    ),
    "single features alone": (lambda: Compose([Rescaling(4), TailTransform(4), Inverse(ActNorm(4))]), [0, 1, 2, 3]),
    "an adjacency": (
        lambda: Autoregressive(4, Affine(), Conditioner((16,), "elu"), adjacency=ADJACENCY), [1, 3, 0, 2],
    ),
    "the inverse of an adjacency": (
        lambda: Inverse(Autoregressive(4, Affine(), Conditioner((16,), "elu"), adjacency=ADJACENCY)), [1, 3, 0, 2],
    ),
    "in units of data": (
        lambda: Standardized(autoregressive([1, 3, 0, 2]), ElementwiseAffine(torch.ones(4), 2 * torch.ones(4))),
        [1, 3, 0, 2],
    ),
    "a coupling between two that agree": (
        lambda: Compose([autoregressive([1, 0, 3, 2]), coupling([0, 0, 1, 1]), coupling([1, 0, 1, 1])]), [1, 0, 3, 2],
    ),
    "couplings that take turns": (lambda: Compose([coupling([0, 0, 1, 1]), coupling([1, 1, 0, 0])]), None),
    "a chain of couplings": (lambda: Compose([coupling([1, 1, 0, 1]), coupling([1, 1, 0, 0])]), [2, 3, 0, 1]),
    "a layer that mixes": (lambda: Compose([autoregressive([0, 1, 2, 3]), LU(4)]), None),
}  # fmt: skip


def parametrized(bijection):
    generator = torch.Generator().manual_seed(0)
    for parameter in bijection.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return bijection.double().eval()


def check_order(bijection: Bijection, context=None):
    """What a bijection says of its order against the Jacobians of both directions."""
    features, order, dependencies = bijection.features, bijection.order(), bijection.dependencies()
    z = draws(1, features, seed=3)[0]
    x, _ = bijection(z, context)
    forward = torch.func.jacrev(lambda value: bijection(value, context)[0])(z)
    inverse = torch.func.jacrev(lambda value: bijection.inverse(value, context)[0])(x.detach())
    assert dependencies.shape == (features, features)
    assert bool((forward[~dependencies] == 0).all()) and bool((inverse[~closure(dependencies)] == 0).all())
    if order is None:
        # Tried with all orders: none makes the Jacobian triangular.
        for tried in itertools.permutations(range(features)):
            assert bool((forward[list(tried)][:, list(tried)].triu(1) != 0).any())
        for call in (bijection.each_inverse, bijection.inverse_with_maps, bijection.forward_with_maps):
            with pytest.raises(pf.InputError, match="no order of the features makes its Jacobian triangular"):
                call(x, context)
        return
    assert sorted(order) == list(range(features))
    for jacobian in (forward, inverse):
        assert bool((jacobian[order][:, order].triu(1) == 0).all())
    again, terms = bijection.each_inverse(x, context)
    torch.testing.assert_close(again, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(terms, inverse.diagonal().abs().log(), rtol=0, atol=1e-9)
    torch.testing.assert_close(terms.sum(-1), bijection.inverse(x, context)[1], rtol=0, atol=1e-9)
    check_maps(bijection, z, x, terms, context)


def check_maps(bijection, z, x, terms, context):
    """The maps of single features lead from z to x and back, with the terms of each feature."""
    to_data, to_latent = bijection.forward_with_maps(z, context), bijection.inverse_with_maps(x, context)
    torch.testing.assert_close(to_data[0], x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(to_latent[0], z, rtol=1e-9, atol=1e-9)
    for _, maps in (to_data, to_latent):
        forth, back, log_forth, log_back = z, x, 0.0, 0.0
        for one in maps:
            forth, term = one.each_forward(forth)
            log_forth = log_forth + term
        for one in reversed(maps):
            back, term = one.each_inverse(back)
            log_back = log_back + term
        torch.testing.assert_close(forth, x, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(log_back, terms, rtol=0, atol=1e-9)
        torch.testing.assert_close(log_forth, -terms, rtol=0, atol=1e-9)


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in COUPLED_FAMILIES else []) for name in CATALOGUE]
)
def test_orders_and_terms_are_those_of_the_jacobian(name, features):
    check_order(make(name, features))
    check_order(make(name, features, context=2, seed=1), draws(1, 2, seed=9)[0])


@pytest.mark.parametrize("name", COMBINED)
def test_orders_of_combined_maps(name):
    build, order = COMBINED[name]
    bijection = parametrized(build())
    assert bijection.order() == order
    check_order(bijection)


def test_terms_and_maps_of_a_batch_are_those_of_its_rows():
    context = draws(5, 2, seed=9)
    for name in ("affine coupling", "spline autoregressive", "inverse", "standardized"):
        bijection = make(name, 3, context=2)
        x = draws(1, 3)
        z, terms = bijection.each_inverse(x, context)
        assert z.shape == terms.shape == (5, 3)
        for row in range(5):
            torch.testing.assert_close(terms[row], bijection.each_inverse(x[0], context[row])[1])


FLOWS = {
    "maf": lambda base: pf.maf(2, layers=3, hidden=(16,), order="same", base=base),
    "maf backwards": lambda base: pf.maf(2, layers=2, hidden=(16,), order=[1, 0], base=base),
    "iaf": lambda base: pf.iaf(2, layers=2, hidden=(16,), order="same", base=base),
    "nsf": lambda base: pf.nsf(2, layers=1, hidden=(16,), linear="none", base=base),
    "layers of one's own": lambda base: pf.Flow(
        Compose([Rescaling(2), Autoregressive(2, Affine(), Conditioner((16,))), ActNorm(2)]), BASES[base](2)
    ),
}


@pytest.mark.parametrize("base", ["normal", "logistic", "student_t", "mixture"])
@pytest.mark.parametrize("kind", FLOWS)
def test_the_first_term_is_the_marginal_density(kind, base):
    flow = randomized(FLOWS[kind](base))
    if base == "student_t":  # with fewer degrees of freedom a part of the density lies beyond the grid
        torch.nn.init.constant_(flow.base.log_degrees_of_freedom, np.log(6))
    order = flow.bijection.order()
    assert order == ([1, 0] if kind == "maf backwards" else [0, 1])
    x = draws(7, 2)
    terms = flow.log_prob_of_each(x)
    torch.testing.assert_close(terms.sum(-1), flow.log_prob(x))
    # p(x first) = ∫ p(x first, x second) d(x second), by the trapezoidal rule over sinh(t).
    t = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    first, second = order
    grid = x[:, None, :].repeat(1, len(t), 1)
    grid[..., second] = t.sinh()
    marginal = torch.trapezoid(flow.log_prob(grid).exp() * t.cosh(), t)
    torch.testing.assert_close(terms[:, first].exp(), marginal, rtol=2e-3, atol=1e-6)


def test_the_terms_are_those_of_the_diagonal_of_the_jacobian():
    x, context = draws(1, 4), draws(1, 2, seed=5)
    flow = randomized(pf.maf(4, context=2, layers=3, hidden=(8,), order=[2, 0, 3, 1]))
    flow = pf.gaussianized(flow, draws(300, 4, seed=2).exp(), draws(300, 2, seed=3)).double()
    x = x.exp()
    jacobian = torch.func.jacrev(lambda row: flow.to_latent(row, context)[0])(x)[:, 0]
    expected = (
        torch.distributions.Normal(0, 1).log_prob(flow.to_latent(x, context))[0] + jacobian.diagonal().abs().log()
    )
    torch.testing.assert_close(flow.log_prob_of_each(x, context)[0], expected)


def test_layers_without_one_order_are_refused():
    for flow in (pf.maf(3), pf.nsf(3), pf.realnvp(3), pf.planar(3)):
        assert flow.bijection.order() is None
        with pytest.raises(pf.InputError, match="mix features or run in different orders"):
            flow.log_prob_of_each(torch.zeros(2, 3))
    assert Coupling([True, False, True], Affine()).order() == [1, 0, 2]
    # What is one feature, whatever it is made of, is its own share.
    flow = randomized(pf.radial(1))
    x = draws(5, 1)
    torch.testing.assert_close(flow.log_prob_of_each(x)[:, 0], flow.log_prob(x))


MEAN, COVARIANCE = np.array([3.0, -1.0, 0.5]), np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 1.0]])
NAMES = ["a", "b", "c"]


def gaussian_terms(x):
    """log p(x[d] | x before d) of the Gaussian, by regression on the columns before."""
    terms = []
    for d in range(3):
        slope = np.linalg.solve(COVARIANCE[:d, :d], COVARIANCE[:d, d]) if d else np.zeros(0)
        mean = MEAN[d] + (x[:, :d] - MEAN[:d]) @ slope
        terms.append(stats.norm(mean, np.sqrt(COVARIANCE[d, d] - COVARIANCE[:d, d] @ slope)).logpdf(x[:, d]))
    return np.column_stack(terms)


def gaussian_rows(rows, seed):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, size=rows)


@pytest.mark.slow
def test_shares_of_a_fitted_gaussian_are_those_of_its_regressions(tmp_path):
    rows, fresh = gaussian_rows(6000, 0), gaussian_rows(1000, 1)
    # Without a hidden layer the conditionals are linear, as those of a Gaussian are.
    flow = pf.standardized(pf.maf(3, layers=1, hidden=(), order="same"), torch.from_numpy(rows))
    pf.fit(flow, rows, max_steps=1000, batch_size=2000, learning_rate=2e-2, average_decay=None, progress=False)
    model = pf.TableModel(flow, NAMES)
    shares = model.shares(fresh)
    np.testing.assert_allclose(shares.sum(1), model.log_prob(fresh), atol=1e-4)
    # A share has at most six parameters, each with a standard error of 1/√n in deviations, n = 6000 rows.
    assert np.abs(shares - gaussian_terms(fresh)).mean(0).max() < 5 * (6 / 6000) ** 0.5
    # A value that contradicts the column before it is blamed, and the column before it is not.
    odd = np.array([[3.0, 2.0, 1.4]])
    assert model.shares(odd)[0].argmin() == 1 and model.shares(odd)[0, 1] < -8
    pd.DataFrame(fresh, columns=NAMES).to_csv(tmp_path / "t.csv", index=False)
    model.score(tmp_path / "t.csv", tmp_path / "s.csv", shares=True)
    scored = pd.read_csv(tmp_path / "s.csv")
    assert list(scored.columns) == [*NAMES, "log_prob", "unseen", "share_a", "share_b", "share_c"]
    np.testing.assert_allclose(scored[["share_a", "share_b", "share_c"]], shares, atol=1e-5)
    scored.drop(columns=["log_prob", "unseen"]).to_csv(tmp_path / "again.csv", index=False)
    with pytest.raises(pf.InputError, match='already has a column "share_a"'):
        model.score(tmp_path / "again.csv", tmp_path / "t2.csv", shares=True)


@pytest.mark.slow
def test_a_model_of_any_columns_has_shares_of_columns_of_every_kind():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(gaussian_rows(400, 0), columns=NAMES)
    frame["kind"] = generator.choice(["x", "y", "z"], 400)
    frame.loc[::5, "b"] = np.nan
    model = pf.fit_table(frame, given=["c"], max_steps=20, progress=False).model
    codes = model.encode(frame)
    shares = model.shares(codes)
    assert model.roles.modeled == ["a", "b", "kind"]
    np.testing.assert_allclose(shares.sum(1), model.log_prob(codes), atol=1e-9)
    assert (shares[::5, 1] == 0).all() and (shares[:, 2] <= 0).all()
    # The first share is the density of the first column given the conditions alone.
    alone = codes.copy()
    alone[:, [model.names.index("b"), model.names.index("kind")]] = np.nan
    np.testing.assert_allclose(shares[:, 0], model.log_prob(alone), atol=1e-9)


def test_models_without_shares_are_refused_in_a_sentence():
    frame = pd.DataFrame(gaussian_rows(200, 0), columns=NAMES)
    whole = frame.assign(count=np.arange(200) % 7)
    with_errors = frame.assign(e=0.1)
    for table, options, words in (
        (frame, {}, "its layers mix columns or run in different orders; fit with --arbitrary-conditions"),
        (whole, {}, 'the probability of its column "count", or of its cells, is an average'),
        (with_errors, {"errors": {"a": "e"}}, "average over measurement errors"),
    ):
        model = pf.fit_table(table, flow="maf", max_steps=2, progress=False, **options).model
        with pytest.raises(pf.InputError, match=words):
            model.shares(model.encode(table))
