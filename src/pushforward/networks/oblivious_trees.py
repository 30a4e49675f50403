"""Sums of regression trees that ask the same question of all rows at a depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Rows times trees of which the leaves are in memory at a time.
LEAVES = 2**18


class ObliviousTrees(nn.Module):
    """f(c) = start + Σ values[tree, leaf(c)], a mean over several such sums.

    A tree asks at each depth whether one feature of c is above a threshold, the same question in all of its branches;
    the answers are the binary digits of the leaf.

    Arguments:
        features: C.
        sums: K, how many sums the mean is over.
        trees: T of each sum, 0 or more.
        depth: questions of a tree.

    Attributes:
        start: (K,), float64.
        feature: (K, T, depth), which feature is asked about.
        threshold: (K, T, depth), float64.
        values: (K, T, 2^depth), float64.

    Source: Prokhorenkova et al. 2018, arXiv:1706.09516, for such trees.

    Example:
        >>> trees = ObliviousTrees(features=2, sums=1, trees=1, depth=1)
        >>> trees.threshold.fill_(0.5), trees.values.copy_(torch.tensor([-1.0, 1.0]))[0]
        (tensor([[[0.5000]]], dtype=torch.float64), tensor([[-1.,  1.]], dtype=torch.float64))
        >>> trees(torch.tensor([[0.0, 7.0], [2.0, 7.0]]))
        tensor([[-1.],
                [ 1.]])
    """

    start: Tensor
    feature: Tensor
    threshold: Tensor
    values: Tensor

    def __init__(self, features: int, sums: int, trees: int, depth: int) -> None:
        super().__init__()
        self.features, self.sums, self.trees, self.depth = features, sums, trees, depth
        self.register_buffer("start", torch.zeros(sums, dtype=torch.float64))
        self.register_buffer("feature", torch.zeros(sums, trees, depth, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(sums, trees, depth, dtype=torch.float64))
        self.register_buffer("values", torch.zeros(sums, trees, 2**depth, dtype=torch.float64))

    @property
    def sizes(self) -> dict[str, int]:
        """What trees of the same size are made by."""
        return {name: getattr(self, name) for name in ("features", "sums", "trees", "depth")}

    @torch.no_grad()
    def forward(self, context: Tensor) -> Tensor:
        """f, (*batch, 1), of c, (*batch, C), in its precision and without gradients: steps have none."""
        rows = context.reshape(-1, self.features)
        step = max(1, LEAVES // max(1, self.sums * self.trees))
        found = [self._of(part) for part in rows.split(step)]
        whole = torch.cat(found) if found else rows.new_zeros(0)
        return whole.reshape(*context.shape[:-1], 1)

    def _of(self, rows: Tensor) -> Tensor:
        # Trees by rows: what is read and written together lies together.
        columns = rows.t().contiguous()
        leaf = torch.zeros(self.sums * self.trees, len(rows), dtype=torch.int64, device=rows.device)
        threshold = self.threshold.to(torch.float64).flatten(0, 1)
        for feature, end in zip(self.feature.flatten(0, 1).unbind(1), threshold.unbind(1), strict=True):
            leaf.mul_(2).add_(columns[feature] > end[:, None])
        values = self.values.flatten(0, 1).gather(1, leaf)
        return (self.start.mean() + values.sum(0) / self.sums).to(rows.dtype)
