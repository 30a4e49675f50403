"""What `pushforward.lite` loads, how soon, and how large it is."""

import io
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest
from fresh_process import milliseconds

import pushforward

FOLDER = Path(pushforward.__file__).parent / "lite"
GOLDEN = Path(__file__).parent.parent / "golden"
FORBIDDEN = {"torch", "scipy", "pydantic", "pyarrow", "pandas", "sklearn", "matplotlib", "lightning_fabric", "jax"}
# Milliseconds of the import beside that of numpy, which takes most of it.
MOST_MILLISECONDS = 150


def loaded(code):
    code += "\nimport sys; print(','.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().split(","))


def test_the_import_loads_numpy_alone():
    assert not loaded("import pushforward.lite") & FORBIDDEN


def test_a_flow_is_read_and_evaluated_without_torch():
    flow = GOLDEN / "flows" / "nsf_lu.safetensors"
    code = f"from pushforward import lite; m = lite.load({str(flow)!r}); m.log_prob(m.sample(5, seed=0))"
    assert not loaded(code) & FORBIDDEN


def test_a_table_needs_no_torch_either():
    model, rows = GOLDEN / "tables" / "kinds_given.safetensors", GOLDEN / "tables" / "kinds_given.parquet"
    code = f"import pyarrow.parquet as pq; from pushforward import lite; m = lite.load({str(model)!r})"
    code += f"; m.log_prob(m.encode(pq.read_table({str(rows)!r})))"
    assert not loaded(code) & {"torch", "scipy", "sklearn", "lightning_fabric"}


@pytest.mark.slow
def test_the_import_takes_little_beside_that_of_numpy():
    assert milliseconds("import pushforward.lite") - milliseconds("import numpy") < MOST_MILLISECONDS


def lines_of_code(text):
    """The lines that have more than comments and docstrings."""
    found, before = set(), tokenize.INDENT
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    starts = (tokenize.INDENT, tokenize.NEWLINE, tokenize.NL, tokenize.DEDENT, tokenize.ENCODING)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        docstring = token.type == tokenize.STRING and before in starts
        if token.type not in skipped and not docstring and token.type != tokenize.ENDMARKER:
            found.update(range(token.start[0], token.end[0] + 1))
        before = token.type if token.type != tokenize.COMMENT else before
    return len(found)


def test_it_stays_an_evaluator_and_no_second_library():
    sizes = {path.name: lines_of_code(path.read_text("utf-8")) for path in FOLDER.glob("*.py")}
    assert np.sum(list(sizes.values())) < MOST_LINES, sizes


# Of these a third reads tables.
MOST_LINES = 2200
