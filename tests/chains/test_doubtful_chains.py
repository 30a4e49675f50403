"""Chains from which less is known than from so many rows: heavy weights, copies, columns that hardly vary."""

import math

import numpy as np
import pyarrow as pa
import pytest
from walks import gaussian_chain, walk

import pushforward as pf
from pushforward.chains.reading import read_chain
from pushforward.chains.uncertainty import effective_size, kish_size, mean_of


def normal(rows=2000, features=2, seed=0):
    """Independent rows of a standard normal density, as columns with its log-density without the normalizer."""
    x = np.random.default_rng(seed).normal(size=(rows, features))
    return {**{f"p{place}": column for place, column in enumerate(x.T)}, "log_posterior": -0.5 * (x**2).sum(1)}


def test_one_heavy_row_is_one_sample():
    weights = np.ones(2000)
    weights[7] = 1e12
    chain = pa.table({**normal(), "weight": weights})
    assert effective_size(read_chain(chain)) == pytest.approx(1, abs=0.01)
    found = pf.evidence(chain, flow="gaussian")
    assert found.effective_size == pytest.approx(1, abs=0.01)
    assert any("1 row of the 2,000 of the chain has 90% of the weight" in one for one in found.warnings)
    assert any("worth 1 independent sample." in one for one in found.sentences)


def test_independent_weights_are_worth_the_size_of_kish():
    weights = np.random.default_rng(1).exponential(size=20_000)
    chain = read_chain(pa.table({**normal(20_000), "weight": weights}))
    truth = kish_size(weights)  # about half of them
    assert truth == pytest.approx(10_000, rel=0.05)
    assert effective_size(chain) == pytest.approx(truth, rel=0.2)
    scaled = read_chain(pa.table({**normal(20_000), "weight": weights * 1e200}))
    assert effective_size(scaled) == pytest.approx(effective_size(chain))


def test_rows_drawn_again_count_once():
    """1,000 rows drawn 10,000 times are worth less than 1,000 samples, in any order."""
    generator = np.random.default_rng(2)
    rows = {name: column[:1000] for name, column in normal().items()}
    places = generator.integers(1000, size=10_000)
    chain = read_chain(pa.table({name: column[places] for name, column in rows.items()}))
    assert len(chain) == len(np.unique(places)) and chain.independent
    assert chain.weights.sum() == 10_000 and "each distinct row counts once" in chain.notes[-1]
    found = mean_of(chain.x[:, 0], chain)
    assert found.value == pytest.approx(rows["p0"][places].mean())
    assert found.error == pytest.approx(1 / math.sqrt(1000), rel=0.4) and effective_size(chain) < 1100


def test_a_walk_that_stays_and_rounded_columns_are_no_rows_drawn_again():
    stays = {name: np.repeat(column, 3) for name, column in normal(500).items()}
    chain = read_chain(pa.table(stays))
    assert len(chain) == 1500 and not chain.doubts
    x, _ = walk(4000, 2, np.random.default_rng(0), 0.8)
    rounded = read_chain(pa.table({f"p{place}": column.round(1) for place, column in enumerate(x.T)}))
    assert len(rounded) == 4000 and not rounded.independent and "are copies of others" in rounded.doubts[0]
    marginal = read_chain(pa.table({"a": x[:, 0].round(1), "b": x[:, 1]}), columns=["a"])
    assert len(marginal) == 4000 and not marginal.doubts


def test_a_column_that_hardly_varies_is_told():
    few = np.zeros(2000)
    few[[5, 400, 900, 1500]] = 1.0, -1.0, 1.0, -1.0
    steps = 1 + 2.0**-52 * np.random.default_rng(5).integers(4, size=2000)
    jump = 1.0 * (np.arange(2000) > 700) + 0.01 * np.random.default_rng(6).normal(size=2000)
    for column, says in (
        (few, "c is 0 in 99.80% of A"),
        (steps, "c differs in its last digits alone in A"),
        (jump, "for the mean of c A is worth only"),
    ):
        table = pa.table({**normal(), "c": column})
        found = pf.tension(table, pa.table({**normal(seed=1), "c": normal(seed=2)["p0"]}), flow="gaussian")
        assert any(says in one for one in found.warnings), says
    assert effective_size(read_chain(pa.table({"c": steps}))) > 1000


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_numbers_without_squares_are_refused(scale):
    table = pa.table({name: column * (scale if name == "p1" else 1) for name, column in normal().items()})
    for question in (pf.evidence, pf.information):
        with pytest.raises(pf.InputError, match=r"p1 has values .* in other units"):
            question(table, flow="gaussian")


@pytest.mark.parametrize("scale", [1e90, 1e-90])
def test_an_entropy_of_large_and_small_units(scale):
    table = pa.table({"a": scale * normal()["p0"]})
    found = pf.information(table, flow="gaussian").entropy.bound
    truth = 0.5 * math.log(2 * math.pi * math.e) + math.log(scale)
    assert abs(found.value - truth) < 5 * found.error < 0.2


def test_a_far_divergence_is_not_called_a_bound():
    """Gaussians that are 10 apart: KL is 50, and no sample of B is near A."""
    x, y = (np.random.default_rng(seed).normal(size=(4000, 2)) for seed in (0, 1))
    found = pf.information(x + np.array([10.0, 0.0]), y, flow="gaussian")
    # The error of the covariance of B, fitted to 2,000 rows, is not in that of the mean.
    assert abs(found.divergence.value - 50) < 5 * 50 * math.sqrt(2 / 2000)
    assert not found.divergence_is_bound and "which is not a bound" in found.sentences[2]
    assert any("may be much larger or smaller" in one for one in found.warnings)
    near = pf.information(x + np.array([0.5, 0.0]), y, flow="gaussian")
    assert near.divergence_is_bound and "a lower bound" in near.sentences[2]


def test_the_same_samples_are_told():
    table = gaussian_chain(2000, np.zeros(2), np.eye(2), np.random.default_rng(0))
    backward = {name: column[::-1] for name, column in table.items()}
    for other in (table, backward):
        found = pf.information(pa.table(table), pa.table(other), flow="gaussian")
        assert found.divergence.value == 0 and found.sentences[2] == "KL(A‖B) = 0 nats."
        assert found.warnings == ["A and B are the same samples, so that KL(A‖B) is 0."]
        between = pf.tension(pa.table(table), pa.table(other), flow="gaussian")
        assert any("A and B are the same samples: they are not of independent data" in w for w in between.warnings)
    half = pa.table({name: column[:1000] for name, column in table.items()})
    assert any("50% of the rows of A" in one for one in pf.information(pa.table(table), half, flow="gaussian").warnings)


def target(x):
    return -0.5 * x.square().sum(1)


def test_a_constant_between_target_and_log_posterior_is_told():
    table = pa.table(normal())
    moved = pf.evidence(table, log_density=lambda x: target(x) - 3.25, flow="gaussian")
    assert any("differs from the log-posterior of the samples by −3.250 nats, a constant" in w for w in moved.warnings)
    other = pf.evidence(table, log_density=lambda x: 2 * target(x), flow="gaussian")
    assert any("not by a constant" in one for one in other.warnings)
    assert not pf.evidence(table, log_density=target, flow="gaussian").warnings


def test_a_log_posterior_that_is_not_that_of_the_samples_is_told():
    table = normal()
    for density, says in (
        (np.zeros(2000), "correlation 0.00); is it that of these samples"),
        (-table["log_posterior"], "−1.00); is its sign the right one?"),
    ):
        found = pf.evidence(pa.table({**table, "log_posterior": density}), flow="gaussian")
        assert any(says in one for one in found.warnings)
    uniform = np.random.default_rng(0).uniform(size=(2000, 2))
    flat = pa.table({"a": uniform[:, 0], "b": uniform[:, 1], "log_posterior": np.zeros(2000)})
    assert not any("rise and fall" in one for one in pf.evidence(flat, flow="gaussian").warnings)
