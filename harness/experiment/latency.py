"""Requests timed one at a time, the arms in turn, after a warm-up: what a single user would wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from harness.arms.base import Arm
from harness.arms.bench import Bench
from harness.generation.isolation import attempt, only_answer
from harness.models.base import Message
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
    done = only_answer(bench.start([prompt]), seconds=limit)
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
    for case in cases[:1]:
        attempt(partial(_warm_up, arm, recipe, case, bench=bench))
    tried = [attempt(partial(timed_request, arm, recipe, case, bench=bench)) for case in cases]
    samples = [found for found in tried if isinstance(found, LatencySample)]
    return samples, [found for found in tried if isinstance(found, Exception)]


def _warm_up(arm: Arm, recipe: Recipe, case: Case, *, bench: Bench) -> None:
    request = arm.requests(recipe, [case], bench=bench, fresh=True)[0]
    if request.fixed is None:
        only_answer(bench.model.start([bench.model.render([Message("user", "Hello")])], max_new_tokens=2))
