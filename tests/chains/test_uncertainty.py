"""Errors by batch means: they know the autocorrelation, the weights and the order of samples."""

import numpy as np
import pyarrow as pa
import pytest
from walks import walk

from pushforward.chains.reading import read_chain
from pushforward.chains.uncertainty import autocorrelation_time, effective_size, mean_of


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_a_walk(persistence):
    x, walks = walk(40_000, 1, np.random.default_rng(0), persistence)
    truth = (1 + persistence) / (1 - persistence)
    assert autocorrelation_time(x[:, 0], walks) == pytest.approx(truth, rel=0.2)
    assert effective_size(read_chain(pa.table({"a": x[:, 0], "chain": walks}))) == pytest.approx(
        40_000 / truth, rel=0.6
    )


@pytest.mark.slow
def test_errors_of_means_cover():
    found = []
    for seed in range(200):
        x, walks = walk(4000, 1, np.random.default_rng(seed), 0.8)
        chain = read_chain(pa.table({"a": x[:, 0], "chain": walks}))
        mean = mean_of(x[:, 0], chain)
        found.append(abs(mean.value) < mean.error)
    assert 0.50 < np.mean(found) < 0.85


def test_weights_are_repeated_rows():
    x, walks = walk(3000, 1, np.random.default_rng(0), 0.7)
    counts = 1 + np.arange(3000) % 3
    weighted = read_chain(pa.table({"a": x[:, 0], "weight": counts, "chain": walks}))
    repeated = read_chain(pa.table({"a": np.repeat(x[:, 0], counts), "chain": np.repeat(walks, counts)}))
    one, other = mean_of(weighted.x[:, 0], weighted), mean_of(repeated.x[:, 0], repeated)
    assert one.value == pytest.approx(other.value) and one.error == pytest.approx(other.error, rel=0.5)


def test_the_order_of_independent_rows_does_not_matter():
    """Nested samplers sort their rows, which are not correlated for that."""
    x = np.sort(np.random.default_rng(0).normal(size=4000))
    found = [mean_of(x, read_chain(pa.table({"a": x}), independent=one)) for one in (True, False)]
    assert found[0].error == pytest.approx(1 / 4000**0.5, rel=0.5) and found[1].error > 3 * found[0].error
    assert found[1].short and not found[0].short
