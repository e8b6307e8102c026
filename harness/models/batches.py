"""Requests that go to an endpoint in batches, and what comes of them; their answers end up in the run's ledger.

Every stage of a batch is noted in `batches.jsonl` in the run folder before the next begins, so that a run that is
stopped at any moment finds its batches again and sends nothing twice: a batch whose id was not noted is looked for by
the mark that it was begun with. The budget holds the worst case of all its requests while it is under way.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from harness.errors import RunStopped
from harness.models.base import Message
from harness.models.batch_results import NEVER_RUN, Line, Results, read_results
from harness.models.batch_server import (
    FIRST_WAIT,
    GROWTH,
    LONGEST_SILENCE,
    LONGEST_WAIT,
    MOST_BYTES,
    MOST_REQUESTS,
    BatchServer,
    Seen,
    line_writer,
    wait_after,
)
from harness.models.endpoint import (
    EndpointFailed,
    EndpointJob,
    EndpointModel,
    Order,
    Reply,
    client_library,
    open_client,
    without_key,
)
from harness.models.endpoint_ledger import BudgetSpent, Paid
from harness.publish import numbers
from harness.store import RunFolder

FILE = "batches.jsonl"
TOO_MUCH_AT_ONCE = ("token_limit_exceeded",)
"""Why a batch failed that may be sent again once others are through."""
NEVER_BEGUN = "never begun"


class Notified(Protocol):
    """Told how far batches are."""

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Requests that are through."""

    def note(self, text: str) -> None:
        """Something that the user should see."""


class Worst(NamedTuple):
    """Tokens of one request in the worst case."""

    read: int
    written: int
    tuned: bool = False
    """A tuned model was asked, whose prices may be others."""


@dataclass(frozen=True, slots=True)
class BatchNote:
    """One stage of a batch, a line of `batches.jsonl`."""

    mark: str
    """Digest of the run, the arm and the requests; the batch carries it as metadata."""
    stage: Literal["planned", "uploaded", "begun", "settled"]
    arm: str = ""
    file: str = ""
    """The endpoint's id of the file of requests."""
    batch: str = ""
    """The endpoint's id of the batch."""
    status: str = ""
    """How it ended."""
    requests: dict[str, Worst] = field(default_factory=dict)
    """Custom id, which is the digest of the request -> its worst case; in the first line of a batch."""
    failures: dict[str, str] = field(default_factory=dict)
    """Custom id -> why there is no answer."""


@dataclass(slots=True)
class _UnderWay:
    """A batch at the endpoint."""

    mark: str
    arm: str
    batch: str
    requests: dict[str, Worst]
    held: float
    seen: Seen | None = None
    heard: float = field(default_factory=time.monotonic)
    """When the endpoint last spoke of it."""
    beside: bool = False
    """Others were under way with it."""


class _Waiting(NamedTuple):
    """A request that is to be sent."""

    arm: str
    order: Order
    alone: bool = False
    """Not beside other batches: it was too much for the endpoint."""
    tuned: bool = False

    @property
    def worst(self) -> Worst:
        """What it may come to."""
        return Worst(self.order.most_in, self.order.most_out, self.tuned)


class _Asked(NamedTuple):
    """Where the answer to a request belongs."""

    job: EndpointJob
    place: int
    order: Order


class Batches:
    """All batches of a run."""

    def __init__(self, model: EndpointModel, *, wanted: bool) -> None:
        self.model, self.wanted = model, wanted
        self._folder: RunFolder | None = None
        self._under_way: list[_UnderWay] = []
        self._unsure: list[BatchNote] = []
        """Sent files of which nobody noted whether a batch was begun."""
        self._queue: list[_Waiting] = []
        self._asked: dict[str, _Asked] = {}
        self._planned = 0
        self._expired: dict[str, int] = {}

    # what a run that goes on finds

    def open(self, folder: RunFolder) -> None:
        """Read what was noted in this run folder.

        Raises:
            NotOffered: batches are wanted and not offered.
        """
        self._folder, self._under_way, self._unsure, self._queue = folder, [], [], []
        first, last = dict[str, BatchNote](), dict[str, BatchNote]()
        failed = self.model.state.failed
        failed.clear()
        for note in folder.lines(FILE, BatchNote):
            first.setdefault(note.mark, note)
            last[note.mark] = note
            failed.update(note.failures)
        self._planned = len(first)
        for mark, note in last.items():
            about = first[mark]
            if note.stage == "begun":
                self._take_up(about, note.batch)
            elif note.stage == "uploaded":
                self._unsure.append(BatchNote(mark, "uploaded", about.arm, note.file, requests=about.requests))
        if self.wanted:
            with open_client(self.model) as client:
                BatchServer(self.model, client).require()

    def _take_up(self, about: BatchNote, batch: str) -> None:
        held = self._worst(about.requests.values())
        self.model.state.ledger.hold(held)
        self._under_way.append(_UnderWay(about.mark, about.arm, batch, dict(about.requests), held))
        for one in self._under_way if len(self._under_way) > 1 else ():
            one.beside = True

    def _worst(self, requests: Iterable[Worst]) -> float:
        price = self.model.state.ledger.price
        return sum(price(one.read, one.written, batched=True, tuned=one.tuned) or 0.0 for one in requests)

    @property
    def idle(self) -> bool:
        """Nothing is to be sent in batches, and none was left under way."""
        return not (self.wanted or self._under_way or self._unsure)

    # what is to be sent

    def add(self, arm: str, job: EndpointJob, wanted: Collection[int]) -> None:
        """Ask these prompts of a job in a batch where they have no answer yet and are not under way."""
        state = self.model.state
        known = {*self._names_under_way(), *(one.order.request for one in self._queue)}
        for index in wanted:
            order = job.order(index)
            self._asked[order.request] = _Asked(job, index, order)
            if order.request in known or order.request in state.failed or state.ledger.answer(order.request):
                continue
            known.add(order.request)
            self._queue.append(_Waiting(arm, order, tuned=state.ledger.asks_tuned))

    def _names_under_way(self) -> set[str]:
        return {name for batch in self._under_way for name in batch.requests}

    @property
    def busy(self) -> bool:
        """Something is to be sent or to be waited for."""
        return bool(self._queue or self._unsure or self._wanted_batches())

    def settle(self, watcher: Notified) -> None:
        """Send what was added, and wait until all that was asked for is there.

        Raises:
            BudgetSpent: the next batch could cost more than what is left.
            NotOffered: the endpoint takes no batches.
            RunStopped: the endpoint is not heard of any more, or a batch expired.
        """
        with open_client(self.model) as client:
            server = BatchServer(self.model, client)
            self._make_sure(server)
            if not self.wanted:  # what is left goes one by one
                self._queue.clear()
            try:
                self._until_all_is_there(server, watcher)
            except KeyboardInterrupt:
                self._say_what_goes_on(watcher)
                raise
        self._say_what_expired()

    def _make_sure(self, server: BatchServer) -> None:
        """Find out whether batches were begun whose ids were not noted."""
        for note in list(self._unsure):
            seen = server.find(note.file, note.mark)
            if seen is None:
                self._note(BatchNote(note.mark, "settled", status=NEVER_BEGUN))
            else:
                self._note(BatchNote(note.mark, "begun", batch=seen.id))
                self._take_up(note, seen.id)
            self._unsure.remove(note)
        under_way = self._names_under_way()
        self._queue = [one for one in self._queue if one.order.request not in under_way]

    def _wanted_batches(self) -> list[_UnderWay]:
        return [batch for batch in self._under_way if any(name in self._asked for name in batch.requests)]

    def _until_all_is_there(self, server: BatchServer, watcher: Notified) -> None:
        wait = FIRST_WAIT
        while self._queue or self._wanted_batches():
            self._send_what_fits(server)
            looks = [self._look(server, batch, watcher) for batch in self._wanted_batches()]
            asked = [seconds for seconds in looks if seconds is not None]
            self._tell(watcher)
            if self._queue or self._wanted_batches():
                server.sleep(min(asked) if asked else wait)
                wait = min(LONGEST_WAIT, wait * GROWTH)

    # sending

    def _send_what_fits(self, server: BatchServer) -> None:
        ledger = self.model.state.ledger
        while self._queue:
            chunk = self._next()
            if chunk[0].alone and self._under_way:
                return
            worst = self._worst(one.worst for one in chunk)
            if not ledger.fits(worst):
                if self._wanted_batches():
                    return
                raise BudgetSpent(ledger.refusal(worst, what="batch"))
            self._send(server, chunk)

    def _next(self) -> list[_Waiting]:
        """The first arm's requests, as many as a batch may hold."""
        first = self._queue[0]
        same = [one for one in self._queue if (one.arm, one.alone) == (first.arm, first.alone)]
        return same[:MOST_REQUESTS]

    def _send(self, server: BatchServer, chunk: Sequence[_Waiting]) -> None:
        data, size = list[bytes](), 0
        with line_writer(self.model) as written:
            for one in chunk:
                line = written(one.order.request, one.order.fields)
                size += len(line)
                if data and size > MOST_BYTES:
                    break
                data.append(line)
        sent = {one.order.request: one.worst for one in chunk[: len(data)]}
        mark = self._mark(chunk[0].arm, sent)
        self._note(BatchNote(mark, "planned", chunk[0].arm, requests=sent))
        file = server.upload(f"bakeoff-{mark[:16]}.jsonl", b"".join(data))
        self._note(BatchNote(mark, "uploaded", file=file))
        seen = server.create(file, mark)
        self._note(BatchNote(mark, "begun", batch=seen.id))
        self._take_up(BatchNote(mark, "planned", chunk[0].arm, requests=sent), seen.id)
        self._queue = [one for one in self._queue if one.order.request not in sent]

    def _mark(self, arm: str, sent: Mapping[str, Worst]) -> str:
        """Digest of run, arm and requests; a later batch of the same requests has another."""
        run = self._folder.key().key if self._folder is not None else ""
        self._planned += 1
        return hashlib.sha256(json.dumps([run, arm, self._planned, *sorted(sent)]).encode()).hexdigest()[:64]

    def _note(self, note: BatchNote) -> None:
        if self._folder is not None:
            self._folder.append(FILE, [note])

    # waiting

    def _look(self, server: BatchServer, batch: _UnderWay, watcher: Notified) -> float | None:
        """Look at one batch and settle it where it has ended; the seconds that it asks to wait."""
        seen = server.look(batch.batch)
        if isinstance(seen, Exception):
            if time.monotonic() - batch.heard > LONGEST_SILENCE:
                raise server.gone(batch.batch, seen)
            return wait_after(seen)
        before, batch.seen, batch.heard = batch.seen, seen, time.monotonic()
        if before is None or (before.completed, before.status) != (seen.completed, seen.status):
            total = seen.total or len(batch.requests)
            watcher.note(
                f"batch {batch.batch} ({batch.arm}): {seen.completed:,}/{total:,}, {seen.status or 'no status'}"
            )
        if seen.ended:
            self._settle(server, batch, seen, watcher)
        return seen.wait

    def _tell(self, watcher: Notified) -> None:
        batches = self._wanted_batches()
        if batches:
            done = sum(one.seen.completed if one.seen else 0 for one in batches)
            watcher.progress(done, sum(len(one.requests) for one in batches))

    def _say_what_goes_on(self, watcher: Notified) -> None:
        for batch in self._under_way:
            watcher.note(
                f"Batch {batch.batch} ({batch.arm}, {numbers.counted(len(batch.requests), 'request')}) goes on at the "
                "endpoint and will be paid for. The same command waits for it and takes its answers; who does not want "
                "them cancels it at the provider."
            )

    def _say_what_expired(self) -> None:
        expired, self._expired = self._expired, {}
        if expired:
            parts = [
                f"{name} ({numbers.counted(count, 'request')} without an answer)" for name, count in expired.items()
            ]
            raise RunStopped(
                f"The endpoint did not get through within 24 hours: expired is batch {', '.join(parts)}. What was "
                "answered is kept; the same command sends the rest in a new batch, or one by one where batches are "
                "turned off."
            )

    # what came

    def _settle(self, server: BatchServer, batch: _UnderWay, seen: Seen, watcher: Notified) -> None:
        """Take over what a batch came to: answers into the ledger, failures into the notes."""
        if seen.status == "failed" and self._sent_again(batch, seen):
            watcher.note(
                f"Batch {batch.batch} was too much at once for the endpoint; it is sent again after the others."
            )
            return
        results = read_results((line for file in seen.files for line in server.lines(file)), sent=batch.requests)
        paid, failures, left = list[Paid](), dict[str, str](), 0
        for name, worst in batch.requests.items():
            line = results.lines.get(name) or _missing(batch, seen, results)
            if name not in self._asked:  # nobody asks for it now: it counts, at its worst case
                paid += self._paid(name, worst, Reply(EndpointFailed("not asked for")), batch.batch)
                continue
            if _is_open(line, seen):
                left += 1
                continue
            reply = self._reply(name, line)
            paid += self._paid(name, worst, reply, batch.batch)
            if isinstance(reply.outcome, EndpointFailed):
                failures[name] = without_key(str(reply.outcome), self.model)
        if results.strange:
            watcher.note(
                f"Batch {batch.batch} holds {numbers.counted(results.strange, 'line')} of requests not its own."
            )
        self.model.state.ledger.settle_batch(batch.held, paid)
        self._note(BatchNote(batch.mark, "settled", status=seen.status, failures=failures))
        self._under_way.remove(batch)
        self.model.state.failed.update(failures)
        if left:
            self._expired[batch.batch] = left

    def _sent_again(self, batch: _UnderWay, seen: Seen) -> bool:
        """Queue a batch again that failed because others were under way."""
        again = set(seen.codes) & set(TOO_MUCH_AT_ONCE) and not seen.files and batch.beside
        if not again or not all(name in self._asked for name in batch.requests):
            return False
        self._note(BatchNote(batch.mark, "settled", status=seen.status))
        self._under_way.remove(batch)
        self.model.state.ledger.hold(-batch.held)
        for name, worst in batch.requests.items():
            self._queue.append(_Waiting(batch.arm, self._asked[name].order, alone=True, tuned=worst.tuned))
        return True

    def _reply(self, name: str, line: Line) -> Reply:
        """What came of a request."""
        if line.body is None:
            return Reply(EndpointFailed(line.why), billed=line.billed)
        job, place, order = self._asked[name]
        reply = job.read(place, client_library().types.chat.ChatCompletion.construct(**line.body))
        asked, called = order.fields["model"], line.body.get("model")
        if isinstance(reply.outcome, EndpointFailed) or self._is_called(asked, called):
            return reply
        return Reply(
            EndpointFailed(f"The batch was answered by the model {called!r}; {asked!r} was asked."), billed=True
        )

    def _is_called(self, asked: str, called: Any) -> bool:
        """Whether a name is that of the model that was asked: with a date behind it, or what single requests to it are
        answered by."""
        if not isinstance(called, str) or called == asked or called.startswith(f"{asked}-"):
            return True
        state = self.model.state
        if asked not in state.called:
            served, state.served = state.served, asked
            try:
                EndpointJob(self.model, (self.model.render([Message("user", "Hello")]),), 16, keep=False).answer((0,))
            except EndpointFailed:
                return False
            finally:
                state.served = served
        return called in state.called.get(asked, ())

    def _paid(self, name: str, worst: Worst, reply: Reply, batch: str) -> list[Paid]:
        if not reply.billed:
            return []
        price, outcome = self.model.state.ledger.price, reply.outcome
        if isinstance(outcome, EndpointFailed):
            money = price(worst.read, worst.written, batched=True, tuned=worst.tuned)
            lost = Paid(name, "", worst.read, worst.written, "error", money, counted=False, again=False, batch=batch)
            return [lost]
        money = price(outcome.tokens_in, outcome.tokens_out, batched=True, tuned=worst.tuned)
        return [Paid(name, *outcome, money, counted=reply.counted, again=True, batch=batch)]


def _missing(batch: _UnderWay, seen: Seen, results: Results) -> Line:
    """What is said of a request that no line of a batch's files names."""
    garbled = f" ({numbers.counted(results.garbled, 'line')} of them cannot be read)" if results.garbled else ""
    why = f" {seen.why}" if seen.why else ""
    if seen.status == "failed":
        return Line(None, f"Batch {batch.batch} failed.{why}")
    if seen.status in ("expired", "cancelled"):
        code = NEVER_RUN[0] if seen.status == "expired" else NEVER_RUN[1]
        return Line(None, f"Batch {batch.batch} was {seen.status} before this request was answered.{why}", code)
    return Line(
        None, f"Batch {batch.batch} ended without an answer to this request in its files{garbled}.{why}", billed=True
    )


def _is_open(line: Line, seen: Seen) -> bool:
    """Whether a request was not begun because time ran out: it may be sent again."""
    return line.body is None and seen.status == "expired" and line.code == NEVER_RUN[0]
