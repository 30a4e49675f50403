"""The chosen flow is a small one here, a mixture has two instead of five, and few trees are grown."""

import pytest
from small_fits import small_flows


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        patch.setattr("pushforward.estimator.members.MEMBERS", 2)
        patch.setattr("pushforward.estimator.regressions.TREES", 10)
        patch.setattr("pushforward.estimator.regressions.STEPS", 5)
        yield
