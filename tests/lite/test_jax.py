"""The methods that take a namespace run under jax: compiled, in both precisions, and with gradients."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from named_flows import FLOWS, IN_UNITS, made
from test_flows import loaded, maps_latents
from test_tables import rows_of_kinds

import pushforward as pf
from pushforward import lite
from pushforward.lite.arrays import Arrays

jax = pytest.importorskip("jax", reason="jax is not installed: pip install jax", exc_type=ImportError)
jax.config.update("jax_enable_x64", True)
# Each kind of map once: compiling takes up to a second for each layer with a root, and longer on a busy machine.
FEW = ["maf", "nsf with a regression", "clusters"]
SEVERAL = [
    *("iaf with a context", "nsf of coupling layers", "circular", "radial", "residual maf", "adjacency"),
    *("sinh_arcsinh coupling", "logistic_mixture coupling", "bernstein coupling", "sum_of_squares autoregressive"),
    *("monotone_network coupling", "leaky planar", "bounded", "scores and flags of a context", "stack"),
    *("regressions", "mixture base", "student base", "uniform base", "logistic base"),
]
ROOTS = ["planar", "sylvester with a context"]


@pytest.mark.parametrize("name", [*FEW, *(pytest.param(one, marks=pytest.mark.slow) for one in (*SEVERAL, *ROOTS))])
def test_compiled_by_jax_it_gives_the_same_numbers_and_gradients(name, tmp_path):
    flow, x, context = made(name)
    model, given = loaded(flow, tmp_path), None if context is None else context.numpy()

    def log_prob(rows):
        return model.log_prob(rows, given, xp=jax.numpy)

    found = jax.jit(log_prob)(x.numpy())
    np.testing.assert_allclose(found, model.log_prob(x.numpy(), given), rtol=1e-9, atol=1e-9)
    # Far from the data a gradient is large, and its digits are those of a difference.
    near = x[:10].clone().requires_grad_()
    flow.log_prob(near, None if context is None else context[:10]).sum().backward()
    gradient = jax.grad(lambda rows: model.log_prob(rows, None if given is None else given[:10], xp=jax.numpy).sum())
    np.testing.assert_allclose(jax.jit(gradient)(near.detach().numpy()), near.grad.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maf", "nsf with a regression", "clusters", "scores of a context"])
def test_compiled_by_jax_the_other_direction_is_the_same(name, tmp_path):
    flow, _, context = made(name)
    model, given = loaded(flow, tmp_path), None if context is None else context.numpy()
    z = np.random.default_rng(0).normal(size=(24, flow.features))
    found = jax.jit(lambda latents: model.to_data(latents, given, xp=jax.numpy))(z)
    np.testing.assert_allclose(found, model.to_data(z, given), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in (*FLOWS, *IN_UNITS) if name not in (*FEW, *SEVERAL, *ROOTS)])
def test_every_named_flow_runs_under_jax(name, tmp_path):
    flow, x, context = made(name)
    model, given = loaded(flow, tmp_path), None if context is None else context.numpy()
    found = model.log_prob(jax.numpy.asarray(x.numpy()), given, xp=jax.numpy)
    np.testing.assert_allclose(found, model.log_prob(x.numpy(), given), rtol=1e-9, atol=1e-9)
    if maps_latents(flow) and not isinstance(flow.base, torch.nn.Identity):
        assert model.to_latent(jax.numpy.asarray(x.numpy()), given, xp=jax.numpy).shape == x.shape


def test_single_precision_stays_single(tmp_path):
    flow, x, _ = made("nsf")
    model = loaded(flow, tmp_path)
    for xp in (np, jax.numpy):
        found = model.log_prob(xp.asarray(x.numpy(), dtype=xp.float32), xp=xp)
        assert found.dtype == xp.float32
        np.testing.assert_allclose(found[:10], model.log_prob(x.numpy())[:10], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_log_densities_of_a_table_are_compiled_from_codes(tmp_path):
    table = rows_of_kinds(100)
    model = pf.fit_table(table, max_steps=3, flow="nice").model
    model.save(tmp_path / "table.safetensors")
    read = lite.load(tmp_path / "table.safetensors")
    codes = read.encode(table)
    found = jax.jit(lambda rows: read.log_prob(rows, xp=jax.numpy))(codes)
    np.testing.assert_allclose(found, read.log_prob(codes), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["errors", "any_given_gaps"])
def test_errors_and_gaps_of_tables_are_compiled_too(name):
    folder = Path(__file__).parent.parent / "golden" / "tables"
    read = lite.load(folder / f"{name}.safetensors")
    codes = read.encode(pq.read_table(folder / f"{name}.parquet"))[:20]
    found = jax.jit(lambda rows: read.log_prob(rows, xp=jax.numpy))(codes)
    np.testing.assert_allclose(found, read.log_prob(codes), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_derivatives_of_a_root_are_those_of_the_inverse_to_the_second_order(slope):
    n = Arrays(jax.numpy, jax.numpy.float64)

    def root(y):
        return n.root(
            lambda x: (jax.numpy.sinh(slope * x) - y, slope * jax.numpy.cosh(slope * x)), 0 * y - 9, 0 * y + 9
        )

    y = jax.numpy.asarray(0.7)
    for derivative, expected in (
        (jax.grad(root), jax.grad(lambda y: jax.numpy.arcsinh(y) / slope)),
        (jax.grad(jax.grad(root)), jax.grad(jax.grad(lambda y: jax.numpy.arcsinh(y) / slope))),
    ):
        np.testing.assert_allclose(jax.jit(derivative)(y), expected(y), rtol=1e-10)
