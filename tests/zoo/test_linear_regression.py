"""The linear regression that a conditional flow starts from, against closed forms, and the least that a fit reaches."""

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.bijections.context_features import ContextFeatures
from pushforward.zoo.layers import linear_layer, set_linear
from pushforward.zoo.linear_regression import RIDGES, linear_regression
from pushforward.zoo.recipe import choose_recipe

RANDOM = np.random.default_rng(0)


def by_hand(x, y, weights):
    """The ridge regression of one target with the smallest criterion, from the matrix of predictions."""
    share = weights / weights.sum()
    root = np.sqrt(share)[:, None]
    rows, target = root * (x - share @ x), root[:, 0] * (y - share @ y)
    count, best = 1 / np.square(share).sum(), (np.inf,)
    for ridge in np.array(RIDGES) * np.mean(np.linalg.eigvalsh(rows.T @ rows)):
        inverse = np.linalg.inv(rows.T @ rows + ridge * np.eye(x.shape[1]))
        hat = rows @ inverse @ rows.T
        left = 1 - (1 + np.trace(hat)) / count
        criterion = np.square(target - hat @ target).sum() / left**2
        if left > 0.02 and criterion < best[0]:
            best = criterion, inverse @ rows.T @ target
    return best


@pytest.mark.parametrize("columns", [3, 25])
def test_the_ridge_is_that_of_generalized_cross_validation(columns):
    x = RANDOM.normal(size=(40, columns)) @ RANDOM.normal(size=(columns, columns))
    y = x[:, :2] + RANDOM.normal(size=(40, 2)) * [0.1, 20.0]
    for weights in (np.ones(40), RANDOM.exponential(size=40)):
        given = None if (weights == 1).all() else torch.from_numpy(weights)
        weight, bias, covariance = linear_regression(torch.from_numpy(y), torch.from_numpy(x), given)
        share = weights / weights.sum()
        for target in range(2):
            variance, expected = by_hand(x, y[:, target], weights)
            np.testing.assert_allclose(weight[target], expected, rtol=1e-6, atol=1e-9)
            terms = np.array([share @ y[:, target], *(-(share @ x) * expected)])
            assert float(bias[target]) == pytest.approx(terms.sum(), abs=1e-6 * np.abs(terms).sum())
            assert float(covariance[target, target]) == pytest.approx(variance, rel=1e-4)


def test_a_relation_without_noise_and_more_columns_than_rows_have_a_regression():
    x = torch.from_numpy(RANDOM.normal(size=(20, 60)))
    for y in (x[:, :1] * 2 + 1, torch.from_numpy(RANDOM.normal(size=(20, 1)))):
        found = linear_regression(y, x)
        assert all(part.isfinite().all() for part in found) and float(found[2]) > 0
    exact = torch.from_numpy(RANDOM.normal(size=(200, 2)))
    weight, _, covariance = linear_regression(exact[:, :1] + exact[:, 1:], exact)
    np.testing.assert_allclose(weight, [[1, 1]], atol=1e-6)
    assert 0 < float(covariance) < 1e-7


def test_a_linear_layer_is_the_gaussian_that_it_is_set_to():
    weight, bias = (torch.from_numpy(RANDOM.normal(size=size)) for size in ((3, 2), (3,)))
    root = torch.from_numpy(RANDOM.normal(size=(3, 3)))
    covariance = root @ root.T + 0.1 * torch.eye(3)
    layer = linear_layer(3, 2).double()
    set_linear(layer, weight, bias, covariance)
    flow = pf.Flow(layer, pf.nsf(features=3).base.double())
    context, x = (torch.from_numpy(RANDOM.normal(size=(50, size))) for size in (2, 3))
    mean = context @ weight.T + bias
    expected = [stats.multivariate_normal(m, covariance).logpdf(row) for m, row in zip(mean, x, strict=True)]
    np.testing.assert_allclose(flow.log_prob(x, context).detach(), expected, atol=1e-9)


def test_features_of_a_context_are_uncorrelated_and_a_linear_function_of_both():
    first = RANDOM.normal(size=(2000, 1))
    context = torch.from_numpy(np.hstack([first, first + 0.05 * RANDOM.normal(size=(2000, 1)), np.exp(first)]))
    context = (context - context.mean(0)) / context.std(0)
    features = ContextFeatures.from_data(context, 16)
    seen = features(context)
    # Directions of little variance are not stretched to the whole.
    size = torch.linalg.eigvalsh(seen.T.cov())
    assert seen.shape == (2000, 6) and float(size.max()) < 1.01
    plain = torch.linalg.eigvalsh(features.uncentered(context).T.cov())
    share = 6 / 2006
    np.testing.assert_allclose(size, plain / (plain * (1 - share) + share), rtol=1e-2, atol=1e-6)
    weight, bias = torch.from_numpy(RANDOM.normal(size=(1, 6))), torch.ones(1, dtype=torch.float64)
    again, shifted = features.of_uncentered(weight, bias)
    expected = features.uncentered(context) @ weight.T + bias
    np.testing.assert_allclose(seen @ again.T + shifted, expected, atol=1e-8)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_flow_starts_from_the_regression_and_is_saved(targets, tmp_path):
    context = torch.from_numpy(RANDOM.normal(size=(3000, 3)))
    noise = torch.from_numpy(RANDOM.multivariate_normal([0, 0], [[0.2, 0.1], [0.1, 0.1]], size=3000))[:, :targets]
    y = 100 + context[:, :targets] - 2 * context[:, 2:] + noise
    flow = choose_recipe(3000, targets, 3).make(y, context).eval()
    mean = 100 + context[:, :targets] - 2 * context[:, 2:]
    normal = stats.multivariate_normal(np.zeros(targets), np.array([[0.2, 0.1], [0.1, 0.1]])[:targets, :targets])
    loss = normal.logpdf(y - mean) - flow.log_prob(y, context).detach().numpy()
    # The splines of the targets and the scores of 3000 rows cost up to 0.1.
    assert abs(loss.mean()) < 0.1 + 5 * loss.std() / np.sqrt(len(loss))
    pf.save(flow, tmp_path / "flow.safetensors")
    again = pf.load(tmp_path / "flow.safetensors")
    assert torch.equal(again.log_prob(y, context), flow.log_prob(y, context)) and again.context_features == 3


@pytest.mark.slow
def test_one_step_is_never_below_a_linear_regression():
    common = RANDOM.normal(size=(900, 1))
    X = np.hstack([common + 1e-3 * RANDOM.normal(size=(900, 1)) for _ in range(8)] + [np.ones((900, 1))])
    y = 500 * (X[:, 0] - X[:, 1]) + 0.3 * RANDOM.normal(size=900)
    fitted = pf.ConditionalFlowDensity(max_steps=1, random_state=0, kinds="continuous").fit(X[:600], y[:600])
    ones = np.hstack([X[:, :8], np.ones((900, 1))])
    found = np.linalg.lstsq(ones[:600], y[:600], rcond=None)[0]
    deviation = np.std(y[:600] - ones[:600] @ found)
    gain = fitted.score_samples(X[600:], y[600:]) - stats.norm(ones[600:] @ found, deviation).logpdf(y[600:])
    assert gain.mean() > -5 * gain.std() / np.sqrt(300) and gain.mean() > -0.02
