"""Where the density of a column is shown: at equal steps, or closer together where most values are."""

import numpy as np

# The normal scores between which points lie, beyond which there are 7 of a million values.
FURTHEST_SCORE = 4.5
# Equal steps show nothing of a part of a column that is so wide in scores, or in probability, and within one of them.
WIDEST_STEP, MOST_IN_STEP = 0.9, 0.1


def points_on_line(spread: np.ndarray) -> np.ndarray:
    """Return equal steps over the range of a column, or the points of its spread where these would be too long.

    Arguments:
        spread: (n,) values at equally spaced normal scores from -4.5 to 4.5.

    Example:
        >>> scores = np.linspace(-FURTHEST_SCORE, FURTHEST_SCORE, 100)
        >>> [float(np.diff(points_on_line(spread)).std().round(3)) for spread in (scores, np.exp(scores))]
        [0.0, 1.7]
    """
    points = np.linspace(spread[0], spread[-1], len(spread))
    scores = np.linspace(-FURTHEST_SCORE, FURTHEST_SCORE, len(spread))
    widest = np.diff(np.interp(points, spread, scores)).max()
    return points if widest <= WIDEST_STEP else np.unique(spread)


def points_on_circle(low: float, period: float, spread: np.ndarray) -> np.ndarray:
    """Return equal steps around a circle, or as many points of which half are those of the spread.

    Arguments:
        low: where the circle begins.
        period: its length.
        spread: (n,) values at equally spaced probabilities.
    """
    points = np.linspace(low, low + period, len(spread), endpoint=False)
    within = np.histogram(spread, points)[0].max() / len(spread)
    return points if within <= MOST_IN_STEP else np.unique([*points[::2], *spread[::2]])
