"""Sums of regression trees, evaluated in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Rows times trees of which the places are in memory at a time.
PLACES = 2**20


class RegressionTrees(nn.Module):
    """f(c) = start + Σ of what each tree says, u(c) = asinh((c - shift) · scale).

    A tree goes from its root to the left child of a node if u[feature] ≤ number and to the right one otherwise; the
    left child is the next node. A leaf says its number. u is that of float32 numbers, and does not depend on how far a
    rare value of c lies. A node takes eight bytes.

    Arguments:
        features: C.
        trees: T, 0 or more.
        nodes: M of all trees together.
        depth: from a root to the deepest leaf, at most 14.

    Attributes:
        shift: (C,) float64.
        scale: (C,) float64.
        start: () float64.
        roots: (T,) places of nodes, int32.
        right: (M,) how many nodes farther the right child is, 0 for a leaf, int16.
        feature: (M,) int16.
        number: (M,) thresholds, and what leaves say, float32.

    Example:
        >>> trees = RegressionTrees(features=1, trees=1, nodes=3, depth=1)
        >>> trees.right.copy_(torch.tensor([2, 0, 0])), trees.number.copy_(torch.tensor([0.0, -1.0, 1.0]))
        (tensor([2, 0, 0], dtype=torch.int16), tensor([ 0., -1.,  1.]))
        >>> trees(torch.tensor([[-3.0], [0.0], [2.0]]))[:, 0]
        tensor([-1., -1.,  1.])
    """

    shift: Tensor
    scale: Tensor
    start: Tensor
    roots: Tensor
    right: Tensor
    feature: Tensor
    number: Tensor

    def __init__(self, features: int, trees: int, nodes: int, depth: int) -> None:
        super().__init__()
        self.features, self.depth = features, depth
        self.register_buffer("shift", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        self.register_buffer("start", torch.zeros((), dtype=torch.float64))
        self.register_buffer("roots", torch.zeros(trees, dtype=torch.int32))
        self.register_buffer("right", torch.zeros(nodes, dtype=torch.int16))
        self.register_buffer("feature", torch.zeros(nodes, dtype=torch.int16))
        self.register_buffer("number", torch.zeros(nodes, dtype=torch.float32))

    @property
    def sizes(self) -> dict[str, int]:
        """What trees of the same size are made by."""
        sizes = {"features": self.features, "trees": len(self.roots), "nodes": len(self.number)}
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
        number, feature, right = self.number.float(), self.feature.long() * len(u), self.right.long()
        # A leaf leads to itself.
        left = right.clamp(max=1)
        for _ in range(self.depth):
            node = node + torch.where(columns[feature[node] + row] <= number[node], left[node], right[node])
        found: Tensor = self.start.double() + number.double()[node].sum(0)
        return found
