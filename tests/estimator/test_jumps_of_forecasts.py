"""Scores and means of targets whose values have probabilities are exact: their distribution functions jump there."""

import numpy as np
import pytest
from scipy import stats

import pushforward as pf
from pushforward.estimator.forecast import Forecast

ROWS, ASKED = 400, 3
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (ROWS, 1))
NOISE, ATOM = RANDOM.normal(size=ROWS), RANDOM.random(ROWS) < 0.3
TARGETS = {
    "a flag": (RANDOM.random(ROWS) < 1 / (1 + np.exp(-X[:, 0]))).astype(float),
    "few counts": RANDOM.poisson(np.exp(X[:, 0])).astype(float),
    "counts without an end": RANDOM.negative_binomial(2, 0.1, ROWS).astype(float),
    "a far mark": np.where(ATOM, -999.0, X[:, 0] + NOISE),
    "zeros": np.where(ATOM, 0.0, np.exp(X[:, 0] + 0.5 * NOISE)),
    "zeros among tenths": np.where(ATOM, 0.0, np.round(np.exp(X[:, 0] + 0.5 * NOISE), 1)),
}
WHOLE = ["a flag", "few counts", "counts without an end"]
FITTED = {}


def fitted(name, flow="nsf"):
    if (name, flow) not in FITTED:
        FITTED[name, flow] = pf.ConditionalFlowDensity(flow, max_steps=10, random_state=0).fit(X, TARGETS[name])
    return FITTED[name, flow]


def pits(density, rows, values):
    """P(Y < t) + P(Y = t) / 2 of each row and value, (n, T)."""
    every = density.pit(np.repeat(rows, len(values), 0), np.tile(values, len(rows)))
    return every.reshape(len(rows), len(values))


def below(density, rows, atom):
    """P(Y < atom) of each row."""
    return pits(density, rows, [atom - 1e-9])[:, 0] if atom < 0 else np.zeros(len(rows))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flow"), [*((name, "nsf") for name in WHOLE), ("a flag", None)])
def test_scores_of_whole_numbers_are_sums(name, flow):
    density, rows, y = fitted(name, flow), X[:ASKED], TARGETS[name][:ASKED]
    # One range beyond those of the fit, which is what counts.
    values = np.arange(0, 2 * int(TARGETS[name].max()))
    at, found, mean = np.zeros(ASKED), np.zeros(ASKED), np.zeros(ASKED)
    for value, middle in zip(values, pits(density, rows, values).T, strict=True):
        at = 2 * middle - at
        found += (at - (value >= y)) ** 2
        mean += 1 - at
    few = name != "counts without an end"
    # Of many values a smooth distribution function is integrated, within a tenth of a step.
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if few else {"rtol": 0, "atol": 0.1}
    np.testing.assert_allclose(density.crps(rows, y), found, **tolerance)
    np.testing.assert_allclose(density.predict(rows, "mean"), mean, **tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("a far mark", "nsf"),
        ("zeros", "nsf"),
        ("zeros among tenths", "nsf"),
        pytest.param("a far mark", None, marks=pytest.mark.slow),
    ],
)
def test_scores_of_values_with_atoms_are_integrals_on_both_sides_of_them(name, flow):
    density, rows, y = fitted(name, flow), X[:ASKED], TARGETS[name][:ASKED]
    atom, part = -999.0 if name == "a far mark" else 0.0, 500
    levels = (np.arange(part) + 0.5) / part
    before = below(density, rows, atom)
    weight = 2 * (pits(density, rows, [atom])[:, 0] - before)
    low, high = 2 * TARGETS[name].min() - TARGETS[name].max(), 2 * TARGETS[name].max() - TARGETS[name].min()
    for row, (score, mean) in enumerate(zip(density.crps(rows, y), density.predict(rows, "mean"), strict=True)):
        # The atom by itself, and equally likely values below and above it.
        first, last = before[row], before[row] + weight[row]
        asked = np.concatenate([first * levels, last + (1 - last) * levels]).clip(1e-9, 1 - 1e-9)
        values = density.predict_quantiles(rows[[row]], asked)[0].clip(low, high)
        shares = np.append(np.repeat([first / part, (1 - last) / part], part), weight[row])
        truth = Forecast.of(np.append(values, atom)[None], shares / shares.sum())
        assert mean == pytest.approx(truth.mean()[0], rel=5e-3, abs=5e-3)
        assert score == pytest.approx(truth.crps(y[[row]], low, high)[0], rel=1e-2, abs=5e-3)


@pytest.mark.slow
def test_shortest_intervals_hold_their_share_beside_an_atom():
    density = fitted("a far mark")
    mark = 2 * pits(density, X, [-999.0])[:, 0]
    low, high = density.predict_interval(X, 0.5, "highest-density").T
    # Where the mark alone has more than a half it is the shortest; where the others have more it is no part of it.
    assert (mark > 0.51).any() and (mark < 0.49).any()
    assert (low[mark > 0.51] == -999).all() and (high[mark > 0.51] == -999).all()
    others = np.flatnonzero(mark < 0.49)[:20]
    assert low[others].min() > -20 and high[others].max() < 20
    held = density.pit(X[others], high[others]) - density.pit(X[others], low[others])
    np.testing.assert_allclose(held, 0.5, atol=0.01)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_shortest_intervals_of_counts_end_at_counts_and_hold_their_share(share):
    counts = RANDOM.poisson(50, (20, 1024)).astype(float)
    forecast = Forecast.of(counts, np.full(1024, 1 / 1024))
    begin = forecast.begin_of_shortest(share, discrete=True)
    low, high = forecast.at(np.stack([begin, begin + share], 1), discrete=True).T
    assert (low == np.round(low)).all() and (high == np.round(high)).all()
    assert (((low[:, None] <= counts) & (counts <= high[:, None])).mean(1) >= share).all()
    tails = np.tile([0.5 - share / 2, 0.5 + share / 2], (20, 1))
    assert (high - low <= np.diff(forecast.at(tails, discrete=True))[:, 0] + 1).all()


@pytest.mark.slow
def test_shortest_intervals_of_many_counts_end_at_counts():
    intervals = fitted("counts without an end").predict_interval(X[:20], 0.8, "highest-density")
    np.testing.assert_array_equal(intervals, np.round(intervals))


def test_weights_of_each_row_are_sorted_with_its_values():
    forecast = Forecast.of(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[0.25, 0.75], [0.25, 0.75]]))
    assert np.array_equal(forecast.values, [[1, 2], [1, 2]])
    assert np.array_equal(forecast.weights, [[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(forecast.mean(), [1.25, 1.75])


def test_a_normal_forecast_without_jumps_is_what_it_was():
    density = pf.ConditionalFlowDensity("nsf", kinds="continuous", max_steps=1, learning_rate=1e-9, random_state=0)
    y = NOISE
    density.fit(X, y)
    quantiles = density.predict_quantiles(X[:3], [0.1587, 0.5, 0.8413])
    scale = 0.5 * (quantiles[:, 2] - quantiles[:, 0])
    z = (y[:3] - quantiles[:, 1]) / scale
    truth = scale * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(density.crps(X[:3], y[:3]), truth, rtol=0.2)
