"""The results of a benchmark after an interruption."""

import runs


def test_a_line_that_an_interruption_cut_off_is_removed(tmp_path):
    results = tmp_path / "results.jsonl"
    assert runs.read(results) == []
    results.write_text('{"split": 0}\n{"spl')
    assert runs.read(results) == [{"split": 0}] and results.read_text() == '{"split": 0}\n'
