"""The verdict on a difference of accuracies: one word.

The rule is symmetric: had the two been named the other way round, BEATS and DOES NOT BEAT would change
places.

    BEATS           the whole interval lies above 0
    DOES NOT BEAT   the whole interval lies below 0: the other one is better
    INCONCLUSIVE    the interval holds 0, at an end too

Two that answer every test item alike have an interval around 0 (`intervals.py`), and so are INCONCLUSIVE: a
larger test set could part them.
"""

from enum import StrEnum

from distill_tune.evaluation.intervals import Interval


class Word(StrEnum):
    """What can be said of a difference."""

    BEATS = "BEATS"
    DOES_NOT_BEAT = "DOES NOT BEAT"
    INCONCLUSIVE = "INCONCLUSIVE"


def judge(difference: Interval) -> Word:
    """The word for `difference`, ours minus the other's; one that is not a number is INCONCLUSIVE."""
    if difference.low > 0:
        return Word.BEATS
    return Word.DOES_NOT_BEAT if difference.high < 0 else Word.INCONCLUSIVE
