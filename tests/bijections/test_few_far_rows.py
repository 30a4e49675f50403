"""A few rows far from all others take nothing from the density of the others: whatever their number and distance."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from significance import is_mean_of

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.bijections.cross_fitting import straight_features
from pushforward.support.far_ends import far_ends
from pushforward.zoo.recipe import choose_recipe, knots_for

DISTANCES = [30.0, 1e3, 1e6]


def table(rows, far, distance, seed=1):
    """A normal column, some of whose rows are moved by a distance, beside another one."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    x[random.permutation(rows)[:far], 0] += distance
    return x


def log_normal(x):
    return -0.5 * np.square(x).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


def spline_of(x):
    """The map of the first column that a fit starts with."""
    column, knots = torch.from_numpy(x[:, :1]), knots_for(len(x))
    return MarginalSpline.from_data(column, knots, straight=straight_features(column, knots))


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("rows", "side"), [(200, 1), (300, -1), (800, 1), pytest.param(5000, -1, marks=pytest.mark.slow)]
)
def test_whatever_their_number_the_others_have_their_density(rows, distance, side):
    fresh = np.random.default_rng(0).normal(size=(2000, 1))
    edges = side * torch.tensor([[-10.0], [10.0], [distance - 10], [distance + 10]], dtype=torch.float64)
    for far in range(1, 21):
        spline = spline_of(table(rows, far, side * distance))
        z, log_slope = spline.each_inverse(torch.from_numpy(fresh))
        found = log_slope.numpy()[:, 0] + log_normal(z.numpy())
        lost = log_normal(fresh) + math.log(1 - far / rows) - found
        assert lost.mean() < 0.1 + 5 * lost.std() / len(lost) ** 0.5
        other_side, below, before, all_but_beyond = torch.special.ndtr(side * spline.inverse(edges)[0])[:, 0].tolist()
        # Where one or two rows lie there may be others at any distance: up to four rows' share lies between.
        alone = 4 / rows if far <= 2 else 0.0
        assert other_side < 1e-6 and before - below < 2e-4 + alone and 1 - all_but_beyond < 1e-3 + alone
        assert far - 1 < rows * (1 - below) < far + 1 + rows * alone


@pytest.mark.parametrize("far", [1, 6, 14])
def test_a_flow_starts_near_the_truth(far):
    fresh = np.random.default_rng(0).normal(size=(2000, 2))
    with torch.no_grad():
        flow = choose_recipe(800, 2).make(torch.from_numpy(table(800, far, 1e5)))
        lost = log_normal(fresh) + math.log(1 - far / 800) - flow.log_prob(torch.from_numpy(fresh)).numpy()
    assert lost.mean() < 0.1 + 5 * lost.std() / len(lost) ** 0.5


@pytest.mark.parametrize("weights", [None, 1e-6])
def test_they_have_the_probability_of_their_weight_and_at_least_that_of_a_row(weights):
    x = torch.from_numpy(np.append(np.linspace(-2, 2, 500), np.linspace(1e4, 1e4 + 1, 8)))
    share = None if weights is None else torch.where(x < 10, 1.0, weights)
    spline = MarginalSpline.from_data(x[:, None], 8, weights=share)
    middle = float(torch.special.ndtr(-spline.inverse(torch.tensor([[5e3]]).double())[0]))
    assert middle == pytest.approx((8 if weights is None else 1) / 508, abs=1 / 508)
    back, log_det = spline(spline.inverse(x[:, None])[0])
    torch.testing.assert_close(back, x[:, None])
    assert bool(log_det.isfinite().all())


@pytest.mark.parametrize("far", [1, 7, 15])
def test_a_column_with_far_rows_changes_nothing_of_the_others(far):
    rows = torch.from_numpy(table(300, far, 1e5))
    found = straight_features(rows, knots_for(300))
    assert (1 in found) == (straight_features(rows[:, 1:], knots_for(300)) == [0])


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("rows", [40, 100, 300])
@pytest.mark.parametrize("far", [(5e3,), (-1e3, -1.5e3, -1.9e3), (51.0, 52.0, 53.0), (-3e3, 1e3, 2e3)])
def test_the_others_have_the_map_that_they_have_alone(rows, far, straight):
    """Their density is that without the far rows, times their share, also just beyond the last of them."""
    random = np.random.default_rng(rows)
    x, fresh = random.normal(size=rows), torch.linspace(-4, 4, 801, dtype=torch.float64)[:, None]
    x[: len(far)] = far
    x, straightened = torch.from_numpy(x)[:, None], [0] if straight else []
    whole, alone = (MarginalSpline.from_data(some, 7, straight=straightened) for some in (x, x[len(far) :]))

    def density(spline):
        z, log_slope = spline.inverse(fresh)
        return (log_slope[:, None] + torch.distributions.Normal(0.0, 1.0).log_prob(z)).exp()

    # Each far row has a probability of at least 1 / (N + 1), and of the near ones half as much lies further out.
    share = 1 - sum(
        (abs(many) + 0.5) / (rows + 1) for many in (sum(x > 0 for x in far), sum(x < 0 for x in far)) if many
    )
    # Pieces between the same knots bend a little otherwise.
    lost = (density(alone) * (density(alone) * share / density(whole)).log()).sum() * 0.01
    assert float(lost) < 0.01


@pytest.mark.parametrize("straight", [False, True])
def test_beside_far_rows_the_map_is_exact_in_both_directions(straight):
    random = np.random.default_rng(0)
    x = torch.from_numpy(np.append(random.normal(size=97), [-4e3, 1e3, 2e3]))[:, None]
    spline = MarginalSpline.from_data(x, 7, straight=[0] if straight else [])
    assert all(bool((knots.diff() > 0).all()) for knots in (spline.z_knots, spline.x_knots)) and bool(
        (spline.slopes > 0).all()
    )
    z = torch.linspace(-5, 5, 301, dtype=torch.float64)[:, None]
    there, log_det = spline(z)
    back, log_det_back = spline.inverse(there)
    torch.testing.assert_close(back, z)
    torch.testing.assert_close(log_det_back, -log_det)
    # The far rows have the probability of their number.
    drawn = spline(torch.randn(20_000, 1, dtype=torch.float64))[0]
    assert is_mean_of((drawn > 500).double().numpy(), 2.5 / 101) and is_mean_of(
        (drawn < -500).double().numpy(), 1.5 / 101
    )


@pytest.mark.parametrize("far", [1, 3])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_few_rows_beside_far_ones_lose_no_more_than_a_gaussian_must(far, side):
    """With the best straight line of n rows about 1 / n, and the probability of the others, over 40 tables."""
    fresh, losses = torch.from_numpy(stats.norm.ppf((np.arange(1000) + 0.5) / 1000))[:, None], []
    truth = torch.distributions.Normal(0.0, 1.0).log_prob(fresh)[:, 0] + math.log(1 - far / 80)
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=80)
        x[:far] = side * (50 + 3 * np.arange(far))
        spline = MarginalSpline.from_data(torch.from_numpy(x)[:, None], 4, straight=[0])
        z, slope = spline.inverse(fresh)
        losses.append(float((truth - slope - torch.distributions.Normal(0.0, 1.0).log_prob(z)[:, 0]).mean()))
    assert np.mean(losses) < 2 / 80 + 0.5 / 81 + 5 * np.std(losses) / 40**0.5 and max(losses) < 0.3


@pytest.mark.parametrize("law", ["normal", "exponential", "standard_cauchy", "laplace", "uniform"])
def test_next_to_no_values_of_a_law_without_gaps_are_far(law):
    draw = getattr(np.random.default_rng(0), law)
    found = [far_ends(np.unique(draw(size=800))) for _ in range(100)]
    assert np.count_nonzero(found) <= (0 if law in {"normal", "uniform"} else 12)


def test_values_at_both_ends_are_found_apart():
    values = np.concatenate([[-1e300, -1e5], np.linspace(-1, 1, 80), [40.0, 41.0, 42.0, 1e4, 1e308]])
    assert far_ends(values) == (2, 5)
    assert far_ends(values[:10]) == (0, 0)


def test_far_values_make_none_of_the_others_far():
    """Four beyond a gap three times as wide as the space of the next ten are not, with or without farther ones."""
    values = np.concatenate([np.linspace(0, 1, 51), np.linspace(1.8, 2.2, 4)])
    assert far_ends(values) == (0, 0) and far_ends(np.append(values, [60.0, 61.0, 62.0]), 10.0) == (0, 3)


@pytest.mark.parametrize("far", [7, 9, 10, 12])
def test_far_rows_make_no_heavy_tails(far):
    """Grams among kilograms."""
    random = np.random.default_rng(3)
    weight = random.normal(70, 10, 800)
    weight[:far] *= 1000
    frame = pf.tables.to_table(np.column_stack([weight, random.normal(size=800)]), ["weight", "b"])
    model = pf.fit_table(frame, max_steps=5, progress=False).model
    assert model.schema["weight"].describe() == "continuous"
    fresh = random.normal(size=(2000, 2))
    found = model.log_prob(fresh * [10, 1] + [70, 0]) + math.log(10)
    lost = log_normal(fresh) + math.log(1 - far / 800) - found
    assert lost.mean() < 0.1 + 5 * lost.std() / len(lost) ** 0.5


@pytest.mark.parametrize("options", [{"arbitrary_conditions": True}, {"flow": "nice"}], ids=str)
def test_far_rows_in_other_models(options):
    x = table(800, 8, 1e4)
    frame = pf.tables.to_table(x, ["a", "b"])
    model = pf.fit_table(frame, max_steps=10, progress=False, **options).model
    fresh = np.random.default_rng(0).normal(size=(2000, 2))
    lost = log_normal(fresh) + math.log(1 - 8 / 800) - model.log_prob(fresh)
    assert lost.mean() < 0.1 + 5 * lost.std() / len(lost) ** 0.5


def test_knots_are_as_few_as_the_spline_holds():
    x = table(800, 1, 1e6)[:, :1]
    spline = MarginalSpline.from_data(torch.from_numpy(x), knots_for(800))
    assert spline.z_knots.shape[1] == knots_for(800) + 4
    assert bool((spline.z_knots.diff() > 0).all() and (spline.x_knots.diff() > 0).all())
