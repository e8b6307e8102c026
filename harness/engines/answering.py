"""From an arm's recipe to its predictions, batch by batch; a case that fails costs only itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from harness.arms.base import Arm, Request
from harness.arms.bench import Bench
from harness.errors import ArmFailed
from harness.generation.isolation import attempt, completed, said
from harness.lines import in_parts
from harness.models.base import Completion, Job, Remote
from harness.records import Passage, Prediction, Recipe
from harness.scenario import Case


@dataclass(frozen=True, slots=True)
class Batch:
    """Predictions made together, and the passages that they saw."""

    predictions: tuple[Prediction, ...]
    passages: tuple[Passage, ...] = ()


Share = tuple[int, int]
"""Part i of n of the batches that are to be answered."""

WHOLE: Share = (0, 1)


def answer_cases(
    arm: Arm,
    recipe: Recipe,
    cases: Sequence[Case],
    *,
    bench: Bench,
    done: frozenset[str],
    alone: bool = False,
    share: Share = WHOLE,
) -> Iterator[Batch]:
    """Answer what is not done yet; of every part of the cases, what fails before the model is asked comes last.

    Prompts are held for one part of the cases at a time. The batches follow from all cases of it, done or not, so a
    continued run computes them as an undisturbed one would; with `alone` only what is not done is computed. Several
    processes may each answer a `share` of them; what needs no model and what fails before it is asked belong to the
    first.
    """
    for part in in_parts(cases, PART):
        if not all(case.id in done for case in part):
            yield from _answer_part(arm, recipe, part, bench=bench, done=done, alone=alone, share=share)


PART = 4096
"""Cases whose prompts, with their tokens, are held at once."""


def _answer_part(
    arm: Arm,
    recipe: Recipe,
    cases: Sequence[Case],
    *,
    bench: Bench,
    done: frozenset[str],
    alone: bool,
    share: Share,
) -> Iterator[Batch]:
    first = share[0] == 0
    made = _requests(arm, recipe, cases, bench=bench)
    pairs = [(c, r) for c, r in zip(cases, made, strict=True) if not isinstance(r, Exception)]
    lost = {c.id: said(r) for c, r in zip(cases, made, strict=True) if isinstance(r, Exception)}
    fixed = [(c, r.fixed) for c, r in pairs if r.fixed is not None and c.id not in done]
    if fixed and first:
        yield Batch(tuple(Prediction(c.id, arm.name, text, 0, 0, 0.0, finish="fixed") for c, text in fixed))
    asked = [(c, r) for c, r in pairs if r.fixed is None]
    if asked:
        asking = _Asking(arm.name, recipe.adapter_digest, bench, done, alone, share)
        yield from asking.batches(asked, lost)
    open_ = tuple(_error(case.id, arm.name, lost[case.id]) for case in cases if case.id in lost and case.id not in done)
    if open_ and first:
        yield Batch(open_)


def open_prompts(
    arm: Arm, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, done: frozenset[str]
) -> tuple[Job, tuple[int, ...]] | None:
    """The job of an arm's prompts and which of them are neither done nor in the cache; None where it has none."""
    made = zip(cases, _requests(arm, recipe, cases, bench=bench), strict=True)
    asked = [(c, r) for c, r in made if not isinstance(r, Exception) and r.fixed is None]
    return _Asking(arm.name, recipe.adapter_digest, bench, done, False, WHOLE).unanswered(asked)


def _requests(arm: Arm, recipe: Recipe, cases: Sequence[Case], *, bench: Bench) -> Sequence[Request | Exception]:
    """What the arm asks for each case; where that fails for all of them at once, for each alone."""
    made = attempt(lambda: _one_each(arm.requests(recipe, cases, bench=bench), cases))
    if not isinstance(made, Exception):
        return made
    if len(cases) == 1:
        return [made]
    return [_requests(arm, recipe, [case], bench=bench)[0] for case in cases]


def _one_each(requests: Sequence[Request], cases: Sequence[Case]) -> list[Request]:
    if len(requests) != len(cases):
        raise ArmFailed(f"the arm made {len(requests)} requests of {len(cases)} cases")
    return list(requests)


@dataclass(frozen=True, slots=True)
class _Question:
    case: Case
    request: Request
    prompt: str
    key: str


@dataclass(frozen=True, slots=True)
class _Asking:
    """One arm's questions on their way to the model."""

    arm: str
    adapter_digest: str
    bench: Bench
    done: frozenset[str]
    alone: bool
    share: Share

    def batches(self, asked: Sequence[tuple[Case, Request]], lost: dict[str, str]) -> Iterator[Batch]:
        """Answer batch by batch; cases that cannot be asked are added to `lost`, with why."""
        job, questions = self._job(asked, lost)
        if job is None:
            return
        open_of = {batch: tuple(i for i in batch if questions[i].case.id not in self.done) for batch in job.batches}
        part, of = self.share
        for batch, open_ in [(batch, open_) for batch, open_ in open_of.items() if open_][part::of]:
            yield self._answered(job, open_ if self.alone else batch, open_=open_, questions=questions)

    def unanswered(self, asked: Sequence[tuple[Case, Request]]) -> tuple[Job, tuple[int, ...]] | None:
        """The job, and the questions that have no answer yet."""
        job, questions = self._job(asked, {})
        if job is None:
            return None
        known = self.bench.cache.get([one.key for one in questions])
        open_ = (i for i, one in enumerate(questions) if one.case.id not in self.done and one.key not in known)
        return job, tuple(open_)

    def _job(
        self, asked: Sequence[tuple[Case, Request]], lost: dict[str, str]
    ) -> tuple[Job | None, Sequence[_Question]]:
        made = [(case, self._question(case, request)) for case, request in asked]
        lost |= {case.id: why for case, why in made if isinstance(why, str)}
        return self._started([one for _, one in made if isinstance(one, _Question)], lost)

    def _question(self, case: Case, request: Request) -> _Question | str:
        """The question, or why it cannot be asked."""
        made = attempt(lambda: self._fitted(case, request))
        return said(made) if isinstance(made, Exception) else made

    def _fitted(self, case: Case, request: Request) -> _Question | str:
        prompt, request = self.bench.fitted(case, request)
        why = self.bench.too_long(prompt)
        return why or _Question(case, request, prompt, self.bench.key(prompt, adapter_digest=self.adapter_digest))

    def _started(self, questions: Sequence[_Question], lost: dict[str, str]) -> tuple[Job | None, Sequence[_Question]]:
        """The job of all questions; where it cannot be started, of those that can be started alone."""
        if not questions:
            return None, ()
        job = attempt(lambda: self.bench.start([q.prompt for q in questions]))
        if not isinstance(job, Exception):
            return job, questions
        tried = [(q, attempt(partial(self.bench.start, [q.prompt]))) for q in questions]
        fitting = [q for q, one in tried if not isinstance(one, Exception)]
        if len(fitting) == len(questions):
            lost |= {q.case.id: said(job) for q in questions}
            return None, ()
        lost |= {q.case.id: said(one) for q, one in tried if isinstance(one, Exception)}
        return self._started(fitting, lost)

    def _answered(
        self, job: Job, batch: tuple[int, ...], *, open_: Sequence[int], questions: Sequence[_Question]
    ) -> Batch:
        start = time.perf_counter()
        keys = {i: questions[i].key for i in batch}
        found: dict[int, Completion | Exception] = {}
        known = self.bench.cache.get([keys[i] for i in open_])
        if isinstance(self.bench.model, Remote):  # nothing there depends on its neighbours, and everything costs
            batch = tuple(i for i in open_ if keys[i] not in known)
        if not batch or all(keys[i] in known for i in open_):
            found.update({i: known[keys[i]] for i in open_})
        else:
            found = {i: known[keys[i]] for i in open_ if keys[i] in known and i not in batch}
            found |= completed(job, batch, seconds=self.bench.scenario.request_seconds)
            self.bench.cache.put({keys[i]: c for i, c in found.items() if not isinstance(c, Exception)})
        found |= self._repaired({i: found[i] for i in open_}, questions)
        seconds = (time.perf_counter() - start) / len(open_)
        made = tuple(self._prediction(questions[i], found[i], seconds) for i in open_)
        seen = {p.id: p for i in open_ for p in questions[i].request.passages}
        return Batch(made, tuple(seen.values()))

    def _repaired(
        self, found: dict[int, Completion | Exception], questions: Sequence[_Question]
    ) -> dict[int, Completion | Exception]:
        """Answers that could not be used, asked for once more; the first stays where the second is no better."""
        if not self.bench.scenario.repair:
            return {}
        prompts: dict[int, str] = {}
        for i, first in found.items():
            if not isinstance(first, Exception):
                prompt = self._repair_prompt(questions[i], first.text)
                prompts |= {i: prompt} if prompt else {}
        if not prompts:
            return {}
        places = list(prompts)
        job = attempt(lambda: self.bench.start([prompts[i] for i in places]))
        if isinstance(job, Exception):
            return {}
        limit = self.bench.scenario.request_seconds
        second = {places[n]: c for batch in job.batches for n, c in completed(job, batch, seconds=limit).items()}
        return {i: self._better(questions[i], found[i], second[i]) for i in places}

    def _repair_prompt(self, question: _Question, text: str) -> str | None:
        """What asks once more; None where nothing is to be asked, or where that cannot be worked out."""
        prompt = attempt(lambda: self.bench.repair_prompt(question.case, question.request, text))
        return None if isinstance(prompt, Exception) else prompt

    def _better(
        self, question: _Question, first: Completion | Exception, second: Completion | Exception
    ) -> Completion | Exception:
        """The second answer where it can be used, else the first; with what both took."""
        if isinstance(first, Exception) or isinstance(second, Exception):
            return first
        still = self._repair_prompt(question, second.text)
        kept = first if still else second
        return kept._replace(
            tokens_in=first.tokens_in + second.tokens_in, tokens_out=first.tokens_out + second.tokens_out
        )

    def _prediction(self, question: _Question, result: Completion | Exception, seconds: float) -> Prediction:
        if isinstance(result, Exception):
            return _error(question.case.id, self.arm, said(result))
        return Prediction(
            case_id=question.case.id,
            arm=self.arm,
            text=result.text,
            tokens_in=result.tokens_in,
            tokens_out=result.tokens_out,
            seconds=seconds,
            passages=tuple(p.id for p in question.request.passages),
            finish=result.finish,
            key=question.key,
        )


def _error(case_id: str, arm: str, message: str) -> Prediction:
    return Prediction(case_id, arm, "", 0, 0, 0.0, finish="error", error=message)
