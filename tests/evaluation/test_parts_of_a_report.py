"""The parts of a report against closed forms."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from normal_models import COVARIANCE, NAMES, mixing_model, normal_model, regression_model, rows_of, table
from scipy import stats

import pushforward as pf
from pushforward.errors import InputError
from pushforward.evaluation.report.bands import count_range, ecdf_bands
from pushforward.evaluation.report.coverage import crps
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.numerics import numerics
from pushforward.evaluation.report.references import FOLDS, references
from pushforward.evaluation.report.regions import worst_regions
from pushforward.evaluation.report.sampled_rows import sample_rows
from pushforward.zoo.gaussian import GAUSSIAN


def test_the_score_of_one_normal_column_is_that_of_the_formula():
    flow = pf.build({**GAUSSIAN, "features": 1}).double()
    for parameter in flow.parameters():
        torch.nn.init.zeros_(parameter)
    model = pf.TableModel(flow.eval(), ["y"])
    rows = np.random.default_rng(0).normal(size=(1000, 1)) * 2
    y = rows[:, 0]
    # Gneiting and Raftery 2007, equation (5).
    truth = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / math.sqrt(math.pi)
    found = crps(Evidence(model, rows, 0))
    assert abs(found.value - truth.mean()) < 5 * 0.6 / math.sqrt(39 * 1000) + 0.02
    assert found.error == pytest.approx(truth.std() / math.sqrt(1000), rel=0.2)
    assert crps(Evidence(normal_model(), rows_of(100, 0), 0)) is None


@pytest.mark.slow
def test_references_given_conditions_are_conditional_densities():
    generator = np.random.default_rng(0)
    x = generator.normal(size=1000)
    y = np.column_stack([0.5 * x, -0.2 * x]) + rows_of(1000, 1, np.array([[1.0, 0.4], [0.4, 1.0]]))
    evidence = Evidence(regression_model(), np.column_stack([y, x]), 0)
    found = references(evidence, None, 0)
    assert set(found.log_prob) == {"independent columns", "full Gaussian", "Gaussian mixture", "kernel density"}
    for name in ("full Gaussian", "Gaussian mixture"):
        # The same family as the truth: five folds cost a few parameters.
        gap = evidence.log_prob - found.log_prob[name]
        assert -5 * gap.std() / 1000**0.5 < gap.mean() < 5 * gap.std() / 1000**0.5 + 0.02
    assert found.log_prob["full Gaussian"].mean() > found.log_prob["independent columns"].mean()


@pytest.mark.slow
def test_references_count_probabilities_and_gaps():
    generator = np.random.default_rng(0)
    level = generator.random(600) < 0.25
    gaps = np.where(generator.random(600) < 0.3, np.nan, generator.normal(size=600))
    made = pa.table({"a": pa.array(gaps, from_pandas=True), "kind": np.where(level, "x", "y")})
    model = pf.fit_table(made, max_steps=2).model
    evidence = Evidence(model, model.encode(made), 0)
    found = references(evidence, None, 0).log_prob["independent columns"]
    truth = np.where(level, np.log(0.25), np.log(0.75)) + np.where(np.isnan(gaps), 0.0, stats.norm.logpdf(gaps))
    assert abs((found - truth).mean()) < 0.05
    assert FOLDS == 5


def test_references_of_training_rows_are_fitted_to_these():
    evidence = Evidence(normal_model(), rows_of(300, 0), 0)
    moved = rows_of(2000, 1) + 3.0
    found = references(evidence, moved, 0)
    truth = stats.multivariate_normal(moved.mean(0), np.cov(moved.T, ddof=0)).logpdf(evidence.codes)
    np.testing.assert_allclose(found.log_prob["full Gaussian"], truth, rtol=1e-6)
    assert "2,000 training rows" in found.note


def test_numerics_of_a_linear_layer():
    found = numerics(Evidence(mixing_model(), rows_of(200, 0), 0))
    values = np.sqrt(np.linalg.eigvalsh(COVARIANCE))
    assert found.precision == "float64"
    assert found.round_trip < 1e-12 and found.round_trip_float64 < 1e-12 and found.log_det < 1e-12
    assert found.conditions[0].condition == pytest.approx(values[-1] / values[0])
    assert (found.cost_forward, found.cost_inverse) == ("1 pass", "1 pass")
    assert found.scored_per_second > 0 and found.drawn_per_second > 0


def test_values_outside_the_boxes_of_splines_are_counted():
    flow = pf.nsf(features=3, layers=1, bound=1.0).double().eval()
    rows = rows_of(400, 0)
    found = numerics(Evidence(pf.TableModel(flow, NAMES), rows, 0))
    assert len(found.boxes) == 1
    expected = 2 * stats.norm.sf(1.0)
    assert abs(found.boxes[0].outside - expected) < 5 * math.sqrt(expected * (1 - expected) / 1200) + 0.05


def test_the_worst_region_is_where_the_model_is_wrong():
    rows = rows_of(2000, 3)
    wrong = rows[:, 0] > 1.0
    evidence = Evidence(normal_model(), rows, 0)
    found = worst_regions(evidence, "another density", evidence.log_prob + np.where(wrong, 2.0, 0.0), 0)
    first = found.regions[0]
    assert first.rule.startswith("a > ")
    assert float(first.rule.split()[2]) == pytest.approx(1.0, abs=0.05)
    assert first.difference.value == pytest.approx(-2.0, abs=0.2)
    assert first.p_value < 1e-6


def test_a_band_holds_the_distribution_function_with_95_percent():
    generator = np.random.default_rng(7)
    inside = []
    for _ in range(1000):
        values = np.sort(generator.uniform(size=200))
        grid, low, high = ecdf_bands(200)
        ecdf = np.searchsorted(values, grid, side="right") / 200 - grid
        inside.append(((ecdf >= low - 1e-9) & (ecdf <= high + 1e-9)).all())
    assert abs(np.mean(inside) - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 1000)
    least, most = count_range(200)
    counts = generator.multinomial(200, np.full(20, 0.05), 1000)
    assert ((counts >= least) & (counts <= most)).all(1).mean() > 0.94 - 5 * math.sqrt(0.95 * 0.05 / 1000)


def test_rows_are_chosen_by_the_seed_and_keep_their_numbers():
    model, whole = normal_model(), rows_of(5000, 0)
    found = sample_rows(model, table(whole), 100, 3)
    again = sample_rows(model, table(whole), 100, 3)
    assert len(found.codes) == 100 and found.total == 5000
    np.testing.assert_array_equal(found.codes, whole[found.numbers - 1])
    np.testing.assert_array_equal(found.numbers, again.numbers)
    assert set(found.numbers) != set(sample_rows(model, table(whole), 100, 4).numbers)
    # Every row has the same chance: the mean of the numbers is that of a uniform choice.
    many = np.concatenate([sample_rows(model, table(whole), 100, seed).numbers for seed in range(20)])
    assert abs(many.mean() - 2500.5) < 5 * 5000 / math.sqrt(12 * 2000)


def test_the_bad_row_of_a_table_is_named_by_its_own_number():
    made = table(rows_of(300, 0)).to_pydict()
    made["b"] = [*map(str, made["b"][:250]), "many", *map(str, made["b"][251:])]
    with pytest.raises(InputError, match="row 251"):
        pf.report(normal_model(), pa.table(made), rows=300, progress=False)


def test_a_report_is_json_and_says_how_many_rows_it_has():
    found = pf.report(normal_model(), table(rows_of(200, 0)), rows=60, progress=False)
    read = json.loads(found.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert read["provenance"]["rows"] == 60 and read["provenance"]["data_rows"] == 200
    assert "60 of 200 rows" in read["provenance"]["subsampled"]
    assert len(read["points"]["data"]) == 60
    assert read["points"]["log_prob"] == pytest.approx(
        stats.multivariate_normal(np.zeros(3), COVARIANCE).logpdf(np.array(read["points"]["data"])).tolist(), rel=1e-6
    )


def test_bad_options_are_said():
    with pytest.raises(InputError, match="at least 20 rows"):
        pf.report(normal_model(), table(rows_of(50, 0)), rows=5)
    with pytest.raises(InputError, match="too few for a report"):
        pf.report(normal_model(), table(rows_of(5, 0)))
    with pytest.raises(InputError, match="c"):
        pf.report(normal_model(), table(rows_of(50, 0)).drop_columns(["c"]))
