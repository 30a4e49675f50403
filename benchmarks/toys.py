"""Eight two-dimensional densities that can be drawn from exactly and whose entropy is known.

A flow's mean negative log-likelihood of fresh draws exceeds the entropy by KL(density || flow), so that it cannot lie
below it by more than the error of the mean. The shapes and scales are those of the FFJORD paper's experiments
(Grathwohl, Chen, Bettencourt, Sutskever and Duvenaud 2019, arXiv:1810.01367).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Toy:
    """A density on the plane.

    Arguments:
        draw: returns draws, float64 of shape (count, 2), from a generator and a count.
        entropy: in nats.
    """

    draw: Callable[[Generator, int], np.ndarray]
    entropy: float


def draw(name: str, count: int, seed: int) -> np.ndarray:
    """Return independent draws, float32 of shape (count, 2); the same for the same seed."""
    return TOYS[name].draw(np.random.default_rng(seed), count).astype(np.float32)


def eight_gaussians(random: Generator, count: int) -> np.ndarray:
    """Gaussians of deviation 0.5 around eight points of the circle of radius 4, all divided by 1.414."""
    angle = random.integers(8, size=count) * (np.pi / 4)
    return (4 * _circle(angle) + 0.5 * random.standard_normal((count, 2))) / 1.414


def checkerboard(random: Generator, count: int) -> np.ndarray:
    """Uniform on the eight squares of side 2 in [-4, 4]² whose column and row number have an even sum."""
    column, half = random.integers(4, size=count), random.integers(2, size=count)
    corner = np.stack([column, 2 * half + column % 2], axis=1)
    return 2 * (corner + random.random((count, 2))) - 4


def two_spirals(random: Generator, count: int) -> np.ndarray:
    """Two arms of one and a half turns, the second opposite to the first, blurred by a square and a Gaussian."""
    angle = 3 * np.pi * np.sqrt(random.random(count))
    arm = angle[:, None] * _circle(angle) * [-1, 1] + 0.5 * random.random((count, 2))
    sign = random.choice([-1.0, 1.0], (count, 1))
    return sign * arm / 3 + 0.1 * random.standard_normal((count, 2))


def moons(random: Generator, count: int) -> np.ndarray:
    """Two interleaved half circles of radius 2, blurred by 0.2."""
    arc = 2 * _circle(np.pi * random.random(count)) + [-1, -0.2]
    # The lower moon is the upper one turned half round about the middle between them.
    arc = np.where(random.random((count, 1)) < 0.5, arc, [0, 0.6] - arc)
    return arc + 0.2 * random.standard_normal((count, 2))


def circles(random: Generator, count: int) -> np.ndarray:
    """Circles of radius 1.5 and 3, equally likely, blurred by 0.24."""
    return _rings(random, count, np.array([1.5, 3.0]), 0.24)


def rings(random: Generator, count: int) -> np.ndarray:
    """Circles of radius 0.75, 1.5, 2.25 and 3, equally likely, blurred by 0.08."""
    return _rings(random, count, np.array([0.75, 1.5, 2.25, 3.0]), 0.08)


def swiss_roll(random: Generator, count: int) -> np.ndarray:
    """A spiral of one and a half turns whose radius is a fifth of its angle, blurred by 0.2."""
    angle = 1.5 * np.pi * (1 + 2 * random.random(count))
    return (angle[:, None] * _circle(angle) + random.standard_normal((count, 2))) / 5


def pinwheel(random: Generator, count: int) -> np.ndarray:
    """Five Gaussians along the radius, turned by an angle that grows with it."""
    radial = 1 + 0.3 * random.standard_normal(count)
    tangential = 0.1 * random.standard_normal(count)
    angle = random.integers(5, size=count) * (2 * np.pi / 5) + 0.25 * np.exp(radial)
    along, across = _circle(-angle), _circle(np.pi / 2 - angle)
    return 2 * (radial[:, None] * along + tangential[:, None] * across)


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _rings(random: Generator, count: int, radii: np.ndarray, blur: float) -> np.ndarray:
    radius = random.choice(radii, (count, 1))
    return radius * _circle(2 * np.pi * random.random(count)) + blur * random.standard_normal((count, 2))


# Entropies by quadrature of the exact densities (tests/test_toys.py), right to the last decimal.
TOYS = {
    "8gaussians": Toy(eight_gaussians, 2.8319),
    "checkerboard": Toy(checkerboard, math.log(32)),
    "2spirals": Toy(two_spirals, 2.6454),
    "moons": Toy(moons, 2.3939),
    "circles": Toy(circles, 3.2681),
    "rings": Toy(rings, 2.6232),
    "swissroll": Toy(swiss_roll, 2.6696),
    "pinwheel": Toy(pinwheel, 2.3178),
}
