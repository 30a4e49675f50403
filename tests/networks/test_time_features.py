"""Times near the data: how they are spread, and what a network sees of them."""

import math

import torch

from pushforward.networks.time_features import TIME_FEATURES, from_logarithmic, logarithmic, time_features


def test_the_distance_to_the_data_decreases_by_equal_factors():
    s = torch.linspace(0, 1, 11, dtype=torch.float64)
    time = from_logarithmic(s)
    torch.testing.assert_close(time[[0, -1]], torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-15, rtol=0)
    distance = 1.05 - time
    torch.testing.assert_close(distance[1:] / distance[:-1], torch.full((10,), 21**-0.1, dtype=torch.float64))
    torch.testing.assert_close(logarithmic(time), s)


def test_drawn_times_have_the_density_of_one_over_the_distance():
    time = from_logarithmic(torch.rand(20_000, dtype=torch.float64))
    below = torch.tensor([0.25, 0.5, 0.75, 0.9, 0.98], dtype=torch.float64)
    expected = (1.05 / (1.05 - below)).log() / math.log(21)
    found = (time[:, None] <= below).double().mean(0)
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_features_are_in_the_precision_and_the_batch_of_times():
    for shape in ((), (3,), (2, 3)):
        features = time_features(torch.rand(shape, dtype=torch.float64))
        assert features.shape == (*shape, TIME_FEATURES) and features.dtype == torch.float64
        assert (features.abs() <= 1).all()


def test_features_end_at_the_ends_of_the_way():
    start, end = time_features(torch.tensor([0.0, 1.0], dtype=torch.float64))
    zeros = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(start, torch.cat([torch.zeros(5).double(), torch.ones(3).double()]))
    torch.testing.assert_close(end[:5], torch.cat([torch.ones(2).double(), zeros]), atol=1e-14, rtol=0)
    torch.testing.assert_close(end[5:], torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))
