"""A report with numbers of every kind for the tests of its page, and a small model to go with it."""

import math

import numpy as np
import pyarrow as pa
import torch

import pushforward as pf
from pushforward.evaluation.report.contents import (
    BaselineScore,
    Calibration,
    ColumnCalibration,
    Coverage,
    Dependence,
    Estimate,
    LayerBox,
    LayerCondition,
    LearningCurve,
    Marginal,
    Memorization,
    ModelReport,
    Numerics,
    OddColumnOfRow,
    OddRow,
    Points,
    Provenance,
    Region,
    ReportColumn,
    Test,
    TrainedOn,
    TwoSample,
    UnseenValues,
    Verdict,
    WorstRegions,
)

UNKNOWN = Estimate(math.nan, math.nan)


def table(rows, columns=2, seed=0):
    """Two moons, and further columns: a skewed one and a category."""
    random = np.random.default_rng(seed)
    side = random.integers(0, 2, rows)
    angle = np.pi * random.uniform(size=rows)
    x = np.where(side, 1 - np.cos(angle), np.cos(angle)) + 0.08 * random.normal(size=rows)
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle)) + 0.08 * random.normal(size=rows)
    found = {"east": x, "north": y}
    if columns > 2:
        found["speed"] = np.exp(0.5 * x + 0.3 * random.normal(size=rows))
        found["season"] = np.array(["winter", "spring", "summer"])[(side + random.integers(0, 2, rows)) % 3]
    return pa.table(found)


def fitted(columns=2, rows=1500, max_steps=300):
    """A model of the table."""
    options = {"max_steps": max_steps, "progress": False}
    return pf.fit_table(table(rows, columns), **options).model


def report_of(model, rows=600, title="Two moons"):
    """A report on other rows of the table; its tests are made up."""
    random = np.random.default_rng(1)
    names = model.modeled
    data = model.encode(table(rows, len(model.columns), seed=1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = model.draw(rows)
    log_prob = model.log_prob(data)
    kinds = [model.schema[name] for name in names]
    columns = [
        ReportColumn(
            name, "modeled", kind.kind, kind.describe(), kind.discrete,
            [str(level) for level in getattr(kind, "levels", None) or []] if kind.discrete else [],
            [float(code) for code in range(len(getattr(kind, "levels", None) or []))] if kind.discrete else [],
        )
        for name, kind in zip(names, kinds, strict=True)
    ]  # fmt: skip
    return ModelReport(
        title=title,
        columns=columns,
        verdict=_verdict(rows),
        calibration=_calibration(names, random),
        memorization=_memorization(random),
        dependence=_dependence(columns, data, draws),
        oddest=_oddest(names, data, log_prob),
        oddest_note=f"Of all {rows} rows of the table.",
        worst_regions=WorstRegions(
            "kernel density", "Leaves of a tree that grew on half of the rows, judged on the others.",
            [Region("east > 1.2 and north ≤ -0.3", 41, 0.14, Estimate(-0.31, 0.08), Estimate(-0.42, 0.09), 0.003),
             Region("east ≤ -0.5", 72, 0.24, Estimate(0.05, 0.04), Estimate(-0.02, 0.05), 1.0)],
        ),
        numerics=Numerics(
            "float32", 200, 3e-6, 2e-14, 5e-12, "5 × D steps", "1 pass", [LayerBox("spline layer 1", 0.002)],
            [LayerCondition("linear layer 1", 2.3)], 210_000.0, 90_000.0, "",
        ),
        provenance=Provenance(
            "moons.safetensors", "c0ffee" * 10 + "abcd", "0.9.0", 161_000, "nsf", '{"architecture": "nsf"}',
            {"rows": {"training": 1350, "held_out": 150}, "seed": 0, "stopped": "it stopped gaining"},
            "pushforward fit moons.csv -o moons.safetensors", ["fresh.csv"], "beef" * 16, rows, rows, "", 0,
            "pushforward report moons.safetensors fresh.csv -o report.html", "2026-01-02T03:04:05+00:00", 12.3,
            {"python": "3.11", "torch": "2.13"}, "2 processors",
        ),
        learning_curve=_curve(),
        points=Points(names, _rows(data), _rows(draws), log_prob.tolist(), names[::-1]),
    )  # fmt: skip


def _rows(codes):
    return [[None if math.isnan(value) else float(value) for value in row] for row in codes]


def _verdict(rows):
    baselines = [
        BaselineScore("Gaussian mixture", Estimate(-1.02, 0.03), Estimate(0.41, 0.03), "8 components"),
        BaselineScore("kernel density", Estimate(-1.11, 0.03), Estimate(0.5, 0.03)),
        BaselineScore("full Gaussian", Estimate(-2.05, 0.02), Estimate(1.44, 0.05)),
        BaselineScore("independent columns", Estimate(-2.31, 0.02), Estimate(1.7, 0.05)),
    ]
    sentences = [
        f"The draws can be told from the rows: a classifier is right on 53 % of {rows} rows.",
        'Column "east" is too narrow in its tails.',
        "The model is better than every reference, by 0.41 ± 0.03 nats per row over a mixture of 8 Gaussians.",
    ]
    tests = [
        Test("two-sample", "", rows - rows // 2, 0.531, 0.0004, 0.002, "rows and draws can be told apart"),
        Test("calibration", "east", rows, 0.05, 0.001, 0.004, "too narrow in its tails"),
        Test("calibration", "north", rows, 0.02, 0.61, 1.0),
        Test("dependence", "east, north", rows, 1.1, 0.27, 0.8),
    ]
    return Verdict(
        sentences, rows, Estimate(-0.61, 0.031), 2, [UnseenValues("season", 2, {"autumn": 2}, True, False)],
        "a density in the units of the columns, exact", baselines,
        "Each was fitted on half of the rows and judged on the other half.",
        TwoSample(Estimate(0.531, 0.011), 0.0004, rows - rows // 2, rows // 2, ["east", "north"], [0.028, 0.004]),
        [Coverage(0.5, Estimate(0.47, 0.02)), Coverage(0.9, Estimate(0.88, 0.012))], None, tests, 0.05,
        "p-values are corrected together, by Holm's method.",
        TrainedOn(True, 0.0, rows, 0, 0.001, "None of the rows was trained on, as far as the model file can tell."),
    )  # fmt: skip


def _calibration(names, random):
    columns = []
    for place, name in enumerate(names):
        transforms = random.beta(0.8, 0.8, 600) if place == 0 else random.uniform(size=600)
        grid = np.linspace(0, 1, 61)
        ecdf = np.searchsorted(np.sort(transforms), grid) / 600 - grid
        band = 2.9 * np.sqrt(grid * (1 - grid) / 600)
        shape, adjusted = ("too narrow in its tails", 0.004) if place == 0 else ("calibrated", 1.0)
        columns.append(
            ColumnCalibration(
                name, "given the columns before it" if place else "", 600, float(transforms.mean()), 1.02, 0.05, 0.001,
                adjusted, Estimate(0.04, 0.008), Estimate(0.026, 0.006), shape,
                np.histogram(transforms, 20, (0, 1))[0].tolist(), [15.0] * 20, [46.0] * 20, grid.tolist(),
                ecdf.tolist(), (-band).tolist(), band.tolist(),
            )
        )  # fmt: skip
    method = "Each value's place in its distribution given the columns before it: uniform if the model is right."
    return Calibration(method, columns, {"site": "it is constant."})


def _memorization(random):
    edges = np.linspace(0, 0.6, 31)
    shares = [np.histogram(random.gamma(3, scale, 2000), edges)[0] / 2000 for scale in (0.05, 0.052)]
    return Memorization(
        "The model has not learned rows by heart.", True, Estimate(-0.58, 0.02), Estimate(-0.61, 0.03),
        Estimate(0.03, 0.036), Estimate(0.502, 0.012), 0.4, edges.tolist(), shares[0].tolist(), shares[1].tolist(),
        0, 1, 2000, 600,
    )  # fmt: skip


def _dependence(columns, data, draws):
    names = [column.name for column in columns]
    count = len(names)
    ranks = [np.argsort(np.argsort(part, 0), 0) for part in (data, draws)]
    correlations = [np.atleast_2d(np.corrcoef(part.T)) for part in ranks]
    marginals = []
    for place, column in enumerate(columns):
        values = data[:, place], draws[:, place]
        if column.discrete:
            edges, labels = [], column.levels
            shares = [[float((part == code).mean()) for code in column.level_codes] for part in values]
        else:
            edges, labels = np.quantile(values[0], np.linspace(0, 1, 25)), []
            edges[0], edges[-1] = min(edges[0], values[1].min()), max(edges[-1], values[1].max())
            edges = np.linspace(edges[0], edges[-1], 41)
            shares = [(np.histogram(part, edges)[0] / len(part)).tolist() for part in values]
            edges = edges.tolist()
        gaps = Estimate(0.02, 0.004) if place == count - 1 else Estimate(0.0, 0.0)
        marginals.append(
            Marginal(
                column.name, len(data), len(draws), column.discrete, edges, labels, *shares, gaps, gaps, 0.03, 0.3, 0.6
            )
        )
    return Dependence(
        names, len(data), len(draws),
        correlations[0].tolist(), correlations[1].tolist(), (correlations[1] - correlations[0]).tolist(),
        np.full((count, count), 0.02).tolist(), np.where(np.eye(count, k=1) + np.eye(count, k=-1), 0.01, 1).tolist(),
        marginals,
    )  # fmt: skip


def _oddest(names, data, log_prob):
    found = []
    for place, row in enumerate(np.argsort(log_prob)[:8].tolist()):
        values = {name: f"{value:.4g}" for name, value in zip(names, data[row], strict=True)}
        column = OddColumnOfRow(names[place % 2], 0.8, 5.2, values[names[place % 2]], "-0.4", "0.9")
        sentence = f"{column.column} = {column.value}, where {column.low} to {column.high} was expected."
        found.append(OddRow(row + 1, float(log_prob[row]), (place + 1) / 400, [column], values, sentence))
    return found


def _curve():
    steps = list(range(0, 1001, 50))
    held_out = [-0.6 - 1.8 * math.exp(-step / 150) for step in steps]
    train = [None, *(-0.58 - 1.7 * math.exp(-step / 150) for step in steps[1:])]
    return LearningCurve(steps, [step / 40 for step in steps], train, held_out, 900, "it stopped gaining")
