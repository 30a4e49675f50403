"""The columns pit_NAME of scores: where each target lies in its distribution given the conditions."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from scipy.stats import norm
from typer.testing import CliRunner

import pushforward as pf
from pushforward.bijections.base import Bijection
from pushforward.cli.app import app
from pushforward.distributions import StandardNormal
from pushforward.flow import Flow
from pushforward.table_models.pit import lines_of_pit
from pushforward.tables.columns.kinds import Category

ROWS = 300
FEW = {"max_steps": 5, "progress": False}


class Linear(Bijection):
    """y = offset + slope · c + L z of one condition c: a Gaussian linear model."""

    def __init__(self, offset, slope, triangle):
        super().__init__()
        self.features, self.context_features = len(offset), 1
        for name, value in (("offset", offset), ("slope", slope), ("triangle", triangle)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def forward(self, z, context=None):
        y = self.offset + self.slope * context + z.double() @ self.triangle.t()
        return y, self.triangle.diagonal().log().sum().expand(y.shape[:-1])

    def inverse(self, x, context=None):
        z = torch.linalg.solve_triangular(self.triangle, (x - self.offset - self.slope * context).t(), upper=False).t()
        return z, -self.triangle.diagonal().log().sum().expand(x.shape[:-1])


def linear_model(offset=(1.0,), slope=(2.0,), triangle=((0.5,),), names=("y",), **of_model):
    flow = Flow(Linear(offset, slope, triangle), StandardNormal(len(offset)).double())
    return pf.TableModel(flow, list(names), ["c"], **of_model)


def scored(model, columns, folder, **options):
    pa.parquet.write_table(pa.table(columns), folder / "rows.parquet")
    summary = model.score(folder / "rows.parquet", folder / "scores.parquet", **options)
    return summary, pa.parquet.read_table(folder / "scores.parquet")


def conditions():
    return np.random.default_rng(0).normal(size=ROWS)


def test_of_a_gaussian_linear_model_it_is_the_normal_distribution_function_of_the_residual(tmp_path):
    c = conditions()
    y = 1 + 2 * c + 0.5 * np.random.default_rng(1).normal(size=ROWS)
    summary, found = scored(linear_model(), {"c": c, "y": y}, tmp_path)
    expected = norm.cdf((y - 1 - 2 * c) / 0.5)
    np.testing.assert_allclose(found["pit_y"], expected, atol=1e-12)
    assert found.column_names[-1] == "pit_y"
    one = summary.pit["y"]
    assert (one.rows, one.mean) == (ROWS, pytest.approx(expected.mean()))
    away = np.abs(2 * expected - 1)
    assert one.coverage == {"50": (away <= 0.5).mean(), "90": (away <= 0.9).mean(), "95": (away <= 0.95).mean()}


def test_of_several_targets_it_is_that_of_each_by_itself(tmp_path):
    c, noise = conditions(), np.random.default_rng(1).normal(size=(ROWS, 2))
    triangle = np.array([[0.5, 0.0], [0.8, 0.6]])
    y = np.array([1.0, 0.0]) + c[:, None] * np.array([2.0, -1.0]) + noise @ triangle.T
    model = linear_model((1.0, 0.0), (2.0, -1.0), triangle.tolist(), ("a", "b"))
    _, found = scored(model, {"c": c, "a": y[:, 0], "b": y[:, 1]}, tmp_path)
    # 256 points that fill the square evenly.
    np.testing.assert_allclose(found["pit_a"], norm.cdf((y[:, 0] - 1 - 2 * c) / 0.5), atol=0.01)
    np.testing.assert_allclose(found["pit_b"], norm.cdf(y[:, 1] + c), atol=0.02)


def test_a_value_with_a_probability_counts_half(tmp_path):
    shares = [0.5, 0.3, 0.2]
    schema = {"y": Category(levels=["low", "middle", "high"], frequencies=shares)}
    c = conditions()
    levels = np.random.default_rng(1).integers(0, 3, ROWS)
    model = linear_model((0.1,), (0.7,), ((0.9,),), schema=schema)
    _, found = scored(model, {"c": c, "y": np.array(["low", "middle", "high"])[levels]}, tmp_path)
    edges = norm.ppf(np.cumsum([0, *shares]).clip(0, 1))
    below, above = (norm.cdf((edges[levels + k] - 0.1 - 0.7 * c) / 0.9) for k in (0, 1))
    np.testing.assert_allclose(found["pit_y"], (below + above) / 2, atol=1e-6)


def test_levels_are_within_an_interval_if_their_jump_of_the_distribution_function_meets_it(tmp_path):
    shares, names = [0.5, 0.3, 0.2], ["low", "middle", "high"]
    schema = {"y": Category(levels=names, frequencies=shares)}
    c = conditions()
    levels = np.random.default_rng(1).integers(0, 3, ROWS)
    model = linear_model((0.1,), (0.7,), ((0.9,),), schema=schema)
    # One more row has a level that was never seen, and lies in no interval.
    table = {"c": np.append(c, 0.0), "y": np.append(np.array(names)[levels], "other")}
    summary, _ = scored(model, table, tmp_path)
    edges = norm.ppf(np.cumsum([0, *shares]).clip(0, 1))
    up_to = norm.cdf((edges[1:] - 0.1 - 0.7 * c[:, None]) / 0.9)
    one = summary.pit["y"]
    assert (one.rows, one.unseen) == (ROWS, 1)
    for name, level in (("50", 0.5), ("90", 0.9), ("95", 0.95)):
        # Quantiles are the first levels up to which there is as much probability.
        low, high = ((up_to < end).sum(1) for end in (0.5 - level / 2, 0.5 + level / 2))
        assert one.coverage[name] == ((low <= levels) & (levels <= high)).sum() / (ROWS + 1)
    assert lines_of_pit(summary.pit)[0].endswith("of 50% / 90% / 95% (or more, since values have probabilities)")


def test_of_a_measured_value_its_error_is_part_of_the_distribution(tmp_path):
    c, error = conditions(), np.linspace(0, 0.8, ROWS)
    spread = np.sqrt(0.25 + error**2)
    y = 1 + 2 * c + spread * np.random.default_rng(1).normal(size=ROWS)
    _, found = scored(linear_model(errors={"y": "e"}), {"c": c, "y": y, "e": error}, tmp_path)
    np.testing.assert_allclose(found["pit_y"], norm.cdf((y - 1 - 2 * c) / spread), atol=0.01)


def test_where_there_is_no_value_or_none_that_was_seen_it_is_missing(tmp_path):
    schema = {"y": Category(levels=["a", "b"], frequencies=[0.5, 0.5])}
    model = linear_model(schema=schema)
    summary, found = scored(model, {"c": [0.0, 0.0], "y": ["a", "z"]}, tmp_path)
    assert found["pit_y"].null_count == 1 and found["pit_y"][1].as_py() is None and summary.pit["y"].rows == 1


@pytest.mark.slow
def test_a_model_of_any_columns_given_any_others_has_it_exactly(tmp_path):
    generator = np.random.default_rng(3)
    c = conditions()
    frame = pa.table(
        {
            "c": c,
            "y": 2 * c + 0.5 * generator.normal(size=ROWS),
            "w": pa.array(
                np.where(generator.random(ROWS) < 0.2, np.nan, generator.normal(size=ROWS)), from_pandas=True
            ),
            "wind": np.mod(90 + 40 * generator.normal(size=ROWS), 360.0),
        }
    )
    schema = {"wind": {"kind": "periodic", "period": 360}}
    model = pf.fit_table(frame, given=["c"], schema=schema, **FEW).model
    summary, found = scored(model, frame, tmp_path)
    assert (np.array(found["pit_w"].is_null()) == np.array(frame["w"].is_null())).all()
    assert summary.pit["w"].rows == ROWS - frame["w"].null_count
    # The same distribution function by quadrature of the density of the column alone.
    codes = np.full((3, 4), np.nan)
    codes[:, model.modeled.index("c")] = c[:3]
    at = model.modeled.index("y")
    for row in range(3):
        y = frame["y"][row].as_py()
        grid = torch.linspace(-40.0, y, 20_001, dtype=torch.float64)
        density = model.density.log_prob_on_grid(torch.from_numpy(codes[[row]]), at, grid).exp()[0]
        assert found["pit_y"][row].as_py() == pytest.approx(float(torch.trapezoid(density, grid)), abs=1e-4)
    # Of draws from the model it is uniform, angles included.
    given = model.encode(pa.table({"c": np.resize(c, 2000)}), columns=["c"])
    torch.manual_seed(0)
    drawn = model.decode(model.draw(given=given), columns=model.columns).append_column(
        "c", pa.array(np.resize(c, 2000))
    )
    _, again = scored(model, drawn, tmp_path)
    for name in ("pit_y", "pit_wind"):
        pit = again[name].to_numpy()
        assert abs(pit.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 2000)
        assert abs((np.abs(2 * pit - 1) <= 0.5).mean() - 0.5) < 5 * np.sqrt(0.25 / 2000)


def test_the_command_adds_the_column_and_says_its_coverage(tmp_path):
    c = conditions()
    y = 1 + 2 * c + 0.5 * np.random.default_rng(1).normal(size=ROWS)
    pa.parquet.write_table(pa.table({"c": c, "y": y}), tmp_path / "rows.parquet")
    model = pf.fit_table(pa.table({"c": c, "y": y}), given=["c"], **FEW).model
    model.save(tmp_path / "m.safetensors")
    command = ["score", str(tmp_path / "m.safetensors"), str(tmp_path / "rows.parquet"), "-o", str(tmp_path / "s.csv")]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.stderr
    one = json.loads(result.stdout)["pit"]["y"]
    assert (
        one["rows"] == ROWS
        and abs(one["mean"] - 0.5) < 5 * np.sqrt(1 / 12 / ROWS) + 0.02
        and set(one["coverage"]) == {"50", "90", "95"}
    )
    assert "y: mean PIT" in result.stderr and "central intervals of 50% / 90% / 95%" in result.stderr
    written = pa.csv.read_csv(tmp_path / "s.csv")["pit_y"]
    result = CliRunner().invoke(app, [*command, "--json", "--no-pit"])
    assert "pit" not in json.loads(result.stdout) and "pit_y" not in (tmp_path / "s.csv").read_text()
    # As a function of batches as well.
    frame = pf.scorer(tmp_path / "m.safetensors")(pa.table({"c": c, "y": y}))
    np.testing.assert_allclose(frame["pit_y"], written, rtol=1e-6)


def test_a_model_without_given_columns_has_none(tmp_path):
    rows = np.random.default_rng(0).normal(size=(ROWS, 2))
    model = pf.fit_table(rows, flow="nice", **FEW).model
    summary, found = scored(model, {"0": rows[:, 0], "1": rows[:, 1]}, tmp_path)
    assert not summary.pit and found.column_names == ["0", "1", "log_prob", "p_value", "unseen"]
