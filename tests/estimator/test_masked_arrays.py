"""What is masked is missing, and estimators refuse it; without a mask a masked array is an array."""

import numpy as np
import pytest

import pushforward as pf

X = np.random.default_rng(0).normal(size=(60, 2))
MASKED = np.ma.masked_greater(X, 1.5)
ESTIMATORS = [pf.FlowDensity, pf.FlowOutlierDetector, pf.FlowTransformer]
SAID = r"^{} masks \d+ of its \d+ values, the first in row \d+: "


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_masked_rows_are_refused(kind):
    estimator = kind(max_steps=1, random_state=0)
    with pytest.raises(pf.InputError, match=SAID.format("X")):
        estimator.fit(MASKED)
    estimator.fit(np.ma.MaskedArray(X))
    for method in ("score_samples", "predict", "transform"):
        if hasattr(estimator, method):
            with pytest.raises(pf.InputError, match=SAID.format("X")):
                getattr(estimator, method)(MASKED)


def test_masked_targets_are_refused():
    estimator = pf.ConditionalFlowDensity(max_steps=1, random_state=0)
    with pytest.raises(pf.InputError, match=SAID.format("y")):
        estimator.fit(X, MASKED)
    estimator.fit(X, X[:, 0] + 1)
    with pytest.raises(pf.InputError, match=SAID.format("y")):
        estimator.score_samples(X, MASKED[:, 0])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_records_are_refused(kind):
    records = np.zeros(60, dtype=[("a", float), ("b", float)])
    with pytest.raises(pf.InputError, match=r"^X is an array of records with the fields a, b: "):
        kind(max_steps=1).fit(records)
