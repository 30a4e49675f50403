"""Row weights and measurement errors, against closed forms."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import pushforward as pf
from pushforward.table_models.deconvolved import DeconvolvedDensity
from pushforward.training.splitting import split_rows


def test_the_split_is_one_of_weight():
    weights = torch.rand(5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).pow(4)
    weights[::7] = 0
    training, held_out = split_rows(5000, 0.1, 3, weights)
    assert float(weights[held_out].sum() / weights.sum()) == pytest.approx(0.1, abs=0.002)
    both = torch.cat([training, held_out]).sort().values
    assert torch.equal(both, weights.nonzero()[:, 0])


def test_whole_weights_are_repeated_rows():
    # The loss and the held-out value of weighted rows are those of rows that stand as often as their weight says.
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    weights = torch.randint(0, 4, (300,), generator=torch.Generator().manual_seed(1))
    repeated = x.repeat_interleave(weights, 0)
    histories = [
        pf.fit(pf.nice(2), rows, weights=w, validation=rows, validation_weights=w, max_steps=1, batch_size=10_000,
               learning_rate=1e-9, progress=False, seed=0)
        for rows, w in ((x, weights), (repeated, None))
    ]  # fmt: skip
    weighted, plain = histories
    # The flows start at different weights, so each is compared with its own density.
    for history, rows, w in zip(histories, (x, repeated), (weights, None), strict=True):
        assert np.isfinite(history.held_out[0]) and np.isfinite(history.train[0]), (rows.shape, w is None)
    flow = pf.standardized(pf.nice(2), repeated)
    values = [
        pf.fit(flow, rows, weights=w, validation=rows, validation_weights=w, max_steps=1, batch_size=10_000,
               learning_rate=1e-12, average_decay=None, progress=False)
        for rows, w in ((x, weights), (repeated, None))
    ]  # fmt: skip
    assert values[0].held_out[0] == pytest.approx(values[1].held_out[0], abs=1e-5)
    assert values[0].train[0] == pytest.approx(values[1].train[0], abs=1e-5)
    assert weighted.rows == (int((weights > 0).sum()),) * 2 and plain.rows == (len(repeated),) * 2


@pytest.mark.slow
def test_a_weighted_fit_learns_the_weighted_density():
    # Rows of N(0, 4) with weights that make them N(1, 1).
    generator = np.random.default_rng(0)
    x = generator.normal(0, 2, size=6000)
    weight = stats.norm(1, 1).pdf(x) / stats.norm(0, 2).pdf(x)
    frame = pd.DataFrame({"x": x, "w": weight})
    result = pf.fit_table(frame, weight="w", max_steps=100, progress=False)
    assert result.model.columns == ["x"]
    fresh = generator.normal(1, 1, size=4000)
    loss = stats.norm(1, 1).logpdf(fresh) - result.model.log_prob(fresh[:, None])
    # KL(weighted truth || model) is at least 0, and less than a tenth of the divergence from the rows as they are.
    unweighted = (stats.norm(1, 1).logpdf(fresh) - stats.norm(0, 2).logpdf(fresh)).mean()
    error = loss.std() / np.sqrt(4000)
    assert -5 * error < loss.mean() < 5 * error + unweighted / 10
    # The weighted Gaussian is the truth here, and its mean over the held-out rows the negative entropy, within five
    # standard errors of a sample of as many rows as the weights are worth.
    worth = 0.1 * weight.sum() ** 2 / np.square(weight).sum()
    assert result.gaussian == pytest.approx(-0.5 * (1 + np.log(2 * np.pi)), abs=5 * np.sqrt(0.5 / worth))
    assert result.held_out == pytest.approx(result.gaussian, abs=0.1)
    arrays = pf.fit_table(frame[["x"]], weight=weight, max_steps=100, progress=False)
    assert arrays.held_out == result.held_out


@pytest.mark.parametrize(
    ("weight", "words"),
    [(np.ones(3), "one number for each of 60 rows"), (-np.ones(60), "not negative"), ("v", 'no column "v"'),
     (np.zeros(60), "are 0"), ("w", "nan in row 5")],
)  # fmt: skip
def test_weights_that_cannot_be_are_refused(weight, words):
    frame = pd.DataFrame({"x": np.arange(60) / 7, "w": [1.0] * 4 + [np.nan] + [1.0] * 55})
    with pytest.raises(pf.InputError, match=words):
        pf.fit_table(frame, weight=weight, max_steps=1)


class Normal2(torch.nn.Module):
    features, context_features = 2, 0

    def log_prob(self, x, context=None):
        truth = torch.distributions.MultivariateNormal(MEAN, COVARIANCE)
        return truth.log_prob(x)


MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.7], [0.7, 1.0]], dtype=torch.float64)


def test_a_measured_gaussian_is_convolved_in_closed_form():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator, dtype=torch.float64) * 1.5 + MEAN
    errors = torch.rand(200, 2, generator=generator, dtype=torch.float64)
    truth = torch.distributions.MultivariateNormal(MEAN, COVARIANCE + torch.diag_embed(errors**2)).log_prob(x)
    measured = DeconvolvedDensity(Normal2(), [0, 1], draws=8192).eval()
    found = measured.log_prob(torch.cat([x, errors], 1))
    # Rows so far out that few draws reach them are left to their fate.
    near = truth > -8
    assert float((found - truth).abs().median()) < 2e-3 and float((found - truth)[near].abs().max()) < 0.05
    # Without errors it is the density itself, and with few draws the logarithm is too low on average.
    none = measured.log_prob(torch.cat([x, 0 * errors], 1))
    torch.testing.assert_close(none, Normal2().log_prob(x))
    training = DeconvolvedDensity(Normal2(), [0, 1]).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mean = torch.stack([training.log_prob(torch.cat([x, errors], 1)) for _ in range(200)]).mean(0)
    assert bool((mean < truth + 0.05)[near].all()) and -0.5 < float((mean - truth)[near].mean()) < 0


@pytest.mark.slow
def test_errors_are_deconvolved(tmp_path):
    generator = np.random.default_rng(0)
    true = generator.normal(3.0, 1.0, size=4000)
    error = generator.uniform(0.2, 1.5, size=4000)
    frame = pd.DataFrame({"x": true + error * generator.normal(size=4000), "e": error})
    result = pf.fit_table(frame, errors={"x": "e"}, max_steps=150, progress=False)
    model = result.model
    model.save(tmp_path / "m.safetensors")
    loaded = pf.TableModel.load(tmp_path / "m.safetensors")
    torch.manual_seed(0)
    drawn = loaded.draw(20_000)[:, 0]
    assert loaded.columns == ["x"] and loaded.errors == {"x": "e"}
    # As wide as what was measured, not as the measurements: five standard errors of 4000 rows, a tenth for the fit.
    assert drawn.mean() == pytest.approx(3, abs=5 * frame["x"].std() / np.sqrt(4000) + 0.1)
    assert drawn.std() - 1 < (frame["x"].std() - 1) / 2
    scores = loaded.log_prob(frame.to_numpy())
    truth = stats.norm(3, np.sqrt(1 + error**2)).logpdf(frame["x"])
    loss = truth - scores
    assert abs(loss.mean()) < 5 * loss.std() / np.sqrt(4000) + 0.02
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert loaded.score(tmp_path / "t.csv", tmp_path / "s.csv").mean == pytest.approx(scores.mean())
    frame[["x"]].to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(pf.InputError, match='no column "e"'):
        loaded.score(tmp_path / "u.csv", tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("errors", "words"),
    [({"y": "e"}, 'no column "y"'), ({"x": "f"}, 'no column "f"'), ({"x": "bad"}, "holds -1 in row 3"),
     ({"g": "e"}, "has errors, and is not modeled")],
)  # fmt: skip
def test_errors_that_cannot_be_are_refused(errors, words):
    frame = pd.DataFrame({"x": np.arange(60) / 7, "g": np.arange(60) ** 1.5, "e": 1.0, "bad": [1.0, 1.0, -1.0] * 20})
    with pytest.raises(pf.InputError, match=words):
        pf.fit_table(frame, given=["g"], columns=["x"], errors=errors, max_steps=1)


def test_only_the_ratios_of_weights_matter():
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(60, 2)), columns=["a", "b"])
    weights = generator.uniform(0.5, 2, 60)
    fits = [
        pf.fit_table(table, weight=weights * scale, flow="nice", max_steps=2, progress=False)
        for scale in (1.0, 2.0**980, 2.0**-980)
    ]
    assert len({(found.held_out, found.gaussian) for found in fits}) == 1
    assert len({tuple(found.model.calibration.ranks[""].log_prob) for found in fits}) == 1


@pytest.mark.parametrize("as_column", [True, False])
def test_a_weight_beside_which_all_others_are_nothing_is_named(tmp_path, as_column):
    weights = np.ones(60)
    weights[5] = 1e300
    table = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "w": weights})
    with pytest.raises(pf.InputError, match="gives row 6 a share of 1 of the weight of all rows, more than all others"):
        pf.fit_table(table[["a"]] if not as_column else table, weight="w" if as_column else weights, max_steps=1)


def test_rows_of_weight_zero_do_not_count():
    table = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "w": np.arange(60) < 19})
    with pytest.raises(pf.InputError, match=r"without its rows of weight 0 has 19 rows, and at least 20 are needed"):
        pf.fit_table(table.astype(float), weight="w", max_steps=1)


def test_a_streamed_weight_without_measure_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 0)
    for weight in (1e300, 1e-300):
        weights = np.ones(60)
        weights[5] = weight
        pd.DataFrame({"a": np.arange(60.0) ** 1.5, "w": weights}).to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(pf.InputError, match=rf'column "w" of .* holds {weight:g} in row 6'.replace("+", r"\+")):
            pf.fit_table(tmp_path / "t.csv", weight="w", max_steps=1, progress=False)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("options", [{"weight": "zip"}, {"errors": {"a": "zip"}}])
def test_codes_are_no_weights_and_no_errors(tmp_path, monkeypatch, streamed, options):
    if streamed:
        monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 0)
    codes = ["94110", "02139", "00501"] * 20
    pd.DataFrame({"a": np.arange(60.0) ** 1.5, "zip": codes}).to_csv(tmp_path / "t.csv", index=False)
    what = "weights" if "weight" in options else "errors"
    with pytest.raises(
        pf.InputError, match=rf'^{what} are numbers, and column "zip" of .* is text \(codes such as 02139'
    ):
        pf.fit_table(tmp_path / "t.csv", columns=["a"], **options, max_steps=1, progress=False)


@pytest.mark.parametrize("way", ["in memory", "streamed", "an array"])
def test_a_weighted_fit_says_what_weighs(tmp_path, monkeypatch, way):
    if way == "streamed":
        monkeypatch.setattr("pushforward.table_models.streamed.LARGEST_IN_MEMORY", 0)
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "w": np.linspace(0.25, 3, 60)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    data, weight = (frame[["a"]], 2 * frame["w"]) if way == "an array" else (tmp_path / "t.csv", "w")
    lines = []
    pf.fit_table(data, weight=weight, flow="nice", max_steps=1, progress=False, announce=lines.append)
    said = "the rows are weighted, from 0.5 to 6" if way == "an array" else 'column "w" weighs the rows, from 0.25 to 3'
    assert lines.count(said) == 1
