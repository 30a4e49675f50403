"""Any columns given any others: normalized for every kind and condition, and right where the answer is known."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from significance import follows
from tables.test_columns import TABLE, in_support

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.tables import encode, infer_schema
from pushforward.tables.columns.columns import Columns

NAMES = list(TABLE)


def density_of(names, seed=0):
    """With random weights, so that everything depends on everything."""
    table = pa.table({name: TABLE[name] for name in names})
    schema = infer_schema(table, source="t")
    columns = Columns(schema, names)
    rows = torch.from_numpy(encode(table, schema, names, source="t"))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flow = ArbitraryConditionalFlow(
            len(names),
            [schema[name].input_width for name in names],
            columns.circular,
            hidden=32,
            blocks=1,
            bounded=True,
        )
        torch.nn.init.normal_(flow.last.weight, std=0.3)
        torch.nn.init.normal_(flow.last.bias, std=0.3)
        y = columns.encode(rows, torch.rand(rows.shape, dtype=torch.float64))[0]
    flow.marginal = MarginalSpline.from_data(y, low=columns.low, high=columns.high, normal=columns.normal)
    return ArbitraryConditionalDensity(columns, flow, schema, names).double().eval().requires_grad_(False), rows


@pytest.fixture(scope="module")
def everything():
    return density_of(NAMES)


def with_gaps(rows, share=0.3, seed=0):
    gaps = torch.rand(rows.shape, generator=torch.Generator().manual_seed(seed)) < share
    return rows.masked_fill(gaps, torch.nan)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_conditional_is_normalized(everything, name):
    density, rows = everything
    place = NAMES.index(name)
    conditions = with_gaps(rows[:3])
    sums = {
        "few": np.arange(-1, 6), "tens": np.arange(0, 90, 10), "count": np.arange(0, 900), "sex": np.arange(3),
        "flag": np.arange(2), "hour": np.arange(24), "day": np.arange(-3000, 4000),
    }  # fmt: skip
    if name in sums:
        grid = torch.from_numpy(sums[name]).double()
        total = density.log_prob_on_grid(conditions, place, grid).exp().sum(1)
    else:
        t = torch.linspace(-30, 30, 12_001, dtype=torch.float64)
        x = {"positive": t.exp(), "heavy positive": t.exp(), "zeros": t.exp(), "phase": (t + 30) * 6}.get(
            name, t.sinh()
        )
        x = torch.linspace(1e-3, 1 - 1e-3, 12_001).double() if name == "bounded" else x
        if name == "wide":
            t = x = torch.linspace(-80_000, 80_000, 8001, dtype=torch.float64)  # one in twenty
        if name == "plain":
            x = torch.linspace(-20, 20, 64_001).double()  # random weights make narrow peaks
        inside = x[:-1] if name == "phase" else x
        value = density.log_prob_on_grid(conditions, place, inside.unique()).exp()
        total = torch.trapezoid(value, inside.unique())
        if name in ("zeros", "middle"):
            atom = 0.0 if name == "zeros" else 0.5
            total = total + density.log_prob_on_grid(conditions, place, torch.tensor([atom]).double()).exp()[:, 0]
        if name not in ("phase", "zeros", "middle"):
            # With these weights some lies beyond the grid, or so near to a bound that float64 has no digits for it.
            ends = [conditions.index_fill(1, torch.tensor([place]), float(x[end])) for end in (0, -1)]
            low, high = (density.distribution_function(end, place) for end in ends)
            total = total + 1 - (high - low)
    tolerance = 1e-4 if name in sums else 0.03 if name in ("heavy", "middle", "bounded") else 5e-3
    np.testing.assert_allclose(total, 1, atol=tolerance)


def test_two_discrete_columns_sum_to_one_jointly_and_marginally():
    density, _ = density_of(["few", "sex"])
    grid = torch.cartesian_prod(torch.arange(-1.0, 6.0), torch.arange(3.0)).double()
    probability = density.log_prob(grid).exp().reshape(7, 3)
    assert float(probability.sum()) == pytest.approx(1, abs=1e-9)
    # The first column comes first in the chain, so its own density is the sum over the other.
    alone = density.log_prob(torch.stack([torch.arange(-1.0, 6.0).double(), torch.full((7,), torch.nan).double()], 1))
    np.testing.assert_allclose(probability.sum(1), alone.exp(), rtol=1e-9)


@pytest.mark.slow
def test_a_joint_density_is_the_chain_of_its_conditionals(everything):
    density, rows = everything
    gaps = with_gaps(rows[:20])
    total = torch.zeros(20, dtype=torch.float64)
    for place in range(len(NAMES)):
        before = gaps.clone()
        before[:, place:] = torch.nan
        for row in range(20):
            if not bool(gaps[row, place].isnan()):
                total[row] += density.log_prob_on_grid(before[row : row + 1], place, gaps[row, place : place + 1])[0, 0]
    torch.testing.assert_close(density.log_prob(gaps), total, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_draws_lie_in_their_support_and_keep_what_was_there(everything, count):
    density, rows = everything
    gaps = with_gaps(rows.repeat(-(-count // len(rows)), 1)[:count], share=0.5)
    gaps[: count // 2] = torch.nan
    drawn = density.fill(gaps, torch.Generator().manual_seed(0))
    present = ~gaps.isnan()
    assert torch.equal(drawn[present], gaps[present])
    for place, name in enumerate(NAMES):
        assert in_support(name, drawn[:, place].numpy()).all(), name


@pytest.mark.parametrize("name", ["plain", "phase", "few", "zeros"])
def test_draws_follow_the_density(name):
    names = ["plain", "phase", "few", "zeros", "sex"]
    density, rows = density_of(names)
    place = names.index(name)
    condition = rows[:1].clone()
    condition[:, place] = torch.nan
    drawn = density.fill(condition.repeat(20_000, 1), torch.Generator().manual_seed(0))[:, place]
    if name == "few":
        truth = density.log_prob_on_grid(condition, place, torch.arange(-1.0, 6.0).double()).exp()[0]
        found = torch.bincount((drawn + 1).long(), minlength=7) / len(drawn)
        assert bool(((found - truth).abs() < 5 * (truth * (1 - truth) / len(drawn)).sqrt()).all())
        return
    rows = condition.repeat(len(drawn), 1)
    rows[:, place] = drawn
    if name == "zeros":
        truth = float(density.log_prob_on_grid(condition, place, torch.zeros(1).double()).exp())
        error = (truth * (1 - truth) / len(drawn)) ** 0.5
        assert float((drawn == 0).double().mean()) == pytest.approx(truth, abs=5 * error)
        return
    if name == "phase":
        grid = torch.linspace(0, 360, 3601, dtype=torch.float64)[:-1]
        mass = density.log_prob_on_grid(condition, place, grid).exp()[0].cumsum(0) * 0.1
        assert follows(drawn.numpy(), lambda x: np.interp(x, grid.numpy(), mass.numpy()))
        return
    assert follows(density.distribution_function(rows, place).numpy(), "uniform")
    middle = density.quantiles(condition, place, [0.25, 0.5])[0]
    np.testing.assert_allclose(
        [float((drawn < quantile).double().mean()) for quantile in middle], [0.25, 0.5], atol=5 * np.sqrt(0.25 / 20_000)
    )


def test_what_is_missing_or_not_asked_for_does_not_count(everything):
    density, rows = everything
    gaps = with_gaps(rows[:5])
    known = torch.zeros(gaps.shape, dtype=torch.bool)
    known[:, :4] = True
    value = density.log_prob_given(gaps, known)
    assert torch.equal(value, density.log_prob_given(gaps, known & ~gaps.isnan())) and bool(value.isfinite().all())
    everywhere = density.log_prob_given(gaps, torch.ones_like(known))
    assert torch.equal(everywhere, torch.zeros(5, dtype=torch.float64))


def test_training_estimates_have_finite_gradients_everywhere(everything):
    density, rows = everything
    density.train()
    for name, parameter in density.flow.named_parameters():
        parameter.requires_grad_(not name.startswith("marginal"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        value = density.log_prob(with_gaps(rows[:500]))
        empty = density.log_prob(torch.full((3, len(NAMES)), torch.nan).double())
    assert bool(value.isfinite().all()) and torch.equal(empty, torch.zeros(3).double())
    value.mean().backward()
    density.eval().requires_grad_(False)
    for name, parameter in density.named_parameters():
        if "maps" not in name:  # those of the columns are fixed
            assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name


MEAN = np.array([1.0, -2.0, 100.0])
COVARIANCE = np.array([[1.0, 0.8, 3.0], [0.8, 1.0, 1.0], [3.0, 1.0, 16.0]])
# Between the three columns, in nats: of the joint density over the product of the marginals.
INFORMATION = 0.5 * (np.log(np.diag(COVARIANCE)).sum() - np.linalg.slogdet(COVARIANCE)[1])


@pytest.fixture(scope="module")
def gaussian():
    rows = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, size=5000)
    rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    return pf.fit_table(rows, max_steps=300, progress=False).model


def conditional(known, target):
    """Slopes and deviation of a column given others."""
    slope = np.linalg.solve(COVARIANCE[np.ix_(known, known)], COVARIANCE[known, target])
    return slope, np.sqrt(COVARIANCE[target, target] - slope @ COVARIANCE[known, target])


@pytest.mark.slow
def test_conditionals_and_marginals_of_a_gaussian_with_gaps(gaussian):
    count = 2000
    fresh = np.random.default_rng(2).multivariate_normal(MEAN, COVARIANCE, size=count)
    for known in ([], [0], [1], [2], [0, 1], [0, 2], [1, 2]):
        for target in set(range(3)) - set(known):
            rows = np.full(fresh.shape, np.nan)
            rows[:, known] = fresh[:, known]
            levels = np.array([0.1587, 0.5, 0.8413])
            quantiles = gaussian.density.quantiles(torch.from_numpy(rows), target, levels.tolist()).numpy()
            # As many values lie below as should: five standard errors of 2000 rows, and 0.05 for the fit.
            share = (fresh[:, [target]] < quantiles).mean(0)
            assert (np.abs(share - levels) < 5 * np.sqrt(levels * (1 - levels) / count) + 0.05).all(), (known, target)
            if known:
                # The medians follow the regression: more than half of what the condition tells is learned.
                slope, _ = conditional(known, target)
                expected = MEAN[target] + (fresh[:, known] - MEAN[known]) @ slope
                assert np.square(quantiles[:, 1] - expected).mean() < expected.var() / 4, (known, target)
    for present in ([0], [1], [2], [0, 2], [0, 1, 2]):
        rows = np.full(fresh.shape, np.nan)
        rows[:, present] = fresh[:, present]
        truth = stats.multivariate_normal(MEAN[present], COVARIANCE[np.ix_(present, present)]).logpdf(fresh[:, present])
        loss = truth - gaussian.log_prob(rows)
        # KL(truth || model) is at least 0, and less than half of the information between the three columns.
        error = loss.std() / np.sqrt(count)
        assert -5 * error < loss.mean() < 5 * error + INFORMATION / 2


@pytest.mark.slow
def test_imputed_draws_have_the_moments_of_the_gaussian(gaussian):
    rows = np.random.default_rng(3).multivariate_normal(MEAN, COVARIANCE, size=20_000)
    rows[np.random.default_rng(4).random(rows.shape) < 0.4] = np.nan
    whole = gaussian.density.fill(torch.from_numpy(rows), torch.Generator().manual_seed(0)).numpy()
    scale = np.sqrt(np.diag(COVARIANCE))
    # Five standard errors of 20,000 rows, and a twentieth of a deviation for the fit.
    assert np.abs((whole.mean(0) - MEAN) / scale).max() < 5 / np.sqrt(20_000) + 0.05
    assert np.abs((np.cov(whole.T) - COVARIANCE) / np.outer(scale, scale)).max() < 5 * np.sqrt(2 / 20_000) + 0.05


@pytest.mark.slow
def test_a_model_with_gaps_is_saved_and_loaded(gaussian, tmp_path):
    gaussian.save(tmp_path / "m.safetensors")
    loaded = pf.TableModel.load(tmp_path / "m.safetensors")
    rows = np.array([[1.0, np.nan, 90.0], [np.nan, np.nan, np.nan], [0.0, -1.0, 101.0]])
    assert loaded.arbitrary_conditions and np.array_equal(loaded.log_prob(rows), gaussian.log_prob(rows))
    assert loaded.log_prob(rows)[1] == 0


def test_complete_tables_have_the_usual_flow_unless_asked_otherwise():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    assert not pf.fit_table(rows, max_steps=2, progress=False).model.arbitrary_conditions
    assert pf.fit_table(rows, max_steps=2, progress=False, arbitrary_conditions=True).model.arbitrary_conditions
    rows[3, 1] = np.nan
    assert pf.fit_table(rows, max_steps=2, progress=False).model.arbitrary_conditions
    with pytest.raises(pf.InputError, match="no value in row 4, which maf does not take"):
        pf.fit_table(rows, max_steps=2, flow="maf")


@pytest.mark.slow
def test_given_columns_may_be_categories_and_have_gaps():
    generator = np.random.default_rng(0)
    group = generator.integers(0, 3, 2500)
    x, names = group * 5 + generator.normal(size=2500), np.array(["a", "b", "c"])[group]
    known = pa.array(names[:1500], mask=generator.random(1500) < 0.1)
    table = pa.table({"x": x[:1500], "group": known})
    model = pf.fit_table(table, given=["group"], max_steps=150, progress=False).model
    known = model.encode(pa.table({"group": ["a", "b", "c", None] * 500}), columns=["group"])
    drawn = model.draw(given=known)[:, 0].reshape(500, 4)
    # Nearer to the group's own mean than to another's; of an unknown group nearly as wide as all of them.
    assert np.abs(drawn[:, :3].mean(0) - [0, 5, 10]).max() < 5 * drawn[:, :3].std(0).max() / np.sqrt(500) + 0.5
    assert drawn[:, 3].std() > 0.5 * x.std()
    # p(x | group): the condition itself is not scored. It tells log 3 nats, of which more than half is learned.
    fresh = model.encode(pa.table({"x": x[1500:], "group": names[1500:]}))
    loss = stats.norm.logpdf(x - 5 * group)[1500:] - model.log_prob(fresh)
    error = loss.std() / np.sqrt(1000)
    assert -5 * error < loss.mean() < 5 * error + np.log(3) / 2
