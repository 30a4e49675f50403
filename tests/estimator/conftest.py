"""The chosen flow is a small one here."""

import pytest
from small_fits import small_flows


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        yield
