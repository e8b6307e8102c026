"""What was paid for at an endpoint: kept answer by answer in the run folder, so that nothing is paid for twice.

A budget is hard: a request is sent only where its worst case still fits beside what is spent and under way. The worst
case takes every byte of the prompt for a token and the longest answer as given. A request whose answer never came
(time ran out, the connection broke) is counted at its worst case, once: the client's further attempts are not known.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    trained: int | None = None
    """Tokens of a fine-tuning job, whose latest line counts: its worst case, then what it came to. None: a request."""
    batch: str = ""
    """The endpoint's id of the batch that it was asked in; empty: it was asked alone."""


class Ledger:
    """Counts money and keeps answers; safe to use from several threads. Without a folder it keeps nothing."""

    def __init__(
        self,
        prices: Prices | None = None,
        *,
        limit: float | None = None,
        tuned: Prices | None = None,
        currency: str = "",
        batch_discount: float = 0.0,
    ) -> None:
        self.prices, self.limit, self.tuned, self.currency = prices, limit, tuned, currency
        self.batch_discount = batch_discount
        self.asks_tuned = False
        """Whether a tuned model is asked at present, at the prices `tuned` where there are any."""
        self._folder: RunFolder | None = None
        self._turn = threading.Condition()
        self._reserved = 0.0
        self._under_way = 0
        self._answers: dict[str, Completion] = {}
        self._jobs: dict[str, Paid] = {}
        self._batched: set[tuple[str, str]] = set()
        self._spent = self._nothing()

    def open(self, folder: RunFolder) -> None:
        """Keep what is paid in this run folder; what was paid in it before counts."""
        with self._turn:
            self._folder, self._answers, self._jobs, self._spent = folder, {}, {}, self._nothing()
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

    def require_held(self) -> None:
        """See that nobody else pays for this run.

        Raises:
            RunStopped: somebody may, on another machine.
        """
        if self._folder is not None:
            self._folder.require_held()

    def reserve(self, tokens_in: int, tokens_out: int) -> float:
        """Set the worst case of a request aside; waits where requests under way may yet leave room for it.

        Raises:
            BudgetSpent: it does not fit.
        """
        worst = self.price(tokens_in, tokens_out) or 0.0
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

    def reserve_training(self, job: str, tokens: int, *, money: float) -> None:
        """Count a fine-tuning job at its worst case before it is begun, on disk too: a run that is killed knows of it.

        Raises:
            BudgetSpent: it does not fit.
        """
        with self._turn:
            spent = (self._spent.money or 0.0) - self._money_of(job)
            if self.limit is not None and spent + self._reserved + money > self.limit:
                raise BudgetSpent(self._refused_training(spent, money))
            self._note_training(job, tokens, money=money, counted=False)

    def settle_training(self, job: str, tokens: int, *, money: float, counted: bool) -> None:
        """Put what a fine-tuning job came to in the place of its worst case."""
        with self._turn:
            self._note_training(job, tokens, money=money, counted=counted)

    def _note_training(self, job: str, tokens: int, *, money: float, counted: bool) -> None:
        one = Paid(job, "", 0, 0, "trained", money, counted, again=False, trained=tokens)
        if one == self._jobs.get(job):
            return
        if self._folder is not None:
            self._folder.append(FILE, [one])
        self._count(one)

    def _money_of(self, job: str) -> float:
        return (self._jobs[job].money or 0.0) if job in self._jobs else 0.0

    def price(
        self, tokens_in: int, tokens_out: int, *, batched: bool = False, tuned: bool | None = None
    ) -> float | None:
        """Money for a request; None where nobody named prices. `tuned`: of a tuned model; None: as is asked now."""
        prices = self.tuned if (self.asks_tuned if tuned is None else tuned) and self.tuned else self.prices
        if prices is None:
            return None
        return prices.of(tokens_in, tokens_out) * (1 - self.batch_discount if batched else 1)

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
            return Spent(currency=self.currency)
        found = Spent(
            money=0.0,
            currency=self.prices.currency,
            price_in=self.prices.read,
            price_out=self.prices.written,
            batch_money=0.0,
        )
        if self.tuned is None:
            return found
        return replace(found, tuned_price_in=self.tuned.read, tuned_price_out=self.tuned.written)

    def _count(self, one: Paid) -> None:
        if one.trained is not None:
            self._count_training(one)
            return
        if one.again:
            self._answers[one.request] = Completion(one.text, one.tokens_in, one.tokens_out, one.finish)
        so_far, money = self._spent, one.money
        if money is None:  # asked for before prices were named
            money = self.price(one.tokens_in, one.tokens_out, batched=bool(one.batch))
        in_batch = so_far.batch_money
        if one.batch:
            self._batched.add((one.batch, one.request))
            in_batch = None if in_batch is None or money is None else in_batch + money
        self._spent = replace(
            so_far,
            requests=so_far.requests + 1,
            tokens_in=so_far.tokens_in + one.tokens_in,
            tokens_out=so_far.tokens_out + one.tokens_out,
            estimated=so_far.estimated + (not one.counted),
            money=None if so_far.money is None or money is None else so_far.money + money,
            batched=so_far.batched + bool(one.batch),
            batch_money=in_batch,
        )

    def _count_training(self, one: Paid) -> None:
        before, so_far = self._money_of(one.request), self._spent
        self._jobs[one.request] = one
        known = self._jobs.values()
        self._spent = replace(
            so_far,
            money=None if so_far.money is None else so_far.money - before + (one.money or 0.0),
            jobs=sum(bool(job.trained) for job in known),
            trained=sum(job.trained or 0 for job in known),
            training_money=sum(job.money or 0.0 for job in known),
        )

    def _refused_training(self, spent: float, worst: float) -> str:
        currency = self.prices.currency if self.prices else ""
        so_far, most, next_one = (numbers.money(one, currency) for one in (spent, self.limit, worst))
        return (
            f"The budget does not allow a fine-tuning job: it could cost {next_one}, and {so_far} of {most} are spent. "
            "Nothing was uploaded for it. What was answered is kept: the same command with a higher --max-cost goes on "
            "from there."
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
