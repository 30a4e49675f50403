"""A density of y given X, or of columns given others, beyond the range of X: a linear trend, ever less certain."""

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf

ROWS = 500
FEW = {"max_steps": 10, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:.*outside the range of the rows of the fit")


def line(seed=0):
    generator = np.random.default_rng(seed)
    t = generator.uniform(0, 10, ROWS)
    return t[:, None], 2 * t + generator.normal(size=ROWS)


@pytest.fixture(scope="module")
def density():
    return pf.ConditionalFlowDensity(**FEW).fit(*line())


@pytest.mark.parametrize("t", [-20.0, 30.0, 1000.0])
def test_a_line_goes_on_with_a_slope_as_uncertain_as_that_of_one_row(density, t):
    X, y = line()
    slope, intercept = np.polyfit(X[:, 0], y, 1)
    noise = (y - slope * X[:, 0] - intercept).std()
    # From the end of the range, in deviations of t, but for the margin in which networks see more.
    distance = (max(t - X.max(), X.min() - t)) / X.std() - 0.01
    deviation = noise * np.sqrt(1 + distance**2)
    low, median, high = density.predict_quantiles([[t]], [0.1587, 0.5, 0.8413])[0]
    assert abs(median - slope * t - intercept) < 0.1 * deviation
    assert (high - low) / 2 == pytest.approx(deviation, rel=0.1)
    assert density.predict([[t]], "mean")[0] == pytest.approx(median, abs=0.1 * deviation)
    # That of a normal distribution at its mean: (√2 - 1) / √π deviations.
    assert density.crps([[t]], [median])[0] == pytest.approx(deviation * (np.sqrt(2) - 1) / np.sqrt(np.pi), rel=0.1)
    assert density.pit([[t]], [high])[0] == pytest.approx(0.8413, abs=1e-3)


def test_intervals_grow_from_the_end_of_the_range_on_and_begin_smoothly(density):
    X, _ = line()
    asked = X.max() + X.std() * np.array([0.0, 1e-6, 1e-2, 0.1, 1.0, 10.0, 1e3])
    quantiles = density.predict_quantiles(asked[:, None], [0.05, 0.95])
    widths = quantiles[:, 1] - quantiles[:, 0]
    # Without a jump; and what the flow has learned of the end goes on for a hundredth of a deviation at most.
    assert (np.diff(widths) > -0.01 * widths[:-1]).all() and widths[1] < 1.0001 * widths[0]
    assert widths[4] > 1.3 * widths[0] and widths[6] > 500 * widths[0]


KINDS = {
    "counts": (None, lambda t, generator: generator.poisson(2 * t)),
    "flag": (None, lambda t, generator: (t + generator.normal(size=len(t)) > 5).astype(float)),
    "grades": (None, lambda t, generator: np.clip(np.round(t / 2 + 0.4 * generator.normal(size=len(t))), 0, 5)),
    "positive": ("positive", lambda t, generator: np.exp(0.3 * t + 0.2 * generator.normal(size=len(t)))),
    "rounded": (
        {"kind": "continuous", "step": 0.5},
        lambda t, generator: np.round(4 * t + 2 * generator.normal(size=len(t))) / 2,
    ),
    "heavy": (None, lambda t, generator: 2 * t + generator.standard_t(1.5, size=len(t))),
}


def deviation_of(fitted, t, values):
    """The deviation of a target with probabilities, from these."""
    probability = np.exp(fitted.score_samples(np.tile(t, (len(values), 1)), values))
    mean = np.average(values, weights=probability)
    return np.average((values - mean) ** 2, weights=probability) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind_it_is_no_surer_than_at_the_end_and_within_the_support(kind):
    X, _ = line()
    declared, make = KINDS[kind]
    y = make(X[:, 0], np.random.default_rng(1))
    options = {**FEW, "flow": "nsf", "kinds": None if declared is None else {"y0": declared}}
    fitted = pf.ConditionalFlowDensity(**options).fit(X, y)
    asked = np.array([[X.max()], [10.3], [14.0], [50.0], [1e4]])
    draws = fitted.sample(asked, 4000, random_state=0)
    assert np.isfinite(draws).all() and np.isfinite(fitted.score_samples(asked, draws[:, 0])).all()
    spread = np.diff(fitted.predict_quantiles(asked, [0.05, 0.95]), axis=1)[:, 0]
    # But for the margin in which the network sees more, and quantiles in steps.
    step = {"positive": 0.0, "heavy": 0.0, "rounded": 0.5}.get(kind, 1.0)
    assert (spread[1:] >= 0.95 * spread[0] - step).all()
    if kind in ("counts", "flag", "grades"):
        deviation = np.array([deviation_of(fitted, t, np.arange(100.0)) for t in asked])
        assert (deviation[1:] > 0.95 * deviation[0]).all()
        assert (draws >= y.min()).all() and (draws == draws.round()).all()
    if kind == "positive":
        assert (draws > 0).all() and np.quantile(draws, 0.99) < 10 * y.max()
    if kind == "rounded":
        np.testing.assert_allclose(draws, np.round(2 * draws) / 2, atol=1e-6)
        assert abs(np.median(draws[3]) - 100) < 25


def test_several_targets_keep_their_correlation():
    X, y = line()
    y = np.column_stack([y, y + 0.5 * np.random.default_rng(2).normal(size=ROWS)])
    fitted = pf.ConditionalFlowDensity(**FEW).fit(X, y)
    at_end, beyond = fitted.sample([[X.max()], [40.0]], 4000, random_state=0)
    correlation = [np.corrcoef(draws.T)[0, 1] for draws in (at_end, beyond)]
    assert correlation[1] == pytest.approx(correlation[0], abs=0.05)
    assert (beyond.std(0) > 3 * at_end.std(0)).all()
    assert np.abs(beyond.mean(0) - 80).max() < beyond.std(0).max()


def test_a_model_of_a_table_does_the_same_and_keeps_it_in_its_file(tmp_path):
    X, y = line()
    table = pa.table({"y": y, "t": X[:, 0], "site": np.array(["a", "b"])[np.arange(ROWS) % 2]})
    model = pf.fit_table(table, given=["t", "site"], max_steps=10, progress=False).model
    model.save(tmp_path / "m.safetensors")
    again = pf.TableModel.load(tmp_path / "m.safetensors")
    codes = np.array([[60.0, 30.0, 0.0], [60.0, 5.0, 1.0], [-40.0, -20.0, 1.0]])
    np.testing.assert_array_equal(again.log_prob(codes), model.log_prob(codes))
    draws = again.draw(given=np.tile(codes[:1, 1:], (4000, 1)))
    assert abs(np.median(draws) - 60) < 3 and 4 < draws.std() < 12
