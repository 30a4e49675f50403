"""The chosen flow is a small one here, and a mixture has two instead of five."""

import pytest
from small_fits import small_flows


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        patch.setattr("pushforward.estimator.members.MEMBERS", 2)
        yield
