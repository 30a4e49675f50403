"""Tables at the edge of what a fit can take, through the command line."""

import numpy as np
import pytest
from known import make_rows, write
from small_fits import default_steps

from pushforward.networks import MLP


def scored(run, table):
    """The log-densities of the rows of a table under m.safetensors."""
    result = run("score", "m.safetensors", table, "-o", "s.csv")
    assert result.status == 0, result.err
    return np.genfromtxt("s.csv", delimiter=",", names=True)["log_prob"]


@pytest.mark.parametrize("flow", ["default", "nice"])
@pytest.mark.slow
def test_an_outlier_of_1e12_does_not_spoil_the_rest(run, tmp_path, monkeypatch, flow):
    default_steps(monkeypatch, 300 if flow == "default" else 60)
    clean = make_rows(1000)
    spoiled = clean.copy()
    spoiled[[3, 500], [0, 2]] = [1e12, -1e12]
    scores = []
    for matrix in (clean, spoiled):
        write(tmp_path / "t.csv", matrix)
        result = run("fit", "t.csv", "-o", "m.safetensors", *([] if flow == "default" else ["--flow", flow]))
        assert result.status == 0, result.err
        write(tmp_path / "new.csv", make_rows(1000, seed=1))
        scores.append(scored(run, "new.csv"))
    # The outermost five rows of a column lie in one piece of its spline with the outlier, and lose. Fits to the clean
    # rows differ by some hundredths; in units that the outlier stretched all rows would lose tens of nats.
    assert np.median(scores[1]) > np.median(scores[0]) - 0.3
    assert scores[1].mean() > scores[0].mean() - 1
    assert np.isfinite(scored(run, "t.csv")).all()


@pytest.mark.slow
def test_columns_of_any_scale_have_the_same_density_in_their_units(run, tmp_path, many_steps):
    # Powers of two round nothing, so that both fits take the same steps.
    scales = np.array([2.0**-30, 1.0, 2.0**30])
    means, draws = [], []
    for scale in (np.ones(3), scales):
        write(tmp_path / "t.csv", make_rows(1000) * scale)
        result = run("fit", "t.csv", "-o", "m.safetensors")
        assert result.status == 0, result.err
        means.append(scored(run, "t.csv").mean() + np.log(scale).sum())
        drawn = run("sample", "m.safetensors", "-n", 1000, "-o", "d.csv", "--seed", 0)
        assert drawn.status == 0
        draws.append(np.genfromtxt("d.csv", delimiter=",", skip_header=1) / scale)
    assert means[1] == pytest.approx(means[0], abs=1e-3)
    np.testing.assert_allclose(draws[1], draws[0], rtol=1e-3)


@pytest.mark.slow
def test_one_column(run, tmp_path, many_steps):
    generator = np.random.default_rng(0)
    two = np.concatenate([generator.normal(-3, 0.5, 500), generator.normal(3, 0.5, 500)])[:, None]
    write(tmp_path / "t.csv", two, ["x"])
    assert run("fit", "t.csv", "-o", "m.safetensors").status == 0
    # The entropy of two normals far apart: five standard errors of a mean of 1000, and 0.1 for the fit.
    truth = -np.log(2) - 0.5 * (1 + np.log(2 * np.pi)) - np.log(0.5)
    assert scored(run, "t.csv").mean() == pytest.approx(truth, abs=5 * np.sqrt(0.5 / 1000) + 0.1)


def test_two_rows_are_too_few_and_it_says_why(run, tmp_path):
    write(tmp_path / "t.csv", make_rows(2))
    result = run("fit", "t.csv", "-o", "m.safetensors")
    assert result.status == 2 and result.err == "Error: t.csv has 2 rows, and at least 20 are needed; add rows.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("rows", [60, 700])
@pytest.mark.slow
def test_five_hundred_columns(run, tmp_path, rows):
    # With fewer rows than columns as well: there is then no Gaussian to compare with, but a density.
    matrix = np.random.default_rng(0).normal(size=(rows, 500))
    write(tmp_path / "t.parquet", matrix, [f"x{n}" for n in range(500)])
    result = run("fit", "t.parquet", "-o", "m.safetensors", "--flow", "nice", "--json")
    assert result.status == 0, result.err
    assert (result.json()["gaussian_nats"] is None) == (rows == 60)
    sample = run("sample", "m.safetensors", "-n", 3, "-o", "s.parquet")
    assert sample.status == 0 and "3 rows drawn" in sample.err


@pytest.mark.slow
def test_a_fit_that_meets_nan_names_layer_row_and_column_and_goes_on(run, tmp_path, monkeypatch):
    default_steps(monkeypatch, 200)
    spoil(monkeypatch, failures=1)
    write(tmp_path / "t.csv", with_an_extreme_row())
    with pytest.warns(RuntimeWarning) as warnings:
        result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice")
    assert result.status == 0
    (sentence,) = (str(warning.message) for warning in warnings if "not finite" in str(warning.message))
    for words in ('row 18, column "radius"', ".conditioner'", "halved the learning rate"):
        assert words in sentence
    assert np.isfinite(scored(run, "t.csv")).all()


@pytest.mark.filterwarnings("ignore:Step")
def test_a_fit_that_meets_nan_again_and_again_stops_with_one_sentence(run, tmp_path, monkeypatch):
    default_steps(monkeypatch, 200)
    spoil(monkeypatch, failures=99)
    write(tmp_path / "t.csv", with_an_extreme_row())
    result = run("fit", "t.csv", "-o", "m.safetensors", "--flow", "nice")
    assert result.status == 1 and not (tmp_path / "m.safetensors").exists()
    # Before it stand what the columns are.
    sentence = result.err.splitlines()[-1]
    assert sentence.startswith("Error: Training stopped after 5 such failures.")
    assert 'row 18, column "radius"' in sentence and ".conditioner'" in sentence


def spoil(monkeypatch, failures):
    """Make the networks give NaN for what is far out, in some steps."""
    # Compiled layers do without the networks' own forward.
    monkeypatch.setattr("pushforward.kernels.univariate.native", None)
    forward = MLP.forward
    left = [failures]

    def spoiled(self, x, *arguments):
        parameters = forward(self, x, *arguments)
        extreme = (x.detach().abs() > 2.4).any(-1)
        if parameters.requires_grad and left[0] and bool(extreme.any()):
            left[0] -= 1
            self.spoil = True
        # Once more when the batch is looked at again.
        if getattr(self, "spoil", False) and bool(extreme.any()):
            self.spoil = parameters.requires_grad
            parameters = parameters.masked_fill(extreme.view(-1, *[1] * (parameters.dim() - 1)), float("nan"))
        return parameters

    monkeypatch.setattr(MLP, "forward", spoiled)


def with_an_extreme_row():
    rows = make_rows(200)
    rows[17] = [1e3, 1e6, 1e3]
    return rows
