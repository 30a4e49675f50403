"""The density of a table's codes: its columns as bijections, then a flow."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.flow import Flow, PointDensity
from pushforward.support.even_points import uniform_points
from pushforward.table_models.shown_context import ShownContext
from pushforward.tables.columns.columns import Columns
from pushforward.training.likelihood import has_error

# Points of the noise at which probabilities of discrete columns are averaged.
POINTS, POINTS_IN_TRAINING = 16, 4
# Latent points behind the distribution functions of several columns, and how many of them times rows are in memory.
LATENT_POINTS, DRAWS = 256, 2**17


class DequantizedDensity(nn.Module):
    """p(codes | context) of rows with discrete, bounded and other columns.

    log p(code) = log q(y(code, v)) + log_term(code, v), v uniform noise that dequantizes discrete columns. In training
    mode v is new at every call, and the value is a lower bound on average. In evaluation mode the probability is
    averaged over a fixed set of points v that fill the cube evenly, the same for every row: it converges to the exact
    one with the number of points, and a row always has the same value. Without discrete columns the value is exact.

    Arguments:
        columns: the maps of the columns.
        flow: the density of y.
        points: how many in evaluation mode, default 16.
        shown: what the flow is shown of codes of the context; default these themselves.

    Source: Theis, van den Oord and Bethge 2016, arXiv:1511.01844; the average over points, Burda, Grosse and
    Salakhutdinov 2016, arXiv:1509.00519.

    Cost: log_prob one of the flow for each point; sample one of the flow.
    """

    allows_gaps = False
    points: Tensor

    def __init__(
        self, columns: Columns, flow: PointDensity, points: int = POINTS, shown: ShownContext | None = None
    ) -> None:
        super().__init__()
        self.columns = columns
        self.flow = flow
        self.shown = shown
        self.register_buffer("points", uniform_points(points if columns.noisy else 1, columns.features), False)

    @property
    def features(self) -> int:
        """D, the number of columns."""
        return self.columns.features

    @property
    def config(self) -> dict[str, Any]:
        """The columns and the flow, as plain JSON: enough to tell two densities apart."""
        return {"columns": self.columns.config, "flow": self.flow.config}

    @property
    def context_features(self) -> int:
        """C, the length of a context."""
        return self.flow.context_features if self.shown is None else self.shown.features

    @property
    def context_allows_gaps(self) -> bool:
        """Whether values of the context may be missing, NaN."""
        return self.shown is not None and self.shown.allows_gaps

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""
        if not self.columns.noisy:
            return f"a density in the units of the columns, {'with an error' if has_error(self.flow) else 'exact'}"
        return f"{self.columns.meaning}, averaged over {len(self.points)} points of the dequantizing noise"

    def log_prob(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(codes | context) in nats, (n,): densities of continuous columns, probabilities of discrete ones.

        Arguments:
            codes: (n, D), float64.
            context: (n, C).
        """
        context = self._shown(context)
        if self.training and self.columns.noisy:
            return self._bound(codes, context, torch.rand_like(codes))
        bounds = [self._bound(codes, context, noise) for noise in self.points]
        return torch.stack(bounds).logsumexp(0) - math.log(len(bounds)) if len(bounds) > 1 else bounds[0]

    def noised_points(self, codes: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """y of codes, (n, D), with new noise at every call, and what the flow is shown of a context, (n, C)."""
        return self.columns.encode(codes, torch.rand_like(codes))[0], self._shown(context)

    def beyond_range(self, conditions: Tensor) -> Tensor:
        """Which conditions, (n, C), lie beyond the range of the training rows."""
        if self.shown is None:
            return self.flow.beyond_range(conditions)
        return self.shown.columns_of(self.flow.beyond_range(self.shown(conditions)))

    def check_shares(self) -> None:
        """Refuse `log_prob_of_each` of discrete columns, or of a flow whose layers have no order in common.

        Raises:
            InputError: it has no shares of columns.
        """
        if self.columns.noisy:
            name = [*self.columns.with_probabilities, *self.columns.rounded][0]
            raise InputError(
                f'This model has no shares of columns: the probability of its column "{name}", or of its cells, is an '
                "average over noise; fit with --arbitrary-conditions, whose probabilities are exact."
            )
        if self.flow.order() is None:
            raise InputError(
                "This model has no shares of columns: its layers mix columns or run in different orders; fit with "
                "--arbitrary-conditions, or see --explain."
            )

    def log_prob_of_each(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(code[d] | codes before d, context) in nats, (n, D), which sum to log_prob; without discrete columns.

        Arguments:
            codes: (n, D), float64.
            context: (n, C).

        Raises:
            InputError: the flow's layers have no order in common.
        """
        y, log_term = self.columns.encode(codes, self.points[0])
        return self.flow.log_prob_of_each(y, self._shown(context)) + log_term

    @torch.no_grad()
    def distribution_functions(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """P(column < its value | context) and P(column ≤ its value | context) of each column by itself, (2, n, D).

        Exact for one column, which increases with its latent number; over 256 latent points that fill the cube evenly,
        the same for every row, for several.

        Arguments:
            codes: (n, D), float64.
            context: (n, C).
        """
        ends, context = self._ends(codes), self._shown(context)
        return torch.stack([weight * self._below(flow, ends, context) for weight, flow in self.flow.parts]).sum(0)

    def chain_order(self) -> list[int] | None:
        """That of the flow, where noise does not matter and the density is that of one flow; of one column always."""
        if self.features == 1:
            return [0]
        return None if self.columns.noisy or len(self.flow.parts) > 1 else self.flow.order()

    @torch.no_grad()
    def distribution_functions_in_order(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """P(column < its value | those before it, context) and P(column ≤ its value | the same), (2, n, D).

        In the order of a triangular flow z[d] increases with x[d] while the columns before it stay as they are, and
        both are the distribution function of the base at z[d].

        Raises:
            InputError: the flow has no order, or noise matters.
        """
        if self.features == 1:
            return self.distribution_functions(codes, context)
        self.check_shares()
        (_, flow), *_ = self.flow.parts
        y, _ = self.columns.encode(codes, self.points[0])
        z = flow.bijection.each_inverse(y, self._shown(context))[0].double()
        below = flow.base.distribution_function(z)
        return torch.stack([below, below])

    @property
    def evaluations(self) -> int:
        """The points of the noise."""
        return len(self.points)

    def _below(self, flow: Flow, ends: list[Tensor], context: Tensor | None) -> Tensor:
        """The probabilities below the ends under one of the flows of the density."""
        if self.features == 1:
            latents = [flow.to_latent(torch.where(end.isinf(), 0.0, end), context).double() for end in ends]
            shares = [
                torch.where(end.isinf(), (end > 0).to(end), flow.base.distribution_function(z))
                for end, z in zip(ends, latents, strict=True)
            ]
            return torch.stack(shares)
        z = flow.base.even_points(LATENT_POINTS).to(flow.reference)
        found = []
        for part in torch.arange(len(ends[0]), device=ends[0].device).split(max(1, DRAWS // len(z))):
            given = None if context is None else context[part]
            y = flow.to_data(z[:, None].expand(-1, len(part), -1), given).double()
            found.append(torch.stack([(y < end[part]).double().mean(0) for end in ends]))
        return torch.cat(found, 1) if found else torch.zeros(2, *ends[0].shape, dtype=z.dtype, device=z.device)

    @torch.no_grad()
    def sample(self, shape: tuple[int, ...] = (), context: Tensor | None = None) -> Tensor:
        """Codes drawn, (*shape, *batch, D), float64, each in the support of its column."""
        y = self.flow.sample(shape, self._shown(context)).double()
        return self.columns.decode(y.reshape(-1, self.features)).reshape(y.shape)

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, D), from the global random state."""
        return self.flow.noise(rows)

    @torch.no_grad()
    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, as codes, (n, D), that `sample` makes of noise, (n, D)."""
        return self.columns.decode(self.flow.draws_of(noise, self._shown(context)).double())

    def _shown(self, context: Tensor | None) -> Tensor | None:
        return context if context is None or self.shown is None else self.shown(context)

    def _ends(self, codes: Tensor) -> list[Tensor]:
        """y of the lower and upper ends of the intervals of values, each (n, D), equal for values with a density."""
        low, high, _ = self.columns.intervals(codes)
        ends = [low, high]
        circular = self.columns.circular
        if circular:  # whose intervals are angles
            for end, edge in zip(ends, (0.0, 1.0), strict=True):
                end[:, circular] = self.columns.encode(codes, torch.full_like(codes, edge))[0][:, circular]
        return ends

    def _bound(self, codes: Tensor, context: Tensor | None, noise: Tensor) -> Tensor:
        y, log_term = self.columns.encode(codes, noise)
        return self.flow.log_prob(y, context) + log_term.sum(-1)
