"""Terms of the chain rule against integrals of the joint density, autograd, and a Gaussian in closed form."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.bijections import ActNorm, Affine, Autoregressive, Compose, Coupling, Rescaling
from pushforward.bijections.ordering import log_prob_of_each, order_of
from pushforward.distributions import BASES


def randomized(flow, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in flow.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return flow.double().eval()


def draws(rows, features, seed=1):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FLOWS = {
    "maf": lambda base: pf.maf(2, layers=3, hidden=(16,), order="same", base=base),
    "maf backwards": lambda base: pf.maf(2, layers=2, hidden=(16,), order=[1, 0], base=base),
    "iaf": lambda base: pf.iaf(2, layers=2, hidden=(16,), order="same", base=base),
    "nsf": lambda base: pf.nsf(2, layers=1, hidden=(16,), linear="none", base=base),
    "layers of one's own": lambda base: pf.Flow(
        Compose([Rescaling(2), Autoregressive(2, Affine(), (16,)), ActNorm(2)]), BASES[base](2)
    ),
}


@pytest.mark.parametrize("base", ["normal", "logistic", "student_t", "mixture"])
@pytest.mark.parametrize("kind", FLOWS)
def test_the_first_term_is_the_marginal_density(kind, base):
    flow = randomized(FLOWS[kind](base))
    order = order_of(flow.bijection)
    assert order == ([1, 0] if kind == "maf backwards" else [0, 1])
    x = draws(7, 2)
    terms = log_prob_of_each(flow, x)
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
    torch.testing.assert_close(log_prob_of_each(flow, x, context)[0], expected)


def test_layers_without_one_order_are_refused():
    for flow in (pf.maf(3), pf.nsf(3), pf.realnvp(3), pf.planar(3)):
        assert order_of(flow.bijection) is None
        with pytest.raises(pf.InputError, match="mix features or run in different orders"):
            log_prob_of_each(flow, torch.zeros(2, 3))
    assert order_of(Coupling([True, False, True], Affine())) is None
    # What is one feature, whatever it is made of, is its own share.
    flow = randomized(pf.radial(1))
    x = draws(5, 1)
    torch.testing.assert_close(log_prob_of_each(flow, x)[:, 0], flow.log_prob(x))


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


def test_shares_of_a_fitted_gaussian_are_those_of_its_regressions(tmp_path):
    rows, fresh = gaussian_rows(6000, 0), gaussian_rows(1000, 1)
    # Without a hidden layer the conditionals are linear, as those of a Gaussian are.
    flow = pf.standardized(pf.maf(3, layers=1, hidden=(), order="same"), torch.from_numpy(rows))
    pf.fit(flow, rows, max_steps=400, learning_rate=2e-2, average_decay=None, progress=False)
    model = pf.TableModel(flow, NAMES)
    shares = model.shares(fresh)
    np.testing.assert_allclose(shares.sum(1), model.log_prob(fresh), atol=1e-4)
    assert np.abs(shares - gaussian_terms(fresh)).mean(0).max() < 0.08
    # A value that contradicts the column before it is blamed, and the column before it is not.
    odd = np.array([[3.0, 2.0, 1.4]])
    assert model.shares(odd)[0].argmin() == 1 and model.shares(odd)[0, 1] < -8
    pd.DataFrame(fresh, columns=NAMES).to_csv(tmp_path / "t.csv", index=False)
    model.score(tmp_path / "t.csv", tmp_path / "s.csv", shares=True)
    scored = pd.read_csv(tmp_path / "s.csv")
    assert list(scored.columns) == [*NAMES, "log_prob", "share_a", "share_b", "share_c"]
    np.testing.assert_allclose(scored[["share_a", "share_b", "share_c"]], shares, atol=1e-5)
    scored.drop(columns="log_prob").to_csv(tmp_path / "again.csv", index=False)
    with pytest.raises(pf.InputError, match='already has a column "share_a"'):
        model.score(tmp_path / "again.csv", tmp_path / "t2.csv", shares=True)


def test_a_model_of_any_columns_has_shares_of_columns_of_every_kind():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(gaussian_rows(400, 0), columns=NAMES)
    frame["kind"] = generator.choice(["x", "y", "z"], 400)
    frame.loc[::5, "b"] = np.nan
    model = pf.fit_table(frame, given=["c"], max_steps=20, progress=False).model
    codes = model.encode(frame)
    shares = model.shares(codes)
    assert model.shared == ["a", "b", "kind"]
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
        (whole, {}, 'the probability of its column "count" is an average over noise'),
        (with_errors, {"errors": {"a": "e"}}, "average over measurement errors"),
    ):
        model = pf.fit_table(table, flow="maf", max_steps=2, progress=False, **options).model
        with pytest.raises(pf.InputError, match=words):
            model.shares(model.encode(table))
