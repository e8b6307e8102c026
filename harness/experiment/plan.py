"""What a bake-off will do, can show and may take, said before anything costs anything. No model is loaded.

Times are arithmetic on token counts (four characters a token) and this machine's usual speeds; each finished run
corrects the next plan on the same machine and model (`remember_duration`).
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.disk import write_whole
from harness.engines.local import BUDGET_CPU, BUDGET_CPU_QUICK
from harness.experiment.probes.base import TUNED, Effort
from harness.experiment.provider_plan import TuningPlan, tuning_plan, with_tuning
from harness.experiment.requests import USUAL_SECONDS, Asking, EndpointPlan, Sizes, arm_asking, endpoint_plan, total
from harness.experiment.resources import Fit, needs
from harness.experiment.setup import FRAMING_CASES, Lineup
from harness.experiment.split import dev_size
from harness.metrics.registry import metric_named
from harness.models.bundled import cache_folder
from harness.records import CONTROL, LeftOut
from harness.retrieval.settings import MOST_DOCUMENTS
from harness.scenario import Case, DecisionRule, Inference, Scenario
from harness.stats.power import cases_for, cases_for_binary, detectable_difference, detectable_difference_binary

DISCORDANCE = 0.25
"""Share of cases on which two arms are taken to differ in right or wrong, until it is measured."""
SPREAD = 0.35
"""Standard deviation of the paired differences that is assumed for graded metrics, until it is measured."""
GAP = 0.05
PASSAGE_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second of the model on this machine: read, written (batched), and tuned on."""

    read: float
    write: float
    tune: float


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """What one arm will take."""

    arm: str
    minutes: float
    what: str


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What one experiment will take, or why it cannot be run."""

    name: str
    minutes: float
    what: str
    cannot: str = ""
    answers: float = 0.0
    """Sets of an arm's answers to all cases."""
    trainings: float = 0.0
    """Trainings of a tuned arm."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done and what it can show."""

    name: str
    kind: str
    metric: str
    arms: tuple[ArmPlan, ...]
    left_out: tuple[LeftOut, ...]
    cases: int
    train: int
    dev: int
    documents: int
    removed: int
    rule: DecisionRule
    rule_digest: str
    detectable: float | None
    """Smallest difference that this many cases show with 80 % power, 0..1; None where no difference can be shown."""
    assumption: str
    pairs: int
    """Pairs of arms that the difference is corrected for."""
    groups: int | None
    """Groups that the cases come in; None where every case stands alone."""
    cases_for_gap: int | None
    """Cases that would show a gap of 5 points."""
    minutes: float
    memory_mb: float
    """Largest memory of the process, MiB."""
    model: str
    embedder: str
    inferred: tuple[Inference, ...]
    warnings: tuple[str, ...]
    instruction: str
    experiments: tuple[ExperimentPlan, ...] = ()
    disk_mb: float = 0.0
    """Size of the run folder, MiB."""
    cache_mb: float = 0.0
    """What is kept beside it for later runs, MiB."""
    fits: tuple[Fit, ...] = ()
    """Whether the model fits the device, for each kind of work; empty where its files do not say how large it is."""
    endpoint: EndpointPlan | None = None
    """What is asked of a server; None where the weights are on this machine."""
    tuning: TuningPlan | None = None
    """What its provider is to tune."""


def make_plan(
    scenario: Scenario,
    places: Lineup,
    *,
    quick: bool,
    weights_mb: float,
    machine_key: str,
    model: str,
    embedder: str,
) -> Plan:
    """The plan for a scenario whose leaks are out.

    Args:
        weights_mb: size of the model's weights on disk.
        machine_key: what identifies this machine and model, for the correction from earlier runs.
    """
    speed = _speed(weights_mb)
    factor = correction(machine_key)
    dev = dev_size(len(scenario.train), quick=quick)
    arms = tuple(_arm_plan(name, scenario, dev=dev, quick=quick, speed=speed, factor=factor) for name in places.arms)
    experiments = tuple(_experiment_plans(scenario, places.arms, quick=quick, arms=arms))
    taken = needs(
        scenario, places.arms, [e.name for e in experiments if not e.cannot], quick=quick, weights_mb=weights_mb
    )
    asking = _asking(scenario, places.arms, experiments, quick=quick)
    tuning = _tuning(scenario, places.arms, experiments, quick=quick)
    if asking is not None and tuning is not None and scenario.endpoint is not None:
        asking = with_tuning(asking, tuning, scenario.endpoint)
    minutes = sum(a.minutes for a in arms) + sum(e.minutes for e in experiments) + 0.5
    if asking is not None and scenario.endpoint is not None:
        minutes = (asking.requests - asking.batched) * USUAL_SECONDS * factor / scenario.endpoint.concurrency / 60
    detectable, assumption, needed = _power(scenario, pairs=len(places.arms) * (len(places.arms) - 1) // 2)
    return Plan(
        name=scenario.name,
        kind=scenario.kind.value,
        metric=scenario.rule.metric,
        arms=arms,
        left_out=places.left_out,
        cases=len(scenario.cases),
        train=len(scenario.train) - dev,
        dev=dev,
        documents=len(scenario.documents),
        removed=len(scenario.removed),
        rule=scenario.rule,
        rule_digest=scenario.rule.digest,
        detectable=detectable,
        assumption=assumption,
        pairs=len(places.arms) * (len(places.arms) - 1) // 2,
        groups=_groups(scenario),
        cases_for_gap=needed,
        minutes=minutes,
        endpoint=asking,
        tuning=tuning,
        memory_mb=taken.memory_mb,
        disk_mb=taken.disk_mb,
        cache_mb=taken.cache_mb,
        model=model,
        embedder=embedder,
        inferred=scenario.inferred,
        warnings=tuple(str(w) for w in scenario.warnings),
        instruction=scenario.instruction,
        experiments=experiments,
    )


def _experiment_plans(
    scenario: Scenario, names: tuple[str, ...], *, quick: bool, arms: Sequence[ArmPlan]
) -> Iterator[ExperimentPlan]:
    """In units of the arms' own times: a training takes what a tuned arm takes, its answers included."""
    from harness.experiment.experiments import cannot_run, wanted
    from harness.experiment.probes.registry import probe

    tuned = [a.minutes for a in arms if a.arm in TUNED]
    others = [a.minutes for a in arms if a.arm not in (*TUNED, CONTROL)]
    training = statistics.fmean(tuned) if tuned else 0.0
    answering = statistics.fmean(others) if others else 0.5
    for name in wanted(scenario, names, quick=quick):
        one = probe(name)
        why = cannot_run(name, scenario, names)
        effort = one.effort(scenario, names, quick=quick)
        taken = 0.0 if why else effort.trainings * training + effort.answers * answering
        effort = Effort(what=effort.what) if why else effort
        yield ExperimentPlan(
            name, round(taken, 2), effort.what, why or "", answers=effort.answers, trainings=effort.trainings
        )


def _asking(
    scenario: Scenario, names: Sequence[str], experiments: Sequence[ExperimentPlan], *, quick: bool
) -> EndpointPlan | None:
    """What is asked of the endpoint; None where the weights are on this machine."""
    wish = scenario.endpoint
    if wish is None:
        return None
    shape, dev, cases = _shape(scenario), dev_size(len(scenario.train), quick=quick), len(scenario.cases)
    sizes = _sizes(shape)
    arms = {}
    for name in names:
        _, options, _ = _extras(name, shape, quick=quick)
        options = 0 if name == "prompt" else options
        timed = min(cases, 3 if quick else 10)
        arms[name] = arm_asking(name, sizes, cases=cases, dev=dev, options=options, timed=timed)
    framing = arm_asking("prompt", sizes, cases=0, dev=min(dev, FRAMING_CASES), options=3, timed=0)
    cases_only = [arm_asking(name, sizes, cases=cases, dev=0, options=0, timed=0) for name in names]
    sets = {one.name: one.answers for one in experiments}
    batched = total(cases_only) if wish.batch else Asking()
    return endpoint_plan(wish, arms, sets, framing=framing, batched=batched, most=scenario.max_new_tokens)


def _sizes(shape: _Shape) -> Sizes:
    return Sizes(shape.instruction, shape.input, shape.output, 2 * PASSAGE_TOKENS)


def _tuning(
    scenario: Scenario, names: Sequence[str], experiments: Sequence[ExperimentPlan], *, quick: bool
) -> TuningPlan | None:
    """What the endpoint's provider is to tune; None where it tunes nothing."""
    if scenario.endpoint is None or scenario.endpoint.fine_tuning is None:
        return None
    dev = dev_size(len(scenario.train), quick=quick)
    trainings = {one.name: one.trainings for one in experiments}
    rows, sizes = len(scenario.train) - dev, _sizes(_shape(scenario))
    return tuning_plan(scenario.endpoint, names, sizes, rows=rows, held=dev, trainings=trainings)


def _power(scenario: Scenario, *, pairs: int) -> tuple[float | None, str, int | None]:
    """(smallest difference, on what assumption, cases for a gap of 5 points), at Holm's strictest level."""
    n, rule = len(scenario.cases), scenario.rule
    alpha = rule.alpha / max(1, pairs)
    if metric_named(rule.metric).right_or_wrong:
        found = detectable_difference_binary(n, discordance=DISCORDANCE, alpha=alpha)
        needed = cases_for_binary(GAP, discordance=DISCORDANCE, alpha=alpha)
        return found, f"if two arms differ in right or wrong on {DISCORDANCE:.0%} of the cases", needed
    found = detectable_difference(n, sd=SPREAD, alpha=alpha)
    needed = cases_for(GAP, sd=SPREAD, alpha=alpha)
    return found, f"if the two arms' scores differ with a standard deviation of {SPREAD * 100:.0f} points", needed


def _groups(scenario: Scenario) -> int | None:
    names = [case.group for case in scenario.cases if case.group is not None]
    return len(set(names)) + len(scenario.cases) - len(names) if len(set(names)) < len(names) else None


@dataclass(frozen=True, slots=True)
class _Shape:
    """Mean tokens of what prompts are made of."""

    instruction: float
    input: float
    output: float


def _shape(scenario: Scenario) -> _Shape:
    rows: Sequence[Case] = scenario.train or scenario.cases
    return _Shape(
        instruction=len(scenario.instruction) / 4 + 30,
        input=statistics.fmean(len(c.input) for c in rows) / 4 + 10,
        output=statistics.fmean(len(c.output) for c in rows) / 4 + 2,
    )


def _arm_plan(name: str, scenario: Scenario, *, dev: int, quick: bool, speed: Speed, factor: float) -> ArmPlan:
    if name == CONTROL:
        return ArmPlan(name, 0.0, "the commonest training output, for every case")
    shape = _shape(scenario)
    extra, options, what = _extras(name, shape, quick=quick)
    tuned = name in ("lora", "rag_lora")
    asked = len(scenario.cases) + (0 if tuned else options * dev)
    read = asked * (shape.input + extra) + (options + 1) * shape.instruction
    write = asked * (shape.output if tuned else 2.0 * shape.output)
    seconds = read / speed.read + write / speed.write
    if tuned:
        rows = max(1, len(scenario.train) - dev)
        a_pass = rows * (shape.input + extra + shape.output + shape.instruction / 16)
        seconds += min(BUDGET_CPU_QUICK if quick else BUDGET_CPU, a_pass * (2 if quick else 4)) / speed.tune
    if name == "rag" and scenario.documents:
        seconds += _choosing_retrieval(scenario, quick=quick)
    seconds += (3 if quick else 10) * ((shape.instruction + shape.input + extra) / speed.read + shape.output / 15)
    return ArmPlan(name, round(seconds * factor / 60, 2), what)


EMBEDDED = 60.0
"""Passages of 150 words a second, embedded on two CPU cores."""


def _choosing_retrieval(scenario: Scenario, *, quick: bool) -> float:
    """Seconds: all passages once, then those of `MOST_DOCUMENTS` at two more sizes and sentence by sentence."""
    words = sum(len(d.text) for d in scenario.documents) / 6
    part = words * min(1.0, MOST_DOCUMENTS / len(scenario.documents))
    return (words + (0.0 if quick else 3 * part)) / 150 / EMBEDDED


def _extras(name: str, shape: _Shape, *, quick: bool) -> tuple[float, int, str]:
    """(prompt tokens beyond instruction and input, options tried on dev, what it is)."""
    shot = shape.input + shape.output
    table = {
        "prompt": (0.0, 3, "instruction only; the better of three framings"),
        "few_shot": (0.0, 2 if quick else 6, "the same worked examples for every case; number and choice by dev"),
        "nearest_shots": (5 * shot, 0 if quick else 3, "the most similar training examples for each case"),
        "rag": (2 * PASSAGE_TOKENS, 0 if quick else 3, "the nearest passages before the input"),
        "lora": (0.0, 0, "the model tuned on the training pairs"),
        "rag_lora": (2 * PASSAGE_TOKENS, 0, "tuned on prompts with passages, answered with passages"),
    }
    return table.get(name, (0.0, 1, "brought by another package"))


def _speed(weights_mb: float) -> Speed:
    """Typical rates on two CPU cores for 135M parameters (bf16), in inverse proportion to the weights' size."""
    scale = 270 / max(30.0, weights_mb)
    return Speed(read=1500 * scale, write=300 * scale, tune=450 * scale)


@dataclass(frozen=True, slots=True)
class Correction:
    """How much longer (>1) or shorter than planned runs took here."""

    factor: float
    runs: int


def correction(machine_key: str) -> float:
    """The factor learned from earlier runs on this machine and model; 1.0 without any."""
    return _corrections().get(machine_key, Correction(1.0, 0)).factor


def remember_duration(machine_key: str, *, planned_minutes: float, took_minutes: float) -> None:
    """Correct the next plan: the factor moves half way to what was seen, within 0.1 .. 10."""
    known = _corrections()
    old = known.get(machine_key, Correction(1.0, 0))
    seen = old.factor * took_minutes / max(0.1, planned_minutes)
    factor = min(10.0, max(0.1, (old.factor + seen) / 2))
    known[machine_key] = Correction(round(factor, 3), old.runs + 1)
    with contextlib.suppress(OSError):
        write_whole(_corrections_file(), msgspec.json.encode(known), private=True)


def _corrections() -> dict[str, Correction]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(_corrections_file().read_bytes(), type=dict[str, Correction])
    return {}


def _corrections_file() -> Path:
    return cache_folder() / "durations.json"
