"""Tables that SDMetrics judges, by the two functions of SDGym."""

import numpy as np
import pytest

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
