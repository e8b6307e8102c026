"""From an arm's recipe to its predictions, batch by batch; a case that fails costs only itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.arms.base import Arm, Request
from harness.arms.bench import Bench
from harness.generation.isolation import attempt, completed, said
from harness.models.base import Completion, Job
from harness.records import Passage, Prediction, Recipe
from harness.scenario import Case


@dataclass(frozen=True, slots=True)
class Batch:
    """Predictions made together, and the passages that they saw."""

    predictions: tuple[Prediction, ...]
    passages: tuple[Passage, ...] = ()


def answer_cases(
    arm: Arm, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, done: frozenset[str]
) -> Iterator[Batch]:
    """Answer what is not done yet.

    The batches follow from all cases, done or not, so a continued run computes them as an undisturbed one would.
    """
    requests = attempt(lambda: arm.requests(recipe, cases, bench=bench))
    if isinstance(requests, Exception):
        why = said(requests)
        yield Batch(tuple(_error(case.id, arm.name, why) for case in cases if case.id not in done))
        return
    pairs = list(zip(cases, requests, strict=True))
    fixed = [(c, r.fixed) for c, r in pairs if r.fixed is not None and c.id not in done]
    if fixed:
        yield Batch(tuple(Prediction(c.id, arm.name, text, 0, 0, 0.0, finish="fixed") for c, text in fixed))
    asked = [(c, r) for c, r in pairs if r.fixed is None]
    if asked:
        yield from _Asking(arm.name, recipe.adapter_digest, bench, done).batches(asked)


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

    def batches(self, asked: Sequence[tuple[Case, Request]]) -> Iterator[Batch]:
        questions = [self._question(case, request) for case, request in asked]
        too_long = {q.case.id: why for q in questions if (why := self.bench.too_long(q.prompt))}
        overlong = tuple(_error(name, self.arm, why) for name, why in too_long.items() if name not in self.done)
        if overlong:
            yield Batch(overlong)
        fitting = [q for q in questions if q.case.id not in too_long]
        if not fitting:
            return
        job = self.bench.start([q.prompt for q in fitting])
        for batch in job.batches:
            still_open = [i for i in batch if fitting[i].case.id not in self.done]
            if still_open:
                yield self._answered(job, batch, open_=still_open, questions=fitting)

    def _question(self, case: Case, request: Request) -> _Question:
        prompt, request = self.bench.fitted(case, request)
        return _Question(case, request, prompt, self.bench.key(prompt, adapter_digest=self.adapter_digest))

    def _answered(
        self, job: Job, batch: tuple[int, ...], *, open_: Sequence[int], questions: Sequence[_Question]
    ) -> Batch:
        start = time.perf_counter()
        keys = {i: questions[i].key for i in batch}
        found: dict[int, Completion | Exception] = {}
        known = self.bench.cache.get([keys[i] for i in open_])
        if all(keys[i] in known for i in open_):
            found.update({i: known[keys[i]] for i in open_})
        else:
            found = completed(job, batch)
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
                prompt = self.bench.repair_prompt(questions[i].case, questions[i].request, first.text)
                prompts |= {i: prompt} if prompt else {}
        if not prompts:
            return {}
        places = list(prompts)
        job = self.bench.start([prompts[i] for i in places])
        second = {places[n]: c for batch in job.batches for n, c in completed(job, batch).items()}
        return {i: self._better(questions[i], found[i], second[i]) for i in places}

    def _better(
        self, question: _Question, first: Completion | Exception, second: Completion | Exception
    ) -> Completion | Exception:
        """The second answer where it can be used, else the first; with what both took."""
        if isinstance(first, Exception) or isinstance(second, Exception):
            return first
        still = self.bench.repair_prompt(question.case, question.request, second.text)
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
