"""Kernel regression against scikit-learn's Gaussian process, and against fits without a row."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from pushforward.zoo.kernel_regression import kernel_regression


def rows(count=80, seed=0):
    random = np.random.default_rng(seed)
    context = random.uniform(-2, 3, size=(count, 2)) * [1.0, 10.0]
    return context, np.sin(2 * context[:, 0]) + 0.02 * context[:, 1] + 0.1 * random.normal(size=count)


def by_scikit_learn(model, noise):
    _, amplitude, slope = model.numbers.tolist()
    kernel = ConstantKernel(amplitude) * Matern(1.0, nu=2.5) + ConstantKernel(slope) * DotProduct(1.0)
    return GaussianProcessRegressor(kernel + WhiteKernel(noise), optimizer=None, alpha=0)


def noise_of(model, context, y):
    """The variance of the noise, in that of y: K w + noise w = y. The points are rows in random order."""
    order = np.random.default_rng(0).permutation(len(y))
    left = y[order] - model(torch.from_numpy(context[order]))[:, 0].numpy()
    noise = float((left / model.weights.numpy()).mean())
    np.testing.assert_allclose(left, noise * model.weights.numpy(), rtol=1e-4, atol=1e-9)
    return noise


@pytest.fixture(scope="module")
def fitted():
    context, y = rows()
    return context, y, kernel_regression(y, context, None, seed=0)


def test_it_is_the_mean_of_a_gaussian_process(fitted):
    context, y, found = fitted
    model = found.model
    noise = noise_of(model, context, y)
    process = by_scikit_learn(model, noise).fit(
        model.units(torch.from_numpy(context)).numpy(), (y - y.mean()) / y.std()
    )
    fresh = rows(50, seed=1)[0].clip(context.min(0), context.max(0))
    expected = process.predict(model.units(torch.from_numpy(fresh)).numpy()) * y.std() + y.mean()
    np.testing.assert_allclose(model(torch.from_numpy(fresh))[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("together", [None, np.arange(80) // 2])
def test_what_is_said_of_a_row_is_that_of_a_process_without_it(fitted, together):
    context, y, _ = fitted
    found = kernel_regression(y, context, together, seed=0)
    u = found.model.units(torch.from_numpy(context)).numpy()
    noise = noise_of(found.model, context, y)
    labels = np.arange(80) if together is None else together
    units = (y - y.mean()) / y.std()
    for row in range(0, 80, 16):
        others = labels != labels[row]
        process = by_scikit_learn(found.model, noise).fit(u[others], units[others])
        expected = process.predict(u[row : row + 1])[0] * y.std() + y.mean()
        assert found.unseen[row] == pytest.approx(expected, abs=1e-5)


def test_rows_without_a_kernel_are_predicted_by_the_others():
    context, y = rows()
    found = kernel_regression(y, context, None, seed=0, points=40)
    outside = np.random.default_rng(0).permutation(80)[40:]
    assert len(found.model.points) == 40
    np.testing.assert_array_equal(found.unseen[outside], found.model(torch.from_numpy(context[outside]))[:, 0])
    assert 0 < found.explained < 1


def test_beyond_the_rows_it_answers_as_at_their_end(fitted):
    context, _, found = fitted
    ends = torch.from_numpy(np.stack([context.min(0), context.max(0)]))
    torch.testing.assert_close(found.model(ends + torch.tensor([[-100.0], [100.0]])), found.model(ends))
    assert found.model(ends.float()).dtype == torch.float32
    assert found.model(ends[:0]).shape == (0, 1)


def test_equal_rows_and_constant_targets_have_an_answer():
    context = np.repeat(np.random.default_rng(0).normal(size=(10, 30)), 3, 0)
    found = kernel_regression(np.zeros(30), context, np.arange(30) // 3, seed=0)
    np.testing.assert_allclose(found.unseen, 0, atol=1e-6)
    assert found.explained == 0
