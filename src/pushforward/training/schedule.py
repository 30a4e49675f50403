"""The share of a run that is over, and the learning rate at that point."""

from __future__ import annotations

import math

# Warm-up never takes more than this share of a run, so that short runs still reach the full rate.
LONGEST_WARMUP = 0.1


def run_progress(step: int, total_steps: float, elapsed: float, time_budget: float) -> float:
    """Return the share of the run that is over, from 0 to 1, by the nearer of two limits (either may be infinite).

    >>> run_progress(30, 100, 5.0, 10.0)
    0.5
    """
    by_step = step / total_steps if total_steps > 0 else 1.0
    by_time = elapsed / time_budget if time_budget > 0 else 1.0
    return min(1.0, max(by_step, by_time))


def learning_rate_factor(step: int, warmup_steps: int, progress: float) -> float:
    """Return the factor on the peak learning rate: linear warm-up, then a cosine from 1 at the start to 0 at the end.

    Warm-up ends after `warmup_steps` steps or a tenth of the run, whichever comes first.

    >>> [round(learning_rate_factor(1000, 100, progress), 3) for progress in (0.2, 0.5, 1.0)]
    [0.905, 0.5, 0.0]
    """
    warmup = 1.0 if warmup_steps == 0 else max((step + 1) / warmup_steps, progress / LONGEST_WARMUP)
    return min(1.0, warmup) * 0.5 * (1.0 + math.cos(math.pi * progress))
