"""What an arm's requests cost: the trial's token counts at the client's prices, or at those of the advice."""

from __future__ import annotations

from dataclasses import dataclass

from harness.publish import numbers
from harness.records import APPROACH_OF, CONTROL, Cost, Spent
from harness.report.advice_file import Bills
from harness.report.data import ReportData

DAYS = 365
MONTHS = 12
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class ArmPrice:
    """One arm's price."""

    arm: str
    request: float
    """Money for a request, no token cached."""
    model: str = ""
    """What the price is for: `tuned small model`; empty where one price is for all."""
    once: float | None = None
    """To build it; None where no bill was brought."""
    monthly: float | None = None

    def first_year(self, requests_per_day: float) -> float | None:
        """once + 12 monthly + 365 requests a day x request (cost model of the advice); None without a bill."""
        if self.once is None or self.monthly is None:
            return None
        return self.once + MONTHS * self.monthly + DAYS * requests_per_day * self.request


@dataclass(frozen=True, slots=True)
class Priced:
    """The arms' prices and where they come from."""

    currency: str
    source: str
    """Ends a sentence: `the prices of the advice (25 November 2026)`."""
    arms: dict[str, ArmPrice]
    requests_per_day: float | None = None
    """Of the use case, where the advice says."""


def priced(data: ReportData) -> Priced | None:
    """Prices of the arms that were measured; None where nobody named prices.

    The client's own prices go before those of the advice. The advice's building and upkeep costs are added where it was
    brought, and are in its currency: they are left out where the client's prices are in another one.
    """
    bills = data.advice.bills if data.advice else None
    measured = {arm: cost for arm, cost in data.cost_of.items() if arm != CONTROL}
    fixed = (
        {bill.approach: (bill.once, bill.monthly) for bill in bills.approaches}
        if bills and not own_machines(bills)
        else {}
    )
    volume = bills.requests_per_day if bills else None
    if data.prices is not None:
        own = data.prices
        same = bills is not None and bills.currency == own.currency
        arms = {
            arm: _priced(cost, own.read, own.written, fixed=fixed if same else {}) for arm, cost in measured.items()
        }
        return Priced(own.currency, "the client's own prices", arms, volume)
    spent = data.provenance.spent
    if bills is None and spent is not None and spent.price_in is not None and spent.price_out is not None:
        named = {arm: _priced(cost, *_named(data, arm, spent), fixed={}) for arm, cost in measured.items()}
        return Priced(spent.currency, "the prices named for the endpoint", named)
    if bills is None or not bills.token_prices:
        return None
    rates = {price.approach: price for price in bills.token_prices}
    arms = {}
    for arm, cost in measured.items():
        rate = rates.get(APPROACH_OF.get(arm, ""))
        if rate is not None:
            arms[arm] = _priced(cost, rate.read, rate.written, fixed=fixed, beside=rate.beside, model=rate.model)
    return Priced(bills.currency, f"the price table of the advice ({numbers.date(bills.prices_date)})", arms, volume)


def _named(data: ReportData, arm: str, spent: Spent) -> tuple[float, float]:
    """The endpoint's prices for an arm: a tuned model may have its own."""
    recipe = data.recipe_of.get(arm)
    read, written = spent.price_in or 0.0, spent.price_out or 0.0
    if recipe is None or recipe.adapter is None or spent.tuned_price_in is None or spent.tuned_price_out is None:
        return read, written
    return spent.tuned_price_in, spent.tuned_price_out


def own_machines(bills: Bills) -> bool:
    """Whether the advice's bills pay for machines of one's own; then a price for tokens must not be added."""
    return any(item.name == "own machines" for bill in bills.approaches for item in bill.items)


def _priced(  # each a figure of the sum
    cost: Cost,
    read: float,
    written: float,
    *,
    fixed: dict[str, tuple[float, float]],
    beside: float = 0.0,
    model: str = "",
) -> ArmPrice:
    request = (cost.tokens_in * read + cost.tokens_out * written) / MILLION + beside
    once, monthly = fixed.get(APPROACH_OF.get(cost.arm, ""), (None, None))
    return ArmPrice(cost.arm, request, model, once, monthly)


def break_even(first: ArmPrice, second: ArmPrice) -> float | None:
    """Requests a day at which both cost the same over the first year; None where the lines do not cross above 0.

    V* = (fixed cost of the second minus that of the first) / (365 (c1 - c2)), the cost model of the advice.
    """
    base = first.first_year(0.0), second.first_year(0.0)
    if base[0] is None or base[1] is None or first.request == second.request:
        return None
    volume = (base[1] - base[0]) / (DAYS * (first.request - second.request))
    return volume if volume > 0 else None
