import zipfile

import datasets
import numpy as np
import pytest

from pushforward.table_models.gaussian import gaussian_log_likelihood


@pytest.mark.slow
def test_power_has_the_published_gaussian():
    if not datasets.is_cached("POWER"):
        pytest.skip("python benchmarks/datasets.py POWER fetches it")
    data = datasets.load("POWER")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1_659_917, 184_435, 204_928]
    assert data.train.dtype == np.float32
    assert gaussian_log_likelihood(data.train, data.test).mean() == pytest.approx(-7.742, abs=5e-4)


def test_the_split_takes_tenths_from_the_end_and_standardizes_by_the_rest():
    rows = np.random.default_rng(0).normal([3.0, -1.0], [2.0, 0.1], (105, 2))
    train, validation, test = datasets.split(rows, standardized=True)
    # A tenth of 105 rounds down to 10, a tenth of the other 95 to 9.
    assert [len(part) for part in (train, validation, test)] == [86, 9, 10]
    seen = np.concatenate([train, validation])
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(seen.std(0), 1, rtol=1e-12)
    np.testing.assert_allclose(test * rows[:95].std(0) + rows[:95].mean(0), rows[95:], rtol=1e-12)
    for part, meant in zip(datasets.split(rows, standardized=False), (rows[:86], rows[86:95], rows[95:]), strict=True):
        np.testing.assert_array_equal(part, meant)


def test_a_file_with_another_checksum_is_refused(tmp_path):
    (tmp_path / "whl").mkdir()
    with zipfile.ZipFile(tmp_path / "whl" / "pzflow-4.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(datasets.GALAXY_FILE, b"something else")
    with pytest.raises(datasets.DataError, match=r"galaxy-data\.pkl of the package pzflow has the SHA-256 .* not 203c"):
        datasets.load("GALAXY", tmp_path)
    assert not datasets.is_cached("GALAXY", tmp_path)


def test_what_cannot_be_fetched_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(datasets.DataError, match=r"the package pzflow 4\.0\.0 from the Python package index needs"):
        datasets.load("GALAXY", tmp_path)
    # An interpreter that fails, as pip does without a connection.
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho no connection >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(datasets.sys, "executable", str(failing))
    with pytest.raises(datasets.DataError, match=r"failed \(no connection\): connect once"):
        datasets.load("GALAXY", tmp_path)


def test_an_unknown_set_is_refused():
    with pytest.raises(datasets.DataError, match="no data set 'GAS': there are POWER, GAIA"):
        datasets.load("GAS")
