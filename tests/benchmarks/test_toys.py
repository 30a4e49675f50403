"""The entropies of the two-dimensional sets, from densities that are written here anew from the sets' definitions."""

import numpy as np
import pytest
import toys
from scipy.integrate import quad
from scipy.special import i0e, ndtr, xlogy
from scipy.stats import chisquare
from significance import FIVE_SIGMA

DRAWS = 5_000


def centers(radius, count):
    angle = 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], -1)


def in_blocks(density):
    """Evaluate a few hundred points at a time: the arrays have one more dimension along the curve."""
    return lambda x: np.concatenate([density(block) for block in np.array_split(x, max(1, len(x) // 500))])


def blurred(curve, deviation):
    """Density of equally likely points of a curve plus Gaussian noise."""

    def density(x):
        square = ((x[:, None] - curve) ** 2).sum(-1)
        return np.exp(-0.5 * square / deviation**2).mean(1) / (2 * np.pi * deviation**2)

    return in_blocks(density)


def midpoints(count):
    return (np.arange(count) + 0.5) / count


def moons_curve():
    t = np.pi * midpoints(200)
    upper = np.stack([np.cos(t), np.sin(t)], -1)
    lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], -1)
    return 2 * np.concatenate([upper, lower]) + [-1, -0.2]


def swiss_roll_curve():
    t = 1.5 * np.pi * (1 + 2 * midpoints(500))
    return np.stack([t * np.cos(t), t * np.sin(t)], -1) / 5


def two_spirals(x):
    """The density of uniform plus Gaussian noise is a difference of two normal distribution functions."""
    t = 3 * np.pi * np.sqrt(midpoints(500))
    arm, width, deviation = np.stack([-t * np.cos(t), t * np.sin(t)], -1) / 3, 0.5 / 3, 0.1
    total = np.zeros(len(x))
    for sign in (-1, 1):
        off = (sign * x[:, None] - arm) / deviation
        total += ((ndtr(off) - ndtr(off - width / deviation)) / width).prod(-1).mean(1) / 2
    return total


def ring(radius, radii, deviation):
    """Density of blurred circles at a distance from the center."""
    parts = [
        np.exp(-0.5 * ((radius - r) / deviation) ** 2) * i0e(radius * r / deviation**2) / (2 * np.pi * deviation**2)
        for r in radii
    ]
    return np.mean(parts, axis=0)


def pinwheel(x):
    """Sum over the arms of the Gaussian before the turn, over the change of volume."""
    x = x / 2
    density = np.zeros(len(x))
    grid = np.linspace(-0.8, 3.0, 2001)
    for arm in range(5):
        # The radial coordinate r solves r = first coordinate of x turned by the angle that goes with r.
        angle = 2 * np.pi * arm / 5 + 0.25 * np.exp(grid)
        across = np.sin(angle) * x[:, :1] + np.cos(angle) * x[:, 1:]
        gap = np.cos(angle) * x[:, :1] - np.sin(angle) * x[:, 1:] - grid
        which, at = np.nonzero((gap[:, :-1] > 0) != (gap[:, 1:] > 0))
        share = gap[which, at] / (gap[which, at] - gap[which, at + 1])
        radial = grid[at] + share * (grid[1] - grid[0])
        tangential = across[which, at] + share * (across[which, at + 1] - across[which, at])
        volume = np.abs(1 + tangential * 0.25 * np.exp(radial))
        gaussian = np.exp(-0.5 * (((radial - 1) / 0.3) ** 2 + (tangential / 0.1) ** 2)) / (2 * np.pi * 0.03)
        np.add.at(density, which, gaussian / volume / 5)
    # The plane was stretched by two in both directions.
    return density / 4


RINGS = {"circles": ([1.5, 3.0], 0.24), "rings": ([0.75, 1.5, 2.25, 3.0], 0.08)}
ON_THE_PLANE = {
    "8gaussians": blurred(centers(4 / 1.414, 8), 0.5 / 1.414),
    "2spirals": in_blocks(two_spirals),
    "moons": blurred(moons_curve(), 0.2),
    "swissroll": blurred(swiss_roll_curve(), 0.2),
}
DENSITIES = {
    **ON_THE_PLANE,
    "circles": lambda x: ring(np.hypot(*x.T), *RINGS["circles"]),
    "rings": lambda x: ring(np.hypot(*x.T), *RINGS["rings"]),
    "pinwheel": in_blocks(pinwheel),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_draws_follow_the_density(name):
    surprise = -np.log(DENSITIES[name](toys.draw(name, DRAWS, seed=1).astype(np.float64)))
    assert abs(surprise.mean() - toys.TOYS[name].entropy) < 5 * surprise.std() / np.sqrt(DRAWS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_THE_PLANE)
def test_entropy_by_quadrature_over_the_plane(name):
    axis = 5.5 * (2 * midpoints(110) - 1)
    density = DENSITIES[name](np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    cell = (axis[1] - axis[0]) ** 2
    assert density.sum() * cell == pytest.approx(1, abs=1e-5)
    assert -xlogy(density, density).sum() * cell == pytest.approx(toys.TOYS[name].entropy, abs=1e-4)


@pytest.mark.parametrize("name", RINGS)
def test_entropy_by_quadrature_over_the_radius(name):
    def surprise(radius):
        density = ring(radius, *RINGS[name])
        return -2 * np.pi * radius * xlogy(density, density)

    assert quad(surprise, 0, 5, points=RINGS[name][0], limit=200)[0] == pytest.approx(toys.TOYS[name].entropy, abs=1e-4)


def test_entropy_of_the_pinwheel_by_quadrature_before_the_turn():
    """All arms are alike, so that the mean of -log density over one of them is the entropy."""
    radial, tangential = np.meshgrid(*[5 * (2 * midpoints(50) - 1)] * 2)
    weight = np.exp(-0.5 * (radial**2 + tangential**2)).ravel()
    radial, tangential = 1 + 0.3 * radial.ravel(), 0.1 * tangential.ravel()
    angle = 0.25 * np.exp(radial)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = 2 * np.stack([radial * cosine + tangential * sine, tangential * cosine - radial * sine], -1)
    surprise = -np.log(DENSITIES["pinwheel"](x))
    assert (weight * surprise).sum() / weight.sum() == pytest.approx(toys.TOYS["pinwheel"].entropy, abs=2e-4)


def test_checkerboard_is_even_on_half_of_the_squares():
    x = toys.draw("checkerboard", DRAWS, seed=1)
    column, row = np.floor((x + 4) / 2).astype(int).T
    assert ((column + row) % 2 == 0).all()
    counts = np.unique(4 * column + row, return_counts=True)[1]
    assert len(counts) == 8 and chisquare(counts).pvalue > FIVE_SIGMA
    inside = (x + 4) / 2 % 1
    np.testing.assert_allclose(inside.mean(0), 1 / 2, atol=5 * np.sqrt(1 / 12 / DRAWS))
    np.testing.assert_allclose(inside.var(0), 1 / 12, atol=5 * np.sqrt(1 / 180 / DRAWS))
    # Eight squares of area 4.
    assert toys.TOYS["checkerboard"].entropy == pytest.approx(np.log(8 * 4))


def test_draws_repeat_with_their_seed():
    for name in toys.TOYS:
        first, again, other = (toys.draw(name, 10, seed) for seed in (0, 0, 1))
        assert first.shape == (10, 2) and first.dtype == np.float32
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
