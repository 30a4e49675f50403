"""Tests of statistics: five standard errors, so that none of some thousand fails by chance on another machine."""

from scipy import stats

# The probability that a normal variable lies further than five standard deviations from its mean.
FIVE_SIGMA = 2 * stats.norm.sf(5)


def follows(draws, distribution):
    """Whether draws agree with a distribution, by its function or its scipy name: a Kolmogorov-Smirnov test."""
    return stats.kstest(draws, distribution).pvalue > FIVE_SIGMA


def covers(scores):
    """Whether as many scores are within one and two standard errors as those of a normal variable are."""
    for sigmas in (1, 2):
        within = sum(abs(score) < sigmas for score in scores)
        if stats.binomtest(within, len(scores), stats.norm.cdf(sigmas) - stats.norm.cdf(-sigmas)).pvalue < FIVE_SIGMA:
            return False
    return True


def is_mean_of(values, truth, allowance=0.0):
    """Whether the mean of independent values is the truth up to five standard errors, and an allowance for a fit."""
    return abs(values.mean() - truth) < 5 * values.std() / len(values) ** 0.5 + allowance
