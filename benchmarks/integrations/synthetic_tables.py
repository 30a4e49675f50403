"""Tables drawn by get_trained_synthesizer and by synthesizers of SDV, judged by SDMetrics and told apart by trees.

    python benchmarks/integrations/synthetic_tables.py

needs `pip install 'pushforward[sdmetrics]' 'sdv<2'` in an environment of its own, and takes several minutes. Rows that
no synthesizer saw are what draws are compared with.
"""

import json
import time

import numpy as np
import pandas as pd
import torch
from sdmetrics.reports import QualityReport
from sdmetrics.single_table import DCROverfittingProtection
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from pushforward.integrations.sdgym import get_trained_synthesizer, sample_from_synthesizer

ROWS = 2_000
KINDS = {
    "age": "numerical",
    "income": "numerical",
    "saved": "numerical",
    "region": "categorical",
    "member": "boolean",
    "visits": "numerical",
}
TABLE = "people"
METADATA = {"tables": {TABLE: {"columns": {name: {"sdtype": kind} for name, kind in KINDS.items()}}}}


def people(rows, seed):
    """A table in which members and regions differ, incomes bend with the age, and some save nothing."""
    generator = np.random.default_rng(seed)
    age = generator.integers(18, 90, rows)
    region = generator.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2])
    member = generator.random(rows) < np.where(region == "west", 0.7, 0.2)
    middle = 7.5 + 0.6 * member - ((age - 50) / 30) ** 2
    income = np.exp(middle + 0.3 * generator.normal(size=rows)).round(2)
    saved = np.where(generator.random(rows) < 0.3, 0.0, income * generator.beta(2, 5, rows)).round(2)
    visits = generator.poisson(np.where(member, 6.0, 1.0))
    return pd.DataFrame(
        {"age": age, "income": income, "saved": saved, "region": region, "member": member, "visits": visits}
    )


def told_apart(real, drawn):
    """The area under the curve of boosted trees that tell drawn rows from real ones, on rows held out of their fit."""
    both = pd.concat([real, drawn], ignore_index=True)
    both["region"] = both["region"].astype("category").cat.codes
    labels = np.repeat([0, 1], [len(real), len(drawn)])
    trees = HistGradientBoostingClassifier(random_state=0)
    found = cross_val_predict(trees, both.astype(float), labels, cv=5, method="predict_proba")[:, 1]
    return roc_auc_score(labels, found)


def by_sdv(kind):
    def draw(data):
        synthesizer = kind(Metadata.load_from_dict(METADATA))
        synthesizer.fit(data)
        return synthesizer.sample(ROWS)

    return draw


def by_flow(data):
    return sample_from_synthesizer(get_trained_synthesizer(data, METADATA, max_time=90, seed=0), ROWS, seed=1)


SYNTHESIZERS = {
    "pushforward": by_flow,
    "SDV's GaussianCopula": by_sdv(GaussianCopulaSynthesizer),
    "SDV's CTGAN": by_sdv(CTGANSynthesizer),
    "SDV's TVAE": by_sdv(TVAESynthesizer),
    "new rows": lambda data: people(ROWS, 2),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    fitted, held_out = people(ROWS, 0), people(ROWS, 1)
    for name, draw in SYNTHESIZERS.items():
        torch.manual_seed(0)
        began = time.process_time()
        drawn = draw(fitted)
        seconds = time.process_time() - began
        quality = QualityReport()
        quality.generate({TABLE: held_out}, {TABLE: drawn}, METADATA, verbose=False)
        distances = DCROverfittingProtection.compute(fitted, drawn, held_out, METADATA, TABLE)
        row = {"synthesizer": name, "quality": round(quality.get_score(), 3)}
        row |= {"told apart": round(told_apart(held_out, drawn), 3), "DCR protection": round(distances, 3)}
        print(json.dumps({**row, "processor seconds": round(seconds)}), flush=True)
