"""Which build of the kernels is loaded, and that it belongs to this package."""

import ctypes
import math

import pytest
import torch

import pushforward as pf
from pushforward import kernels
from pushforward.kernels import structures
from pushforward.kernels import univariate as eligibility

built = pytest.mark.skipif(kernels.load() is None, reason="The kernels were not built.")


def test_a_library_of_other_structures_is_refused():
    sizes = {structure.__name__: ctypes.sizeof(structure) for structure in structures.STRUCTURES}
    kernels.check_sizes("_native.so", sizes)
    with pytest.raises(ImportError, match=r"structure Dense has 88 bytes in _native\.so and 80 bytes in Python"):
        kernels.check_sizes("_native.so", {**sizes, "Dense": sizes["Dense"] + 8})
    del sizes["Dense"]
    with pytest.raises(ImportError, match=r"Dense has no size in _native\.so .* Build them again"):
        kernels.check_sizes("_native.so", sizes)


def test_every_structure_is_compared():
    declared = {structure for structure in vars(structures).values() if hasattr(structure, "_fields_")}
    assert declared == set(structures.STRUCTURES)


def test_none_loads_nothing():
    assert kernels.load("none") is None


@built
def test_each_supported_instruction_set_can_be_chosen():
    best = kernels.load()
    assert best.instructions == best.supported[-1]
    for choice in best.supported:
        assert kernels.load(choice).instructions == choice


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match=r"PUSHFORWARD_KERNELS must be none or one of .*, got 'sse'\."):
        kernels.load("sse")


@built
def test_an_instruction_set_that_the_processor_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(kernels, "INSTRUCTION_SETS", ("baseline", "avx2", "avx512", "avx1024"))
    with pytest.raises(ValueError, match=r"This processor supports the kernels baseline.*, not 'avx1024'"):
        kernels.load("avx1024")


def test_where_nothing_was_built_a_choice_is_refused(monkeypatch):
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert kernels.load() is None and kernels.load("none") is None
    with pytest.raises(ValueError, match="the kernels were not built at installation"):
        kernels.load("baseline")


def test_without_kernels_results_are_the_same(monkeypatch):
    flow, x = pf.maf(3, layers=2, hidden=(16, 16)), torch.linspace(-1, 1, 30).view(10, 3)
    with torch.no_grad():
        expected = flow.log_prob(x)
        monkeypatch.setattr(eligibility, "native", None)
        assert math.isclose(float((flow.log_prob(x) - expected).abs().max()), 0, abs_tol=1e-5)
