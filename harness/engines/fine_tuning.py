"""Tuned arms made by a provider's own fine-tuning: `Tuner` over an API of files and jobs.

They bear the names of the arms that are tuned here (`lora`, `rag_lora`): they put the same question to the same
examples, and it is by these names that a verdict confirms or refutes the advice to fine-tune.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from harness.arms.bench import Notify, Tuner
from harness.disk import write_whole
from harness.engines.adapters import SERVED_FILE
from harness.errors import ArmFailed, BakeoffError, RunStopped
from harness.models.base import Message
from harness.models.endpoint import EndpointFailed, EndpointJob, EndpointModel
from harness.models.endpoint_ledger import BudgetSpent
from harness.models.endpoint_tuning import FineTuning
from harness.publish import numbers
from harness.records import Recipe
from harness.scenario import FineTuningWish
from harness.store import RunFolder
from harness.tuning.examples import TrainingText
from harness.tuning.provider import GONE, GONE_WRONG, JobRecord, Task, fine_tuned, gone_wrong, kept_in

MADE = ("lora", "rag_lora")
"""Arms that a provider can make: tuned on prompts and answers."""
JOB_FILE = "job.json"
GREETING_TOKENS = 16
READY_TRIES = 12
"""Greetings to a tuned model that is still being loaded, about a quarter of an hour."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0
NOT_FOUND = 404
"""Said of a model that is still being loaded as well as of one that was deleted."""
LOADED_BY = 3600.0
"""Seconds after its job has ended by which a model that is not found is no longer being loaded."""
MAY_PASS = (408, 409, 425, 429)
"""Statuses after which a tuned model may yet answer, beside those from 500 on ..."""
LOADING = ("loading", "being loaded", "not ready")
"""... and whatever the status of an answer that says so."""
NO_LIMIT = (
    "each further training is a job that is paid for, and no limit was set on what the run may spend: with a limit it "
    "is begun as far as the limit allows"
)


class _ModelGone(BakeoffError):
    """The tuned model is not there, and will not be."""


@dataclass(frozen=True, slots=True)
class ProviderTuner:
    """`Tuner` at the endpoint that also answers."""

    model: EndpointModel
    wish: FineTuningWish
    folder: Path
    seed: int
    _: KW_ONLY
    main: bool = True
    """False: for an experiment, which never stops the run for want of money."""
    limited: bool = False
    """The run's money has a limit."""
    take_over: bool = True
    as_object: bool = False
    """Answers are labels and are asked for inside an object (`endpoint_form`), so they are learnt that way."""
    served: Tuner | None = None
    """For arms that were trained elsewhere."""
    names: tuple[str, ...] = ()
    """Those arms."""
    tell: Callable[[str], None] = lambda text: None
    sleep: Callable[[float], None] = time.sleep

    def __call__(
        self, arm: str, examples: Sequence[TrainingText], *, dev: Sequence[TrainingText], notify: Notify
    ) -> Recipe:
        """The recipe of an arm that the provider tunes.

        Raises:
            ArmFailed: it cannot be made there.
            RunStopped: the money is not there, or a job is under way that cannot be looked at.
        """
        if self.served is not None and arm in self.names:
            return self.served(arm, examples, dev=dev, notify=notify)
        if arm not in MADE:
            raise ArmFailed("a provider's fine-tuning takes prompts and answers, and this arm learns otherwise")
        if not self.main and not self.limited:
            raise ArmFailed(NO_LIMIT)
        with FineTuning(self.model).connection() as api:
            task = self._task(arm, api, notify)
            record = self._answering(arm, task, self._texts(examples), dev=self._texts(dev))
        data = json.dumps({"model": record.tuned}).encode()
        write_whole(self.folder / "adapters" / arm / SERVED_FILE, data, private=True)
        return Recipe(
            arm,
            adapter=f"adapters/{arm}",
            adapter_digest=hashlib.sha256(data).hexdigest(),
            train_seconds=record.seconds,
            train_tokens=record.tokens or 0,
            train_examples=record.rows,
            notes=tuple(_notes(task, record)),
        )

    def _task(self, arm: str, api: FineTuning, notify: Notify) -> Task:
        folder = RunFolder(self.folder)
        read, write = kept_in(folder, f"adapters/{arm}/{JOB_FILE}")
        return Task(
            api=api,
            wish=self.wish,
            seed=self.seed,
            record=read,
            write=write,
            tell=self.tell,
            notify=notify,
            ledger=self.model.state.ledger,
            take_over=self.take_over,
            publish=folder.publish,
            sleep=self.sleep,
        )

    def _answering(
        self, arm: str, task: Task, examples: Sequence[TrainingText], *, dev: Sequence[TrainingText]
    ) -> JobRecord:
        """The record of a job whose model answers; one of another run whose model is gone is passed over."""
        while True:
            record = self._made(task, examples, dev)
            try:
                self._await_ready(record)
            except _ModelGone as gone:
                record = replace(record, status=GONE, cause=str(gone))
            else:
                return record
            if record.ours:
                task.write(record)
                raise ArmFailed(gone_wrong(task, record))
            self.tell(f"Fine-tuning: {gone_wrong(task, record)} Another job takes its place.")
            _put_aside(self.folder / "adapters" / arm / JOB_FILE, record)
            task = replace(task, passed_over=(*task.passed_over, record.job))

    def _made(self, task: Task, examples: Sequence[TrainingText], dev: Sequence[TrainingText]) -> JobRecord:
        try:
            return fine_tuned(task, examples, dev)
        except BudgetSpent as error:
            if self.main:
                raise
            raise ArmFailed(str(error).partition(" What was answered")[0]) from None

    def _texts(self, texts: Sequence[TrainingText]) -> list[TrainingText]:
        if not self.as_object:
            return list(texts)
        return [_in_object(one) for one in texts]

    def _await_ready(self, record: JobRecord) -> None:
        """Greet the tuned model until it answers: providers load it some time after its job has succeeded.

        Raises:
            RunStopped: it does not, and may yet.
            ArmFailed: it refuses to.
            _ModelGone: it was deleted, as it seems.
        """
        state, wait = self.model.state, FIRST_WAIT
        before, state.served, state.ledger.asks_tuned = state.served, record.tuned, True
        try:
            for number in range(1, READY_TRIES + 1):
                prompt = self.model.render([Message("user", "Hello")])
                try:
                    EndpointJob(self.model, (prompt,), GREETING_TOKENS, keep=False).answer((0,))
                except EndpointFailed as error:
                    _may_yet_answer(error, record, last=number == READY_TRIES)
                    why = str(error)
                else:
                    return
                if number == 1:
                    self.tell(f"Fine-tuning: waiting for {record.tuned} to be loaded.")
                self.sleep(wait)
                wait = min(LONGEST_WAIT, 2 * wait)
        finally:
            state.served, state.ledger.asks_tuned = before, False
        raise RunStopped(
            f"The tuned model {record.tuned} is made ({record.job}) and does not answer yet. {why} The same command "
            "asks it again."
        )


def _may_yet_answer(error: EndpointFailed, record: JobRecord, *, last: bool) -> None:
    """Whether the tuned model may answer later.

    Raises:
        _ModelGone: it is not found, long after it was made; or, of another run, after a long wait.
        ArmFailed: it is refused for another cause that does not pass.
    """
    status = error.status
    if status == NOT_FOUND:
        lately = record.finished is not None and time.time() - record.finished < LOADED_BY
        if not lately or (last and not record.ours):
            raise _ModelGone(str(error)) from None
        return
    loading = any(words in str(error).lower() for words in LOADING)
    if status is not None and status < 500 and status not in MAY_PASS and not loading:
        raise ArmFailed(f"the tuned model {record.tuned} is made ({record.job}) and does not answer. {error}") from None


def _in_object(text: TrainingText) -> TrainingText:
    """The same with its label inside the object that answers are held to."""
    return text._replace(answer=json.dumps({"label": text.answer}, ensure_ascii=False))


def _notes(task: Task, record: JobRecord) -> list[str]:
    """What is known of how the arm was made, and what is not."""
    known = [
        f"It was made by the fine-tuning of {task.api.host}: job {record.job} trained {record.base} for "
        f"{_passes(record)} over {numbers.counted(record.rows, 'example')}"
        f"{_cost(task, record)}. It answers as {record.tuned}."
    ]
    if record.settings:
        chosen = ", ".join(f"{name} {value}" for name, value in record.settings)
        known.append(f"The provider says that it trained with {chosen}.")
    known.append(
        "Not known is what was trained there (all weights or an adapter, and of which rank) and with which learning "
        "rate; “LoRA” is the name of the arm that is tuned on the examples, whoever tunes it."
    )
    if record.base != task.api.model.model:
        known.append(
            f"The other arms answer with {task.api.model.model}: a difference from them is one of the models too."
        )
    if record.held:
        known.append(
            f"{numbers.counted(record.held, 'held-out example')} went along as validation data; nothing was chosen by "
            "them here."
        )
    if record.left_there:
        known.append(f"Uploaded examples could not be deleted there: {', '.join(record.left_there)}.")
    return known


def _passes(record: JobRecord) -> str:
    taken = numbers.counted(record.planned or record.epochs, "pass", "passes")
    return taken if (record.planned or 0) <= record.epochs else f"{taken} ({record.epochs} were asked for)"


def _cost(task: Task, record: JobRecord) -> str:
    if not record.ours:
        return "; an earlier run began and paid for it"
    if record.tokens is None:
        return f"; the tokens were not told, so the most that it can have cost is counted ({_at(task, record)})"
    return f", {numbers.counted(record.tokens, 'token')} in all, for {_at(task, record)}"


def _at(task: Task, record: JobRecord) -> str:
    tokens = record.most_tokens if record.tokens is None else record.tokens
    price = numbers.money(task.wish.price, task.ledger.currency)
    return f"{task.shown(task.money(tokens))} at {price} a million"


def forget_failed(folder: RunFolder) -> None:
    """Let jobs that went wrong be asked for anew; what they were stays in the folder under another name."""
    for path in folder.path.glob(f"**/adapters/*/{JOB_FILE}"):
        own = RunFolder(path.parents[2])
        record = own.read(path.relative_to(own.path).as_posix(), JobRecord)
        if record.status in GONE_WRONG:
            _put_aside(path, record)


def _put_aside(path: Path, record: JobRecord) -> None:
    path.rename(path.with_name(f"job-{record.sign}.json"))
