"""A causal transformer over the patches of an image as the conditioner of an autoregressive flow."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.networks.mlp import batch_of, checked_context


class PatchTransformer(nn.Module):
    """Parameters for the numbers of each patch, from the patches before it and a context.

    The token of patch t is W x[t - 1] + position[t] + V context, that of the first one start in place of W x[t - 1].
    Each layer adds attention to the tokens up to its own, and then a network of one hidden layer, of the normalized
    tokens. The last layer of weights starts at zero, and so do all parameters.

    Arguments:
        patches: T.
        features: numbers of a patch.
        parameter_count: parameters for each of them.
        width: numbers of a token, a multiple of `heads`.
        layers: of the transformer.
        heads: of attention in each layer.
        context: C, number of context features, default 0.

    Raises:
        ValueError: a width that is not a multiple of the heads.

    Cost: 12 · width² + 2 · T · width multiplications for each patch and layer, in one pass or step by step.

    Source: Vaswani et al. 2017, arXiv:1706.03762, normalized as by Xiong et al. 2020, arXiv:2002.04745.

    Example:
        >>> network = PatchTransformer(patches=4, features=3, parameter_count=2, width=8, layers=1, heads=2)
        >>> network(torch.zeros(10, 4, 3)).shape
        torch.Size([10, 4, 3, 2])
    """

    def __init__(
        self,
        patches: int,
        features: int,
        parameter_count: int,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        context: int = 0,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"The width of a token must be a multiple of the {heads} heads, got {width}.")
        self.context_features = context
        self.parameters_of = (features, parameter_count)
        self.first = nn.Linear(features, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(torch.randn(patches, width) / math.sqrt(width))
        self.context = nn.Linear(context, width, bias=False) if context else None
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.normalization = nn.LayerNorm(width)
        self.last = nn.Linear(width, features * parameter_count)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters, (*batch, T, features, parameter_count), of x, (*batch, T, features), and context, (*batch, C)."""
        batch = batch_of(x[..., 0], context, self.context_features)
        x = x.expand(*batch, -1, -1).reshape(math.prod(batch), *x.shape[-2:])
        start = self.start.expand(len(x), 1, -1)
        tokens = torch.cat([start, self.first(x[:, :-1])], 1) + self.position
        tokens = tokens + self._of_context(context, batch)
        for layer in self.layers:
            tokens, _ = layer(tokens)
        return self._parameters_of(tokens, x.dtype).reshape(*batch, len(self.position), *self.parameters_of)

    def step(self, before: Tensor | None, patch: int, cache: list[Tensor], of_context: Tensor) -> Tensor:
        """Parameters of one patch, (n, features, parameter_count), from the one before it and the layers' memory.

        Arguments:
            before: (n, features), the patch before; None for the first.
            patch: its number, from 0.
            cache: the keys and values of each layer so far, which grow by those of this patch; empty for the first.
            of_context: (n, 1, width), what `start_steps` returns.
        """
        token = self.start if before is None else self.first(before)[:, None]
        tokens = (token + self.position[patch]) + of_context
        for number, layer in enumerate(self.layers):
            tokens, known = layer(tokens, cache[number] if patch else None)
            cache[number : number + 1] = [known]
        return self._parameters_of(tokens, of_context.dtype)[:, 0]

    def start_steps(self, context: Tensor | None, batch: torch.Size, like: Tensor) -> Tensor:
        """What the context adds to all tokens of a batch, (n, 1, width)."""
        added = self._of_context(context, batch)
        return like.new_zeros(math.prod(batch), 1, len(self.start)) + added

    def _of_context(self, context: Tensor | None, batch: torch.Size) -> Tensor:
        """(n or 1, 1, width)."""
        if self.context is None:
            return self.start.new_zeros(1, 1, 1)
        rows: Tensor = self.context(checked_context(context, self.context_features))
        rows = rows.reshape(1, -1) if rows.numel() == rows.shape[-1] else rows.expand(*batch, -1).flatten(0, -2)
        return rows[:, None]

    def _parameters_of(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        # Under autocast only the network is rounded, not the maps that it parametrizes.
        return self.last(self.normalization(tokens)).to(dtype).unflatten(-1, self.parameters_of)


class _Layer(nn.Module):
    """Attention to the tokens up to each one, and a network of one hidden layer."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.queries = nn.Linear(width, width)
        self.keys_and_values = nn.Linear(width, 2 * width)
        self.attended = nn.Linear(width, width)
        self.before_network = nn.LayerNorm(width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The tokens, (n, t, width), and the keys and values so far, (2, n, heads, t, width / heads).

        Without known ones the tokens are the first, and each attends to those up to its own; else they come after.
        """
        normalized = self.before_attention(tokens)
        queries = self._by_heads(self.queries(normalized))
        found = torch.stack([self._by_heads(part) for part in self.keys_and_values(normalized).chunk(2, -1)])
        known = found if known is None else torch.cat([known, found], -2)
        keys, values = known
        causal = queries.shape[-2] == keys.shape[-2]
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        tokens = tokens + self.attended(mixed.transpose(-3, -2).flatten(-2))
        return tokens + self.network(self.before_network(tokens)), known

    def _by_heads(self, value: Tensor) -> Tensor:
        """(n, heads, t, width / heads) of (n, t, width)."""
        return value.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
