"""Requests timed one at a time, the arms in turn, after a warm-up: what a single user would wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from harness.arms.base import Arm
from harness.arms.bench import Bench
from harness.generation.isolation import attempt, only_answer
from harness.models.base import Message, Remote, Streamed
from harness.records import LatencySample, Recipe
from harness.scenario import Case


def timed_request(arm: Arm, recipe: Recipe, case: Case, *, bench: Bench) -> LatencySample:
    """One case from its input to its answer: retrieval (never from a cache), prompt, model; a batch of one."""
    start = time.perf_counter()
    request = arm.requests(recipe, [case], bench=bench, fresh=True)[0]
    retrieved = time.perf_counter()
    if request.fixed is not None:
        return LatencySample(case.id, arm.name, time.perf_counter() - start, 0.0, 0, 0)
    prompt, request = bench.fitted(case, request)
    limit = bench.scenario.request_seconds
    job = bench.start([prompt])
    asked = time.perf_counter()
    done = only_answer(job, seconds=limit)
    first = job.first_seconds.get(0) if isinstance(job, Streamed) else None
    again = bench.repair_prompt(case, request, done.text)
    if again:
        second = only_answer(bench.start([again]), seconds=limit)
        done = second._replace(
            tokens_in=done.tokens_in + second.tokens_in, tokens_out=done.tokens_out + second.tokens_out
        )
    return LatencySample(
        case_id=case.id,
        arm=arm.name,
        seconds=time.perf_counter() - start,
        retrieval_seconds=retrieved - start,
        tokens_in=done.tokens_in,
        tokens_out=done.tokens_out,
        first_token_seconds=None if first is None else asked - start + first,
    )


def latency_cases(cases: Sequence[Case], *, quick: bool) -> tuple[Case, ...]:
    """The cases to time: evenly spaced over the eval set, 3 in quick mode, else 10."""
    wanted = min(len(cases), 3 if quick else 10)
    step = len(cases) / wanted if wanted else 1.0
    return tuple(cases[int(i * step)] for i in range(wanted))


def timed_arm(
    arm: Arm, recipe: Recipe, cases: Sequence[Case], *, bench: Bench
) -> tuple[list[LatencySample], list[Exception]]:
    """All cases of one arm, after an uncounted short prompt to warm up: (samples, failures)."""
    with _timed(bench) as ready:
        for case in cases[:1]:
            attempt(partial(_warm_up, arm, recipe, case, bench=ready))
        tried = [attempt(partial(timed_request, arm, recipe, case, bench=ready)) for case in cases]
    samples = [found for found in tried if isinstance(found, LatencySample)]
    return samples, [found for found in tried if isinstance(found, Exception)]


@contextmanager
def _timed(bench: Bench) -> Iterator[Bench]:
    """The bench with its model ready to be timed, where that is elsewhere."""
    if not isinstance(bench.model, Remote):
        yield bench
        return
    with bench.model.timed() as model:
        yield replace(bench, model=model)


def _warm_up(arm: Arm, recipe: Recipe, case: Case, *, bench: Bench) -> None:
    request = arm.requests(recipe, [case], bench=bench, fresh=True)[0]
    if request.fixed is None:
        only_answer(bench.model.start([bench.model.render([Message("user", "Hello")])], max_new_tokens=2))
