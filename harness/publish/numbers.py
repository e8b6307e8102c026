"""How numbers are written, in one place: shares, points, p values, durations, counts, memory.

Every function takes None and NaN and then writes `not measured`. Scores and differences come on the metric's own
0..1 scale. Halves round away from zero, and a number that is not whole never rounds to 0 % or 100 %.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

NOT_MEASURED = "not measured"
_MINUS = "−"
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def is_measured(*values: float | None) -> bool:
    """Whether every value is a finite number."""
    return all(value is not None and math.isfinite(value) for value in values)


def share(value: float | None) -> str:
    """0.62 -> `62 %`."""
    return f"{_hundredths(value)} %" if value is not None and is_measured(value) else NOT_MEASURED


def share_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval: `62 % (54 to 70 %)`."""
    return _with_interval(share(value), low, high, unit=" %")


def points(value: float | None) -> str:
    """A graded score, 0.62 -> `62 points`; the scale ends at 100."""
    return _points_unit(_hundredths(value)) if value is not None and is_measured(value) else NOT_MEASURED


def points_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A graded score with its interval: `62 points (54 to 70)`."""
    return _with_interval(points(value), low, high, unit="")


def rate(value: float) -> str:
    """A rate that was agreed and is not measured, as it stands: 0.025 -> `2.5 %`."""
    return f"{100 * value:g} %"


def score(value: float | None, *, is_share: bool) -> str:
    """A mean in percent where it is a share of cases, else in points of 100."""
    return share(value) if is_share else points(value)


def score_interval(value: float | None, low: float | None, high: float | None, *, is_share: bool) -> str:
    """`score` with its interval."""
    return share_interval(value, low, high) if is_share else points_interval(value, low, high)


def on_axis(value: float, *, is_share: bool) -> str:
    """A score as a mark on an axis: `25 %`, or `25` where the unit is points."""
    return share(value) if is_share else _hundredths(value)


def difference(value: float | None) -> str:
    """A difference of two scores with its sign, 0.12 -> `+12 points`."""
    if value is None or not is_measured(value):
        return NOT_MEASURED
    number = _difference_number(value)
    return _points_unit(f"+{number}" if value > 0 and number != "0" else number)


def difference_interval(value: float | None, low: float | None, high: float | None) -> str:
    """`+12 points (3 to 21)`."""
    text = difference(value)
    if text == NOT_MEASURED:
        return text
    if low is None or high is None or not is_measured(low, high):
        return f"{text} (interval {NOT_MEASURED})"
    return f"{text} ({span(low, high)})"


def lead(value: float | None) -> str:
    """A difference in a sentence, with a sign only where it is negative: `12 points`, `−3 points`."""
    return _points_unit(_difference_number(value)) if value is not None and is_measured(value) else NOT_MEASURED


def lead_interval(value: float | None, low: float | None, high: float | None) -> str:
    """`12 points (3 to 21)`."""
    return difference_interval(value, low, high).removeprefix("+")


def span(low: float, high: float) -> str:
    """Both ends of an interval of differences: `−3 to 14`."""
    return f"{_difference_number(low)} to {_difference_number(high)}"


def gap(value: float | None) -> str:
    """A size of difference without a sign, such as a margin: 0.05 -> `5 points`."""
    if value is None or not is_measured(value):
        return NOT_MEASURED
    return _points_unit(_difference_number(abs(value)))


def p_number(p: float | None) -> str:
    """A p value for a table: `0.03`, `< 0.001`. Never rounded onto 0.05 from either side."""
    if p is None or not is_measured(p):
        return NOT_MEASURED
    if p < 0.001:
        return "< 0.001"
    if p >= 1:
        return "1"
    if p > 0.99:
        return "> 0.99"
    return _p_digits(p)


def p_value(p: float | None) -> str:
    """A p value in a sentence: `p = 0.03`, `p < 0.001`."""
    text = p_number(p)
    if text == NOT_MEASURED:
        return f"p {text}"
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def seconds(value: float | None) -> str:
    """A duration: `0.045 s`, `0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value is None or not is_measured(value) or value < 0:
        return NOT_MEASURED
    if 0 < value < 0.001:
        return "< 0.001 s"
    if value < 9.95:
        return f"{_rounded(value, 3 if 0 < value < 0.0995 else 1)} s"
    return _long_duration(int(_rounded(value, 0)))


def loss(value: float) -> str:
    """A training loss in nats a token: two decimals."""
    return str(_rounded(value, 2))


def count(value: float | None) -> str:
    """A count with thousands separators: `1,234`."""
    return f"{int(_rounded(value, 0)):,}" if value is not None and is_measured(value) else NOT_MEASURED


def counted(value: int, noun: str, plural: str = "") -> str:
    """A count with its noun: `1 case`, `1,234 cases`."""
    return f"{count(value)} {noun if value == 1 else plural or noun + 's'}"


def mean_count(value: float | None) -> str:
    """A mean of counts: one decimal below ten, whole from there on."""
    if value is None or not is_measured(value):
        return NOT_MEASURED
    return f"{_rounded(value, 1):f}".removesuffix(".0") if abs(value) < 9.95 else count(value)


def megabytes(value: float | None) -> str:
    """Memory given in MB: `512 MB`, `1.5 GB`. Zero means that nobody measured it."""
    if value is None or not is_measured(value) or value <= 0:
        return NOT_MEASURED
    return f"{_rounded(value, 0):,f} MB" if value < 1023.5 else f"{_rounded(value / 1024, 1):,f} GB"


def storage(size: float) -> str:
    """Room on a disk, from bytes: `0 B`, `340 kB`, `1.5 GB`."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1_000, larger
    return f"{size:.0f} {unit}" if size >= 9.95 or unit == "B" else f"{size:.1f} {unit}"


def money(amount: float | None, currency: str) -> str:
    """Money to two figures, `$12,000`; from a cent to ten with cents, below a cent `$0.00012`. 0 or more."""
    if amount is None or not is_measured(amount):
        return NOT_MEASURED
    sign = _SIGNS.get(currency, f"{currency} ")
    if amount == 0:
        return f"{sign}0"
    if amount < 0.01:
        return f"{sign}{amount:.{1 - math.floor(math.log10(amount))}f}"
    if amount < 10:
        return f"{sign}{amount:.2f}"
    digits = max(0, len(str(int(amount))) - 2)
    return f"{sign}{int(_rounded(amount / 10**digits, 0)) * 10**digits:,}"


def date(moment: str) -> str:
    """The day of an ISO 8601 moment: `2 March 2026`; text of another form stays as it is."""
    try:
        day = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _hundredths(value: float | None) -> str:
    """A value of 0..1 as hundredths: whole, but with a decimal within one of either end, and never rounded onto it."""
    number = float(_rounded((value or 0.0) * 100, 6))
    if 0 < number < 0.1:
        return "< 0.1"
    if 99.9 < number < 100:
        return "> 99.9"
    if 0 < number < 0.95 or 99 < number < 100:
        return f"{_rounded(number, 1)}".removesuffix(".0")
    return f"{_rounded(number, 0)}".replace("-", _MINUS)


def _difference_number(value: float) -> str:
    """Hundredths with a true minus sign; one decimal below ten points, where a whole point is much."""
    number = float(_rounded(value * 100, 6))
    rounded = _rounded(number, 1 if abs(number) < 9.95 else 0)
    text = f"{abs(rounded)}".removesuffix(".0")
    return f"{_MINUS}{text}" if rounded < 0 else text


def _points_unit(number: str) -> str:
    return f"{number} point" if number.lstrip(f"+{_MINUS}") == "1" else f"{number} points"


def _with_interval(text: str, low: float | None, high: float | None, *, unit: str) -> str:
    if text == NOT_MEASURED:
        return text
    if not is_measured(low, high):
        return f"{text} (interval {NOT_MEASURED})"
    return f"{text} ({_hundredths(low)} to {_hundredths(high)}{unit})"


def _p_digits(p: float) -> str:
    digits = 2 if p >= 0.0095 else 3
    while digits < 6 and float(_rounded(p, digits)) == 0.05 and p != 0.05:
        digits += 1
    return f"{_rounded(p, digits)}"


def _long_duration(whole: int) -> str:
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = int(_rounded(whole / 60, 0))
    return f"{minutes // 60:,} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60:,} h"


def _rounded(value: float, digits: int) -> Decimal:
    """`value` with `digits` decimals, halves away from zero as people round."""
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
