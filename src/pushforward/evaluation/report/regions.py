"""Where a model is worst: the leaves of a small decision tree on what it gains over a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from pushforward.evaluation.baselines import mean_and_standard_error
from pushforward.evaluation.report.contents import Estimate, Region, WorstRegions
from pushforward.evaluation.report.correction import holm
from pushforward.evaluation.report.evidence import Evidence
from pushforward.evaluation.report.marginals import texts_of
from pushforward.support.suggestions import quoted
from pushforward.table_models.model import TableModel

DEPTH, LEAST_SHARE, FEWEST_ROWS = 3, 0.05, 100
# A gain far below the others would decide the splits alone.
CLIPPED = 0.005


def worst_regions(evidence: Evidence, reference: str, of_reference: np.ndarray, seed: int) -> WorstRegions:
    """Grow a tree on one half of the rows, and judge the model in its leaves on the other half.

    The tree of depth three splits the rows by log p of the model less that of the reference. Its leaves are then fixed
    for the other half, whose means have honest errors; each leaf is compared with all other rows by Welch's test,
    one-sided, with Holm's correction over the leaves.

    Arguments:
        evidence: the rows.
        reference: its name.
        of_reference: (n,) log-densities of the rows under it.
        seed: of the halves.
    """
    gain = evidence.log_prob - of_reference
    model, rows = evidence.model, len(gain)
    if rows < FEWEST_ROWS:
        return WorstRegions(reference, f"Fewer than {FEWEST_ROWS} rows are too few for regions.", [])
    from sklearn.tree import DecisionTreeRegressor

    names = [*model.roles.modeled, *model.roles.conditioned]
    inputs = evidence.codes[:, [model.names.index(name) for name in names]]
    order = np.random.default_rng(seed).permutation(rows)
    grown, judged = order[: rows // 2], order[rows // 2 :]
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAST_SHARE, random_state=seed)
    tree.fit(inputs[grown], np.clip(gain[grown], *np.quantile(gain[grown], [CLIPPED, 1 - CLIPPED])))
    leaf = tree.apply(inputs[judged])
    rules = _rules(tree.tree_, model, names)
    found, values = [], gain[judged]
    for node in np.unique(leaf):
        inside, outside = values[leaf == node], values[leaf != node]
        if len(inside) < 2 or len(outside) < 2:
            continue
        difference = Estimate(*mean_and_standard_error(inside))
        rest = Estimate(*mean_and_standard_error(outside))
        from_rest = Estimate(difference.value - rest.value, math.hypot(difference.error, rest.error))
        found.append((rules[int(node)], len(inside), difference, from_rest, _worse(inside, outside)))
    adjusted = holm([one[-1] for one in found])
    regions = [
        Region(rule, count, count / len(values), difference, from_rest, float(p_value))
        for (rule, count, difference, from_rest, _), p_value in zip(found, adjusted, strict=True)
    ]
    note = f"Rules were found on {len(grown):,} rows, and the numbers are of the other {len(judged):,}."
    return WorstRegions(reference, note, sorted(regions, key=lambda one: one.from_rest.value))


def _worse(inside: np.ndarray, outside: np.ndarray) -> float:
    """Welch's p-value of a smaller mean inside."""
    a, b = inside.var(ddof=1) / len(inside), outside.var(ddof=1) / len(outside)
    if a + b == 0:
        return float(inside.mean() >= outside.mean())
    freedom = (a + b) ** 2 / (a**2 / (len(inside) - 1) + b**2 / (len(outside) - 1))
    return float(student(freedom).cdf((inside.mean() - outside.mean()) / math.sqrt(a + b)))


def _rules(tree: object, model: TableModel, names: Sequence[str]) -> dict[int, str]:
    """{leaf: its rule in words}: of each column the tightest bounds on the way to it."""
    left, right, feature, threshold = (
        getattr(tree, part) for part in ("children_left", "children_right", "feature", "threshold")
    )
    found: dict[int, str] = {}

    def visit(node: int, bounds: dict[str, tuple[float, float]]) -> None:
        if left[node] < 0:
            found[node] = _in_words(model, bounds)
            return
        name, at = names[feature[node]], float(threshold[node])
        low, high = bounds.get(name, (-math.inf, math.inf))
        visit(left[node], {**bounds, name: (low, min(high, at))})
        visit(right[node], {**bounds, name: (max(low, at), high)})

    visit(0, {})
    return found


def _in_words(model: TableModel, bounds: dict[str, tuple[float, float]]) -> str:
    """Bounds of codes in words.

    A category is listed by its levels, others by values.
    """
    parts = []
    for name, (low, high) in bounds.items():
        kind = model.schema[name]
        levels = kind.all_codes()
        if levels is not None and not kind.measured:
            inside = levels[(levels > low) & (levels <= high)]
            parts.append(f"{quoted(name)} is {' or '.join(texts_of(model, name, inside))}")
            continue
        ends = [texts_of(model, name, np.array([end]))[0] if math.isfinite(end) else "" for end in (low, high)]
        if ends[0] and ends[1]:
            parts.append(f"{quoted(name)} from {ends[0]} to {ends[1]}")
        else:
            parts.append(f"{quoted(name)} > {ends[0]}" if ends[0] else f"{quoted(name)} ≤ {ends[1]}")
    return " and ".join(parts) or "all rows"
