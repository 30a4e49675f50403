"""The results of the regression benchmark after an interruption."""

import importlib.util
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "regression.py"


def test_a_line_that_an_interruption_cut_off_is_removed(tmp_path):
    spec = importlib.util.spec_from_file_location("benchmark_of_regression", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    results = tmp_path / "results.jsonl"
    assert program.read(results) == []
    results.write_text('{"split": 0}\n{"spl')
    assert program.read(results) == [{"split": 0}] and results.read_text() == '{"split": 0}\n'
