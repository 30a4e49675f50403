"""The verdict in plain sentences, by rule from the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.evaluation.report.contents import BaselineScore, Estimate, Test, TrainedOn, UnseenValues
from pushforward.evaluation.report.unseen import sentence_of
from pushforward.support.wording import counted, percent

MOST_FINDINGS = 8
# Tests from the plainest to the most general; those that name a column come first.
ORDER = ["memorization", "marginal spread", "spread", "calibration", "tails", "dependence", "marginal", "coverage"]
ORDER += ["two-sample"]


def sentences(
    rows: int,
    unseen: int,
    nats: Estimate,
    baselines: Sequence[BaselineScore],
    tests: Sequence[Test],
    level: float,
    known: TrainedOn,
    never: Sequence[UnseenValues] = (),
) -> list[str]:
    """Whether data and draws can be told apart, what is wrong, what the model gains, and what to be careful with.

    Arguments:
        rows: that have a density.
        unseen: that have none.
        nats: per row.
        baselines: the best first.
        tests: corrected.
        level: of significance.
        known: whether the rows were trained on.
        never: the values in them that the model has never seen; default none.
    """
    found = [one for one in tests if one.finding]
    missed = _without_density(rows, unseen, never)
    # Rows that the model calls impossible are told from its draws by themselves.
    strange = unseen > 0 and any(not one.missing for one in never)
    told = f"The model {'can' if found or strange else 'cannot'} be told from the data at n = {rows:,}"
    of_tests = f"{_count(tests, found)} at the level of {level:.0%}."
    first = [f"{told}: {missed[0]}", *missed[1:], f"Of the others, {of_tests}"] if strange else [f"{told}: {of_tests}"]
    return [*first, *_worst(found), _against(nats, baselines), *([] if strange else missed), known.sentence]


def _count(tests: Sequence[Test], found: Sequence[Test]) -> str:
    """How many tests find a difference, in words."""
    made = counted(sum(one.p_value == one.p_value for one in tests), "test")
    if not found:
        return f"none of {made} finds a difference"
    return f"{len(found)} of {made} {'finds' if len(found) == 1 else 'find'} a difference"


def _without_density(rows: int, unseen: int, never: Sequence[UnseenValues]) -> list[str]:
    """How many rows have no density and why, and which values were never seen."""
    said = []
    if unseen:
        have, they_are = ("has", "it is") if unseen == 1 else ("have", "they are")
        strange = any(not one.missing for one in never)
        why = "a value that the model has never seen" if strange else "values too far from the data"
        said.append(
            f"{counted(unseen, 'row')} ({percent(unseen / (rows + unseen))}) {have} {why}, and no density: {they_are} "
            "left out of all other numbers."
        )
    return [*said, *([sentence_of(never)] if never else [])]


def _worst(found: Sequence[Test]) -> list[str]:
    """The findings, one for each subject and at most eight, the most specific first."""
    one_each: dict[str, Test] = {}
    for test in sorted(found, key=lambda one: (_place(one), one.adjusted, -abs(one.statistic))):
        key = test.subject or test.name
        one_each.setdefault(key, test)
    kept = sorted(one_each.values(), key=lambda one: (one.name in ("coverage", "two-sample"), one.adjusted))
    left = len(kept) - MOST_FINDINGS
    more = (
        [f"{counted(left, 'more finding')} {'is' if left == 1 else 'are'} in the table of tests."] if left > 0 else []
    )
    return [*(one.finding for one in kept[:MOST_FINDINGS]), *more]


def _place(test: Test) -> tuple[bool, int]:
    """Of what is said of a column, where it lies or how wide it is comes first, then values that are too rare."""
    plain = " is too " in test.finding and "in its tails" not in test.finding
    return not plain, ORDER.index(test.name)


def _against(nats: Estimate, baselines: Sequence[BaselineScore]) -> str:
    said = f"Rows have {nats} nats on average"
    if not baselines:
        return f"{said}."
    best = baselines[0]
    difference = best.difference
    if abs(difference.value) <= 2 * difference.error:
        return f"{said}, no more and no less than the best reference, {best.name} (difference {difference})."
    more = "more" if difference.value > 0 else "less"
    amount = Estimate(abs(difference.value), difference.error)
    return f"{said}, {amount} {more} than the best reference, {best.name}."
