"""The page about clusters: its examples run with the engines themselves, and give what one process gives."""

import re
from pathlib import Path

import pyarrow.dataset
import pytest
from small_fits import small_flows

PAGE = Path(__file__).parent.parent / "docs" / "clusters.md"
SECTION = re.compile(r"^## (.*?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(text, names):
    for block in BLOCK.findall(text):
        exec(compile(block, str(PAGE), "exec"), names)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Run the sections of the page up to the engines; the names that they define, and the sections."""
    monkeypatch.chdir(tmp_path)
    # The example must say by itself which Python its workers are.
    monkeypatch.setenv("PYSPARK_PYTHON", "nowhere/python")
    small_flows(monkeypatch)
    text, names = PAGE.read_text(), {}
    sections = dict(SECTION.findall(text))
    run(text.partition("\n## ")[0], names)
    run(sections["One function of batches"], names)
    return sections, names


def read(folder):
    table = pyarrow.dataset.dataset(folder, format="parquet", exclude_invalid_files=True).to_table()
    return table.sort_by("star").select(["star", "mass", "radius", "log_prob", "p_value", "unseen"]).to_pandas()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "package", "folder"),
    [
        ("Ray Data", "ray", "scored_by_ray"),
        ("Spark", "pyspark", "scored_by_spark"),
        ("Dask", "dask.dataframe", "scored_by_dask"),
    ],
)
def test_an_engine_gives_the_rows_of_one_process(page, section, package, folder):
    pytest.importorskip(package)
    sections, names = page
    run(sections[section], names)
    found, expected = read(folder), names["score"](names["stars"])
    assert list(found["star"]) == list(expected["star"]) and list(found["mass"]) == list(expected["mass"])
    assert found["log_prob"].to_numpy() == pytest.approx(expected["log_prob"].to_numpy(), abs=1e-4)
    assert (found["unseen"] == expected["unseen"]).all()
    assert found["p_value"].to_numpy() == pytest.approx(expected["p_value"].to_numpy(), abs=0.02)


def test_the_examples_before_the_engines_run(page):
    assert "log_prob" in page[1]["score"](page[1]["stars"][:3])
