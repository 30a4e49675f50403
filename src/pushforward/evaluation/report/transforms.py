"""Where each value lies in its distribution given others: the way that a model offers, column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.full_conditionals import full_conditionals
from pushforward.support.suggestions import quoted
from pushforward.support.wording import counted
from pushforward.table_models.pit import ends_of_rows
from pushforward.table_models.scoring import BATCH_ROWS

# Evaluations of the density for the quadratures, and the fewest rows that they are made for.
EVALUATIONS, FEWEST_ROWS, OF_ONE = 2_000_000, 200, 200
GIVEN_OTHERS, MOST_NAMED = "given all other columns", 3


@dataclass(frozen=True, eq=False)
class Transforms:
    """P(column < its value | others) and P(column ≤ its value | others), which differ where a value has a probability.

    Attributes:
        method: how they were found.
        ends: {column: (2, n)}, NaN where a value is missing.
        conditions: {column: what is known, in words}.
    """

    method: str
    ends: dict[str, np.ndarray]
    conditions: dict[str, str]


def transforms(
    evidence: Evidence, report: Callable[[float], None] = lambda part: None, evaluations: int = EVALUATIONS
) -> Transforms:
    """The distribution functions of each modeled column: given those before it where the model has them, else others.

    A model of one column, of any columns given any others, or whose flow is triangular in an order of columns that all
    have densities, gives each column given those before it, exactly. Of any other density each column is taken given
    all others, by quadrature. Either way each transform is uniform if the model is right.

    Arguments:
        evidence: the rows.
        report: is told the share that is done, from 0 to 1.
        evaluations: of the density for quadratures, about; default two million. It decides how many rows they are made
            for, at least 200.
    """
    if evidence.model.density.chain_order() is None:
        return _by_quadrature(evidence, report, evaluations)
    return _in_order(evidence)


def _in_order(evidence: Evidence) -> Transforms:
    model, roles, codes = evidence.model, evidence.model.roles, evidence.codes
    order = model.density.chain_order()
    assert order is not None
    parts = [codes[start : start + BATCH_ROWS] for start in range(0, len(codes), BATCH_ROWS)]
    found = np.concatenate([ends_of_rows(model.density, roles, part, in_order=True) for part in parts], 1)
    names = [roles.modeled[place] for place in order]
    conditions = {name: _given([*roles.conditioned, *names[:place]]) for place, name in enumerate(names)}
    ends = {name: found[:, :, place] for place, name in enumerate(roles.modeled)}
    known = "the conditions" if roles.conditioned else "nothing else"
    method = f"each column given those before it ({quoted(names[0])} first)" if len(names) > 1 else f"given {known}"
    return Transforms(f"{method}, exact", ends, conditions)


def _given(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {counted(len(names) - MOST_NAMED, 'other column')}" if len(names) > MOST_NAMED + 1 else ""
    shown = names if not more else names[:MOST_NAMED]
    return f"given {', '.join(map(quoted, shown))}{more}"


def _by_quadrature(evidence: Evidence, report: Callable[[float], None], evaluations: int) -> Transforms:
    model, codes = evidence.model, evidence.codes
    points = model.density.evaluations
    names = list(model.roles.modeled)
    rows = max(FEWEST_ROWS, evaluations // max(1, OF_ONE * points * len(names)))
    ends = {}
    for done, name in enumerate(names):
        found = np.full((2, len(codes)), np.nan)
        drawn = evidence.draws[:, model.names.index(name)]
        found[:, :rows] = full_conditionals(model, codes[:rows], name, drawn[~np.isnan(drawn)]).ends
        ends[name] = found
        report((done + 1) / len(names))
    some = f", of {counted(rows, 'row')}" if rows < len(codes) else ""
    method = f"each column given all others, by quadrature{some}"
    return Transforms(method, ends, dict.fromkeys(names, GIVEN_OTHERS))
