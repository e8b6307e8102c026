"""How small a difference a number of paired cases can show, and how many cases a difference needs.

Right/wrong scores: R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design",
Biometrics 43, 1987: n = [z_a sqrt(psi) + z_b sqrt(psi - d^2)]^2 / d^2 with z_a the 1 - alpha/2 and z_b the `power`
quantile of the normal distribution, d the difference and psi the discordance, the share of cases that exactly one of
the two arms gets right. Graded scores: n = (z_a + z_b)^2 sd^2 / d^2, sd of the paired differences. Differences are on
the metric's 0..1 scale.

Both are approximations for the two-sided test without correction. The exact McNemar test, being discrete, has 2 to 4
points less power than promised below some 300 cases.
"""

from __future__ import annotations

import math
from statistics import NormalDist


def cases_for_binary(difference: float, *, discordance: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Cases needed to show `difference` between right/wrong scores; None where it cannot be that large.

    A difference is at most the discordance, reached where one arm is never worse.
    """
    _must_be_positive(difference, discordance)
    if difference > discordance:
        return None
    z_a, z_b = _quantiles(alpha, power)
    root = z_a * math.sqrt(discordance) + z_b * math.sqrt(discordance - difference**2)
    return _whole(root**2 / difference**2)


def detectable_difference_binary(
    n: int, *, discordance: float, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest difference between right/wrong scores that `n` cases show with this power.

    None where no difference that this discordance allows would be shown: the set is too small for it. Connor's formula
    is solved for d: (n + z_b^2) d^2 - 2 z_a sqrt(psi n) d + psi (z_a^2 - z_b^2) = 0, larger root.
    """
    _must_be_positive(n, discordance)
    z_a, z_b = _quantiles(alpha, power)
    first = z_a * math.sqrt(discordance * n)
    under_root = first**2 - (n + z_b**2) * discordance * (z_a**2 - z_b**2)
    if under_root < 0:
        return None
    difference = (first + math.sqrt(under_root)) / (n + z_b**2)
    return difference if difference <= discordance else None


def cases_for(difference: float, *, sd: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases needed to show `difference` between graded scores whose paired differences have this sd."""
    _must_be_positive(difference)
    z_a, z_b = _quantiles(alpha, power)
    return max(2, _whole(((z_a + z_b) * sd / difference) ** 2))


def detectable_difference(n: int, *, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest difference between graded scores that `n` cases show with this power; may exceed what is possible."""
    _must_be_positive(n)
    z_a, z_b = _quantiles(alpha, power)
    return (z_a + z_b) * sd / math.sqrt(n)


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)


def _whole(cases: float) -> int:
    """Rounded up, but not because of the last binary digit."""
    return math.ceil(cases - 1e-9)


def _must_be_positive(*numbers: float) -> None:
    for number in numbers:
        if not number > 0:
            raise ValueError(f"must be above 0, got {number}")
