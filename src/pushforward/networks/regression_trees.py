"""Sums of regression trees, evaluated in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Rows times trees of which the places are in memory at a time.
PLACES = 2**20


class RegressionTrees(nn.Module):
    """f(c) = start + Σ of what each tree says, u(c) = asinh((c - shift) · scale).

    A tree goes from its root to the left child of a node if u[feature] ≤ threshold and to the right one otherwise; a
    leaf is its own child. u is that of float32 numbers, and does not depend on how far a rare value of c lies.

    Arguments:
        features: C.
        trees: T, 0 or more.
        nodes: M of all trees together.
        depth: from a root to the deepest leaf.

    Attributes:
        shift: (C,), float64 as all others but places.
        scale: (C,).
        start: ().
        roots: (T,) places of nodes.
        branches: (2, M) left and right.
        feature: (M,).
        threshold: (M,).
        values: (M,) of leaves.

    Example:
        >>> trees = RegressionTrees(features=1, trees=1, nodes=3, depth=1)
        >>> trees.branches.copy_(torch.tensor([[1, 1, 2], [2, 1, 2]])), trees.values.copy_(torch.tensor([0, -1.0, 1.0]))
        (tensor([[1, 1, 2],
                [2, 1, 2]], dtype=torch.int32), tensor([ 0., -1.,  1.], dtype=torch.float64))
        >>> trees(torch.tensor([[-3.0], [0.0], [2.0]]))[:, 0]
        tensor([-1., -1.,  1.])
    """

    shift: Tensor
    scale: Tensor
    start: Tensor
    roots: Tensor
    branches: Tensor
    feature: Tensor
    threshold: Tensor
    values: Tensor

    def __init__(self, features: int, trees: int, nodes: int, depth: int) -> None:
        super().__init__()
        self.features, self.depth = features, depth
        for name, shape in {"shift": (features,), "start": (), "threshold": (nodes,), "values": (nodes,)}.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        for name, places in {"roots": (trees,), "branches": (2, nodes), "feature": (nodes,)}.items():
            self.register_buffer(name, torch.zeros(places, dtype=torch.int32))

    @property
    def sizes(self) -> dict[str, int]:
        """What trees of the same size are made by."""
        sizes = {"features": self.features, "trees": len(self.roots), "nodes": len(self.values)}
        return {**sizes, "depth": self.depth}

    def units(self, context: Tensor) -> Tensor:
        """u, (n, C) float32, of c, (n, C)."""
        return ((context.double() - self.shift.double()) * self.scale.double()).asinh().float()

    @torch.no_grad()
    def forward(self, context: Tensor) -> Tensor:
        """f, (*batch, 1), of c, (*batch, C), in its precision and without gradients: steps have none."""
        rows = context.reshape(-1, self.features)
        step = max(1, PLACES // max(1, len(self.roots)))
        found = [self._of(self.units(part)) for part in rows.split(step)]
        whole = torch.cat(found) if found else self.start.new_zeros(0)
        return whole.to(context.dtype).reshape(*context.shape[:-1], 1)

    def _of(self, u: Tensor) -> Tensor:
        columns = u.t().contiguous().flatten()
        # Trees by rows, so that what is read together lies together.
        node = self.roots.long()[:, None].expand(-1, len(u))
        row = torch.arange(len(u), device=u.device)
        threshold, feature, (left, right) = self.threshold.double(), self.feature.long() * len(u), self.branches.long()
        for _ in range(self.depth):
            node = torch.where(columns[feature[node] + row] <= threshold[node], left[node], right[node])
        found: Tensor = self.start.double() + self.values.double()[node].sum(0)
        return found
