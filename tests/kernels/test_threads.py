"""The kernels' own threads: the same bits however many they are, in several threads of the host, and after a fork."""

import os
import threading
import time

import pytest
import torch

import pushforward as pf
from pushforward.bijections import Autoregressive, Coupling, RationalQuadraticSpline
from pushforward.evaluation.contracts import randomized
from pushforward.kernels import autoregressive, layer, native, spline, threads
from pushforward.networks import Conditioner

pytestmark = pytest.mark.skipif(native is None, reason="The kernels were not built.")

COUNTS = (1, 2, 3, 8)


@pytest.fixture
def in_threads(monkeypatch):
    """A function that runs another one with so many threads, however many processors there are, however small it is."""

    def run(count, function):
        for module in (autoregressive, layer, spline):
            monkeypatch.setattr(module, "thread_count", lambda: count)
            monkeypatch.setattr(module, "FEWEST_FOR_THREADS", 0)
        return function()

    return run


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_gradients(made, x, *context):
    x = x.clone().requires_grad_()
    z, log_det = made.inverse(x, *context)
    loss = (normal(*z.shape, seed=3) * z).sum() + (normal(*log_det.shape, seed=4) * log_det).sum()
    return [z, log_det, *torch.autograd.grad(loss, [x, *made.parameters()])]


def equal(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


# 1,100 rows are two bands of chunks; 300 units are more than one stretch, and enough for several threads to mask them.
@pytest.mark.parametrize("rows", [1, 100, 1100])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Autoregressive(5, RationalQuadraticSpline(8), Conditioner((300, 300))),
        lambda: Coupling([True, False, True], RationalQuadraticSpline(4), Conditioner((70,) * 3, residual=True)),
    ],
    ids=["autoregressive", "residual coupling"],
)
def test_layers_and_gradients_have_the_same_bits(in_threads, make, rows):
    made = randomized(make()).float()
    x = normal(rows, made.features)
    expected = in_threads(1, lambda: with_gradients(made, x))
    for count in COUNTS:
        assert equal(in_threads(count, lambda: with_gradients(made, x)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_densities_and_samples_have_the_same_bits(in_threads, dtype):
    made = randomized(Autoregressive(5, RationalQuadraticSpline(8), Conditioner((64, 64)))).to(dtype)
    x = normal(333, 5).to(dtype)

    @torch.no_grad()
    def both():
        return [*made(x), *made.inverse(x), *RationalQuadraticSpline(8).inverse(x, made.conditioner(x))]

    expected = in_threads(1, both)
    for count in COUNTS:
        assert equal(in_threads(count, both), expected)


def test_several_threads_of_the_host_at_once(in_threads):
    made = randomized(Autoregressive(4, RationalQuadraticSpline(8), Conditioner((64, 64)))).float()
    inputs = [normal(200 + 50 * k, 4, seed=k) for k in range(6)]
    expected = [in_threads(1, lambda x=x: with_gradients(made, x)) for x in inputs]
    wrong = []

    def compare(x, wanted):
        for _ in range(20):
            if not equal(with_gradients(made, x), wanted):
                wrong.append(len(x))

    def at_once():
        several = [threading.Thread(target=compare, args=pair) for pair in zip(inputs, expected, strict=True)]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join()

    in_threads(3, at_once)
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork on this system.")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own(in_threads):
    made = randomized(Autoregressive(4, RationalQuadraticSpline(8), Conditioner((64, 64)))).float()
    x = normal(500, 4)
    expected = in_threads(2, lambda: made.inverse(x)[0].detach())
    child = os.fork()
    if child == 0:
        with torch.no_grad():
            same = all(torch.allclose(made.inverse(x)[0], expected) for _ in range(20))
        os._exit(0 if same else 1)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        pytest.fail("The child waits for threads that it does not have.")
    assert os.waitstatus_to_exitcode(status) == 0


def test_no_more_threads_than_the_process_may_use(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(threads, "usable_processors", lambda: 3)
    assert threads.thread_count() == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert threads.thread_count() == 2


def test_torch_alone_runs_in_one_thread_and_only_here(monkeypatch):
    monkeypatch.setattr(threads, "usable_processors", lambda: 64)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    elsewhere = []
    try:
        if threads._openmp_setter() is None:
            pytest.skip("torch has no OpenMP here.")
        with threads.torch_in_one_thread():
            assert torch.get_num_threads() == 1 and threads.thread_count() == 3
            with threads.torch_in_one_thread():
                assert threads.thread_count() == 3
            thread = threading.Thread(target=lambda: elsewhere.append(threads.thread_count()))
            thread.start()
            thread.join()
        assert torch.get_num_threads() == 3 and threads.thread_count() == 3 and elsewhere != [1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("make", "threads_of_torch"),
    [(lambda: pf.maf(2, layers=1, hidden=(8,)), 1), (lambda: pf.mixture_cdf(2, layers=1, hidden=(8,)), 2)],
    ids=["compiled", "in torch"],
)
def test_fits_leave_threads_to_torch_where_kernels_compute_little(make, threads_of_torch):
    flow, seen, before = make(), set(), torch.get_num_threads()
    layer = flow.bijection.bijections[0]
    inverse = layer.inverse

    def watched(*arguments):
        if torch.is_grad_enabled():
            seen.add(torch.get_num_threads())
        return inverse(*arguments)

    layer.inverse = watched
    torch.set_num_threads(2)
    try:
        pf.fit(flow, normal(200, 2), max_steps=3, progress=False)
        assert seen == {threads_of_torch} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
