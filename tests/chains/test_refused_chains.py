"""One sentence for options and sources of chains that contradict each other or cannot be read."""

import math

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.chains.reading import read_chain

TABLE = pa.table({"a": [0.1, 0.2], "like": [-1.0, -2.0], "prior": [-3.0, -3.0], "log_posterior": [7.0, 8.0]})


def test_a_named_log_likelihood_goes_before_a_known_log_posterior():
    found = read_chain(TABLE, log_likelihood="like", log_prior="prior")
    assert found.log_posterior.tolist() == [-4.0, -5.0] and found.names == ["a"]
    assert read_chain(TABLE.drop(["like", "prior"])).log_posterior.tolist() == [7.0, 8.0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"log_likelihood": "a", "log_prior": "a"}, "column a is named by --log-likelihood .* and by --log-prior"),
        ({"weight": "a", "walk": "a"}, "column a is named by --weight .* and by --chain"),
        ({"log_likelihood": "like"}, "name the other one with --log-prior"),
        ({"log_posterior": "log_posterior", "log_prior": "prior"}, "leave out --log-prior"),
        ({"bounds": {"a": 3}}, r"bounds of the parameter a are two numbers, .* not 3\."),
        ({"bounds": {"a": ("x", 1)}}, "are two numbers"),
        ({"bounds": {"a": (1, 0)}}, "lower bound of the parameter a, 1, is not below the upper one, 0"),
        ({"bounds": {"a": (math.nan, 1)}}, "is not below"),
    ],
)
def test_options_that_contradict_each_other(options, says):
    with pytest.raises(pf.InputError, match=says):
        read_chain(TABLE, **options)


@pytest.mark.parametrize("column", ["weight", "log_posterior"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gap_in_a_weight_or_a_log_density_is_not_to_be_filled(column, value):
    table = pa.table({"a": [0.1, 0.2], column: [1.0, value]})
    with pytest.raises(
        pf.InputError, match=r"not a (finite number|number of at least 0) in row 2; correct it or remove"
    ):
        read_chain(table)


def write_root(folder):
    x = np.random.default_rng(0).normal(size=(200, 2))
    np.savetxt(folder / "run_1.txt", np.column_stack([np.ones(200), (x**2).sum(1) / 2, x]))
    (folder / "run.paramnames").write_text("a\nb\n")


def test_a_part_of_a_chain_names_its_root(tmp_path):
    write_root(tmp_path)
    for name in ("run_1.txt", "run.paramnames"):
        with pytest.raises(pf.InputError, match=r"run: give this root of their names"):
            read_chain(tmp_path / name)


def test_swapped_ranges_and_ragged_lines(tmp_path):
    write_root(tmp_path)
    (tmp_path / "run.ranges").write_text("a 9 -9\n")
    with pytest.raises(pf.InputError, match=r"run.ranges has the lower bound 9 of a, which is not below the upper, -9"):
        read_chain(tmp_path / "run")
    (tmp_path / "run_1.txt").write_text("1 2 3 4\n1 2 3\n")
    with pytest.raises(pf.InputError, match=r"numbers: line 2 has 3 numbers after lines of 4\.$"):
        read_chain(tmp_path / "run")
    (tmp_path / "run_1.txt").write_text("1 2 3 4\n1 2 three 4\n")
    with pytest.raises(pf.InputError, match=r'line 2 has "three"\.$'):
        read_chain(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("run.nc", b"CDF\x01junk", "is not a file of HDF5"),
        ("run.h5", b"junk", "is not a file of HDF5"),
        ("notes.md", b"junk", "none of the files that are read"),
    ],
)
def test_files_of_other_kinds(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(pf.InputError, match=says):
        read_chain(tmp_path / name)


def test_a_damaged_file(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "run.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + b"junk" * 50)
    with pytest.raises(pf.InputError, match="damaged or incomplete"):
        read_chain(tmp_path / "run.nc")


def test_a_sampler_that_has_not_run():
    emcee = pytest.importorskip("emcee")
    with pytest.raises(pf.InputError, match="call its run_mcmc first"):
        read_chain(emcee.EnsembleSampler(8, 2, lambda x: -0.5 * x @ x))


def test_what_is_no_list_of_groups_nor_points():
    x = np.random.default_rng(0).normal(size=(200, 2))
    with pytest.raises(pf.InputError, match="list of lists of parameters"):
        pf.information(x, groups="0:1", flow="gaussian")
    with pytest.raises(pf.InputError, match="u is an array of numbers"):
        pf.as_prior(pf.nice(features=2))(["a", "b"])
    with pytest.raises(pf.InputError, match=r"there are .*, and gaussian"):
        pf.information(x, flow="nosuch")
