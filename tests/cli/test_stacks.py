"""Every command with a stack: it works, or refuses in one sentence."""

import pytest
from known import NAMES, make_rows, read_matrix, write
from small_fits import stacks


@pytest.mark.slow
def test_every_command_takes_a_stack(run, monkeypatch):
    stacks(monkeypatch)
    write("data.csv", make_rows(120))
    result = run("fit", "data.csv", "-o", "m.safetensors")
    assert result.status == 0, result.err
    assert "stacked: " in result.err and "stack of " in result.err and "120 held out in 5 turns" in result.err
    assert run("score", "m.safetensors", "data.csv", "-o", "s.csv", "--explain", 2).status == 0
    assert read_matrix("s.csv", ["log_prob", "p_value"])[0].shape == (120, 2)
    assert run("sample", "m.safetensors", "-n", 50, "-o", "d.csv", "--seed", 1).status == 0
    assert read_matrix("d.csv")[1] == NAMES
    info = run("info", "m.safetensors")
    assert info.status == 0 and "fit.parts." in info.out and "fit.flow                 stack" in info.out
    for command in (["impute", "m.safetensors", "data.csv", "-o", "i.csv"],
                    ["posterior", "m.safetensors", "data.csv", "--of", "mass", "-o", "p.csv"]):  # fmt: skip
        refused = run(*command)
        assert refused.status == 2 and "--arbitrary-conditions" in refused.err, refused.err
    shares = run("score", "m.safetensors", "data.csv", "-o", "s2.csv", "--shares")
    assert shares.status in (0, 2) and (shares.status == 0 or "shares of columns" in shares.err)
    result = run("distill", "m.safetensors", "-o", "f.safetensors", "--json")
    assert result.status == 0, result.err
    assert result.json()["dimensions"] == 3 and "distilled_from" in run("info", "f.safetensors").out
    assert run("sample", "f.safetensors", "-n", 5, "-o", "d.csv").status == 0
