"""The verdict on a difference of accuracies: one word.

The rule is symmetric: swapping the two swaps BEATS and DOES NOT BEAT.

    BEATS           the whole interval lies above 0
    DOES NOT BEAT   the whole interval lies below 0: the other one is better
    INCONCLUSIVE    the interval contains 0, even at an end

Two that answer every test item alike have an interval around 0 (`intervals.py`) and so are INCONCLUSIVE: a larger test
set could tell them apart.
"""

from enum import StrEnum

from distill_tune.evaluation.intervals import Interval


class Word(StrEnum):
    """What can be concluded about a difference."""

    BEATS = "BEATS"
    DOES_NOT_BEAT = "DOES NOT BEAT"
    INCONCLUSIVE = "INCONCLUSIVE"


def judge(difference: Interval) -> Word:
    """The word for `difference`, ours minus the other's; NaN is INCONCLUSIVE."""
    if difference.low > 0:
        return Word.BEATS
    return Word.DOES_NOT_BEAT if difference.high < 0 else Word.INCONCLUSIVE
