"""Arbitrary conditioning on GALAXY: photometric redshifts, and a table with a fifth of its cells removed.

    python benchmarks/gaps.py [--seconds 120 | --steps 3000] [--part redshift|gaps]

`redshift`: p(redshift | six magnitudes) on the test rows: the held-out negative log-likelihood in nats, in standardized
units, of the arbitrary conditional model, of a flow fitted to this conditional alone, and of the Gaussian; and the
calibration of the first two, as the Kolmogorov-Smirnov distance of its probability-integral transforms from uniform
(about 1.36 / √rows at the 5 % level for a calibrated model) and as the coverage of central intervals.

`gaps`: 20 % of all cells are removed at random, from training and test rows. The model and a Gaussian (fitted by
expectation-maximization) are trained on what is left, and asked for what was removed: log p(removed | left) in nats per
removed cell, and the root-mean-square error of medians and of conditional means.
"""

import argparse
import math

import datasets
import numpy as np
import torch
from scipy import stats

import pushforward as pf
from pushforward.tables import to_table

MISSING = 0.2
LEVELS = (0.5, 0.8, 0.95)


def conditional_gaussian(mean, covariance, rows, asked):
    """Mean and covariance of the asked columns given the others, for rows that have all others."""
    known = [column for column in range(len(mean)) if column not in asked]
    asked = list(asked)
    slope = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, asked)])
    center = mean[asked] + (rows[:, known] - mean[known]) @ slope
    return center, covariance[np.ix_(asked, asked)] - covariance[np.ix_(asked, known)] @ slope


def gaussian_with_gaps(rows, passes=50):
    """Mean and covariance of the maximum likelihood Gaussian of rows with gaps, by expectation-maximization."""
    mean, covariance = np.nanmean(rows, 0), np.diag(np.nanvar(rows, 0))
    patterns, which = np.unique(np.isnan(rows), axis=0, return_inverse=True)
    groups = [(pattern, np.flatnonzero(which.ravel() == number)) for number, pattern in enumerate(patterns)]
    for _ in range(passes):
        whole, extra = rows.copy(), np.zeros_like(covariance)
        for pattern, members in groups:
            asked = np.flatnonzero(pattern)
            if not len(asked):
                continue
            if len(asked) == rows.shape[1]:
                whole[members], extra = mean, extra + len(members) * covariance
                continue
            center, rest = conditional_gaussian(mean, covariance, rows[members], asked)
            whole[np.ix_(members, asked)] = center
            extra[np.ix_(asked, asked)] += len(members) * rest
        mean = whole.mean(0)
        covariance = ((whole - mean).T @ (whole - mean) + extra) / len(rows)
    return mean, covariance


def fit(rows, columns, limit, **options):
    result = pf.fit_table(to_table(rows, columns), announce=print, **limit, **options)
    print(result.history)
    return result.model


def redshift(train, test, columns, limit):
    arbitrary_conditions = fit(train, columns, limit, arbitrary_conditions=True)
    alone = fit(train, columns, limit, given=columns[1:])
    rows = torch.from_numpy(test)
    known = torch.ones(rows.shape, dtype=torch.bool)
    known[:, 0] = False
    with torch.inference_mode():
        log_prob = arbitrary_conditions.density.log_prob_given(rows, known).numpy()
        transforms = {"arbitrary": arbitrary_conditions.density.distribution_function(rows, 0).numpy()}
        # The latent feature of a single continuous column is Φ⁻¹ of its distribution function.
        coded, _ = alone.density.columns.encode(rows[:, :1], torch.zeros(len(rows), 1, dtype=rows.dtype))
        latent = alone.density.flow.to_latent(coded, alone.roles.conditions(torch.from_numpy(test[:, 1:])))
        transforms["this alone"] = torch.special.ndtr(latent[:, 0]).numpy()
    only = alone.log_prob(test)
    mean, covariance = train.mean(0), np.cov(train.T)
    center, rest = conditional_gaussian(mean, covariance, test, [0])
    gaussian = stats.norm.logpdf(test[:, 0], center[:, 0], math.sqrt(rest[0, 0]))
    for name, values in (("arbitrary", log_prob), ("this alone", only), ("Gaussian", gaussian)):
        print(
            f"NLL of redshift | magnitudes, {name:10} {-values.mean():8.4f} ± {values.std() / len(values) ** 0.5:.4f}"
        )
    for name, values in transforms.items():
        distance = stats.kstest(values, "uniform").statistic
        print(f"PIT, {name:10}: KS distance {distance:.4f}, {1.36 / len(test) ** 0.5:.4f} at 5 % for {len(test)} rows")
        for level in LEVELS:
            print(f"central {level:.0%} interval covers {np.mean(np.abs(values - 0.5) < level / 2):.1%}")


def gaps(train, test, columns, limit):
    random = np.random.default_rng(0)
    removed = random.random(test.shape) < MISSING
    train = np.where(random.random(train.shape) < MISSING, np.nan, train)
    left = np.where(removed, np.nan, test)
    model = fit(train, columns, limit)
    rows, known = torch.from_numpy(test), torch.from_numpy(~removed)
    with torch.inference_mode():
        log_prob = model.density.log_prob_given(rows, known).numpy()
    medians = np.full(test.shape, np.nan)
    for column in range(len(columns)):
        missing = removed[:, column]
        medians[missing, column] = model.density.quantiles(torch.from_numpy(left[missing]), column, [0.5])[:, 0].numpy()
    mean, covariance = gaussian_with_gaps(train)
    means, gaussian = np.full(test.shape, np.nan), np.zeros(len(test))
    for row in np.flatnonzero(removed.any(1)):
        asked = np.flatnonzero(removed[row])
        if len(asked) == len(columns):
            center, rest = mean, covariance
        else:
            centers, rest = conditional_gaussian(mean, covariance, test[row : row + 1], asked)
            center = centers[0]
        means[row, asked] = center
        gaussian[row] = stats.multivariate_normal(center, rest).logpdf(test[row, asked])
    cells = removed.sum()
    for name, values, filled in (("arbitrary", log_prob, medians), ("Gaussian", gaussian, means)):
        error = np.sqrt(np.nanmean((filled - test) ** 2))
        absolute = np.nanmean(np.abs(filled - test))
        spread = values.std() * len(values) ** 0.5 / cells
        print(
            f"{name:10} log p(removed | left) {values.sum() / cells:8.4f} ± {spread:.4f} nats a cell; "
            f"error of a cell: root mean square {error:.4f}, mean absolute {absolute:.4f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="of each training, default 120")
    parser.add_argument("--steps", type=int, help="of each training, in place of seconds")
    parser.add_argument("--rows", type=int, default=None, help="training rows, default all")
    parser.add_argument("--test-rows", type=int, default=5_000)
    parser.add_argument("--part", choices=("redshift", "gaps"))
    parser.add_argument("--directory", default=str(datasets.DIRECTORY))
    arguments = parser.parse_args()
    limit = {"max_steps": arguments.steps} if arguments.steps else {"max_time": arguments.seconds or 120}
    data = datasets.load("GALAXY", arguments.directory)
    train = np.concatenate([data.train, data.validation]).astype(float)[: arguments.rows]
    test, columns = data.test.astype(float)[: arguments.test_rows], list(data.columns)
    for part, run in (("redshift", redshift), ("gaps", gaps)):
        if arguments.part in (None, part):
            print(f"\n{part}: {len(train)} rows to train, {len(test)} to test, columns {', '.join(columns)}")
            run(train, test, columns, limit)


if __name__ == "__main__":
    main()
