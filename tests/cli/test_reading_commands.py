"""How commands read tables: columns of text alone, no header, names with commas, missing values, other separators."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def mixed():
    """A number that depends on a kind, beside a date and a flag."""
    generator = np.random.default_rng(0)
    kind = generator.choice(["u", "v", "w"], 300)
    return pd.DataFrame(
        {
            "y": np.select([kind == "u", kind == "v"], [0.0, 3.0], 6.0) + generator.normal(size=300),
            "kind": kind,
            "day": pd.date_range("2020-01-01", periods=300).strftime("%Y-%m-%d"),
            "on": generator.random(300) < 0.5,
        }
    )


def succeed(result):
    assert result.status == 0, result.err
    return result


@pytest.mark.parametrize("given", ["kind", "day", "on"])
def test_given_columns_may_all_be_text(run, mixed, given):
    mixed.to_csv("d.csv", index=False)
    mixed[[given]].iloc[:5].to_csv("g.csv", index=False)
    succeed(run("fit", "d.csv", "-o", "m.safetensors", "--columns", "y", "--given", given))
    succeed(run("sample", "m.safetensors", "--given-file", "g.csv", "-o", "o.csv"))
    drawn = pd.read_csv("o.csv")
    assert list(drawn) == [given, "y"] and (drawn[given].astype(str) == mixed[given].iloc[:5].astype(str)).all()
    succeed(run("score", "m.safetensors", "d.csv", "-o", "s.csv"))
    assert np.isfinite(pd.read_csv("s.csv").log_prob).all()


@pytest.mark.slow
def test_a_table_may_be_all_text(run, mixed):
    mixed[["kind", "on"]].to_csv("d.csv", index=False)
    gaps = mixed[["kind", "on"]].astype(object)
    gaps.iloc[:3, 0] = None
    gaps.to_csv("g.csv", index=False)
    succeed(run("fit", "d.csv", "-o", "m.safetensors"))
    succeed(run("score", "m.safetensors", "d.csv", "-o", "s.csv"))
    succeed(run("fit", "d.csv", "-o", "a.safetensors", "--arbitrary-conditions"))
    assert "3 missing values in 300 rows" in succeed(run("impute", "a.safetensors", "g.csv", "-o", "i.csv")).err
    assert set(pd.read_csv("i.csv").kind) == {"u", "v", "w"}
    succeed(run("posterior", "a.safetensors", "d.csv", "--of", "kind", "-o", "p.csv"))
    assert pd.read_csv("p.csv").groupby("row").probability.sum().to_numpy() == pytest.approx(np.ones(300), abs=1e-5)


@pytest.mark.slow
def test_no_header(run, mixed):
    mixed[["y", "kind"]].to_csv("d.csv", index=False, header=False)
    refused = run("fit", "d.csv", "-o", "m.safetensors")
    assert refused.status == 2 and "values where its header should be" in refused.err and "--no-header" in refused.err
    option = "--no-header"
    succeed(run("fit", "d.csv", "-o", "m.safetensors", "--arbitrary-conditions", option))
    assert succeed(run("info", "m.safetensors", "--json")).json()["notes"]["columns"] == ["0", "1"]
    for command in (["score"], ["impute"], ["posterior", "--of", "1", "--given", "0"]):
        name, *rest = command
        assert run(name, "m.safetensors", "d.csv", *rest, "-o", f"{name}.csv").status == 2
        succeed(run(name, "m.safetensors", "d.csv", *rest, "-o", f"{name}.csv", option))
    scores = pd.read_csv("score.csv", float_precision="round_trip")
    assert len(scores) == 300 and list(scores)[:3] == ["0", "1", "log_prob"]
    np.testing.assert_array_equal(scores["0"], mixed.y)


def test_no_header_of_given_columns(run, mixed):
    mixed[["y", "kind"]].to_csv("d.csv", index=False, header=False)
    succeed(run("fit", "d.csv", "-o", "m.safetensors", "--given", "0", "--columns", "1", "--no-header"))
    (mixed[["y"]].iloc[:4]).to_csv("g.csv", index=False, header=False)
    succeed(run("sample", "m.safetensors", "--given-file", "g.csv", "-o", "o.csv", "--no-header"))
    assert len(pd.read_csv("o.csv")) == 4


@pytest.mark.parametrize("given", ["load, kW", '"load, kW"', 'temp,"load, kW"', '"load, kW", temp'])
def test_names_with_commas(run, given):
    rows = np.random.default_rng(0).normal(size=(100, 4))
    frame = pd.DataFrame(rows, columns=["load, kW", "temp", "a=b", "weight, kg"])
    frame["weight, kg"] = 1.0 + rows[:, 3] ** 2
    frame.to_csv("d.csv", index=False)
    options = ["--given", given, "--columns", "a=b", "--weight", "weight, kg"]
    succeed(run("fit", "d.csv", "-o", "m.safetensors", *options))
    notes = succeed(run("info", "m.safetensors", "--json")).json()["notes"]
    assert notes["columns"] == ["a=b"] and set(notes["given"]) == (
        {"load, kW", "temp"} if "temp" in given else {"load, kW"}
    )


def test_errors_of_names_with_commas_and_how_to_quote(run):
    rows = np.abs(np.random.default_rng(0).normal(size=(100, 2))) + 0.1
    pd.DataFrame(rows, columns=["load, kW", "e"]).to_csv("d.csv", index=False)
    for text in ("load, kW=e", '"load, kW"=e', '"load, kW" = e'):
        succeed(run("fit", "d.csv", "-o", "m.safetensors", "--error", text))
    refused = run("fit", "d.csv", "-o", "m.safetensors", "--columns", "load,e")
    assert refused.status == 2
    assert "in an option a name with a comma is quoted, '\"load, kW\"'" in refused.err
    assert 'There are "load, kW", e.' in refused.err


@pytest.mark.slow
def test_what_stands_for_a_missing_value(run, mixed):
    table = mixed[["y", "kind"]].copy()
    table.loc[:2, "kind"] = "?"
    table.loc[3:4, "kind"] = "NA"
    table["y"] = table.y.round(3).astype(object)
    table.loc[5:6, "y"] = -999
    table.to_csv("d.csv", index=False)
    succeed(run("fit", "d.csv", "-o", "m.safetensors", "--missing", "?,-999"))
    schema = succeed(run("info", "m.safetensors", "--json")).json()["notes"]["schema"]
    assert schema["kind"]["missing"] == ["?", "-999"] and set(schema["kind"]["levels"]) == {"u", "v", "w", "NA"}
    assert "5 missing values in 300 rows" in succeed(run("impute", "m.safetensors", "d.csv", "-o", "i.csv")).err
    whole = pd.read_csv("i.csv", keep_default_na=False)
    assert whole.y.min() > -900 and "?" not in set(whole.kind) and (whole.kind[3:5] == "NA").all()
    # The same of a typed table, and column by column.
    table.y = table.y.astype(float)
    table.to_parquet("d.parquet")
    assert "5 missing values" in succeed(run("impute", "m.safetensors", "d.parquet", "-o", "i.parquet")).err
    with open("s.json", "w") as file:
        json.dump({"kind": {"kind": "category", "missing": ["?", "NA"]}, "y": {"missing": [-999]}}, file)
    succeed(run("fit", "d.parquet", "-o", "n.safetensors", "--schema", "s.json"))
    assert "7 missing values" in succeed(run("impute", "n.safetensors", "d.csv", "-o", "i.csv")).err


def test_what_is_read_in_another_way_is_said(run, mixed):
    text = mixed[["y", "kind"]].to_csv(index=False, sep=";")
    with open("d.csv", "w") as file:
        file.write("# logger 3\n" + text)
    said = ["d.csv begins with a comment, left out", "d.csv separates its columns by semicolons"]
    assert succeed(run("fit", "d.csv", "-o", "m.safetensors")).err.splitlines()[:2] == said
    assert succeed(run("score", "m.safetensors", "d.csv", "-o", "s.csv")).err.splitlines()[:2] == said
    assert succeed(run("score", "m.safetensors", "d.csv", "-o", "s.csv", "-q")).err == ""


def test_standard_output_is_called_so(run, mixed):
    mixed[["y"]].to_csv("d.csv", index=False)
    assert "over 1 column of d.csv" in succeed(run("fit", "d.csv", "-o", "m.safetensors")).err
    assert (
        succeed(run("sample", "m.safetensors", "-n", "1", "-o", "-")).err == "1 row drawn; table on standard output\n"
    )
