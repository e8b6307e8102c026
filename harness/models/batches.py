"""Requests that go to an endpoint in batches, and what comes of them; their answers end up in the run's ledger.

Every stage of a batch is noted in the run folder before the next begins, so that a run that is stopped at any moment
finds its batches again and sends nothing twice: a batch whose id was not noted is looked for by the mark that it was
begun with. The budget holds the worst case of all its requests while it is under way. Of a request that was sent only
what its answer is read by is kept, and that no longer than until the batch is settled.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from harness.errors import RunStopped
from harness.models.base import Completion, Stop
from harness.models.batch_names import Names
from harness.models.batch_notes import FILE, NEVER_BEGUN, BatchNote, Worst, read_notes
from harness.models.batch_results import NEVER_RUN, Line, Results, read_results, usage_told
from harness.models.batch_server import (
    FIRST_WAIT,
    GROWTH,
    LONGEST_SILENCE,
    LONGEST_WAIT,
    LOST,
    MOST_BYTES,
    MOST_REQUESTS,
    SHORTEST_LOOK,
    UNKNOWN_LOOKS,
    UNKNOWN_SECONDS,
    BatchServer,
    Seen,
    is_unknown,
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

TOO_MUCH_AT_ONCE = ("token_limit_exceeded",)
"""Why a batch failed that may be sent again once others are through."""


class Notified(Protocol):
    """Told how far batches are."""

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        """Requests that are through."""

    def note(self, text: str) -> None:
        """Something that the user should see."""


@dataclass(slots=True)
class _UnderWay:
    """A batch at the endpoint."""

    mark: str
    arm: str
    batch: str
    file: str
    requests: dict[str, Worst]
    held: float
    earlier: bool
    """It was begun before this session."""
    seen: Seen | None = None
    heard: float = field(default_factory=time.monotonic)
    """When the endpoint last spoke of it."""
    beside: bool = False
    """Others were under way with it."""
    alone: bool = False
    """It was sent once more after the others."""
    unknown: int = 0
    """Looks in a row at which the endpoint did not know it, or its files."""
    unknown_since: float = 0.0
    lost: bool = False
    """It, or a file of it, is given up."""


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
    """What the answer to a request is read by."""

    model: str
    stop: Stop
    estimate: int
    """Tokens of its prompt, where the endpoint does not count them."""


class Batches:
    """All batches of a run."""

    def __init__(self, model: EndpointModel, *, wanted: bool) -> None:
        self.model, self.wanted = model, wanted
        self.gives_up = False
        """Batches of earlier sessions that the endpoint does not know are given up, and their requests sent again."""
        self.again: dict[str, bool] = {}
        """Arm whose requests are to be added again -> whether not beside other batches."""
        self._folder: RunFolder | None = None
        self._forget()

    def _forget(self) -> None:
        self._under_way: list[_UnderWay] = []
        self._unsure: list[BatchNote] = []
        """Sent files of which nobody noted whether a batch was begun."""
        self._planned: list[BatchNote] = []
        """Of which nobody noted whether the file was sent."""
        self._to_delete: dict[str, tuple[str, ...]] = {}
        """Mark of a settled batch -> its files at the endpoint."""
        self._queue: list[_Waiting] = []
        self._asked: dict[str, _Asked] = {}
        self._expired: dict[str, int] = {}
        self._names = Names(self.model, self._note)
        self._told_where = False
        self.again = {}

    # what a run that goes on finds

    def open(self, folder: RunFolder) -> None:
        """Read what was noted in this run folder.

        Raises:
            NotOffered: batches are wanted and not offered.
        """
        self._forget()
        self._folder, state = folder, self.model.state
        noted = read_notes(folder.lines(FILE, BatchNote))
        state.failed.clear()
        state.failed.update(noted.failures)
        self._names.recall(noted.called)
        for mark, note in noted.batches.items():
            if note.stage == "begun":
                self._take_up(note, earlier=True)
            elif note.stage == "uploaded":
                self._unsure.append(note)
            elif note.stage == "planned":
                self._planned.append(note)
            elif note.stage == "settled" and note.files:
                self._to_delete[mark] = note.files
        if self.wanted:
            with open_client(self.model) as client:
                BatchServer(self.model, client).require()

    def _take_up(self, note: BatchNote, *, earlier: bool, alone: bool = False) -> None:
        held = self._worst(note.requests.values())
        self.model.state.ledger.hold(held)
        made = _UnderWay(note.mark, note.arm, note.batch, note.file, dict(note.requests), held, earlier, alone=alone)
        self._under_way.append(made)
        for one in self._under_way if len(self._under_way) > 1 else ():
            one.beside = True

    def _worst(self, requests: Iterable[Worst]) -> float:
        price = self.model.state.ledger.price
        return sum(price(one.read, one.written, batched=True, tuned=one.tuned) or 0.0 for one in requests)

    @property
    def idle(self) -> bool:
        """Nothing is to be sent in batches, and nothing was left behind by earlier ones."""
        return not (self.wanted or self._under_way or self._left_behind)

    @property
    def _left_behind(self) -> bool:
        return bool(self._unsure or self._planned or self._to_delete)

    # what is to be sent

    def add(self, arm: str, job: EndpointJob, wanted: Collection[int], *, alone: bool = False) -> None:
        """Ask these prompts of a job in a batch where they have no answer yet and are not under way.

        Args:
            alone: not beside other batches.
        """
        state = self.model.state
        known = {*self._names_under_way(), *(one.order.request for one in self._queue)}
        for index in wanted:
            order = job.order(index)
            if order.request in state.failed or state.ledger.answer(order.request):
                continue
            estimate = self.model.count_tokens(job.prompts[index])
            self._asked[order.request] = _Asked(order.fields["model"], job.stop, estimate)
            if order.request not in known:
                known.add(order.request)
                self._queue.append(_Waiting(arm, order, alone, state.ledger.asks_tuned))

    def _names_under_way(self) -> set[str]:
        return {name for batch in self._under_way for name in batch.requests}

    @property
    def busy(self) -> bool:
        """Something is to be sent, to be waited for or to be tidied up."""
        return bool(self._queue or self._left_behind or self._under_way)

    def send(self, watcher: Notified, *, cases: int) -> None:
        """Send what was added; waits where the budget has no room for it before batches sent by now have ended.

        Args:
            cases: how many eval cases the requests are of, at most; for a note.

        Raises:
            BudgetSpent: the next batch could cost more than what is left.
            NotOffered: the endpoint takes no batches.
            RunStopped: the endpoint is not heard of any more.
        """
        if not self._queue:
            return
        with self._served(watcher) as server:
            self._say_where_to(server, watcher, cases)
            # Batches of earlier sessions wait: what else is asked of them is not known yet.
            self._go_on(server, watcher, among=lambda batch: not batch.earlier, to_the_end=False)

    def settle(self, watcher: Notified, *, last: bool = True) -> None:
        """Send what was added, and wait until all that was asked for is there.

        Args:
            last: nothing more will be asked; batches that nobody asked for are waited for too, for what they cost.

        Raises:
            BudgetSpent: the next batch could cost more than what is left.
            NotOffered: the endpoint takes no batches.
            RunStopped: the endpoint is not heard of any more, or a batch expired.
        """
        with self._served(watcher) as server:
            self._go_on(server, watcher, among=lambda batch: last or self._is_wanted(batch), to_the_end=True)
        self._asked.clear()
        self._say_what_expired()

    @contextmanager
    def _served(self, watcher: Notified) -> Iterator[BatchServer]:
        with open_client(self.model) as client:
            server = BatchServer(self.model, client)
            self._make_sure(server, watcher)
            if not self.wanted:  # what is left goes one by one
                self._queue.clear()
            try:
                yield server
            except KeyboardInterrupt:
                self._say_what_goes_on(watcher)
                raise

    def _make_sure(self, server: BatchServer, watcher: Notified) -> None:
        """Find out whether batches were begun whose ids were not noted, and tidy up what was left behind."""
        for note in list(self._unsure):
            seen = server.find(note.file, note.mark)
            if seen is None:
                self._end(BatchNote(note.mark, "settled", status=NEVER_BEGUN, files=(note.file,)))
            else:
                begun = BatchNote(note.mark, "begun", batch=seen.id)
                self._note(begun)
                self._take_up(note.then(begun), earlier=True)
            self._unsure.remove(note)
        for note in list(self._planned):
            file = server.file_named(note.file_name)
            self._end(BatchNote(note.mark, "settled", status=NEVER_BEGUN, files=(file,) if file else ()))
            self._planned.remove(note)
        self._delete(server, watcher)
        under_way = self._names_under_way()
        self._queue = [one for one in self._queue if one.order.request not in under_way]

    def _is_wanted(self, batch: _UnderWay) -> bool:
        return any(name in self._asked for name in batch.requests)

    def _go_on(
        self, server: BatchServer, watcher: Notified, *, among: Callable[[_UnderWay], bool], to_the_end: bool
    ) -> None:
        """Send what fits and look at those batches, until everything is sent, or has come too."""
        wait = FIRST_WAIT
        while True:
            looked_at = [batch for batch in self._under_way if among(batch)]
            self._send_what_fits(server, waits=bool(looked_at) or not to_the_end)
            looked_at = [batch for batch in self._under_way if among(batch)]
            if not looked_at or not (self._queue or to_the_end):
                return
            looks = [self._look(server, batch, watcher) for batch in looked_at]
            asked = [seconds for seconds in looks if seconds is not None]
            self._tell(watcher)
            if self._queue or any(among(batch) for batch in self._under_way):
                server.sleep(max(SHORTEST_LOOK, min(asked) if asked else wait))
                wait = min(LONGEST_WAIT, wait * GROWTH)

    # sending

    def _say_where_to(self, server: BatchServer, watcher: Notified, cases: int) -> None:
        if self._queue and not self._told_where:
            self._told_where = True
            watcher.note(
                f"Up to {numbers.counted(cases, 'eval case')} go to {server.host} in files of batches. The files "
                "are deleted there as soon as their answers are on disk here."
            )

    def _send_what_fits(self, server: BatchServer, *, waits: bool) -> None:
        """Send what there is room for.

        Args:
            waits: what has no room may wait: batches that are looked at leave room, or more comes to be looked at.

        Raises:
            BudgetSpent: there is no room, and nothing to wait for.
        """
        ledger = self.model.state.ledger
        while self._queue:
            chunk = self._next()
            if chunk[0].alone and waits and self._under_way:
                return
            worst = self._worst(one.worst for one in chunk)
            if not ledger.fits(worst):
                if waits and self._under_way:
                    return
                raise BudgetSpent(ledger.refusal(worst, what="batch"))
            self._send(server, chunk)
            waits = True

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
        self._names.note({one.order.fields["model"] for one in chunk})
        note = BatchNote(secrets.token_hex(16), "planned", chunk[0].arm, requests=sent)
        self._note(note)
        note = note.then(BatchNote(note.mark, "uploaded", file=server.upload(note.file_name, b"".join(data))))
        self._note(BatchNote(note.mark, "uploaded", file=note.file))
        note = note.then(BatchNote(note.mark, "begun", batch=server.create(note.file, note.mark).id))
        self._note(BatchNote(note.mark, "begun", batch=note.batch))
        self._take_up(note, earlier=False, alone=chunk[0].alone)
        self._queue = [one for one in self._queue if one.order.request not in sent]

    def _note(self, note: BatchNote) -> None:
        """Note a stage; what costs money begins only when that lies wherever the folder is kept."""
        if self._folder is not None:
            self._folder.append(FILE, [note])
            if note.stage in ("planned", "uploaded"):
                self._folder.publish()

    # waiting

    def _look(self, server: BatchServer, batch: _UnderWay, watcher: Notified) -> float | None:
        """Look at one batch and settle it where it has ended; the seconds that it asks to wait."""
        seen = server.look(batch.batch)
        if isinstance(seen, Exception):
            if is_unknown(seen):
                if self._is_given_up(server, batch, f"batch {batch.batch}", seen):
                    batch.lost = True
                    watcher.note(f"Batch {batch.batch} is given up; it counts at its worst case.")
                    self._settle(server, batch, Seen(batch.batch, LOST), watcher)
            elif time.monotonic() - batch.heard > LONGEST_SILENCE:
                raise server.gone(batch.batch, seen)
            return wait_after(seen)
        before, batch.seen, batch.heard = batch.seen, seen, time.monotonic()
        if before is None or (before.completed, before.status) != (seen.completed, seen.status):
            self._say_how_far(batch, seen, watcher, first=before is None)
        if seen.ended:
            self._settle(server, batch, seen, watcher)
        else:
            batch.unknown = 0
        return seen.wait

    def _is_given_up(self, server: BatchServer, batch: _UnderWay, what: str, error: Exception) -> bool:
        """Whether something that the endpoint does not know counts as lost; the first looks say nothing yet.

        Raises:
            RunStopped: it stays unknown, and nobody has said that it is to be given up.
        """
        batch.unknown_since = batch.unknown_since if batch.unknown else time.monotonic()
        batch.unknown += 1
        if batch.unknown < UNKNOWN_LOOKS or time.monotonic() - batch.unknown_since < UNKNOWN_SECONDS:
            return False
        if self.gives_up and batch.earlier:
            return True
        raise server.unknown(what, error)

    def _say_how_far(self, batch: _UnderWay, seen: Seen, watcher: Notified, *, first: bool) -> None:
        total = seen.total or len(batch.requests)
        watcher.note(f"batch {batch.batch} ({batch.arm}): {seen.completed:,}/{total:,}, {seen.status or 'no status'}")
        if first and not seen.ended and not self._is_wanted(batch):
            watcher.note(
                f"Nobody asks for the answers of batch {batch.batch} any more. It is waited for because it costs "
                "money; cancelled at the provider it ends sooner."
            )

    def _tell(self, watcher: Notified) -> None:
        if self._under_way:
            done = sum(one.seen.completed if one.seen else 0 for one in self._under_way)
            watcher.progress(done, sum(len(one.requests) for one in self._under_way))

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
            self._delete(server, watcher)
            return
        lines = self._fetched(server, batch, seen)
        if lines is None:
            return
        results = read_results(lines, sent=batch.requests)
        wanted = [(name, line) for name, line in results.lines.items() if name in self._asked]
        told = [(self._asked[name].model, batch.requests[name].tuned, line) for name, line in wanted]
        self._names.learn(told, watcher.note)
        paid, failures, left = list[Paid](), dict[str, str](), 0
        for name, worst in batch.requests.items():
            line = results.lines.get(name) or _missing(batch, seen, results)
            asked = self._asked.pop(name, None)
            if asked is not None and _is_open(line, seen):
                left += 1
                continue
            reply = self._reply(asked, line)
            paid += self._paid(name, worst, reply, line=line, batch=batch.batch)
            if asked is None or not isinstance(reply.outcome, EndpointFailed):
                continue
            if batch.lost and name not in results.lines:
                self.again[batch.arm] = False
            else:
                failures[name] = without_key(str(reply.outcome), self.model)
        if results.strange:
            watcher.note(
                f"Batch {batch.batch} holds {numbers.counted(results.strange, 'line')} of requests not its own."
            )
        self.model.state.ledger.settle_batch(batch.held, paid)
        self._end(_settled(batch, seen, failures))
        self._under_way.remove(batch)
        self.model.state.failed.update(failures)
        if left:
            self._expired[batch.batch] = left
        self._delete(server, watcher)

    def _fetched(self, server: BatchServer, batch: _UnderWay, seen: Seen) -> list[bytes] | None:
        """The lines of a batch's files; None where they are to be asked for again."""
        found = list[bytes]()
        for file in seen.files:
            lines = server.lines(file)
            if not isinstance(lines, Exception):
                found += lines
            elif self._is_given_up(server, batch, f"file {file} of batch {batch.batch}", lines):
                batch.lost = True
            else:
                return None
        return found

    def _end(self, note: BatchNote) -> None:
        """Note that a batch is settled; its files are to be deleted."""
        self._note(note)
        if note.files:
            self._to_delete[note.mark] = note.files

    def _delete(self, server: BatchServer, watcher: Notified) -> None:
        """Delete files of settled batches at the endpoint, and name those that stay."""
        stay = list[str]()
        for mark, files in list(self._to_delete.items()):
            kept = tuple(file for file in files if not server.delete(file))
            self._note(BatchNote(mark, "deleted", files=kept))
            del self._to_delete[mark]
            stay += kept
        if stay:
            watcher.note(
                f"Files of batches with eval cases or answers could not be deleted at {server.host}: "
                f"{', '.join(stay)}. Delete them there."
            )

    def _sent_again(self, batch: _UnderWay, seen: Seen) -> bool:
        """Have the requests of a batch added again that failed because others were under way."""
        again = set(seen.codes) & set(TOO_MUCH_AT_ONCE) and not seen.files and batch.beside and not batch.alone
        if not again or not all(name in self._asked for name in batch.requests):
            return False
        self._end(_settled(batch, seen, {}))
        self._under_way.remove(batch)
        self.model.state.ledger.hold(-batch.held)
        for name in batch.requests:
            del self._asked[name]
        self.again[batch.arm] = True
        return True

    def _reply(self, asked: _Asked | None, line: Line) -> Reply:
        """What came of a request."""
        if line.body is None:
            return Reply(EndpointFailed(line.why), billed=line.billed)
        if asked is None:
            return Reply(EndpointFailed("Nobody asks for it any more."))
        job = EndpointJob(self.model, ("",), 0, stop=asked.stop)
        reply = job.read(0, client_library().types.chat.ChatCompletion.construct(**line.body))
        called = line.body.get("model")
        if isinstance(reply.outcome, EndpointFailed):
            return reply
        if self._names.is_called(asked.model, called):
            return reply if reply.counted else _estimated(reply, reply.outcome, asked.estimate)
        return Reply(EndpointFailed(f"The batch was answered by the model {called!r}; {asked.model!r} was asked."))

    def _paid(self, name: str, worst: Worst, reply: Reply, *, line: Line, batch: str) -> list[Paid]:
        if not reply.billed:
            return []
        price, outcome = self.model.state.ledger.price, reply.outcome
        if isinstance(outcome, EndpointFailed):
            told = usage_told(line)
            read, written = told or (worst.read, worst.written)
            money = price(read, written, batched=True, tuned=worst.tuned)
            return [Paid(name, "", read, written, "error", money, counted=bool(told), again=False, batch=batch)]
        money = price(outcome.tokens_in, outcome.tokens_out, batched=True, tuned=worst.tuned)
        return [Paid(name, *outcome, money, counted=reply.counted, again=True, batch=batch)]


def _estimated(reply: Reply, outcome: Completion, tokens_in: int) -> Reply:
    return reply._replace(outcome=outcome._replace(tokens_in=tokens_in))


def _settled(batch: _UnderWay, seen: Seen, failures: Mapping[str, str]) -> BatchNote:
    files = tuple(file for file in (batch.file, *seen.files) if file)
    return BatchNote(batch.mark, "settled", status=seen.status, failures=dict(failures), files=files)


def _missing(batch: _UnderWay, seen: Seen, results: Results) -> Line:
    """What is said of a request that no line of a batch's files names."""
    garbled = f" ({numbers.counted(results.garbled, 'line')} of them cannot be read)" if results.garbled else ""
    why = f" {seen.why}" if seen.why else ""
    if batch.lost:
        return Line(None, f"The endpoint does not know batch {batch.batch}, or a file of it, any more.", billed=True)
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
