"""One fine-tuning job at a provider: from examples to the tuned model's name, and never a second job for the same.

Everything is written down before it is done (`adapters/ARM/job.json`), so that a killed run goes on with the same files
and the same job. A job that was asked for and whose name nobody noted is looked for at the provider: by its metadata,
by the name of its training file, by its suffix.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harness.audit.personal import KIND_WORDS, MOST_CHARACTERS, Sensitive, sensitive
from harness.errors import ArmFailed, RunStopped
from harness.models.endpoint import TEMPLATE_TOKENS
from harness.models.endpoint_ledger import MILLION, Ledger
from harness.models.endpoint_tuning import FineTuning, Job, NoAnswer, Refused, TryLater
from harness.publish import numbers
from harness.scenario import FineTuningWish
from harness.store import RunFolder
from harness.tuning.examples import TrainingText

T = TypeVar("T")

RUN, EXAMPLES = "bakeoff_run", "bakeoff_examples"
"""Metadata of a job: the sign of this run's job, and the digest of what it is trained on and how."""
FIRST_WAIT, LONGER, LONGEST_WAIT = 1.0, 1.5, 60.0
"""Seconds between two looks at a job, where the provider does not say."""
SHORTEST_WAIT = 1.0
"""Seconds between two looks at least, whatever the provider says."""
MOST_LOST = 30
"""Looks in a row that may get no answer, about half an hour."""
LOOKS = 3
"""Looks for a job whose creation got no answer, before the run is stopped."""
TRIES = 6
"""Of a job that the provider is too busy to take."""
NO_API = (404, 405, 501)
GONE = "gone"
"""Our own status of a job whose tuned model is no longer there."""
GONE_WRONG = ("failed", "cancelled", GONE)
LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class JobRecord:
    """`job.json`: what is known of a job, written before and after every step."""

    sign: str
    """Drawn for this job; it stands in file names, suffix and metadata."""
    digest: str
    """SHA-256 (hex) of the examples, the base model, the epochs and the seed."""
    base: str
    epochs: int
    rows: int
    held: int
    """Examples that are sent as validation data."""
    worst_tokens: int
    """More than it can be billed for, for that many epochs."""
    training_file: str = ""
    validation_file: str = ""
    asked: bool = False
    """A job may exist."""
    job: str = ""
    """Its id; empty: not known."""
    ours: bool = True
    """False: it was begun by another run, on the same examples with the same settings, and paid for there."""
    status: str = ""
    tuned: str = ""
    tokens: int | None = None
    seconds: float = 0.0
    finished: float | None = None
    """When it ended, in seconds since 1970; where that is not told, when it was first seen to have ended."""
    planned: int | None = None
    """Epochs as the provider tells them; None: not told."""
    goes_on: bool = False
    """It takes more epochs than were asked for, and the provider does not cancel it."""
    settings: tuple[tuple[str, str], ...] = ()
    cause: str = ""
    left_there: tuple[str, ...] = ()
    """Ids of uploaded files that could not be deleted."""

    @property
    def ended(self) -> bool:
        """Nothing more will come of it."""
        return self.status in ("succeeded", *GONE_WRONG)

    @property
    def most_tokens(self) -> int:
        """More than it can be billed for, for the epochs that are known of."""
        return self.worst_tokens * max(self.epochs, self.planned or 0) // self.epochs


@dataclass(frozen=True, slots=True)
class Task:
    """What a job is made with, and who is told."""

    api: FineTuning
    wish: FineTuningWish
    seed: int
    record: Callable[[], JobRecord | None]
    write: Callable[[JobRecord], None]
    tell: Callable[[str], None]
    notify: Callable[[str, float], None]
    ledger: Ledger
    take_over: bool = True
    """A job of another run on the same examples is taken for this one's ..."""
    passed_over: tuple[str, ...] = ()
    """... unless it is one of these."""
    publish: Callable[[], None] = lambda: None
    """What was written reaches other storage; `write` does so too."""
    sleep: Callable[[float], None] = time.sleep

    @property
    def base(self) -> str:
        """What is tuned."""
        return self.wish.model or self.api.model.model

    def money(self, tokens: int) -> float:
        """What so many training tokens cost."""
        return tokens * (self.wish.price or 0.0) / MILLION

    def shown(self, money: float) -> str:
        """In words."""
        return numbers.money(money, self.ledger.currency)


def kept_in(folder: RunFolder, name: str) -> tuple[Callable[[], JobRecord | None], Callable[[JobRecord], None]]:
    """Reads and writes the record of a job in a run folder, and wherever else that is kept."""

    def write(record: JobRecord) -> None:
        folder.write(name, record)
        folder.publish()

    return lambda: folder.read(name, JobRecord) if folder.has(name) else None, write


def fine_tuned(task: Task, examples: Sequence[TrainingText], dev: Sequence[TrainingText]) -> JobRecord:
    """Have a model tuned on these examples, or go on with the job that was begun for it.

    Raises:
        ArmFailed: the provider does not do it, or could not.
        BudgetSpent: what it could cost is not left.
        RunStopped: a job may be under way, and what it came to cannot be told now; the same command goes on with it.
    """
    record = task.record()
    resumed = record is not None
    if record is None:
        record = _begun(task, examples, dev)
    if not record.job:
        record = _with_job(task, record, examples, dev, resumed=resumed)
    if not record.ended:
        record = _waited_for(task, record)
    _settle(task, record)
    record = _cleaned(task, record)
    if record.status != "succeeded":
        raise ArmFailed(gone_wrong(task, record))
    if not record.tuned:
        raise ArmFailed(f"fine-tuning at {task.api.host} succeeded ({record.job}) and named no tuned model")
    return record


# what is sent


def rows_of(examples: Sequence[TrainingText]) -> bytes:
    """One line a conversation: the prompt's messages as the model will be asked, and the answer."""
    rows = ([*json.loads(one.prompt), {"role": "assistant", "content": one.answer}] for one in examples)
    return b"".join(json.dumps({"messages": row}, ensure_ascii=False).encode() + b"\n" for row in rows)


def most_tokens(examples: Sequence[TrainingText]) -> int:
    """No file has more tokens: each is a byte or longer, and a template adds little to each message."""
    rows = ([*(m["content"] for m in json.loads(one.prompt)), one.answer] for one in examples)
    return sum(len(text.encode()) + TEMPLATE_TOKENS for row in rows for text in row)


def _begun(task: Task, examples: Sequence[TrainingText], dev: Sequence[TrainingText]) -> JobRecord:
    whole = hashlib.sha256(rows_of(examples) + b"\n" + rows_of(dev))
    whole.update(json.dumps([task.base, task.wish.epochs, task.seed]).encode())
    # Some providers count a look at the validation data a pass.
    worst = task.wish.epochs * (most_tokens(examples) + most_tokens(dev))
    sign = secrets.token_hex(8)
    return JobRecord(sign, whole.hexdigest(), task.base, task.wish.epochs, len(examples), len(dev), worst)


def _leaves(task: Task, record: JobRecord, texts: Sequence[TrainingText]) -> str:
    """What is about to leave the machine, and at what risk."""
    held = f" and {numbers.counted(record.held, 'held-out one')} as validation data" if record.held else ""
    return (
        f"Fine-tuning: {numbers.counted(record.rows, 'training example')}{held} leave this machine now, for "
        f"{task.api.host}; no eval case is among them. {record.base} is trained for "
        f"{numbers.counted(record.epochs, 'pass', 'passes')}, for {task.shown(task.money(record.worst_tokens))} at "
        f"most.{_personal(texts)}"
    )


def _personal(texts: Sequence[TrainingText]) -> str:
    """A warning where likely personal data or secrets are among what is sent."""
    found: Counter[Sensitive] = Counter()
    looked_at = 0
    for one in texts:
        text = f"{json.loads(one.prompt)[-1]['content']}\n{one.answer}"
        looked_at += len(text)
        if looked_at > MOST_CHARACTERS:
            break
        found.update({hit.kind for hit in sensitive(text)})
    if not found:
        return ""
    kinds = ", ".join(f"{KIND_WORDS[kind][1]} in {count:,}" for kind, count in found.most_common())
    return f" Likely personal data or secrets are among them ({kinds}): stop now if they must not leave it."


# the job


def _with_job(
    task: Task,
    record: JobRecord,
    examples: Sequence[TrainingText],
    dev: Sequence[TrainingText],
    *,
    resumed: bool,
) -> JobRecord:
    """The record with a job's id in it: this run's, another's, or a new one."""
    found = _found(task, record) if record.asked else _of_another_run(task, record)
    if found is not None:
        return _noted(task, record, found)
    if not record.asked:
        record = _uploaded(task, record, examples, dev, resumed=resumed)
    return _created(task, record)


def _found(task: Task, record: JobRecord) -> Job | None:
    """The job that this run asked for before it was stopped.

    Raises:
        RunStopped: the provider cannot be asked, so there may be one.
    """
    try:
        return task.api.find(lambda job: _is_it(job, record))
    except (Refused, NoAnswer, TryLater) as error:
        raise RunStopped(_may_be_there(task, record, str(error))) from None


def _is_it(job: Job, record: JobRecord) -> bool:
    named = job.metadata.get(RUN) == record.sign or record.sign in job.suffix
    return named or (bool(record.training_file) and job.training_file == record.training_file)


def _may_be_there(task: Task, record: JobRecord, why: str) -> str:
    return (
        f"A fine-tuning job was asked for at {task.api.host}, and it cannot be told whether there is one, so none is "
        f"asked for again. {why} The same command looks for it again; its suffix and its training file "
        f"({record.training_file}) bear the sign {record.sign}."
    )


def _of_another_run(task: Task, record: JobRecord) -> Job | None:
    """A job on the same examples with the same settings that did not go wrong, where such a one may be taken over."""
    if not task.take_over or record.training_file:
        return None
    try:
        return task.api.find(lambda job: _serves(job, record) and job.id not in task.passed_over)
    except Refused as error:
        raise ArmFailed(_no_api(task, error)) from None
    except (NoAnswer, TryLater) as error:
        raise ArmFailed(f"fine-tuning at {task.api.host} could not be begun. {error}") from None


def _serves(job: Job, record: JobRecord) -> bool:
    same = job.metadata.get(EXAMPLES) == record.digest and (job.epochs or 0) <= record.epochs
    return same and job.status not in GONE_WRONG


def _no_api(task: Task, error: Refused) -> str:
    if error.status in NO_API:
        return f"the server at {task.api.host} offers no fine-tuning (it answered with status {error.status})"
    return f"fine-tuning at {task.api.host} was refused. {error}"


def _uploaded(
    task: Task,
    record: JobRecord,
    examples: Sequence[TrainingText],
    dev: Sequence[TrainingText],
    *,
    resumed: bool,
) -> JobRecord:
    """The record with the ids of the uploaded files; the worst case is set aside before anything is sent."""
    task.write(record)
    task.ledger.reserve_training(_account(record), record.worst_tokens, money=task.money(record.worst_tokens))
    task.publish()
    there = _files_there(task, record) if resumed else {}
    if not record.training_file:
        task.tell(_leaves(task, record, [*examples, *dev]))
    training, validation = (f"bakeoff-{record.sign}-{part}.jsonl" for part in ("training", "validation"))
    if not record.training_file:
        record = replace(record, training_file=there.get(training) or _sent(task, record, training, examples))
        task.write(record)
    if dev and not record.validation_file:
        record = replace(record, validation_file=there.get(validation) or _sent(task, record, validation, dev))
        task.write(record)
    return record


def _account(record: JobRecord) -> str:
    """What the job is called in the ledger."""
    return f"fine-tuning {record.sign}"


def _files_there(task: Task, record: JobRecord) -> Mapping[str, str]:
    """Files of this job that were uploaded before their ids could be noted."""
    try:
        return task.api.files_named(f"bakeoff-{record.sign}-")
    except (Refused, NoAnswer, TryLater):
        return {}


def _sent(task: Task, record: JobRecord, name: str, texts: Sequence[TrainingText]) -> str:
    try:
        return task.api.upload(name, rows_of(texts))
    except Refused as error:
        why = _no_api(task, error)
    except (NoAnswer, TryLater) as error:
        why = f"the examples could not be sent to {task.api.host}. {error}"
    _unbegun(task, record)
    raise ArmFailed(why)


def _unbegun(task: Task, record: JobRecord) -> None:
    """No job came of it: nothing is to be paid, and what was uploaded is deleted."""
    task.ledger.settle_training(_account(record), 0, money=0.0, counted=True)
    _deleted(task, record)
    task.write(replace(record, asked=False, training_file="", validation_file=""))


def _created(task: Task, record: JobRecord) -> JobRecord:
    """Ask for the job, once."""
    record = replace(record, asked=True)
    task.write(record)
    wait = FIRST_WAIT
    for _ in range(TRIES):
        try:
            return _noted(task, record, task.api.create(_fields(task, record)))
        except TryLater as error:
            why = str(error)
            task.sleep(wait)
            wait *= 2
        except NoAnswer as error:
            return _noted(task, record, _looked_for(task, record, str(error)))
        except Refused as error:
            why = _no_api(task, error)
            break
    _unbegun(task, record)
    raise ArmFailed(why)


def _fields(task: Task, record: JobRecord) -> dict[str, Any]:
    """The body that asks for the job, without what the server does not take."""
    passes = {"n_epochs": record.epochs}
    whole: dict[str, Any] = {
        "model": record.base,
        "training_file": record.training_file,
        **({"validation_file": record.validation_file} if record.validation_file else {}),
        "method": {"type": "supervised", "supervised": {"hyperparameters": passes}},
        "seed": task.seed % LARGEST_SEED,
        "suffix": f"{task.wish.suffix}-{record.sign}",
        "metadata": {RUN: record.sign, EXAMPLES: record.digest},
    }
    out = task.wish.leave_out
    older = {"hyperparameters": passes} if "method" in out else {}
    return {name: value for name, value in whole.items() if name not in out} | older


def _looked_for(task: Task, record: JobRecord, why: str) -> Job:
    """The job whose creation got no answer.

    Raises:
        RunStopped: it is not to be seen; it may be there all the same.
    """
    wait = FIRST_WAIT
    for _ in range(LOOKS):
        task.sleep(wait)
        wait *= 2
        found = _found(task, record)
        if found is not None:
            return found
    raise RunStopped(_may_be_there(task, record, why))


def _noted(task: Task, record: JobRecord, job: Job) -> JobRecord:
    """The record with this job in it, on disk."""
    ours = record.asked
    record = _with_state(record, job, ours=ours)
    if not ours:
        record = replace(record, training_file=job.training_file, validation_file=job.validation_file)
        task.tell(f"Fine-tuning: {job.id} was begun before on the same examples with the same settings; it is used.")
    else:
        task.tell(f"Fine-tuning: {job.id} is under way at {task.api.host} ({job.status or 'no status told'}).")
    task.write(record)
    return record


def _with_state(record: JobRecord, job: Job, *, ours: bool) -> JobRecord:
    return replace(
        record,
        job=job.id,
        ours=ours,
        status=job.status,
        tuned=job.tuned,
        tokens=job.tokens,
        seconds=job.seconds,
        finished=job.finished or record.finished or (time.time() if job.ended else None),
        planned=record.planned if job.epochs is None else job.epochs,
        settings=job.settings,
        cause=job.cause,
    )


def _held_to_epochs(task: Task, record: JobRecord) -> JobRecord:
    """End a job of ours that would take more passes than were asked for: it could cost more than was set aside."""
    done = record.status in ("succeeded", "failed") or record.goes_on
    if done or not record.ours or (record.planned or 0) <= record.epochs:
        return record
    why = f"it planned {record.planned} passes where {record.epochs} were asked for"
    if record.status != "cancelled":
        try:
            task.api.cancel(record.job)
        except Refused as error:
            return _let_go_on(task, record, f"{why}. {error}")
        except (NoAnswer, TryLater):  # the next look tells whether it was, or it is tried again
            return record
    record = replace(record, status="cancelled", cause=f"{why}, and was cancelled")
    task.write(record)
    return record


def _let_go_on(task: Task, record: JobRecord, why: str) -> JobRecord:
    """The record of a job that cannot be held to its passes; what it may cost now counts as spent."""
    task.tell(f"Fine-tuning: {record.job} can cost more than was set aside, because {why}")
    record = replace(record, goes_on=True)
    task.write(record)
    tokens = record.most_tokens
    task.ledger.settle_training(_account(record), tokens, money=task.money(tokens), counted=False)
    return record


# waiting


def _waited_for(task: Task, record: JobRecord) -> JobRecord:
    """The record of the ended job.

    Raises:
        RunStopped: the provider does not answer, or no longer lets the job be seen.
    """
    try:
        return _watched(task, record)
    except KeyboardInterrupt:
        task.tell(
            f"{record.job} goes on at {task.api.host} and will be paid for; the same command waits for it again. To "
            "end it, cancel it there."
        )
        raise


def _watched(task: Task, record: JobRecord) -> JobRecord:
    wait, lost, events = FIRST_WAIT, 0, _Events(task, record.job)
    while True:
        pause = wait
        try:
            job = task.api.job(record.job)
        except Refused as error:
            raise RunStopped(_unseen(task, record, str(error))) from None
        except (NoAnswer, TryLater) as error:
            lost += 1
            if lost == MOST_LOST:
                raise RunStopped(_unseen(task, record, str(error))) from None
        else:
            lost, pause = 0, wait if job.ask_again is None else max(SHORTEST_WAIT, job.ask_again)
            record = _held_to_epochs(task, _told(task, record, job))
            events.tell()
            if record.ended:
                return record
        task.sleep(pause)
        wait = min(LONGEST_WAIT, wait * LONGER)


def _unseen(task: Task, record: JobRecord, why: str) -> str:
    return (
        f"The fine-tuning job {record.job} at {task.api.host} cannot be looked at now. {why} It may go on there; the "
        "same command waits for it again."
    )


def _told(task: Task, record: JobRecord, job: Job) -> JobRecord:
    """The record as the job is now; what changed is said."""
    new = _with_state(record, job, ours=record.ours)
    if (new.status, new.tokens) != (record.status, record.tokens):
        tokens = f", {numbers.counted(new.tokens, 'token')} trained" if new.tokens is not None else ""
        task.tell(f"Fine-tuning: {new.job}: {new.status}{tokens}.")
    if new != record:
        task.write(new)
    return new


class _Events:
    """Says what a job tells of itself, each thing once; what was told before this session only in its last line."""

    def __init__(self, task: Task, job: str) -> None:
        self._task, self._job = task, job
        self._seen: set[str] | None = None
        self._offered = True

    def tell(self) -> None:
        """Say what is new."""
        if not self._offered:
            return
        try:
            told = self._task.api.events(self._job)
        except (Refused, NoAnswer, TryLater):
            self._offered = False
            return
        seen = {one.id for one in told if one.text} if self._seen is None else self._seen
        last = [one for one in told if one.text][-1:] if self._seen is None else []
        seen -= {one.id for one in last}
        for one in told:
            if one.share is not None:
                self._task.notify("tuning", min(1.0, one.share))
            if one.id not in seen and one.text:
                self._task.tell(f"Fine-tuning: {one.text}")
        self._seen = seen | {one.id for one in told}


# the end of it


def _settle(task: Task, record: JobRecord) -> None:
    """Count what the job came to; its worst case where it is not told, unless it failed."""
    if not record.ours:
        return
    tokens, counted = record.tokens, True
    if tokens is None:
        counted = record.status == "failed"
        tokens = 0 if counted else record.most_tokens
    task.ledger.settle_training(_account(record), tokens, money=task.money(tokens), counted=counted)


def _cleaned(task: Task, record: JobRecord) -> JobRecord:
    """The record after the uploaded files were deleted; those that stay are named in it."""
    left = _deleted(task, record)
    if left != record.left_there:
        record = replace(record, left_there=left)
        task.write(record)
    if left:
        task.tell(f"Fine-tuning: {', '.join(left)} could not be deleted at {task.api.host}; delete them there.")
    return record


def _deleted(task: Task, record: JobRecord) -> tuple[str, ...]:
    """Delete what was uploaded; the ids of what stays."""
    ids = [record.training_file, record.validation_file, *_files_there(task, record).values()]
    return tuple(one for one in dict.fromkeys(ids) if one and not task.api.delete(one))


def gone_wrong(task: Task, record: JobRecord) -> str:
    """Why there is no tuned model, for a sentence."""
    if record.status == GONE:
        return f"the tuned model {record.tuned} ({record.job}) is no longer at {task.api.host}: {record.cause}"
    cause = f": {record.cause}" if record.cause else ", without a cause that is told"
    was = "was cancelled" if record.status == "cancelled" else "failed"
    return f"fine-tuning at {task.api.host} {was} ({record.job}){cause}"
