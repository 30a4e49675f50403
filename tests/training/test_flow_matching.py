"""Flow matching: the loss of a field in closed form, the pairing of a batch, and the way from a fit to expectations."""

import itertools
import math

import pytest
import torch
from linear_field import LinearField

import pushforward as pf
from pushforward.distributions import BASES
from pushforward.training.flow_matching import FlowMatching, paired

pytest.importorskip("torchdiffeq")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class GaussianField(LinearField):
    """The mean velocity of straight paths from a standard normal to a normal density of this mean and deviation."""

    def __init__(self, mean, deviation, error=0.0):
        def slope(t):
            return (t * deviation**2 - (1 - t)) / ((1 - t).square() + (t * deviation).square())

        super().__init__(slope, lambda t: mean + error - slope(t) * t * mean)

    def forward(self, x, conditions):
        time = conditions[..., :1]
        return x * self.slope(time) + self.shift(time)


def gaussian(mean=1.0, deviation=0.5, error=0.0, **options):
    flow = pf.continuous(features=2, **options).double().eval()
    flow.bijection.network = GaussianField(mean, deviation, error)
    return flow


def test_the_loss_of_the_mean_velocity_is_the_variance_that_is_left():
    deviation, x = 0.5, 1 + 0.5 * normal(20_000, 2)
    time = torch.linspace(0, 1, 2001, dtype=torch.float64)
    left = (
        1
        + deviation**2
        - (time * deviation**2 - (1 - time)).square() / ((1 - time).square() + (time * deviation).square())
    )
    # Times have the density 1 / (1.05 - t), divided by its integral.
    expected = float(torch.trapezoid(left / (1.05 - time), time)) / math.log(1.05 / 0.05)
    losses = FlowMatching(gaussian())(x)
    assert abs(float(losses.mean()) - expected) < 5 * float(losses.std()) / 20_000**0.5
    # It is the least: a field that is wrong by 0.3 everywhere adds the square of that.
    torch.manual_seed(1)
    right = FlowMatching(gaussian())(x)
    torch.manual_seed(1)
    excess = FlowMatching(gaussian(error=0.3))(x) - right
    assert abs(float(excess.mean()) - 0.09) < 5 * float(excess.std()) / 20_000**0.5


def test_weights_multiply_losses():
    objective, x = FlowMatching(gaussian()), normal(10, 2)
    torch.manual_seed(0)
    plain = objective(x)
    torch.manual_seed(0)
    torch.testing.assert_close(objective(x, None, torch.arange(10.0)), plain * torch.arange(10.0))


def test_a_pairing_has_the_least_sum_of_squared_distances():
    z, x = normal(6, 2), normal(6, 2, seed=1)
    least = min((float((z[list(order)] - x).square().sum()), order) for order in itertools.permutations(range(6)))
    assert paired(z, x).tolist() == list(least[1])


def test_paths_of_pairs_are_shorter():
    x = normal(256, 2)
    still = gaussian()
    still.bijection.network.slope = still.bijection.network.shift = torch.zeros_like
    # The loss of a field that stands still is the mean square of the ways.
    loose, tight = (FlowMatching(still, optimal_transport=choice)(x).mean() for choice in (False, True))
    assert float(tight) < 0.2 * float(loose)


def test_rows_are_matched_in_the_units_of_the_field():
    x, context = 100 + 7 * normal(50, 2), 3 * normal(50, 1, seed=1)
    inner = pf.continuous(features=2, context=1, hidden=(8, 8)).double()
    flow = pf.standardized(inner, x, context)
    y, seen, _ = flow.bijection.standardize(x, context)
    torch.manual_seed(3)
    outside = FlowMatching(flow)(x, context)
    torch.manual_seed(3)
    torch.testing.assert_close(outside, FlowMatching(inner)(y, seen))


def test_rows_behind_maps_of_their_columns_are_matched_as_the_points_they_become():
    codes = torch.randint(5, (30, 2)).double()
    density = pf.fit_table(codes, flow="continuous", max_steps=1, progress=False).model.density
    torch.manual_seed(3)
    losses = FlowMatching(density)(codes)
    torch.manual_seed(3)
    points, context = density.noised_points(codes)
    assert context is None and not torch.equal(points, density.noised_points(codes)[0])
    torch.manual_seed(3)
    points, _ = density.noised_points(codes)
    torch.testing.assert_close(losses, FlowMatching(density.flow)(points))


@pytest.mark.parametrize(
    ("flow", "options", "match"),
    [
        (lambda: pf.maf(2), {"objective": "flow_matching"}, "trains flows in continuous time"),
        (lambda: pf.continuous(2), {"objective": "matching"}, "must be one of likelihood, flow_matching"),
        (lambda: pf.continuous(2), {"objective": "optimal_transport", "weights": torch.ones(50)}, "nor weights"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused(flow, options, match):
    with pytest.raises(pf.InputError, match=match):
        pf.fit(flow(), torch.randn(50, 2), max_steps=1, **options)


def test_pairs_are_not_made_across_contexts():
    with pytest.raises(pf.InputError, match="takes neither a context"):
        pf.fit(pf.continuous(2, context=1), torch.randn(50, 2), torch.randn(50, 1), objective="optimal_transport")


def test_a_run_resumes_with_its_own_objective(tmp_path):
    x, path = torch.randn(60, 2), tmp_path / "run.checkpoint"
    options = {"max_steps": 3, "checkpoint": path, "objective": "flow_matching"}
    flows = [pf.continuous(2, hidden=(8, 8)) for _ in range(2)]
    flows[1].load_state_dict(flows[0].state_dict())
    pf.fit(flows[0], x, **options)
    pf.fit(flows[1], x, **options, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(*(f.state_dict().values() for f in flows), strict=True))
    with pytest.raises(pf.InputError, match="objective"):
        pf.fit(flows[1], x, **(options | {"objective": "optimal_transport"}), resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["flow_matching", "optimal_transport", "likelihood"])
def test_every_objective_finds_the_density(objective):
    torch.manual_seed(0)
    truth = torch.distributions.MultivariateNormal(torch.tensor([3.0, -1.0]), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    x = truth.sample((2000,))
    flow = pf.standardized(pf.continuous(2, hidden=(32, 32), steps=8), x)
    # Steps through the equation are slow and learn more, and so are large batches to pair.
    options = {"max_steps": 100 if objective == "likelihood" else 400, "batch_size": 128}
    history = pf.fit(flow, x, objective=objective, learning_rate=5e-3, average_decay=0.95, **options)
    new = truth.sample((1000,))
    difference = truth.log_prob(new) - pf.evaluate(flow, new)
    assert float(difference.mean()) < 0.1 + 5 * float(difference.std()) / 1000**0.5
    # The held-out value is a log-likelihood whatever is minimized.
    assert abs(history.best_held_out - float(truth.log_prob(new).mean())) < 0.5


@pytest.mark.slow
def test_a_context_moves_the_density():
    torch.manual_seed(0)
    context = torch.randn(2000, 1)
    x = 2 * context + 0.3 * torch.randn(2000, 1)
    flow = pf.standardized(pf.continuous(1, context=1, hidden=(32, 32), steps=8), x, context)
    pf.fit(flow, x, context, objective="flow_matching", max_steps=400, learning_rate=5e-3, average_decay=0.98)
    for given in (-1.0, 1.0):
        draws = flow.sample((1000,), torch.tensor([given]))
        assert abs(float(draws.mean()) - 2 * given) < 0.15 and abs(float(draws.std()) - 0.3) < 0.15


@pytest.mark.filterwarnings("ignore::pushforward.errors.AccuracyWarning")
def test_a_student_of_a_continuous_teacher_gives_its_expectations():
    teacher = gaussian(steps=8)
    student = pf.iaf(2, layers=1, hidden=(), order="same").double()
    report = pf.distill(
        teacher,
        student,
        max_steps=200,
        batch_size=128,
        learning_rate=5e-2,
        average_decay=None,
        draws=1000,
        timing_rows=10,
    )
    assert report.kl < 0.02 + 5 * report.kl_error and report.speed.teacher_seconds > 0
    mean, error = pf.reweight(teacher, student, 4000).expectation(lambda x: torch.stack([x, x.square()], 1))
    expected = torch.tensor([[1.0, 1.0], [1.25, 1.25]], dtype=torch.float64)
    # Eight steps solve the equation to 1e-3.
    assert bool(((mean - expected).abs() < 5 * error + 2e-3).all())


@pytest.mark.parametrize("objective", ["flow_matching", "optimal_transport"])
@pytest.mark.parametrize("base", BASES)
def test_flow_matching_takes_bases_of_densities_everywhere(objective, base):
    flow, x = pf.continuous(features=2, hidden=(8,), base=base, steps=16), normal(60, 2).float()
    # Where there is no density far out, rows may lie there.
    bounded = not bool(flow.base.log_prob(torch.full((1, 2), 1e3)).isfinite())
    assert flow.base.bounded == bounded
    if bounded:
        with pytest.raises(pf.InputError, match=r"needs a base with a density everywhere.* support of Uniform"):
            pf.fit(flow, x, objective=objective, max_steps=2, progress=False)
    else:
        history = pf.fit(flow, x, objective=objective, max_steps=2, progress=False)
        assert math.isfinite(history.best_held_out)
