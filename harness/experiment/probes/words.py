"""How experiments write their numbers in sentences: scores, differences with intervals, counts."""

from __future__ import annotations

import textwrap

from harness.publish import numbers
from harness.stats.paired import Interval

LONGEST_CAUSE = 160
"""Characters of an error's text that a sentence quotes."""


def score(value: float, *, is_share: bool) -> str:
    """62 %; or 41 points for a graded metric."""
    return numbers.score(value, is_share=is_share)


def scored(found: Interval, *, is_share: bool) -> str:
    """62 % (54 to 70 %)."""
    return numbers.score_interval(found.estimate, found.low, found.high, is_share=is_share)


def gap(found: Interval) -> str:
    """−3 points (−8 to 2): a difference with its interval."""
    return numbers.lead_interval(found.estimate, found.low, found.high)


def size(found: Interval) -> str:
    """The same without its sign, for sentences that say the direction in words."""
    if found.estimate >= 0:
        return gap(found)
    return gap(Interval(-found.estimate, -found.high, -found.low))


def moved(found: Interval, *, more: str = "more", less: str = "less") -> str:
    """`3 points more (1 to 5)`, or that no difference is shown."""
    if found.low > 0:
        return f"{gap(found)} {more}"
    if found.high < 0:
        return f"{size(found)} {less}"
    return f"no difference shown ({gap(found)})"


def cause(text: str) -> str:
    """What went wrong, short enough for a sentence and without a full stop."""
    return textwrap.shorten(text, LONGEST_CAUSE, placeholder=" …").rstrip(".")


def about(count: float) -> str:
    """A count that does not pretend to be exact: 137 -> `about 140`."""
    step = 10 if count < 1_000 else 100 if count < 10_000 else 1_000
    return f"about {max(step, round(count / step) * step):,}"


def minutes(seconds: float) -> str:
    """A duration in words: `4 s`, `3 min 12 s`."""
    return numbers.seconds(seconds)
