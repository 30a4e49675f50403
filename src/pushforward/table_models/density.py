"""The density of a table's codes: what each of the densities offers, and which of them belongs to a flow."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from pushforward.flow import Density, Flow
from pushforward.support.modules import device_of
from pushforward.table_models.arbitrary_conditional import ArbitraryConditionalDensity
from pushforward.table_models.arbitrary_conditional_flow import ArbitraryConditionalFlow
from pushforward.table_models.deconvolved import DeconvolvedDensity
from pushforward.table_models.dequantized import DequantizedDensity
from pushforward.table_models.roles import ColumnRoles
from pushforward.tables.columns.columns import Columns
from pushforward.zoo.flow_mixture import FlowMixture


class TableDensity(Density, Protocol):
    """What a density of codes offers to the scores and draws of a table."""

    @property
    def meaning(self) -> str:
        """What log_prob is the logarithm of."""

    def check_shares(self) -> None:
        """Refuse `log_prob_of_each` of a density that is not a product of conditionals in the order of its columns.

        Raises:
            InputError: it is not; the sentence says why.
        """

    def log_prob_of_each(self, x: Tensor, /, context: Tensor | None = None) -> Tensor:
        """The terms of the chain rule, (n, D), which sum to log_prob."""

    def distribution_functions(self, x: Tensor, /, context: Tensor | None = None) -> Tensor:
        """P(column < its value | context) and P(column ≤ its value | context) of each column by itself, (2, n, D).

        NaN where a value is missing, and for columns that are conditions.
        """

    def chain_order(self) -> list[int] | None:
        """The order of columns in which `distribution_functions_in_order` knows those before each; None for none."""

    def distribution_functions_in_order(self, x: Tensor, /, context: Tensor | None = None) -> Tensor:
        """P(column < its value | those before it, context) and P(column ≤ its value | the same), (2, n, D), exact.

        The columns before it are those in `chain_order`. NaN where a value is missing, and for columns that are
        conditions.

        Raises:
            InputError: there is no such order.
        """

    @property
    def evaluations(self) -> int:
        """How many times one `log_prob` of a row evaluates the flow inside."""

    def noise(self, rows: int) -> Tensor:
        """What draws are made of, (rows, D), from the global random state."""

    def draws_of(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The draws, as codes, (n, D), that `sample` makes of noise, (n, D)."""


def table_density(flow: Flow | FlowMixture | ArbitraryConditionalFlow, roles: ColumnRoles) -> TableDensity:
    """The density of codes that a flow stands for, in evaluation mode, on the device of the flow."""
    maps, device = Columns(roles.schema, roles.features), device_of(flow)
    if flow.allows_gaps is True:
        return ArbitraryConditionalDensity(maps, flow, roles.schema, roles.features, roles.given).to(device).eval()
    density = DequantizedDensity(maps, flow, shown=roles.shown_context)
    return (DeconvolvedDensity(density, roles.with_errors) if roles.errors else density).to(device).eval()
