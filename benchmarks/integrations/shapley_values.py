"""Shapley values with the imputers of shapiq and with ours, beside those of a density whose conditionals are known.

    python benchmarks/integrations/shapley_values.py

needs `pip install 'pushforward[shapiq]' xgboost` and takes a few minutes. The features are those of a Gaussian
and of a mixture of two; the model is w · x + x0 · x1, whose conditional means are in closed form. Every imputer has the
same rows.
"""

import json
import time
from functools import partial

import numpy as np
import shapiq
import torch
from scipy import stats
from shapiq.imputer.baseline_imputer import BaselineImputer
from shapiq.imputer.gaussian_copula_imputer import GaussianCopulaImputer
from shapiq.imputer.gaussian_imputer import GaussianImputer
from shapiq.imputer.generative_conditional_imputer import GenerativeConditionalImputer
from shapiq.imputer.marginal_imputer import MarginalImputer

import pushforward as pf
from pushforward.integrations.shapiq import FlowImputer

WEIGHTS = np.array([1.0, 2.0, -1.0, 0.5])
FEATURES = len(WEIGHTS)
ROWS, EXPLAINED, DRAWS = 2_000, 20, 500


def covariance(correlation):
    return np.full((FEATURES, FEATURES), correlation) + (1 - correlation) * np.eye(FEATURES)


# (share, mean, covariance) of each Gaussian.
FIRST, SECOND = np.array([1.5, 1.5, -1.5, 0.0]), np.array([-1.5, -1.5, 1.5, 0.0])
DENSITIES = {
    "Gaussian": [(1.0, np.zeros(FEATURES), covariance(0.7))],
    "two Gaussians": [(0.5, FIRST, covariance(0.5)), (0.5, SECOND, 0.5 * covariance(-0.2))],
}


def model(rows):
    return rows @ WEIGHTS + rows[:, 0] * rows[:, 1]


def draws(parts, count, generator):
    which = generator.choice(len(parts), count, p=[share for share, *_ in parts])
    each = np.stack([generator.multivariate_normal(mean, spread, count) for _, mean, spread in parts])
    return each[which, np.arange(count)]


def value(parts, x, present):
    """E(model | present)."""
    log_weights, means = [], []
    for share, mean, spread in parts:
        at, rest = mean.copy(), spread.copy()
        density = 0.0
        if present.any():
            gain = np.linalg.solve(spread[np.ix_(present, present)], spread[present]).T
            at = mean + gain @ (x[present] - mean[present])
            rest = spread - gain @ spread[present]
            density = stats.multivariate_normal(mean[present], spread[np.ix_(present, present)]).logpdf(x[present])
        log_weights.append(np.log(share) + density)
        means.append(at @ WEIGHTS + at[0] * at[1] + rest[0, 1])
    weights = np.exp(np.array(log_weights) - max(log_weights))
    return float(weights @ means / weights.sum())


def values(parts, x, coalitions):
    """(n,) of coalitions, (n, D)."""
    return np.array([value(parts, x, present) for present in coalitions])


def shapley_values(game):
    """(D,) of a function of coalitions."""
    return shapiq.ExactComputer(game, n_players=FEATURES)("SV").get_n_order_values(1)


def imputers(rows):
    """A function of a row that is explained, for each imputer."""
    density = pf.fit_table(rows, arbitrary_conditions=True, max_time=60, seed=0).model
    options = {"sample_size": DRAWS, "random_state": 0}
    return {
        "FlowImputer": lambda x: FlowImputer(model, density, x=x, **options),
        "GaussianImputer": lambda x: GaussianImputer(model, rows, x, **options),
        "GaussianCopulaImputer": lambda x: GaussianCopulaImputer(model, rows, x, **options),
        "GenerativeConditionalImputer": lambda x: GenerativeConditionalImputer(
            model, rows, x, normalize=False, **options
        ),
        "MarginalImputer": lambda x: MarginalImputer(model, rows, x=x, normalize=False, **options),
        "BaselineImputer": lambda x: BaselineImputer(model, rows, x, normalize=False, random_state=0),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, parts in DENSITIES.items():
        generator = np.random.default_rng(0)
        rows, explained = draws(parts, ROWS, generator), draws(parts, EXPLAINED, generator)
        truth = np.stack([shapley_values(partial(values, parts, x)) for x in explained])
        for kind, make in imputers(rows).items():
            began = time.process_time()
            found = np.stack([shapley_values(make(x)) for x in explained])
            seconds = time.process_time() - began
            error = np.sqrt(((found - truth) ** 2).mean())
            row = {"density": name, "imputer": kind, "error": round(float(error), 3)}
            row["deviation of the values"] = round(float(truth.std()), 3)
            print(json.dumps({**row, "processor seconds": round(seconds, 1)}), flush=True)
