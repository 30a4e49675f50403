"""What two commands draw by one seed has nothing in common: a report never compares draws with themselves."""

import numpy as np
import pyarrow.parquet
import pytest
from normal_models import normal_model, rows_of, table
from scipy import stats
from significance import FIVE_SIGMA
from small_fits import default_steps, small_flows

import pushforward as pf
from pushforward.evaluation.report import building, column_surprise
from pushforward.evaluation.report import drift as drifting
from pushforward.evaluation.report.sampled_rows import sample_rows
from pushforward.support.seeding import stream

SEEDS = (0, 1, 12345)


def sampled(model, rows, seed, tmp_path):
    """What `pushforward sample` draws, as codes."""
    model.sample(tmp_path / "drawn.parquet", rows=rows, seed=seed)
    return model.encode(pyarrow.parquet.read_table(tmp_path / "drawn.parquet"))


def test_streams_are_independent_of_their_seed_and_of_each_other():
    seeds = np.array([stream(seed, purpose) for seed in range(1000) for purpose in ("a", "b", "ab")])
    assert len(np.unique(seeds)) == 3000
    assert stats.kstest(seeds / 2**32, "uniform").pvalue > FIVE_SIGMA
    assert 0 <= stream(2**63 - 1, "a") < 2**32


@pytest.mark.parametrize("seed", SEEDS)
def test_a_report_does_not_draw_what_sample_draws(seed, tmp_path):
    model = normal_model()
    rows = sampled(model, 300, seed, tmp_path)
    made = building._Builder(model, sample_rows(model, table(rows), 300, seed), None, seed, lambda *part: None)
    drawn = made.evidence.many_draws
    assert not np.isin(drawn, rows).any()
    # Nor do they depend on each other: numbers that stand beside each other are uncorrelated.
    for one in drawn[:5]:
        for place in range(3):
            assert stats.pearsonr(one[:, place], rows[:, place]).pvalue > FIVE_SIGMA
    assert not np.isin(made.evidence.several_draws, rows).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_drift_and_compare_do_not_draw_what_sample_draws(seed, tmp_path, monkeypatch):
    model = normal_model()
    rows = sampled(model, 300, seed, tmp_path)
    both = [sample_rows(model, table(some), 300, seed) for some in (rows, rows_of(300, 1))]
    first, second = drifting._Tables(model, *both, seed).parts
    assert not np.isin(first.draws, rows).any() and not np.isin(second.draws, rows).any()
    assert not np.isin(first.draws, second.draws).any()
    drawn = []
    draws_like = column_surprise.draws_like
    monkeypatch.setattr(column_surprise, "draws_like", lambda *given: drawn.append(draws_like(*given)) or drawn[0])
    column_surprise.column_surprise(model, rows[:5], ["a"], seed)
    assert not np.isin(drawn[0], rows).any()


@pytest.mark.slow
def test_rows_are_not_chosen_as_the_fit_chose_what_it_held_out(monkeypatch):
    small_flows(monkeypatch)
    default_steps(monkeypatch, 5)
    whole = table(rows_of(4000, 5))
    kept = set(pf.fit_table(whole, flow="nice", seed=7).model.record.held_out.numbers.tolist())
    model = normal_model()
    chosen = set(sample_rows(model, whole, len(kept), 7).numbers.tolist())
    # As many as by chance, hypergeometric.
    chance = stats.hypergeom(4000, len(kept), len(kept))
    both = len(kept & chosen)
    assert min(chance.cdf(both), chance.sf(both - 1)) > FIVE_SIGMA


@pytest.mark.slow
def test_any_seed_will_do():
    found = pf.report(normal_model(), table(rows_of(120, 6)), seed=2**63 - 1, progress=False)
    assert found.verdict.rows == 120
    assert pf.drift(normal_model(), table(rows_of(60, 7)), table(rows_of(60, 8)), seed=2**63 - 1, progress=False)
