"""A flow among the detectors of PyOD."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

import pushforward as pf

pytest.importorskip("pyod", reason="pip install 'pushforward[pyod]' brings it")
from pyod.models.knn import KNN
from pyod.utils.utility import standardizer

from pushforward.integrations.pyod import FlowDetector


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    first = generator.normal(size=(400, 1))
    inside = np.hstack([first, first**2 + 0.2 * generator.normal(size=(400, 1))])
    return inside, generator.uniform([-3, -1], [3, 6], size=(40, 2))


@pytest.fixture(scope="module")
def detector(rows):
    return FlowDetector(contamination=0.1, max_steps=60, random_state=0).fit(rows[0])


@pytest.mark.slow
def test_it_has_what_detectors_of_pyod_have_and_agrees_with_our_own(detector, rows):
    inside, outside = rows
    ours = pf.FlowOutlierDetector(contamination=0.1, max_steps=60, random_state=0).fit(inside)
    np.testing.assert_allclose(detector.decision_function(outside), -ours.score_samples(outside))
    assert detector.labels_.sum() == 40 and detector.decision_scores_.shape == (400,)
    assert set(detector.predict(outside)) <= {0, 1}
    probabilities = detector.predict_proba(outside)
    assert probabilities.shape == (40, 2) and ((probabilities >= 0) & (probabilities <= 1)).all()
    assert detector.predict_confidence(outside).shape == (40,)
    both, labels = np.vstack(rows), np.repeat([0, 1], [400, 40])
    assert roc_auc_score(labels, detector.decision_function(both)) > 0.85


def test_it_clones_and_combines_with_other_detectors(detector, rows):
    assert clone(detector).get_params() == detector.get_params()
    assert detector.set_params(contamination=0.1) is detector
    scores = np.stack([d.decision_function(rows[1]) for d in (detector, KNN().fit(rows[0]))], 1)
    assert np.isfinite(standardizer(scores)).all()


def test_scores_of_what_cannot_occur_are_finite_and_higher_than_those_of_the_fit(rows):
    X = np.hstack([rows[0], np.ones((400, 1))])
    detector = FlowDetector(flow="maf", max_steps=5, random_state=0).fit(X)
    other = X[:3] + np.array([0.0, 0.0, 1.0])
    scores = detector.decision_function(other)
    assert np.isfinite(scores).all() and (scores > detector.decision_scores_.max()).all()
    assert (detector.predict(other) == 1).all()


def test_wrong_input_is_named(detector):
    with pytest.raises(ValueError, match="3 features"):
        detector.predict(np.zeros((5, 3)))
    with pytest.raises(NotFittedError):
        FlowDetector().decision_function(np.zeros((5, 2)))
    with pytest.raises(pf.InputError, match=r"shape \(5,\), and rows and columns are needed"):
        FlowDetector().fit(np.zeros(5))
    with pytest.raises(pf.InputError, match="no score 'nonsense'"):
        FlowDetector(criterion="nonsense").fit(np.random.default_rng(0).normal(size=(50, 2)))
