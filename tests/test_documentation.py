"""Every Python and shell block of the README and the guide runs, in the order of its page."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pushforward.cli.main import app
from pushforward.tables import TableWriter, to_table

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write(name, columns, rows=60):
    table = to_table(np.random.default_rng(0).normal(size=(rows, len(columns))), columns)
    with TableWriter(name, table.schema) as writer:
        writer.write(table)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {}
    for language, block in BLOCK.findall(page.read_text()):
        if language == "python":
            # Nobody needs a well-fitted example here.
            exec(compile(re.sub(r"max_time=\d+", "max_time=0.5", block), str(page), "exec"), names)
        elif "DATA" not in block:
            write("stars.csv", ["mass", "radius", "flux"])
            write("new.csv", ["mass", "radius", "flux"])
            write("masses.csv", ["mass"])
            for line in block.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "pushforward"
                limit = ["--max-time", "0.5"] if arguments[0] in ("fit", "distill") else []
                result = CliRunner().invoke(app, [*arguments, *limit])
                assert result.exit_code == 0, result.stderr


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
