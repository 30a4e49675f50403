"""Chains of every source give the same rows, weights, log-densities and bounds, and bad ones are refused by name."""

import math

import numpy as np
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.chains.reading import both_alike, read_chain


def rows(count=200, features=2):
    return np.random.default_rng(0).normal(size=(count, features))


def write_root(folder, name="run", separator="_", paramnames=True, derived=True):
    """Two Markov chains as GetDist reads them; the third parameter is derived."""
    x = rows()
    x = np.column_stack([x, x.sum(1)]) if derived else x
    weights = np.arange(200) % 3
    for number, part in enumerate((slice(0, 80), slice(80, 200)), 1):
        lines = np.column_stack([weights, 0.5 * (x[:, :2] ** 2).sum(1), x])[part]
        header = "weight minuslogpost om s8" if not paramnames else ""
        np.savetxt(folder / f"{name}{separator}{number}.txt", lines, header=header)
    if paramnames:
        (folder / f"{name}.paramnames").write_text("om \\Omega_m\ns8 \\sigma_8\nsum* s\n")
        (folder / f"{name}.ranges").write_text("om -9 9\ns8 N 20\n")
    return x, weights


def test_chains_of_getdist(tmp_path):
    x, weights = write_root(tmp_path)
    for source in (tmp_path / "run", str(tmp_path)):
        chain = read_chain(source)
        assert chain.names == ["om", "s8"]
        np.testing.assert_allclose(chain.x, x[weights > 0, :2])
        np.testing.assert_allclose(chain.log_posterior, -0.5 * (x[weights > 0, :2] ** 2).sum(1))
        np.testing.assert_array_equal(chain.weights, weights[weights > 0])
        assert chain.low.tolist() == [-9, -math.inf] and chain.high.tolist() == [9, 20]
        assert np.unique(chain.walks, return_counts=True)[1].tolist() == [
            (weights[:80] > 0).sum(),
            (weights[80:] > 0).sum(),
        ]
    derived = read_chain(tmp_path / "run", columns=["sum"])
    assert derived.names == ["sum"] and derived.log_posterior is None


def test_chains_of_cobaya(tmp_path):
    x, weights = write_root(tmp_path, separator=".", paramnames=False, derived=False)
    chain = read_chain(tmp_path / "run")
    assert chain.names == ["om", "s8"]
    np.testing.assert_allclose(chain.x, x[weights > 0])


def test_burn_in_is_of_every_markov_chain():
    x = np.arange(20.0)[:, None]
    chain = read_chain(pa.table({"a": x[:, 0], "chain": [0] * 10 + [1] * 10}), burn_in=0.3)
    assert chain.x[:, 0].tolist() == [*range(3, 10), *range(13, 20)]


def test_columns_of_tables_are_known_by_their_names_or_named(tmp_path):
    file = tmp_path / "chain.csv"
    file.write_text("a,b,w,logL,logp\n1,2,0.5,-1,-2\n3,4,1.5,-3,-4\n")
    chain = read_chain(file, weight="w", log_likelihood="logL", log_prior="logp")
    assert chain.names == ["a", "b"]
    assert chain.weights.tolist() == [0.5, 1.5] and chain.log_posterior.tolist() == [-3.0, -7.0]
    plain = read_chain(pa.table({"a": [1.0, 2.0], "minuslogpost": [5.0, 6.0]}))
    assert plain.weights.tolist() == [1.0, 1.0] and plain.log_posterior.tolist() == [-5.0, -6.0]
    assert read_chain(rows()).names == ["0", "1"]


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({"a": [1.0, 2.0]}, {"weight": "w"}, "no weight column w"),
        ({"a": [1.0, 2.0], "weight": [1.0, -1.0]}, {}, "a weight that is not a number of at least 0 in row 2"),
        ({"a": [1.0, 2.0], "weight": [0.0, 0.0]}, {}, "no row with a weight above 0"),
        ({"a": [1.0, math.nan]}, {}, "in row 2"),
        ({"a": [1.0, 2.0]}, {"columns": ["b"]}, "no parameter b; there are a"),
        ({"a": [1.0, 2.0]}, {"burn_in": 1.0}, "burn_in is a share"),
        ({"weight": [1.0, 2.0]}, {}, "no parameters beside"),
    ],
)
def test_bad_chains_are_refused(table, options, says):
    with pytest.raises(pf.InputError, match=says):
        read_chain(pa.table(table), **options)


def test_chains_of_different_parameters_are_refused_by_their_names():
    one, other = (pa.table({name: [1.0, 2.0] for name in names}) for names in ("ab", "ac"))
    with pytest.raises(pf.InputError, match="only A has b; only B has c; choose shared ones"):
        both_alike(one, other)
    first, second = both_alike(pa.table({"a": [1.0], "b": [2.0]}), pa.table({"b": [3.0], "a": [4.0]}))
    assert first.names == second.names and second.x.tolist() == [[4.0, 3.0]]


def test_no_block_is_on_both_sides():
    """Neighbors in a chain are alike: all but few of them are on one side."""
    for walks in (1, 2, 30):
        numbers = np.repeat(np.arange(walks), 1200 // walks)
        chain = read_chain(pa.table({"a": rows(1200)[:, 0], "chain": numbers}))
        first, second = chain.halves()
        side = np.zeros(1200)
        side[first] = 1
        assert sorted([*first, *second]) == list(range(1200)) and abs(len(first) - 600) <= 100
        assert np.abs(np.diff(side)).sum() < 60
        training, held_out = chain.training_parts(first)
        assert set(training) | set(held_out) == set(first) and 0.1 < len(held_out) / len(first) < 0.35


def test_parameters_without_a_density_are_named():
    x = rows()
    with pytest.raises(pf.InputError, match="c is constant"):
        read_chain(pa.table({"a": x[:, 0], "c": np.ones(200)})).check_density()
    with pytest.raises(pf.InputError, match="linear function of the others"):
        read_chain(pa.table({"a": x[:, 0], "b": x[:, 1], "c": x.sum(1)})).check_density()


def test_fewer_rows_than_parameters_are_no_linear_function():
    """Of independent columns, and of few rows that are drawn again and again."""
    few = np.random.default_rng(0).normal(size=(110, 120))
    says = "There are 110 different rows for 120 parameters in the chain; a density of these needs more"
    for x in (few, np.concatenate([few, few[:50]])):
        with pytest.raises(pf.InputError, match=says):
            read_chain(x).check_density()
    with pytest.raises(
        pf.InputError, match="different rows for 90 parameters in the rows of the fit, half of the chain;"
    ):
        pf.information(few[:, :90], flow="gaussian")


def walk(count=4000):
    """One correlated chain, as a table."""
    noise = np.random.default_rng(0).normal(size=count + 400)
    return {"a": np.convolve(noise, 0.98 ** np.arange(400))[400 : count + 400], "log_posterior": np.zeros(count)}


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (np.arange(4000), "Each of the 4,000 rows is a Markov chain of its own"),
        ([f"row {k}" for k in range(4000)], "Each of the 4,000 rows is a Markov chain of its own"),
        (np.random.default_rng(0).normal(size=4000), "The column chain of the chain has the value .* in row 1"),
        ([1.5, *[0.0] * 3999], "has the value 1.5 in row 1, but numbers the Markov chain of each row"),
        (["0", *["0.5"] * 3999], "has the value 0.5 in row 2"),
        ([None, *[0] * 3999], "has no value in row 1"),
        ([0.0, np.nan, *[0.0] * 3998], "has no value in row 2"),
        ([*["a"] * 3999, " "], "has no value in row 4000"),
    ],
)
def test_a_column_that_does_not_number_markov_chains_is_refused(numbers, says):
    with pytest.raises(pf.InputError, match=says):
        read_chain(pa.table(walk() | {"chain": pa.array(numbers)}))


def test_markov_chains_too_short_for_their_autocorrelation_are_told():
    def said(numbers, **options):
        return read_chain(pa.table(walk() | {"chain": numbers}), **options).doubts

    (doubt,) = said(np.arange(4000) // 4)
    assert doubt.startswith("100% of the rows are in 1,000 Markov chains of fewer than 20 rows")
    # A chain that is read again says it once.
    chain = read_chain(pa.table(walk() | {"chain": np.arange(4000) // 4}))
    assert read_chain(chain).doubts == chain.doubts == (doubt,)
    assert said(np.arange(4000) // 100) == said(np.zeros(4000)) == said(["first"] * 2000 + ["second"] * 2000) == ()
    # Few rows that are left of a chain are not many; of independent rows nothing is to be seen.
    assert said(np.where(np.arange(4000) < 5, 1, 0)) == said(np.arange(4000), independent=True) == ()


@pytest.mark.parametrize("name", [".", "..", "run", "run/", "{}"])
def test_a_folder_is_read_by_any_of_its_names(tmp_path, monkeypatch, name):
    folder = tmp_path / "run"
    folder.mkdir()
    write_root(folder)
    (folder / "below").mkdir()
    monkeypatch.chdir({".": folder, "..": folder / "below"}.get(name, tmp_path))
    np.testing.assert_array_equal(read_chain(name.format(folder)).x, read_chain(folder / "run").x)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", r"The folder \. has no chains"),
        ("..", r"The folder \.\. has no chains"),
        ("/", "The folder / has no chains"),
        ("", "The name of the chain is empty"),
        (["A.csv", "B.csv"], "one file or folder, not a list of them"),
    ],
)
def test_a_folder_without_chains_and_an_empty_name_are_refused(tmp_path, monkeypatch, name, says):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(pf.InputError, match=says):
        read_chain(name)


def test_objects_of_getdist(tmp_path):
    getdist = pytest.importorskip("getdist")
    write_root(tmp_path)
    found = read_chain(getdist.loadMCSamples(str(tmp_path / "run"), settings={"ignore_rows": 0}))
    read = read_chain(tmp_path / "run")
    assert found.names == read.names
    np.testing.assert_allclose(found.x, read.x)
    np.testing.assert_allclose(found.log_posterior, read.log_posterior)
    np.testing.assert_array_equal(found.low, read.low)


def test_samplers_and_backends_of_emcee(tmp_path):
    emcee = pytest.importorskip("emcee")
    pytest.importorskip("h5py")
    backend = emcee.backends.HDFBackend(str(tmp_path / "run.h5"))
    sampler = emcee.EnsembleSampler(8, 2, lambda x: -0.5 * x @ x, backend=backend)
    sampler.run_mcmc(np.random.default_rng(0).normal(size=(8, 2)), 30)
    of_file, of_sampler, of_backend = (read_chain(one) for one in (tmp_path / "run.h5", sampler, backend))
    for chain in (of_file, of_sampler, of_backend):
        assert np.bincount(chain.walks).tolist() == [30] * 8
        np.testing.assert_allclose(chain.log_posterior, -0.5 * (chain.x**2).sum(1))
        np.testing.assert_array_equal(chain.x, of_file.x)


def test_posteriors_of_arviz(tmp_path):
    arviz = pytest.importorskip("arviz_base")
    pytest.importorskip("h5py")
    generator = np.random.default_rng(0)
    posterior = {"a": generator.normal(size=(4, 50)), "b": generator.normal(size=(4, 50, 2))}
    stats = {"lp": generator.normal(size=(4, 50))}
    data = arviz.from_dict({"posterior": posterior, "sample_stats": stats})
    data.to_netcdf(str(tmp_path / "run.nc"), engine="h5netcdf")
    for source in (data, tmp_path / "run.nc"):
        chain = read_chain(source)
        assert chain.names == ["a", "b[0]", "b[1]"]
        np.testing.assert_array_equal(chain.x[:, 2], posterior["b"][:, :, 1].reshape(-1))
        np.testing.assert_array_equal(chain.log_posterior, stats["lp"].reshape(-1))
        assert np.bincount(chain.walks).tolist() == [50] * 4 and "unconstrained" in chain.notes[0]


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "run_1.txt").write_text("1 2 three\n")
    with pytest.raises(pf.InputError, match="not a chain of numbers"):
        read_chain(tmp_path / "run")
    (tmp_path / "run_1.txt").write_text("1 2 3\n1 2 4\n")
    with pytest.raises(pf.InputError, match="paramnames is missing"):
        read_chain(tmp_path / "run")


def test_bounds_of_a_table_are_given():
    table = pa.table({"a": [0.5, 2.0], "b": [1.0, 3.0]})
    chain = read_chain(table, bounds={"a": (0.0, None)})
    assert chain.low.tolist() == [0.0, -math.inf] and chain.high.tolist() == [math.inf, math.inf]
    with pytest.raises(pf.InputError, match="a has 1 value beyond its bounds, 0 and 1, such as 2"):
        read_chain(table, bounds={"a": (0.0, 1.0)})
    with pytest.raises(pf.InputError, match="no parameter c to have bounds"):
        read_chain(table, bounds={"c": (0.0, 1.0)})
