"""Stacks of flows and simple densities: their weights, what they lose, and what is said of them."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import FIVE_SIGMA
from small_fits import default_steps, small_flows, stacks

import pushforward as pf
from pushforward.errors import InputError
from pushforward.table_models import stacked_fit
from pushforward.table_models.stacking import StackedRows, stack
from pushforward.training import History
from pushforward.training.folds import FoldedRows
from pushforward.zoo.gaussian import gaussian_of
from pushforward.zoo.simple_densities import Features

FREE = Features([-np.inf] * 2, [np.inf] * 2)
FEW = {"progress": False}


def clusters(count, seed):
    generator = np.random.default_rng(seed)
    label = generator.random((count, 1)) < 0.3
    return np.where(label, 5, 0) + generator.normal(size=(count, 2)) * np.where(label, 0.5, 1)


def log_clusters(rows):
    parts = [stats.norm(5, 0.5).logpdf(rows).sum(1), stats.norm(0, 1).logpdf(rows).sum(1)]
    return np.logaddexp(np.log(0.3) + parts[0], np.log(0.7) + parts[1])


def bent(count, seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=count)
    return np.column_stack([x, x**2 + 0.3 * generator.normal(size=count)])


def normal(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])


def stacked(rows, train=None):
    """The stack of rows, with Gaussians in place of flows."""
    points = torch.from_numpy(rows)
    folded = FoldedRows(points)
    folds = folded.split(5, seed=0)

    def log_prob(flow, places):
        return flow.log_prob(points[places]).double().detach().numpy()

    def gaussian(number, fold):
        return gaussian_of(points[fold[0]]), History(rows=(len(fold[0]), len(fold[1])))

    return stack(StackedRows(points, FREE, folded, log_prob), folds, train or gaussian, "nsf", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [clusters, bent, normal])
@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_a_stack_loses_no_hundredth_to_its_best_part_on_fresh_rows(draw, count):
    found, fresh = stacked(draw(count, 1)), torch.from_numpy(draw(20_000, 2))
    # What weights cost that so many rows have to tell (Bayesian information criterion).
    price = (len(found.flow.parts) - 1) / 2 * np.log(count) / count
    whole = found.flow.log_prob(fresh).double().detach().numpy()
    for _, flow in found.flow.parts:
        loss = flow.log_prob(fresh).double().detach().numpy() - whole
        assert loss.mean() < 0.01 + price + 5 * loss.std() / len(loss) ** 0.5


def test_one_row_far_away_does_not_widen_the_simple_parts():
    rows = np.concatenate([normal(100, 1), [[1e6, 1e6]]])
    found, fresh = stacked(rows), torch.from_numpy(normal(1000, 2))
    truth = stats.multivariate_normal(cov=[[1, 0.9], [0.9, 0.97]]).logpdf(fresh)
    loss = truth - found.flow.log_prob(fresh).double().detach().numpy()
    assert 100 not in found.rows and loss.mean() < 0.15
    assert found.flow.log_prob(torch.from_numpy(rows[-1:])).isfinite().all()


def test_useless_parts_are_left_out_and_the_rest_is_said():
    found = stacked(clusters(200, 1))
    assert all(weight >= 0.01 for weight in found.weights.values()) and sum(found.weights.values()) == pytest.approx(1)
    assert max(found.weights, key=found.weights.get).startswith("mixture of 2 Gaussians of the ")
    assert "5 nsf flows" not in found.weights
    line = found.history.events[-1]
    assert line.startswith("stacked: ") and all(name in line for name in found.weights)
    assert line.endswith(f"together {found.history.best_held_out:.3f}")


@pytest.mark.slow
def test_what_is_held_out_is_honest():
    """Every row once, under parts and weights that it had no say in: as good as fresh rows from the same fit."""
    rows = clusters(1000, 3)
    found = stacked(rows)
    assert sorted(found.rows.tolist()) == list(range(1000))
    loss = found.log_prob - log_clusters(rows[found.rows])
    fresh = clusters(20_000, 4)
    on_fresh = found.flow.log_prob(torch.from_numpy(fresh)).double().detach().numpy() - log_clusters(fresh)
    error = np.hypot(loss.std() / 1000**0.5, on_fresh.std() / 20_000**0.5)
    # Parts of four fifths of the rows lose more than those of all.
    assert -0.03 - 5 * error < loss.mean() - on_fresh.mean() < 5 * error


def test_an_interrupted_stack_is_of_the_flows_until_then():
    rows = torch.from_numpy(clusters(200, 1))

    def train(number, fold):
        return gaussian_of(rows[fold[0]]), History(stopped="interrupted" if number == 1 else "finished", steps=7)

    found = stacked(rows.numpy(), train)
    assert len(found.rows) == len(found.log_prob) == 80
    assert found.history.stopped == "interrupted" and found.history.steps == 14


@pytest.fixture(scope="module")
def fit():
    with pytest.MonkeyPatch.context() as patch:
        small_flows(patch)
        default_steps(patch, 20)
        stacks(patch)
        said = []
        return pf.fit_table(bent(150, 0), announce=said.append, **FEW), said


@pytest.fixture
def stacking(monkeypatch):
    default_steps(monkeypatch, 20)
    stacks(monkeypatch)


def test_a_table_of_few_rows_is_stacked_and_says_so(fit):
    result, said = fit
    notes = result.model.notes
    assert notes["flow"] == "stack" and sum(notes["parts"].values()) == pytest.approx(1, abs=1e-3)
    assert notes["rows"] == {"training": 150, "held_out": 150, "folds": 5}
    assert result.history.rows == (150, 150) and result.history.steps == 100
    assert said[-1].startswith("stacked: ") and result.held_out == result.history.best_held_out
    assert result.model.calibration.rows == 150 and result.gaussian < result.held_out


def test_a_stack_is_saved_loaded_and_drawn_by_noise(fit, tmp_path):
    model, rows = fit[0].model, bent(40, 5)
    model.save(tmp_path / "m.safetensors")
    again = type(model).load(tmp_path / "m.safetensors")
    assert np.array_equal(again.log_prob(rows), model.log_prob(rows))
    torch.manual_seed(0)
    density = again.density
    drawn = density.draws_of(density.noise(4000)).numpy()
    assert drawn.shape == (4000, 2)
    other = again.draw(4000)
    for column in range(2):
        assert stats.ks_2samp(drawn[:, column], other[:, column]).pvalue > FIVE_SIGMA


def test_p_values_of_fresh_rows_are_no_less_often_small(fit):
    """Parts are better than those that the held-out rows were under, so that p-values err to the large side."""
    p_values = fit[0].model.p_values(bent(20_000, 6))
    for level in (0.05, 0.2):
        # Of 150 held-out rows, which differ from fit to fit.
        assert np.mean(p_values <= level) < level + 5 * (level * (1 - level) / 150) ** 0.5


def test_distribution_functions_of_a_stack_are_those_of_its_draws(fit):
    density = fit[0].model.density
    rows = torch.from_numpy(bent(5, 7))
    below, up_to = density.distribution_functions(rows)
    torch.testing.assert_close(below, up_to, rtol=0, atol=1e-12)
    torch.manual_seed(0)
    drawn = density.sample((20_000,))
    for row in range(5):
        share = (drawn < rows[row]).double().mean(0)
        # Over 256 points for each part.
        assert bool(((below[row] - share).abs() < 5 * 0.5 / 256**0.5).all())


@pytest.mark.parametrize(
    "options",
    [{"flow": "nice", "max_steps": 5}, {"max_steps": 5}, {"epochs": 1}, {"given": ["1"]}, {"weight": [1.0] * 60},
     {"hold_out": "last"}, {"arbitrary_conditions": True}],
)  # fmt: skip
def test_one_flow_answers_where_a_stack_would_not(stacking, options):
    model = pf.fit_table(bent(60, 0), **FEW, **options).model
    assert "parts" not in model.notes and "folds" not in model.notes["rows"]


@pytest.mark.slow
def test_shares_sum_to_the_density_where_all_parts_have_an_order():
    found = stacked(clusters(300, 1))
    rows = torch.from_numpy(clusters(50, 2))
    terms = found.flow.log_prob_of_each(rows)
    np.testing.assert_allclose(terms.sum(1), found.flow.log_prob(rows), atol=1e-9)
    first = found.flow.log_prob_of_each(torch.stack([rows[:, 0], rows[:, 1] + 1], 1))[:, 0]
    np.testing.assert_allclose(terms[:, 0], first, atol=1e-9)


def test_shares_are_refused_where_a_part_mixes_columns(fit):
    model = fit[0].model
    if model.flow.order() is None:
        with pytest.raises(InputError, match="no shares of columns"):
            model.shares(bent(3, 0))


@pytest.mark.slow
def test_a_table_with_levels_counts_and_bounds_is_stacked(stacking):
    generator = np.random.default_rng(0)
    table = pa.table(
        {
            "kind": generator.choice(["a", "b", "c"], 120),
            "count": generator.poisson(2, 120),
            "size": generator.exponential(size=120),
            "rain": np.where(generator.random(120) < 0.5, 0, generator.exponential(size=120)),
        }
    )
    model = pf.fit_table(table, schema={"size": {"kind": "positive"}}, **FEW).model
    assert model.notes["flow"] == "stack"
    codes = model.encode(table)
    assert np.isfinite(model.log_prob(codes)).all() and np.isfinite(model.p_values(codes)).all()
    drawn = model.decode(model.draw(300), columns=model.columns)
    assert set(drawn["kind"].to_pylist()) <= {"a", "b", "c"} and min(drawn["size"].to_pylist()) >= 0


@pytest.mark.slow
def test_the_estimator_stacks_few_rows(stacking):
    rows = bent(100, 0)
    density = pf.FlowDensity(random_state=0).fit(rows)
    assert "stacked: " in density.history_.events[-1] and density.score(bent(50, 1)) > -6
    assert density.sample(20, random_state=0).shape == (20, 2)
    assert np.array_equal(density.score_samples(rows), pf.FlowDensity(random_state=0).fit(rows).score_samples(rows))
    one = pf.FlowDensity(random_state=0, validation_fraction=0.2, max_steps=5).fit(rows)
    assert not any(event.startswith("stacked") for event in one.history_.events)


@pytest.mark.slow
def test_a_stack_of_one_column_has_exact_distribution_functions(stacking):
    model = pf.fit_table(clusters(120, 0)[:, :1], **FEW).model
    rows = torch.linspace(-2, 6, 9, dtype=torch.float64)[:, None]
    below = model.density.distribution_functions(rows)[0, :, 0]
    grid = torch.linspace(-30, 6, 20_001, dtype=torch.float64)
    density = model.density.log_prob(grid[:, None]).double().exp()
    for x, value in zip(rows[:, 0], below, strict=True):
        here = grid <= x
        assert float(torch.trapezoid(density[here], grid[here])) == pytest.approx(float(value), abs=5e-3)


@pytest.mark.slow
def test_a_killed_stack_resumes_where_it_was(stacking, tmp_path, monkeypatch):
    rows, path = bent(80, 0), tmp_path / "m.checkpoint"
    whole = pf.fit_table(rows, **FEW).model.flow.state_dict()
    fits, train = [], stacked_fit.fit

    def counted(*arguments, **options):
        fits.append(options["checkpoint"].name)
        if len(fits) == 3:
            raise MemoryError
        return train(*arguments, **options)

    monkeypatch.setattr(stacked_fit, "fit", counted)
    with pytest.raises(MemoryError):
        pf.fit_table(rows, checkpoint=path, **FEW)
    assert fits == ["m.checkpoint", "m.2.checkpoint", "m.3.checkpoint"]
    monkeypatch.setattr(stacked_fit, "fit", train)
    resumed = pf.fit_table(rows, checkpoint=path, resume=True, **FEW).model.flow.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
