"""Tables in memory, and densities that agree with their draws."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import pushforward as pf
from pushforward.table_models.scoring import Scores

NAMES = ["mass", "radius"]


def make_rows(count=80, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 2)) @ [[1.0, 0.5], [0.0, 2.0]] + [100.0, -3.0]


def fit(data, **options):
    return pf.fit_table(data, **{"flow": "nice", "max_steps": 15, "progress": False, **options})


@pytest.mark.slow
def test_every_kind_of_table_gives_the_same_model(tmp_path):
    rows = make_rows()
    frame = pd.DataFrame(rows, columns=NAMES)
    frame.to_csv(tmp_path / "t.csv", index=False)
    tables = [frame, pl.from_pandas(frame), pa.Table.from_pandas(frame), tmp_path / "t.csv", str(tmp_path / "t.csv")]
    models = [fit(table).model for table in tables]
    unnamed = fit(rows).model
    assert unnamed.columns == ["0", "1"]
    for model in models:
        assert model.columns == NAMES
        for key, tensor in unnamed.flow.state_dict().items():
            torch.testing.assert_close(model.flow.state_dict()[key], tensor)


def test_columns_are_modeled_in_the_order_asked_for():
    frame = pd.DataFrame(make_rows(), columns=NAMES)
    model = fit(frame, columns=["radius"], given=["mass"]).model
    assert (model.columns, model.given) == (["radius"], ["mass"])
    assert (model.flow.features, model.flow.context_features) == (1, 1)
    assert fit(frame, given=["mass"]).model.columns == ["radius"]


def test_held_out_rows_are_those_that_the_loop_holds_out():
    rows = make_rows(200)
    result = fit(rows)
    _, held_out = pf.training.splitting.split_rows(200, 0.1, seed=0)
    log_prob = result.model.log_prob(rows[held_out.numpy()])
    assert result.held_out == pytest.approx(log_prob.mean(), abs=1e-4)
    assert result.history.rows == (180, 20) and result.model.notes["rows"] == {"training": 180, "held_out": 20}


def test_the_gaussian_beside_it_is_that_of_the_training_rows():
    rows = make_rows(200)
    train, held_out = (rows[index.numpy()] for index in pf.training.splitting.split_rows(200, 0.1, seed=0))
    truth = torch.distributions.MultivariateNormal(
        torch.from_numpy(train.mean(0)), torch.from_numpy(np.cov(train.T, bias=True))
    )
    expected = float(truth.log_prob(torch.from_numpy(held_out)).mean())
    assert fit(rows).gaussian == pytest.approx(expected)
    # Given the first column: p(second | first) = p(both) / p(first).
    first = torch.distributions.Normal(train[:, 0].mean(), train[:, 0].std())
    conditional = expected - float(first.log_prob(torch.from_numpy(held_out[:, 0])).mean())
    assert fit(rows, given=["0"]).gaussian == pytest.approx(conditional)


@pytest.mark.parametrize("name", pf.zoo.registry.ARCHITECTURES)
@pytest.mark.parametrize(
    ("precision", "tolerance"), [pytest.param("32-true", 1e-4, marks=pytest.mark.slow), ("64-true", 1e-9)]
)
def test_the_density_of_a_draw_is_the_density_of_its_values(name, precision, tolerance):
    flow = fit(make_rows(200), flow=name, precision=precision, max_steps=3).model.flow
    x, log_prob = flow.sample_with_log_prob((500,))
    assert float((flow.log_prob(x).detach() - log_prob).abs().max()) < tolerance


def test_rows_far_out_have_a_density_that_falls_with_the_distance():
    model = fit(make_rows()).model
    far = np.array([[100.0, -3.0], [1e12, 1e12], [1e30, 1e30]])
    log_prob = model.log_prob(far)
    assert np.isfinite(log_prob).all() and (np.diff(log_prob) < -100).all()
    too_far = model.log_prob(far * [[1, 1], [1, 1], [1e270, 1]])
    np.testing.assert_array_equal(too_far, [*log_prob[:2], -np.inf])


def test_draws_leave_the_random_state_alone(tmp_path):
    model = fit(make_rows()).model
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model.sample(tmp_path / "s.csv", rows=5, seed=1)
    assert torch.equal(torch.rand(2), expected)


def test_scores_in_sum():
    scores = Scores()
    values = 1e9 + np.random.default_rng(0).normal(size=1000)
    for part in np.array_split(values, 7):
        scores.add(part)
    assert scores.rows == 1000 and (scores.smallest, scores.largest) == (values.min(), values.max())
    assert scores.mean == pytest.approx(values.mean(), rel=1e-15)
    assert scores.standard_deviation == pytest.approx(values.std(), rel=1e-6)
