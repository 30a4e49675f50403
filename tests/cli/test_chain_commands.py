"""The commands about chains: their results, and one sentence for input that cannot be used."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pushforward.cli.app import app

FUNCTIONS = """
number = 1


def target(x):
    return -0.5 * x.square().sum(-1)


def short(x):
    return x[0]


def fails(x):
    return x.no
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two chains of the same parameters, one of others, and one with a gap."""
    place = tmp_path_factory.mktemp("chains")
    x = np.random.default_rng(0).normal(size=(400, 2))
    density = -0.5 * (x**2).sum(1)
    for name, header, columns in (
        ("a.csv", "om,s8,log_posterior", [x, density]),
        ("b.csv", "om,s8", [x[::-1] + 0.5]),
        ("c.csv", "om,h", [x]),
        ("gap.csv", "om,s8", [np.where(np.arange(400)[:, None] == 6, np.nan, x)]),
    ):
        np.savetxt(place / name, np.column_stack(columns), delimiter=",", header=header, comments="")
    (place / "target.py").write_text(FUNCTIONS)
    (place / "broken.py").write_text("import nothing_of_this_name\n")
    return place


def run(folder, *arguments):
    paths = [str(folder / one) if one.partition(":")[0].endswith((".csv", ".py")) else one for one in arguments]
    return CliRunner().invoke(app, [*paths, "--flow", "gaussian"])


def test_results(folder):
    def near(estimate, truth):
        return abs(estimate["value"] - truth) < 5 * estimate["error"]

    evidence = json.loads(run(folder, "evidence", "a.csv", "--json").stdout)
    assert near(evidence["log_evidence"], np.log(2 * np.pi)) and evidence["bridge"] is None
    evidence = json.loads(run(folder, "evidence", "a.csv", "--log-density", "target.py:target", "--json").stdout)
    assert evidence["method"] == "bridge"
    assert near(evidence["bridge"], np.log(2 * np.pi)) and near(evidence["importance"], np.log(2 * np.pi))
    between = json.loads(run(folder, "information", "a.csv", "b.csv", "--json").stdout)
    assert near(between["divergence"], 0.25)
    shared = json.loads(run(folder, "information", "a.csv", "--groups", "om:s8", "--json").stdout)
    assert shared["groups"] == [["om"], ["s8"]] and near(shared["mutual_information"], 0.0)
    tension = run(folder, "tension", "a.csv", "c.csv", "--columns", "om", "--burn-in", "0.1", "--json")
    assert json.loads(tension.stdout)["sigmas"] < 1
    said = run(folder, "tension", "a.csv", "b.csv")
    assert said.exit_code == 0 and "sigmas" in said.stderr and said.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evidence", "b.csv"], "needs the log-posterior"),
        (["evidence", "a.csv", "--weight", "w"], "no weight column w"),
        (["evidence", "a.csv", "--columns", "om"], "is of om, s8 together, not of om: leave out --columns"),
        (["evidence", "/"], "The folder / has no chains"),
        (["information", ""], "The name of the chain is empty"),
        (["tension", "", "a.csv"], "The name of the chain is empty"),
        (["tension", "a.csv", "/"], "The folder / has no chains"),
        (["evidence", "a.csv", "--bounds", "om=0"], "--bounds takes parameter=low:high"),
        (["evidence", "a.csv", "--bounds", "om=a:1"], "--bounds takes parameter=low:high"),
        (["evidence", "a.csv", "--bounds", "om=1:0"], "lower bound of the parameter om, 1, is not below"),
        (
            ["evidence", "a.csv", "--bounds", "om=-9:9", "--bounds", "om=-8:8"],
            "parameter=low:high, once for each parameter",
        ),
        (["evidence", "a.csv", "--log-likelihood", "om", "--log-prior", "om"], "named by --log-likelihood"),
        (["evidence", "b.csv"], "--log-posterior"),
        (["evidence", "a.csv", "--log-density", "target"], "--log-density takes FILE.py:FUNCTION, not target"),
        (["evidence", "a.csv", "--log-density", "none.py:target"], "none.py does not exist"),
        (["evidence", "a.csv", "--log-density", "target.py:number"], "target.py has no function number"),
        (["evidence", "a.csv", "--log-density", "target.py:short"], "log_density gave an array of shape (2,)"),
        (["evidence", "a.csv", "--log-density", "target.py:fails"], "target.py ended with AttributeError"),
        (["evidence", "a.csv", "--log-density", "broken.py:target"], "cannot be run: ModuleNotFoundError"),
        (["evidence", "a.csv", "--bounds", "om=0:"], "beyond its bounds"),
        (["information", "gap.csv"], "row 7"),
        (["information", "a.csv", "--groups", "om:om"], "twice"),
        (["information", "a.csv", "b.csv", "--groups", "om:s8"], "leave out the second chain"),
        (["information", "nothing.csv"], "does not exist"),
        (["tension", "b.csv", "c.csv"], "only A has s8; only B has h"),
    ],
)
def test_bad_input_ends_with_one_sentence(folder, arguments, says):
    result = run(folder, *arguments)
    assert result.exit_code == 2 and says in result.stderr
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and result.stdout == ""
