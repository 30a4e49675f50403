"""Models in closed form, from which rows are drawn exactly: normal columns with chosen correlations."""

import numpy as np
import pyarrow as pa
import torch

import pushforward as pf
from pushforward.bijections import LU
from pushforward.distributions import StandardNormal
from pushforward.flow import Flow
from pushforward.zoo.gaussian import GAUSSIAN
from pushforward.zoo.layers import set_linear

NAMES = ["a", "b", "c"]
COVARIANCE = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]])


@torch.no_grad()
def normal_model(covariance=COVARIANCE, names=NAMES):
    """The Gaussian with mean zero and this covariance, as a model of a table: each column given those before it."""
    flow = pf.build({**GAUSSIAN, "features": len(names)}).double()
    zero = torch.zeros(len(names), dtype=torch.float64)
    set_linear(flow.bijection[0], zero[:, None][:, :0], zero, torch.from_numpy(covariance))
    return pf.TableModel(flow.eval(), list(names))


@torch.no_grad()
def mixing_model(covariance=COVARIANCE, names=NAMES):
    """The same Gaussian by a linear layer that has no order of columns."""
    layer = LU(len(names)).double()
    values, vectors = np.linalg.eigh(covariance)
    root = torch.from_numpy(vectors * np.sqrt(values) @ vectors.T)
    layer.start_at(root, torch.zeros(len(names), dtype=torch.float64))
    return pf.TableModel(Flow(layer, StandardNormal(len(names)).double()).eval(), list(names))


@torch.no_grad()
def regression_model(weight=(0.5, -0.2), covariance=((1.0, 0.4), (0.4, 1.0))):
    """y1, y2 given x: normal around weight · x."""
    flow = pf.build({**GAUSSIAN, "features": 2, "context": 1}).double()
    weight = torch.tensor(weight, dtype=torch.float64)[:, None]
    set_linear(flow.bijection[0], weight, torch.zeros(2, dtype=torch.float64), torch.tensor(covariance).double())
    return pf.TableModel(flow.eval(), ["y1", "y2"], ["x"])


def rows_of(count, seed, covariance=COVARIANCE):
    """Rows drawn from the Gaussian."""
    return np.random.default_rng(seed).normal(size=(count, len(covariance))) @ np.linalg.cholesky(covariance).T


def table(matrix, names=NAMES):
    """A matrix as a table."""
    return pa.table({name: matrix[:, place] for place, name in enumerate(names)})
