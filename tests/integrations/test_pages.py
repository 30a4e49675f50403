"""Every Python block of the pages about other packages runs, with the packages."""

import re
from pathlib import Path

import pytest
import torch
from small_fits import default_steps, small_flows

from pushforward.integrations.requirement import MissingPackageError

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in (DOCS / "integrations").glob("*.md") if path.name != "index.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_flows(monkeypatch)
    default_steps(monkeypatch, 10)
    torch.manual_seed(0)
    blocks = BLOCK.findall(page.read_text())
    assert blocks
    names = {}
    for block in blocks:
        try:
            exec(compile(re.sub(r"max_(time|steps)=\d+", r"max_steps=10", block), str(page), "exec"), names)
        except (ModuleNotFoundError, MissingPackageError) as error:
            pytest.skip(str(error))


def test_every_page_is_listed_and_its_links_lead_somewhere():
    listed = (DOCS / "integrations" / "index.md").read_text().splitlines()
    assert [page.stem for page in PAGES if page.stem not in listed] == []
    for page in [*PAGES, DOCS / "integrations" / "index.md"]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
