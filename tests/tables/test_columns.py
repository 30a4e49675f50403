"""Columns as bijections: support, round trips, and probabilities against closed forms and quadrature."""

import numpy as np
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.bijections import MarginalSpline
from pushforward.table_models.dequantized import DequantizedDensity
from pushforward.tables import infer_schema
from pushforward.tables.columns.columns import Columns
from pushforward.tables.frames import table_from_frame
from pushforward.tables.schema.serialization import parse_schema

ROWS = 5000
GENERATOR = np.random.default_rng(0)
TABLE = {
    "plain": GENERATOR.normal(size=ROWS),
    "positive": GENERATOR.exponential(size=ROWS),
    "heavy positive": GENERATOR.pareto(1.0, size=ROWS) + 1e-3 * GENERATOR.random(ROWS),
    "heavy": GENERATOR.standard_cauchy(ROWS),
    "bounded": GENERATOR.beta(0.7, 1.5, size=ROWS),
    "few": GENERATOR.integers(-1, 6, ROWS),
    "tens": GENERATOR.integers(0, 9, ROWS) * 10,
    "count": GENERATOR.poisson(300, ROWS),
    "wide": np.round(GENERATOR.normal(size=ROWS) * 1e4),
    "sex": GENERATOR.choice(["f", "m", "x"], ROWS, p=[0.6, 0.3, 0.1]),
    "flag": GENERATOR.random(ROWS) < 0.3,
    "zeros": np.where(GENERATOR.random(ROWS) < 0.4, 0.0, GENERATOR.exponential(size=ROWS)),
    "middle": np.where(GENERATOR.random(ROWS) < 0.4, 0.5, GENERATOR.normal(size=ROWS)),
    "phase": GENERATOR.random(ROWS) ** 2 * 360,
    "hour": GENERATOR.integers(0, 24, ROWS),
    "day": (np.datetime64("2020-01-01") + GENERATOR.integers(0, 900, ROWS)).astype("datetime64[D]"),
}
KINDS = {
    "plain": "continuous", "positive": "positive", "heavy positive": "positive", "heavy": "continuous",
    "bounded": "bounded", "few": "integer", "tens": "integer", "count": "integer", "wide": "integer",
    "sex": "category", "flag": "category", "zeros": "mixed", "middle": "mixed", "phase": "periodic",
    "hour": "periodic", "day": "date-time",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema():
    import pyarrow as pa

    return infer_schema(pa.table(TABLE), source="t")


@pytest.fixture(scope="module")
def codes(schema):
    import pyarrow as pa

    from pushforward.tables import encode

    return torch.from_numpy(encode(pa.table(TABLE), schema, list(TABLE), source="t"))


def in_support(name, x):
    """Of codes, as numpy."""
    inside = {
        "positive": lambda: x > 0,
        "heavy positive": lambda: x > 0,
        "bounded": lambda: (x >= 0) & (x <= 1),
        "few": lambda: np.isin(x, np.arange(-1, 6)),
        "tens": lambda: np.isin(x, np.arange(0, 90, 10)),
        "count": lambda: (x >= 0) & (x == np.floor(x)),
        "wide": lambda: x == np.floor(x),
        "sex": lambda: np.isin(x, [0, 1, 2]),
        "flag": lambda: np.isin(x, [0, 1]),
        "zeros": lambda: x >= 0,
        "phase": lambda: (x >= 0) & (x < 360),
        "hour": lambda: np.isin(x, np.arange(24)),
        "day": lambda: x == np.floor(x),
    }
    return inside.get(name, lambda: np.isfinite(x))()


def test_kinds_are_learned(schema):
    assert {name: column.kind for name, column in schema.items()} == KINDS
    assert schema["heavy"].tail is not None and schema["plain"].tail is None and schema["heavy positive"].log
    assert not schema["positive"].log and schema["tens"].step == 10 and schema["hour"].step == 1


def test_codes_come_back(schema, codes):
    columns = Columns(schema, list(TABLE))
    noise = torch.rand(codes.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for v in (noise, torch.zeros(len(TABLE)), torch.ones(len(TABLE))):
        y, log_term = columns.encode(codes, v)
        assert bool(y.isfinite().all() and log_term.isfinite().all())
        torch.testing.assert_close(columns.decode(y), codes, rtol=1e-9, atol=1e-9)
    exact = [place for place, name in enumerate(TABLE) if KINDS[name] in ("integer", "category", "date-time")]
    assert torch.equal(columns.decode(columns.encode(codes, noise)[0])[:, exact], codes[:, exact])


def test_missing_values_stay_missing_and_cost_nothing(schema, codes):
    columns = Columns(schema, list(TABLE))
    gaps = codes.clone()
    gaps[::2] = torch.nan
    y, log_term = columns.encode(gaps, torch.full((len(TABLE),), 0.5))
    assert bool(y[::2].isnan().all()) and bool((log_term[::2] == 0).all()) and bool(y[1::2].isfinite().all())
    assert bool(columns.decode(y)[::2].isnan().all())


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_draws_lie_in_their_support(schema, codes, count):
    # Draws of a flow with tails far too wide, through the splines and the maps, in float32 as the flows have it.
    columns = Columns(schema, list(TABLE))
    y = columns.encode(codes, torch.rand(codes.shape, dtype=torch.float64))[0]
    spline = MarginalSpline.from_data(y, low=columns.low, high=columns.high, normal=columns.normal)
    for part in range(count // 50_000):
        generator = torch.Generator().manual_seed(part)
        z = (
            torch.randn(50_000, len(TABLE), generator=generator)
            * torch.tensor([0.5, 1, 2, 10])[torch.arange(50_000) % 4, None]
        )
        z[:40] = torch.tensor([0.0, 5, -5, 8, -8, 40, -40, 1e3, -1e3, 1e6])[torch.arange(40) % 10, None]
        drawn = columns.decode(spline(z.double())[0]).numpy()
        for place, name in enumerate(TABLE):
            outside = ~in_support(name, drawn[:, place])
            assert not outside.any(), (name, z[outside, place], drawn[outside, place])


class Tilted(torch.nn.Module):
    """An independent normal with other moments than the standard one, in place of a flow."""

    context_features = 0

    def __init__(self, mean=0.3, deviation=1.4):
        super().__init__()
        self.normal = torch.distributions.Normal(mean, deviation)

    def log_prob(self, y, context=None):
        return self.normal.log_prob(y).sum(-1)


@pytest.mark.parametrize("name", ["few", "tens", "sex", "flag"])
def test_probabilities_are_those_of_the_intervals_and_sum_to_one(schema, name):
    column = schema[name]
    values = torch.arange(len(column.frequencies), dtype=torch.float64)
    if name in ("few", "tens"):
        values = values * column.step + column.low
    columns = Columns(schema, [name])
    # Of the standard normal, the frequencies, whatever the noise: the bound is exact for a column on its own.
    for noise in torch.rand(3, 1, dtype=torch.float64):
        y, log_term = columns.encode(values[:, None], noise)
        exact = (torch.distributions.Normal(0.0, 1.0).log_prob(y) + log_term)[:, 0].exp()
        np.testing.assert_allclose(exact, column.frequencies, rtol=1e-6)
    assert sum(column.frequencies) == pytest.approx(1)
    # Of another density, its mass between the quantiles of the cumulative frequencies.
    found = DequantizedDensity(columns, Tilted(), points=1024).eval().log_prob(values[:, None]).exp().numpy()
    edges = stats.norm.ppf(np.clip(np.concatenate([[0], np.cumsum(column.frequencies)]), 0, 1))
    truth = np.diff(stats.norm(0.3, 1.4).cdf(edges))
    np.testing.assert_allclose(found, truth, rtol=0.02)
    assert found.sum() == pytest.approx(1, abs=0.01)


def test_a_joint_table_of_two_discrete_columns_sums_to_one(schema):
    # A correlated normal: the points must fill the square, not its sides alone.
    class Correlated(torch.nn.Module):
        context_features = 0

        def log_prob(self, y, context=None):
            covariance = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
            return torch.distributions.MultivariateNormal(torch.zeros(2).double(), covariance).log_prob(y)

    density = DequantizedDensity(Columns(schema, ["few", "sex"]), Correlated(), points=1024).eval()
    grid = torch.cartesian_prod(torch.arange(-1.0, 6.0), torch.arange(3.0)).double()
    probability = density.log_prob(grid).exp().reshape(7, 3)
    assert float(probability.sum()) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(probability.sum(1), schema["few"].frequencies, rtol=0.03)


@pytest.mark.slow
def test_sixteen_points_are_near_the_limit_and_training_is_a_lower_bound(schema):
    columns = Columns(schema, ["few"])
    values = torch.arange(-1.0, 6.0).double()[:, None]
    many = DequantizedDensity(columns, Tilted(), points=1024).eval().log_prob(values)
    few = DequantizedDensity(columns, Tilted()).eval().log_prob(values)
    assert float((many - few)[1:-1].abs().max()) < 0.01 and float((many - few).abs().max()) < 0.1
    training = DequantizedDensity(columns, Tilted()).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bounds = torch.stack([training.log_prob(values) for _ in range(1000)])
    assert not torch.equal(bounds[0], bounds[1])  # fresh noise
    # Their mean is below, that of the probabilities themselves is right: five standard errors of 1000 draws, and a
    # hundredth for the sequence of points.
    probability, truth = bounds.exp(), many.exp()
    assert bool((bounds.mean(0) <= many + 5 * bounds.std(0) / 1000**0.5 + 0.01).all())
    assert bool(((probability.mean(0) - truth).abs() < 5 * probability.std(0) / 1000**0.5 + 0.01 * truth).all())


def density_in_units(schema, name, x):
    """The density of one column under the standard normal of the line of y, or of the splines' y where that is not."""
    columns = Columns(schema, [name])
    density = DequantizedDensity(columns, Tilted()).eval()
    return density.log_prob(torch.as_tensor(x, dtype=torch.float64)[:, None]).exp().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zeros", "middle"])
def test_atoms_and_the_rest_sum_to_one(schema, name):
    column = schema[name]
    atom = column.atoms[0]
    columns = Columns(schema, [name])
    density = DequantizedDensity(columns, Tilted(), points=1024).eval()
    mass = float(density.log_prob(torch.tensor([[atom]]).double()).exp())
    # The density of the rest, without the atom itself; even steps in log x where it rises toward a bound.
    x = np.exp(np.linspace(-30, 5, 50_001)) if name == "zeros" else np.linspace(-40, 40, 50_000)
    density = (
        DequantizedDensity(columns, Tilted(), points=1).eval().log_prob(torch.from_numpy(x)[:, None]).exp().numpy()
    )
    assert mass + np.trapezoid(density, x) == pytest.approx(1, abs=0.01)
    assert mass > 0.1


@pytest.mark.parametrize("name", ["phase", "heavy", "heavy positive"])
def test_densities_integrate_to_one_in_the_units_of_the_column(schema, name):
    if name == "phase":
        x = np.linspace(0, 360, 200_001)
        assert np.trapezoid(density_in_units(schema, name, x), x) == pytest.approx(1, abs=5e-3)
        return
    # On a grid that is even in the arcsinh of x, since the tails are long.
    t = np.linspace(np.log(1e-20), np.log(1e30), 400_001) if name == "heavy positive" else np.linspace(-60, 60, 400_001)
    x, slope = (np.exp(t), np.exp(t)) if name == "heavy positive" else (np.sinh(t), np.cosh(t))
    assert np.trapezoid(density_in_units(schema, name, x) * slope, t) == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize(("name", "low", "high"), [("positive", 0, np.inf), ("bounded", 0, 1), ("below", -np.inf, 0)])
def test_a_spline_with_bounds_is_a_density_within_them(name, low, high):
    x = -TABLE["positive"] if name == "below" else TABLE[name]
    spline = MarginalSpline.from_data(torch.from_numpy(x)[:, None], low=[low], high=[high])
    z = torch.linspace(-8, 8, 10_001, dtype=torch.float64)[:, None].requires_grad_()
    value, log_det = spline(z)
    assert bool(((value >= low) & (value <= high)).all()) and bool((value.diff(dim=0) >= 0).all())
    (slope,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(log_det, slope[:, 0].log(), rtol=1e-8, atol=1e-8)
    # Near an upper bound of 1 float64 has no digits for smaller distances.
    inside = z.detach()[(z.detach().abs() < (4 if name == "bounded" else 5))[:, 0]]
    back, negative = spline.inverse(spline(inside)[0])
    torch.testing.assert_close(back, inside, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(negative, -spline(inside)[1], rtol=1e-4, atol=1e-4)
    flow = pf.Flow(spline, pf.distributions.StandardNormal(1).double())
    # The mass between two points is that of the normal distribution; steps are even in the log of the distance.
    near, far = np.exp(np.linspace(np.log(1e-12), np.log(0.5), 100_001)), np.linspace(0.5, 15, 100_001)
    grids = {"positive": [near, far], "below": [-far[::-1], -near[::-1]], "bounded": [near, 1 - near[::-1]]}
    grid = torch.from_numpy(np.unique(np.concatenate(grids[name])))
    ends = spline.inverse(grid[[0, -1], None])[0][:, 0].numpy()
    mass = torch.trapezoid(flow.log_prob(grid[:, None]).exp(), grid)
    assert float(mass) == pytest.approx(np.diff(stats.norm.cdf(ends))[0], abs=2e-3) and float(mass) > 0.99
    assert bool(flow.log_prob(torch.tensor([[low if np.isfinite(low) else high]]).double()).isfinite().all())


def test_light_tails_are_left_alone_and_heavy_ones_gain():
    # Student's t with 1 and 2 degrees of freedom are heavy; the normal, the exponential and the uniform never.
    for seed in range(20):
        generator = np.random.default_rng(seed)
        table = {"normal": generator.normal(size=3000), "skew": -generator.exponential(size=3000) + 1,
                 "heavy": generator.standard_t(1, size=3000)}  # fmt: skip
        learned = infer_schema(table_from_frame(np.column_stack(list(table.values()))), source="t")
        assert learned["0"].tail is None and learned["1"].tail is None
        assert learned["2"].tail is not None
    generator = np.random.default_rng(0)
    train, test = generator.standard_t(1.5, size=(2, 20_000))
    learned = infer_schema(table_from_frame(train[:, None]), source="t")
    columns = Columns(learned, ["0"])
    y, _ = columns.encode(torch.from_numpy(train)[:, None], torch.zeros(1))
    with_layer, log_term = columns.encode(torch.from_numpy(test)[:, None], torch.zeros(1))
    base = pf.distributions.StandardNormal(1).double()
    heavy = pf.Flow(MarginalSpline.from_data(y), base).log_prob(with_layer) + log_term[:, 0]
    plain = pf.Flow(MarginalSpline.from_data(torch.from_numpy(train)[:, None]), base).log_prob(
        torch.from_numpy(test)[:, None]
    )
    truth = stats.t(1.5).logpdf(test)
    assert truth.mean() - float(heavy.mean()) < 0.02
    # Many knots come near it, but not nearer than chance.
    error = float((heavy - plain).std()) / len(test) ** 0.5
    assert float(heavy.mean()) >= float(plain.mean()) - 5 * error


def test_a_value_that_a_discrete_column_cannot_have_is_refused(schema):
    with pytest.raises(pf.InputError, match="not one of those"):
        Columns(schema, ["few", "sex"]).encode(torch.tensor([[9.0, 0.0]]).double(), torch.zeros(2))


def test_angles_wrap():
    table = table_from_frame(np.array([[-30.0], [330.0], [690.0], [45.0]] * 60))
    schema = infer_schema(table, parse_schema({"0": {"kind": "periodic", "period": 360}}), source="t")
    from pushforward.tables import encode

    found = encode(table, schema, ["0"], source="t")[:4, 0]
    np.testing.assert_allclose(found, [330, 330, 330, 45])
