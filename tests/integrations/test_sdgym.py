"""Tables that SDMetrics judges, by the two functions of SDGym."""

import numpy as np
import pytest
from small_fits import small_flows

import pushforward as pf

pd = pytest.importorskip("pandas")
pytest.importorskip("sdmetrics", reason="pip install 'pushforward[sdmetrics]' brings it")
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport  # noqa: E402

from pushforward.integrations.sdgym import get_trained_synthesizer, sample_from_synthesizer  # noqa: E402

METADATA = {
    "columns": {
        "person": {"sdtype": "id"},
        "age": {"sdtype": "numerical"},
        "income": {"sdtype": "numerical"},
        "region": {"sdtype": "categorical"},
        "member": {"sdtype": "boolean"},
    },
    "primary_key": "person",
}


def people(rows=800):
    generator = np.random.default_rng(0)
    age = generator.integers(18, 90, rows)
    return pd.DataFrame(
        {
            "person": np.arange(rows) + 1_000,
            "age": age,
            "income": np.exp(7 + 0.02 * age + 0.3 * generator.normal(size=rows)),
            "region": generator.choice(["north", "south", "west"], rows, p=[0.6, 0.3, 0.1]),
            "member": generator.random(rows) < 0.3,
        }
    )


@pytest.mark.slow
def test_sdmetrics_finds_the_draws_valid_and_near_the_table():
    data = people()
    synthesizer = get_trained_synthesizer(data, METADATA, max_steps=120, seed=0)
    drawn = sample_from_synthesizer(synthesizer, 800, seed=1)
    assert list(drawn.columns) == list(data.columns) and (drawn.dtypes == data.dtypes).all()
    diagnostic, quality = DiagnosticReport(), QualityReport()
    diagnostic.generate(data, drawn, METADATA, verbose=False)
    quality.generate(data, drawn, METADATA, verbose=False)
    assert diagnostic.get_score() > 0.99
    assert quality.get_score() > 0.85
    pd.testing.assert_frame_equal(drawn, sample_from_synthesizer(synthesizer, 800, seed=1))


def test_metadata_that_does_not_fit_is_refused():
    data = people(50)
    with pytest.raises(pf.InputError, match="a data frame of pandas, not ndarray"):
        get_trained_synthesizer(data.to_numpy())
    with pytest.raises(pf.InputError, match='has a column "height", which the table has not'):
        get_trained_synthesizer(data, {"columns": {"height": {"sdtype": "numerical"}}})
    with pytest.raises(pf.InputError, match="the metadata has 2"):
        get_trained_synthesizer(data, {"tables": {"a": {}, "b": {}}})
    known = {name: {"sdtype": "unknown"} for name in data.columns}
    name = data.columns[0]
    for metadata in ({}, {"columns": {}}, {"columns": {key: known[key] for key in data.columns[1:]}}):
        with pytest.raises(pf.InputError, match=f'lacks the column "{name}" of the table'):
            get_trained_synthesizer(data, metadata)
    with pytest.raises(pf.InputError, match="or a dictionary like it, not int"):
        get_trained_synthesizer(data, 5)
    for column in ({"sdtype": "zz"}, {"sdtype": "email"}, {"sdtype": "categorical", "pii": True}):
        with pytest.raises(pf.InputError, match=f'column "{name}" is of the sdtype "{column["sdtype"]}".*real values'):
            get_trained_synthesizer(data, {"columns": known | {name: column}})


def test_numbers_of_rows(monkeypatch):
    small_flows(monkeypatch)
    synthesizer = get_trained_synthesizer(people(100), max_steps=1, flow="maf")
    none = sample_from_synthesizer(synthesizer, 0)
    assert len(none) == 0 and none.dtypes.equals(people(100).dtypes)
    for count in (-1, 1.5, "3", None, True):
        with pytest.raises(pf.InputError, match="n_samples is a whole number of at least 0"):
            sample_from_synthesizer(synthesizer, count)
