"""What scikit-learn asks of every estimator, and that the four work in its machinery."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_fits import default_steps, stacks

import pushforward as pf

ESTIMATORS = [pf.FlowDensity, pf.ConditionalFlowDensity, pf.FlowOutlierDetector, pf.FlowTransformer]
METHODS = ["score_samples", "predict", "decision_function", "transform"]


def make_rows(count=60, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3)) * [1.0, 2.0, 0.1] + [0.0, 5.0, 100.0]


def make(kind, **options):
    return kind(**{"flow": "maf", "max_steps": 3, "random_state": 0, **options})


def results(estimator, X):
    return {method: getattr(estimator, method)(X) for method in METHODS if hasattr(estimator, method)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for method, values in expected.items():
        np.testing.assert_array_equal(found[method], values)


# One step of training of a small flow: the checks are of conventions, and fit some two hundred times.
# The others are a density behind another interface, or several flows; theirs are in the slow tier, with those of the
# default options.
@parametrize_with_checks([pf.FlowDensity(max_steps=1)])
def test_scikit_learn_has_nothing_to_object(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [kind(max_steps=1) for kind in (pf.ConditionalFlowDensity, pf.FlowOutlierDetector, pf.FlowTransformer)]
)
def test_nor_to_conditions_outliers_and_features(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([kind() for kind in ESTIMATORS])
def test_nor_with_the_default_options(estimator, check, monkeypatch):
    # Stacks and mixtures of several flows; how long each of these trains is not the point.
    stacks(monkeypatch)
    default_steps(monkeypatch, 20)
    check(estimator)


@pytest.mark.slow
def test_importing_pushforward_does_not_import_scikit_learn():
    code = (
        "import sys, pushforward; before = 'sklearn' in sys.modules; assert 'FlowDensity' in dir(pushforward); "
        "from pushforward import FlowDensity; print(before, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'FlowDensities'"):
        _ = pf.FlowDensities


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_copies_of_every_sort_give_the_same_numbers(kind):
    X = make_rows()
    fitted = make(kind).fit(X, X[:, 0])
    expected = results(fitted, X)
    buffer = io.BytesIO()
    joblib.dump(fitted, buffer)
    buffer.seek(0)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), joblib.load(buffer)):
        assert_same(results(again, X), expected)
    assert_same(results(clone(fitted).fit(X, X[:, 0]), X), expected)  # the same random state, the same fit
    assert not hasattr(clone(fitted), "flow_")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_random_states_repeat_and_differ(kind):
    X = make_rows()
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    one, same, other, none, again = (
        results(make(kind, random_state=state).fit(X, X[:, 0]), X)[
            "predict" if hasattr(kind, "predict") else METHODS[0]
        ]
        if kind is not pf.FlowTransformer
        else make(kind, random_state=state).fit_transform(X)
        for state in (3, np.random.RandomState(3), 4, None, None)
    )
    assert torch.equal(torch.rand(2), expected)
    np.testing.assert_array_equal(one, same)
    if kind is not pf.FlowOutlierDetector:  # ±1 of two fits may well agree
        assert not np.array_equal(one, other) and not np.array_equal(none, again)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_data_frames_arrays_and_lists_give_the_same_numbers(kind):
    X = make_rows()
    frame = pd.DataFrame(X, columns=["mass", "radius", "flux"])
    fitted = make(kind).fit(frame, frame["mass"])
    assert fitted.n_features_in_ == 3 and list(fitted.feature_names_in_) == ["mass", "radius", "flux"]
    expected = results(fitted, frame)
    polars = make(kind).fit(pl.from_pandas(frame), pl.from_pandas(frame)["mass"])
    assert list(polars.feature_names_in_) == ["mass", "radius", "flux"]
    assert_same(results(polars, pl.from_pandas(frame)), expected)
    assert_same(results(make(kind).fit(X.tolist(), X[:, 0].tolist()), X), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        results(fitted, frame.rename(columns={"mass": "weight"}))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_it_works_at_the_end_of_a_pipeline_in_a_search_and_in_cross_validation(kind):
    X = make_rows()
    pipeline = make_pipeline(StandardScaler(), make(kind)).fit(X, X[:, 0])
    assert all(len(values) == len(X) for values in results(pipeline, X).values())
    if hasattr(kind, "score"):
        scores = cross_val_score(make(kind), X, X[:, 0], cv=3)
        assert scores.shape == (3,) and np.isfinite(scores).all()
        search = GridSearchCV(make(kind), {"flow": ["nice", "maf"], "max_steps": [1, 2]}, cv=2, error_score="raise")
        search.fit(X, X[:, 0])
        assert set(search.best_params_) == {"flow", "max_steps"} and search.best_estimator_.flow_.features in (1, 3)


@pytest.mark.slow  # each process imports torch
def test_a_search_in_several_processes_finds_what_one_finds():
    X = make_rows()
    one, two = (
        GridSearchCV(make(pf.FlowDensity), {"flow": ["nice", "maf"]}, cv=2, n_jobs=jobs).fit(X) for jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_float32_rows_are_evaluated_in_float32_and_float64_rows_in_float64(kind):
    X = make_rows()
    fitted = make(kind).fit(X, X[:, 0])
    single, double = results(fitted, X.astype(np.float32)), results(fitted, X.astype(np.float32).astype(np.float64))
    for method, values in double.items():
        np.testing.assert_allclose(single[method], values, rtol=1e-4, atol=1e-4)
    if "score_samples" in double:
        assert not np.array_equal(single["score_samples"], double["score_samples"])
        assert single["score_samples"].dtype == np.float64


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_data_without_a_density_are_refused_in_a_sentence(kind):
    X = make_rows()
    y = X[:, 0]
    if kind is pf.ConditionalFlowDensity:
        with pytest.raises(pf.InputError, match=r'Column "y0" is 2\.0 in every row .* no other varies'):
            make(kind).fit(X, np.full(len(X), 2.0))
        with pytest.warns(RuntimeWarning, match=r'Columns "y0", "y1" determine each other'):
            make(kind).fit(X, np.column_stack([y, 1 - 2 * y]))
        return
    with pytest.raises(pf.InputError, match=r'Column "0" is 0\.0 in every row .* no other varies'):
        make(kind).fit(0 * X)
    frame = pd.DataFrame(np.column_stack([X, X[:, 0] + X[:, 1]]), columns=["a", "b", "c", "d"])
    with pytest.warns(RuntimeWarning, match=r'Columns "a", "b", "d" determine each other, d = a \+ b'):
        make(kind).fit(frame)


def with_constant(X, value=0.1):
    return np.insert(X, 1, value, axis=1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_column_has_probability_one_and_another_value_none(dtype):
    X, fresh = make_rows().astype(dtype), make_rows(20, seed=1).astype(dtype)
    for kind in (pf.FlowDensity, pf.FlowOutlierDetector):
        without, fitted = make(kind).fit(X), make(kind).fit(with_constant(X))
        assert fitted.flow_.features == 3 and fitted.n_features_in_ == 4
        assert_same(results(fitted, with_constant(fresh)), results(without, fresh))
        other = with_constant(fresh)
        other[4, 1] = 0.2
        found, expected = fitted.score_samples(other), without.score_samples(fresh)
        np.testing.assert_array_equal(found, np.where(np.arange(20) == 4, -np.inf, expected))
        if kind is pf.FlowDensity:
            draws = fitted.sample(5, random_state=0)
            np.testing.assert_array_equal(draws, with_constant(without.sample(5, random_state=0), dtype(0.1)))
        else:
            assert fitted.decision_function(other)[4] == -np.inf and fitted.predict(other)[4] == -1


def test_a_constant_column_is_its_difference_from_the_constant_in_the_latent_space():
    X = make_rows()
    without, fitted = make(pf.FlowTransformer).fit(X), make(pf.FlowTransformer).fit(with_constant(X))
    rows = with_constant(make_rows(20, seed=1))
    rows[3, 1] = 0.6
    latent = fitted.transform(rows)
    np.testing.assert_array_equal(latent, np.insert(without.transform(rows[:, [0, 2, 3]]), 1, rows[:, 1] - 0.1, axis=1))
    np.testing.assert_allclose(fitted.inverse_transform(latent), rows, rtol=1e-6)


def test_a_constant_target_stays_itself():
    X = make_rows()
    y = np.column_stack([X[:, 0], np.full(len(X), 7.0)])
    without, fitted = (make(pf.ConditionalFlowDensity).fit(X, target) for target in (y[:, :1], y))
    np.testing.assert_array_equal(fitted.predict(X), np.column_stack([without.predict(X), y[:, 1]]))
    assert (fitted.sample(X, 3, random_state=0)[..., 1] == 7).all()
    y[5, 1] = 8
    np.testing.assert_array_equal(
        fitted.score_samples(X, y), np.where(np.arange(len(X)) == 5, -np.inf, without.score_samples(X, y[:, :1]))
    )


@pytest.mark.parametrize("kind", [pf.FlowDensity, pf.FlowOutlierDetector])
def test_a_column_that_varies_in_one_row_alone_is_no_reason_to_refuse(kind):
    # The only other value of a column is far from all others, and always trained on.
    X = np.column_stack([make_rows(), np.eye(60)[0]])
    fitted = make(kind, random_state=1, validation_fraction=0.9).fit(X)
    assert fitted.flow_.features == 4 and np.isfinite(fitted.score_samples(X)).all()


def test_conditions_beyond_those_of_the_fit_are_said():
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 10, (200, 2))
    fitted = make(pf.ConditionalFlowDensity).fit(X, X[:, 0])
    beyond = np.array([[5.0, 5.0], [12.0, 5.0], [5.0, -1e6], [20.0, 5.0]])
    for ask in (fitted.predict, fitted.sample, lambda rows: fitted.score_samples(rows, rows[:, 0])):
        with pytest.warns(RuntimeWarning, match=r"3 of 4 rows of X \(75%\) hold a value outside the range"):
            assert np.isfinite(ask(beyond)).all()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(X)


def test_a_row_of_weight_zero_is_as_good_as_none():
    X, kind = make_rows(), pf.FlowDensity
    weights = np.random.default_rng(1).integers(0, 4, size=len(X)).astype(float)
    some = weights > 0
    fitted = make(kind).fit(X, sample_weight=weights)
    assert_same(results(fitted, X), results(make(kind).fit(X[some], sample_weight=weights[some]), X))
    # Weights are relative: twice as much of each is the same fit, and all alike is the fit without any.
    assert_same(results(make(kind).fit(X, sample_weight=2 * weights), X), results(fitted, X))
    alike = make(kind).fit(X, sample_weight=np.where(some, 7.0, 0.0))
    assert_same(results(alike, X), results(make(kind).fit(X[some]), X))
    expected = (fitted.score_samples(X) * weights).sum() / weights.sum()
    assert fitted.score(X, sample_weight=weights) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "words"),
    [(np.zeros(60), "All sample weights are zero"), (np.eye(60)[0], "1 rows have a sample weight above zero"),
     (-np.ones(60), "Negative values"), (np.full(60, np.nan), "NaN"), (np.ones(3), "shape")],
)  # fmt: skip
def test_sample_weights_that_cannot_be_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        make(pf.FlowDensity).fit(make_rows(), sample_weight=weights)


def test_options_that_cannot_be_are_refused():
    X = make_rows()
    for options, words in (
        ({"flow": "mafia"}, 'did you mean "maf"'),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1"),
        ({"device": "abacus"}, "device must be one of"),
    ):
        with pytest.raises(pf.InputError, match=words):
            make(pf.FlowDensity, **options).fit(X)


def test_verbose_says_what_was_chosen(capsys):
    make(pf.FlowDensity, flow=None).fit(make_rows())
    assert capsys.readouterr().err == ""
    make(pf.FlowDensity, flow=None, verbose=True).fit(make_rows())
    assert "chosen: nsf" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_column_that_varies_outside_of_the_training_rows_alone_is_no_reason_to_refuse(kind):
    X = make_rows(80)
    held_out = pf.training.splitting.split_rows(80, 0.1, seed=0)[1].numpy()
    X[:, 1] = 0.5
    X[held_out[0], 1] = 0.7
    target = {"y": X[:, :1]} if kind is pf.ConditionalFlowDensity else {}
    fitted = make(kind).fit(X, **target)
    for name, found in results(fitted, X).items():
        assert not np.isnan(np.asarray(found, dtype=float)).any(), name


def test_a_conditional_density_is_no_narrower_beyond_the_range_of_its_conditions_than_at_their_end():
    generator = np.random.default_rng(0)
    t = generator.uniform(0, 10, (400, 1))
    fitted = make(pf.ConditionalFlowDensity, max_steps=60).fit(t, 2 * t + generator.normal(size=t.shape))
    widths = []
    for asked in (10.0, 12.0, 20.0, 1000.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draws = fitted.sample(np.array([[asked]]), 2000, random_state=0)
        widths.append(np.subtract(*np.quantile(draws, [0.84, 0.16])))
    # Of the same noise; at the margin of the range the flow may still change a little.
    assert min(widths[1:]) > 0.9 * widths[0] > 0
