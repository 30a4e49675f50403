"""A fitted density as a transform of the unit cube: its law, its density, and what it refuses."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from significance import follows

import pushforward as pf
from pushforward.chains.prior import as_prior
from pushforward.tables.columns.kinds import Bounded, Category
from pushforward.zoo.flow_mixture import FlowMixture

MEAN, ROOT = np.array([1.0, -2.0]), np.array([[2.0, 0.4], [0.4, 0.6]])


def gaussian_flow(mean=MEAN, root=ROOT):
    """A flow that is a Gaussian."""
    layer = pf.bijections.LU(2)
    layer.start_at(torch.from_numpy(root), torch.from_numpy(mean))
    return pf.Flow(layer.double(), pf.distributions.StandardNormal(2).double())


def test_the_transform_of_a_gaussian_is_linear_in_normal_scores():
    prior = as_prior(gaussian_flow())
    u = np.random.default_rng(0).uniform(size=(500, 2))
    x = prior(u)
    density = stats.multivariate_normal(MEAN, ROOT @ ROOT.T)
    np.testing.assert_allclose(prior.log_prob(x), density.logpdf(x), rtol=1e-6)
    whitened = np.linalg.solve(ROOT, (x - MEAN).T).T
    assert np.allclose((whitened**2).sum(1), (stats.norm.ppf(u) ** 2).sum(1), rtol=1e-6)


def test_one_point_is_as_among_many():
    prior = as_prior(pf.nsf(features=3))
    u = np.random.default_rng(0).uniform(size=(5, 3))
    one = np.array([prior(point) for point in u])
    np.testing.assert_allclose(one, prior(u), rtol=1e-12)
    np.testing.assert_allclose([float(prior.log_prob(x)) for x in one], prior.log_prob(one), rtol=1e-12)
    assert np.isfinite(prior(np.zeros(3))).all() and np.isfinite(prior(np.ones(3))).all()


def test_change_of_variables_from_the_cube():
    prior = as_prior(pf.realnvp(features=2))
    u, step = np.array([0.3, 0.8]), 1e-6
    slopes = [(prior(u + step * e) - prior(u - step * e)) / (2 * step) for e in np.eye(2)]
    assert float(prior.log_prob(prior(u))) == pytest.approx(-np.linalg.slogdet(np.array(slopes))[1], abs=1e-6)


def test_a_mixture_has_the_shares_of_its_components():
    apart = np.array([50.0, 0.0])
    mixture = FlowMixture([gaussian_flow(), gaussian_flow(MEAN + apart)], [0.3, 0.7])
    prior = as_prior(mixture)
    x = prior(np.random.default_rng(0).uniform(size=(4000, 2)))
    second = x[:, 0] > 25
    assert stats.binomtest(int(second.sum()), len(x), 0.7).pvalue > 1e-6
    deviation = np.hypot(2.0, 0.4)
    assert follows(x[second, 0], stats.norm(51.0, deviation).cdf)
    assert follows(x[~second, 0], stats.norm(1.0, deviation).cdf)


@pytest.fixture(scope="module")
def model():
    """Of a table with a number on the line and one between 0 and 1."""
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(np.column_stack([generator.normal(size=600), generator.uniform(size=600)]))
    flow = pf.gaussianized(pf.nsf(features=2), rows, low=[-math.inf, 0.0], high=[math.inf, 1.0])
    return pf.TableModel(flow, ["a", "b"], schema={"b": Bounded(low=0.0, high=1.0)})


def test_bounds_and_density_of_a_table(model):
    prior = as_prior(model)
    assert prior.names == ["a", "b"]
    x = prior(np.random.default_rng(1).uniform(size=(2000, 2)))
    assert (x[:, 1] > 0).all() and (x[:, 1] < 1).all()
    np.testing.assert_allclose(prior.log_prob(x), model.log_prob(x), atol=1e-4)
    assert prior.log_prob(np.array([0.0, 1.5])) == -np.inf
    kept = pickle.loads(pickle.dumps(prior))
    np.testing.assert_array_equal(kept(np.full(2, 0.25)), prior(np.full(2, 0.25)))


def test_draws_are_those_of_the_model(model):
    x = as_prior(model)(np.random.default_rng(1).uniform(size=(3000, 2)))
    with torch.random.fork_rng():
        drawn = model.draw(3000)
    for column in (0, 1):
        assert stats.ks_2samp(x[:, column], drawn[:, column]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: pf.maf(features=2, context=1), "conditional"),
        (lambda: pf.nice(features=2, base="logistic"), "over the normal base"),
        (lambda: 3, "not int"),
    ],
)
def test_what_is_no_transform_is_refused(make, says):
    with pytest.raises(pf.InputError, match=says):
        as_prior(make())


def test_columns_without_densities_are_refused_by_name():
    kind = Category(levels=["a", "b"], frequencies=[0.5, 0.5])
    model = pf.TableModel(pf.nice(features=2), ["x", "kind of star"], schema={"kind of star": kind})
    with pytest.raises(pf.InputError, match=r'values of "kind of star" are not numbers .*: fit without it'):
        as_prior(model)


@pytest.mark.parametrize(("u", "says"), [([0.5, 1.2], "1.2"), ([0.5, np.nan], "nan"), ([0.5], "shape")])
def test_points_beside_the_cube_are_refused(u, says):
    with pytest.raises(pf.InputError, match=says):
        as_prior(pf.nice(features=2))(np.array(u))
