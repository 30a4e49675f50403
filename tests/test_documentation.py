"""Every Python and shell block of the README and the guide runs, in the order of its page."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from small_fits import default_steps, small_flows, speech_steps
from typer.testing import CliRunner

from pushforward.audio.recordings.files import write_audio
from pushforward.cli.app import app
from pushforward.errors import InputError
from pushforward.tables import TableWriter, to_table
from pushforward.zoo.registry import config_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "gallery").glob("*.md"))]
# Its examples need engines that are not always installed: test_clusters_page.py.
ELSEWHERE = "clusters.md"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = 10
# Pages whose blocks take seconds: they fit much, or draw much.
LONG = {
    *("README.md", "docs/checking.md", "docs/gallery/distillation.md", "docs/images.md", "docs/report.md"),
    "docs/scikit_learn.md",
}
NAMES = {page.relative_to(ROOT).as_posix(): page for page in PAGES if page.name != ELSEWHERE}


def write(name, columns, rows=60):
    table = to_table(np.random.default_rng(0).normal(size=(rows, len(columns))), columns)
    with TableWriter(name, table.schema) as writer:
        writer.write(table)


def record(folder, seconds, files=6):
    Path(folder).mkdir(exist_ok=True)
    for number in range(files):
        sound = 0.1 * np.random.default_rng(number).normal(size=int(8000 * seconds))
        write_audio(f"{folder}/{number}.wav", sound, rate=8000)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if name in LONG else [], id=name) for name, page in NAMES.items()],
)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Nobody needs a well-fitted example here.
    small_flows(monkeypatch)
    default_steps(monkeypatch, STEPS)
    speech_steps(monkeypatch, STEPS)
    torch.manual_seed(0)
    names = {}
    for language, block in BLOCK.findall(page.read_text()):
        if language == "python":
            exec(compile(re.sub(r"max_(time|steps)=\d+", f"max_steps={STEPS}", block), str(page), "exec"), names)
        elif "DATA" not in block:
            write("stars.csv", ["mass", "radius", "flux"])
            write("new.csv", ["mass", "radius", "flux"])
            write("newer.csv", ["mass", "radius", "flux"])
            write("masses.csv", ["mass"])
            record("recordings", seconds=1.0)
            for line in block.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "pushforward"
                if "--max-time" in arguments:
                    place = arguments.index("--max-time")
                    del arguments[place : place + 2]
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, result.stderr


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_about_tables_names_the_flows_that_a_wrong_name_is_answered_with():
    row = next(line for line in (ROOT / "docs" / "tables.md").read_text().splitlines() if line.startswith("| `--flow "))
    known = re.findall(r"`(\w+)`", row)
    with pytest.raises(InputError, match=f"There are {', '.join(known)}."):
        config_of("maff")


# What a native speaker would not write; "there is no ..." is fine, and so are the comparatives.
UNIDIOMATIC = re.compile(
    r"(?<!there )\bis no (?!longer|more|better|less)|goes on where|what came of it|best that can be had|costs dear"
    r"|\bat hand\b|\ba trifle\b",
    re.IGNORECASE,
)
BRITISH = re.compile(r"\b\w+(?:isation|ising|ised)s?\b", re.IGNORECASE)
AMERICAN = re.compile(
    r".*(rais|surpris|promis|advis|revis|pervis|exercis|comprom|compris|precis|nois|bruis|ris)(ing|ed)$", re.I
)


def test_the_text_is_idiomatic_and_american():
    found = []
    paths = [
        path for place in ("src", "docs") for ending in ("py", "md") for path in (ROOT / place).rglob(f"*.{ending}")
    ]
    for path in [*paths, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"))]:
        text = " ".join(path.read_text().split())
        words = [word for word in BRITISH.findall(text) if not AMERICAN.fullmatch(word)]
        found += [f"{path.relative_to(ROOT)}: {phrase}" for phrase in [*UNIDIOMATIC.findall(text), *words]]
    assert not found, "\n".join(found)
