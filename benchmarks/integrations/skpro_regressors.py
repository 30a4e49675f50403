"""Predicted distributions of FlowRegressor beside those of regressors of skpro, on rows that none of them saw.

    python benchmarks/integrations/skpro_regressors.py

needs skpro, which docs/integrations/skpro.md says how to install, and takes a few minutes.
"""

import json
import time
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import KFold
from skpro.metrics import CRPS, LogLoss
from skpro.regression.adapters.sklearn import SklearnProbaReg
from skpro.regression.residual import ResidualDouble

from pushforward.integrations.skpro import FlowRegressor


def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X, y.to_frame("progression")


def two_branches(rows=1_000):
    """y = ±√x with noise that grows with x."""
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 1, rows)
    y = generator.choice([-1, 1], rows) * np.sqrt(x) + (0.05 + 0.1 * x) * generator.normal(size=rows)
    return pd.DataFrame({"x": x}), pd.DataFrame({"y": y})


TABLES = {"diabetes": diabetes, "two branches": two_branches}
REGRESSORS = {
    "FlowRegressor()": lambda: FlowRegressor(max_time=60, random_state=0),
    'FlowRegressor("nsf")': lambda: FlowRegressor("nsf", max_time=30, random_state=0),
    "ResidualDouble(GradientBoostingRegressor())": lambda: ResidualDouble(GradientBoostingRegressor(random_state=0)),
    "ResidualDouble(RandomForestRegressor())": lambda: ResidualDouble(RandomForestRegressor(random_state=0)),
    "SklearnProbaReg(BayesianRidge())": lambda: SklearnProbaReg(BayesianRidge()),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for table, make_table in TABLES.items():
        X, y = make_table()
        for name, make in REGRESSORS.items():
            found = []
            for fitted, held_out in KFold(3, shuffle=True, random_state=0).split(X):
                began = time.process_time()
                predicted = make().fit(X.iloc[fitted], y.iloc[fitted]).predict_proba(X.iloc[held_out])
                truth = y.iloc[held_out]
                seconds = time.process_time() - began
                found.append((LogLoss()(truth, predicted), CRPS()(truth, predicted), seconds))
            log_loss, crps, seconds = np.mean(found, axis=0)
            row = {"table": table, "regressor": name, "log loss": round(log_loss, 3), "CRPS": round(crps, 4)}
            print(json.dumps({**row, "processor seconds": round(seconds, 1)}), flush=True)
