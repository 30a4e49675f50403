"""What a fit chooses when it is told nothing."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.zoo.recipe import choose_recipe, knots_for


def test_time_and_columns_decide_the_size_and_both_lines_say_what_and_why():
    short, long = (choose_recipe(50_000, 6, max_time=seconds) for seconds in (30.0, 600.0))
    assert short.flow["bins"] < long.flow["bins"] and len(short.flow["hidden"]) < len(long.flow["hidden"])
    # A step of many columns takes longer, and many steps are what the larger network needs.
    assert choose_recipe(50_000, 63, max_time=90.0).flow["bins"] < choose_recipe(50_000, 6, max_time=90.0).flow["bins"]
    # Two columns of many rows.
    assert [choose_recipe(rows, 2, max_time=60.0).flow["bins"] for rows in (5_000, 50_000)] == [16, 32]
    assert len(short.reasons) == 2 and all(line.startswith("chosen: ") for line in short.reasons)
    assert "50,000 rows of 6 columns" in short.reasons[0] and "30 seconds" in short.reasons[1]


def test_without_a_limit_the_number_of_steps_follows_the_rows_within_bounds():
    steps = [choose_recipe(rows, 3).training["max_steps"] for rows in (100, 100_000, 10_000_000)]
    assert steps == [3_000, 60 * 100_000 // 512, 40_000]


@pytest.mark.parametrize(("features", "context"), [(1, 0), (1, 2), (4, 0), (3, 1)])
def test_the_flow_fits_the_table_and_starts_as_its_columns_made_normal(features, context):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, features, generator=generator, dtype=torch.float64).exp()
    given = torch.randn(400, context, generator=generator, dtype=torch.float64) if context else None
    flow = choose_recipe(400, features, context, max_time=5.0).make(x, given)
    z = flow.to_latent(x, given).detach()
    assert z.shape == x.shape and float((z.std(0) - 1).abs().max()) < 0.1 and float(z.mean(0).abs().max()) < 0.1
    assert knots_for(400) == flow.bijection.data.z_knots.shape[1]


@pytest.mark.parametrize("weighted", [False, True])
def test_correlations_are_gone_before_the_first_step(weighted):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4_000, 3, generator=generator, dtype=torch.float64) @ torch.tensor(
        [[1.0, 1.0, -1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64
    )
    x[:, 2] = x[:, 2].exp()
    weights = None
    if weighted:
        # Rows that would spoil the correlations, and weigh nothing to speak of.
        x[:400, 0], weights = -x[:400, 0], torch.ones(4_000, dtype=torch.float64)
        weights[:400] = 1e-9
    flow = choose_recipe(4_000, 3).make(x, weights=weights)
    z = flow.to_latent(x).detach()[400:]
    torch.testing.assert_close(torch.cov(z.T), torch.eye(3, dtype=z.dtype), rtol=0, atol=0.03)
    few = choose_recipe(100, 3).make(x[400:500]).to_latent(x[400:500]).detach()
    # Of few rows the covariance is shrunk, and some of the correlation, 0.7, is left.
    assert abs(float(torch.cov(few.T)[0, 1])) < 0.3


@pytest.mark.slow
def test_an_outlier_and_an_atom_do_not_spoil_the_rest():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2_000, 2))
    rows[:800, 1] = 0.25 + 1e-3 * generator.random(800)
    rows[7, 0] = 1e12
    result = pf.fit_table(rows, max_steps=150, progress=False)
    # The outlier alone widens a Gaussian a millionfold.
    assert result.gaussian is not None and result.held_out > result.gaussian + 1
    log_prob = result.model.log_prob(np.array([[0.0, 1.0], [1e12, 0.0]]))
    assert np.isfinite(log_prob).all() and log_prob[0] > log_prob[1]


def test_a_recipe_for_few_rows_says_that_it_guards_against_learning_them_by_heart():
    recipe = choose_recipe(108, 5)
    assert "with dropout" in recipe.reasons[0] and "splines of 8 knots" in recipe.reasons[1]


@pytest.mark.slow
def test_few_rows_are_not_learned_by_heart():
    torch.manual_seed(0)
    normal = torch.distributions.MultivariateNormal(torch.zeros(5), torch.eye(5) + 2)
    train, validation, fresh = (normal.sample((rows,)) for rows in (108, 12, 4_000))
    recipe = choose_recipe(len(train), 5)
    flow = recipe.make(train)
    pf.fit(flow, train, validation=validation, seed=0, progress=False, **recipe.training)
    with torch.no_grad():
        loss = normal.log_prob(fresh) - flow.log_prob(fresh)
    # A Gaussian by maximum likelihood is 0.05 to 0.3 off; with 32 knots and without dropout a flow is more than 1 off.
    assert float(loss.mean()) < 5 * float(loss.std()) / 4_000**0.5 + 0.5
