"""What was paid for at an endpoint: kept answer by answer in the run folder, so that nothing is paid for twice.

A budget is hard: a request is sent only where its worst case still fits beside what is spent and under way. The worst
case takes every byte of the prompt for a token and the longest answer as given. A request whose answer never came
(time ran out, the connection broke) is counted at its worst case, once: the client's further attempts are not known.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import RunStopped
from harness.models.base import Completion
from harness.publish import numbers
from harness.records import Spent
from harness.store import RunFolder

FILE = "requests.jsonl"
MILLION = 1e6


class BudgetSpent(RunStopped):
    """The next request could cost more than what is left."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens."""

    read: float
    written: float
    currency: str = "USD"

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Money for so many tokens."""
        return (tokens_in * self.read + tokens_out * self.written) / MILLION


@dataclass(frozen=True, slots=True)
class Paid:
    """One request that was answered, or may have been billed without."""

    request: str
    """Digest of address, model, messages and settings."""
    text: str
    tokens_in: int
    tokens_out: int
    finish: str
    money: float | None = None
    counted: bool = True
    """The endpoint counted the tokens."""
    again: bool = True
    """The answer may be used again; not so where it was timed, or is none."""
    batch: str = ""
    """The endpoint's id of the batch that it was asked in; empty: it was asked alone."""


class Ledger:
    """Counts money and keeps answers; safe to use from several threads. Without a folder it keeps nothing."""

    def __init__(
        self, prices: Prices | None = None, *, limit: float | None = None, batch_discount: float = 0.0
    ) -> None:
        self.prices, self.limit, self.batch_discount = prices, limit, batch_discount
        self._folder: RunFolder | None = None
        self._turn = threading.Condition()
        self._reserved = 0.0
        self._under_way = 0
        self._answers: dict[str, Completion] = {}
        self._batched: set[tuple[str, str]] = set()
        self._spent = self._nothing()

    def open(self, folder: RunFolder) -> None:
        """Keep what is paid in this run folder; what was paid in it before counts."""
        with self._turn:
            self._folder, self._answers, self._spent = folder, {}, self._nothing()
            self._reserved, self._batched = 0.0, set()
            for one in folder.lines(FILE, Paid):
                self._count(one)

    @property
    def spent(self) -> Spent:
        """What was asked for so far, earlier sessions of this run included."""
        return self._spent

    def answer(self, request: str) -> Completion | None:
        """The answer to a request that was paid for before."""
        return self._answers.get(request)

    def reserve(self, tokens_in: int, tokens_out: int) -> float:
        """Set the worst case of a request aside; waits where requests under way may yet leave room for it.

        Raises:
            BudgetSpent: it does not fit.
        """
        worst = self.prices.of(tokens_in, tokens_out) if self.prices else 0.0
        with self._turn:
            while self.limit is not None and (self._spent.money or 0.0) + self._reserved + worst > self.limit:
                if not self._under_way:
                    raise BudgetSpent(self.refusal(worst))
                self._turn.wait()
            self._reserved += worst
            self._under_way += 1
        return worst

    def settle(self, reserved: float, paid: Paid | None) -> None:
        """Put what a request came to in the place of its worst case; None: it cost nothing."""
        with self._turn:
            try:
                if paid is not None:
                    self._count(paid)
                    if self._folder is not None:
                        self._folder.append(FILE, [paid])
            finally:
                self._reserved -= reserved
                self._under_way -= 1
                self._turn.notify_all()

    def price(self, tokens_in: int, tokens_out: int, *, batched: bool = False) -> float | None:
        """Money for a request; None where nobody named prices."""
        if self.prices is None:
            return None
        return self.prices.of(tokens_in, tokens_out) * (1 - self.batch_discount if batched else 1)

    def fits(self, worst: float) -> bool:
        """Whether so much may yet be spent, beside what is spent and under way."""
        return self.limit is None or (self._spent.money or 0.0) + self._reserved + worst <= self.limit

    def hold(self, worst: float) -> None:
        """Set the worst case of a batch aside for as long as it is under way; less than 0: it no longer is."""
        with self._turn:
            self._reserved += worst
            self._turn.notify_all()

    def settle_batch(self, held: float, paid: Sequence[Paid]) -> None:
        """Put what a batch came to in the place of its worst case; what was noted before is not noted again."""
        with self._turn:
            new = [one for one in paid if (one.batch, one.request) not in self._batched]
            if self._folder is not None:
                self._folder.append(FILE, new)
            for one in new:
                self._count(one)
            self._reserved -= held
            self._turn.notify_all()

    def _nothing(self) -> Spent:
        if self.prices is None:
            return Spent()
        return Spent(
            money=0.0,
            currency=self.prices.currency,
            price_in=self.prices.read,
            price_out=self.prices.written,
            batch_money=0.0,
        )

    def _count(self, one: Paid) -> None:
        if one.again:
            self._answers[one.request] = Completion(one.text, one.tokens_in, one.tokens_out, one.finish)
        so_far, money = self._spent, one.money
        if money is None:  # asked for before prices were named
            money = self.price(one.tokens_in, one.tokens_out, batched=bool(one.batch))
        in_batch = so_far.batch_money
        if one.batch:
            self._batched.add((one.batch, one.request))
            in_batch = None if in_batch is None or money is None else in_batch + money
        self._spent = Spent(
            so_far.requests + 1,
            so_far.tokens_in + one.tokens_in,
            so_far.tokens_out + one.tokens_out,
            so_far.estimated + (not one.counted),
            None if so_far.money is None or money is None else so_far.money + money,
            so_far.currency,
            so_far.price_in,
            so_far.price_out,
            so_far.batched + bool(one.batch),
            in_batch,
        )

    def refusal(self, worst: float, *, what: str = "request") -> str:
        """Why nothing more is sent: the next request, or batch, could cost too much."""
        currency = self.prices.currency if self.prices else ""
        spent, most, next_one = (numbers.money(one, currency) for one in (self._spent.money or 0.0, self.limit, worst))
        requests, noun = numbers.counted(self._spent.requests, "request"), "one" if what == "request" else what
        return (
            f"The budget is spent: {spent} of {most} went to {requests}, and the next {noun} could cost {next_one}. "
            "What was answered is kept: the same command with a higher --max-cost goes on from there."
        )
