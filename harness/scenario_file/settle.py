"""Settle every setting: what the user said stands, the rest is inferred and written down as an `Inference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from harness.scenario import Case, DecisionRule, Inference, Kind, Problem
from harness.scenario_file.infer import FEWEST_CASES, MARGINS, infer_kind, infer_metric, json_keys, label_set
from harness.scenario_file.instruction import complete_instruction, listed, write_instruction
from harness.scenario_file.toml_file import Settings


@dataclass(frozen=True, slots=True)
class Settled:
    """What a scenario is about, every setting decided."""

    kind: Kind
    instruction: str
    rule: DecisionRule
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    inferred: tuple[Inference, ...] = ()
    warnings: tuple[Problem, ...] = ()


LOOKED_AT = 20_000
"""Rows of a file that tell of what kind its answers are."""


def settle(settings: Settings, train: Sequence[Case], cases: Sequence[Case]) -> Settled:
    """Settle labels or keys from all rows; kind, instruction and rule from the first `LOOKED_AT` of train and of eval.

    Expects at least one eval case.
    """
    looked_at = (*train[:LOOKED_AT], *cases[:LOOKED_AT])
    kind, kind_inferred = _kind(settings, looked_at)
    labels, labels_inferred = _labels(settings, kind, train=train, cases=cases)
    keys, keys_inferred = _keys(settings, kind, train=train, cases=cases)
    instruction, told, warnings = _instruction(
        settings, kind, train=train[:LOOKED_AT], cases=cases[:LOOKED_AT], names=labels or keys
    )
    rule, rule_inferred = _rule(settings, kind, outputs=[case.output for case in looked_at])
    return Settled(
        kind=kind,
        instruction=instruction,
        rule=rule,
        labels=labels,
        keys=keys,
        inferred=(*kind_inferred, *labels_inferred, *keys_inferred, *told, *rule_inferred),
        warnings=(*warnings, *_idle(settings, kind)),
    )


def _idle(settings: Settings, kind: Kind) -> tuple[Problem, ...]:
    """A setting that does nothing here."""
    said = []
    if settings.held_to_labels and kind is not Kind.LABELS:
        said.append(f"held_to_labels does nothing where answers are {kind.value}, not labels")
    if settings.held_to_schema and kind is not Kind.JSON:
        said.append(f"held_to_schema does nothing where answers are {kind.value}, not json")
    if settings.repair and kind not in (Kind.LABELS, Kind.JSON):
        said.append(f"repair does nothing where answers are {kind.value}: any text can be read as one")
    return tuple(Problem("warning", text) for text in said)


def _kind(settings: Settings, cases: Sequence[Case]) -> tuple[Kind, tuple[Inference, ...]]:
    if settings.kind:
        return Kind(settings.kind), ()
    kind, because = infer_kind(cases)
    others = " | ".join(f'"{other}"' for other in Kind if other is not kind)
    return kind, (Inference("kind", kind, because, f"kind = {others} in scenario.toml"),)


def _labels(
    settings: Settings, kind: Kind, *, train: Sequence[Case], cases: Sequence[Case]
) -> tuple[tuple[str, ...], tuple[Inference, ...]]:
    if kind is not Kind.LABELS or settings.labels:
        return (settings.labels or ()) if kind is Kind.LABELS else (), ()
    labels = label_set(train, cases)
    because = f"the {len(labels)} different outputs of train and eval, in order of first appearance"
    return labels, (Inference("labels", listed(labels), because, 'labels = ["...", "..."] in scenario.toml'),)


def _keys(
    settings: Settings, kind: Kind, *, train: Sequence[Case], cases: Sequence[Case]
) -> tuple[tuple[str, ...], tuple[Inference, ...]]:
    if kind is not Kind.JSON or settings.keys:
        return (settings.keys or ()) if kind is Kind.JSON else (), ()
    keys = json_keys(chain(train, cases))
    because = "the top-level keys of the outputs of train and eval, the most frequent first"
    return keys, (Inference("keys", listed(keys), because, 'keys = ["...", "..."] in scenario.toml'),)


def _instruction(
    settings: Settings, kind: Kind, *, train: Sequence[Case], cases: Sequence[Case], names: Sequence[str]
) -> tuple[str, tuple[Inference, ...], tuple[Problem, ...]]:
    override = '--instruction TEXT, or instruction = "..." in scenario.toml'
    if not settings.instruction:
        frame = write_instruction(kind, train, cases, names=names)
        warnings = (Problem("warning", frame.warning),) if frame.warning else ()
        return frame.text, (Inference("instruction", frame.text, frame.because, override),), warnings
    text = complete_instruction(settings.instruction, kind, names=names)
    if text == settings.instruction:
        return text, (), ()
    because = f"the instruction given does not name the {'labels' if kind is Kind.LABELS else 'keys'}; they were added"
    return text, (Inference("instruction", text, because, "name them in the instruction yourself"),), ()


def _rule(settings: Settings, kind: Kind, *, outputs: Sequence[str]) -> tuple[DecisionRule, tuple[Inference, ...]]:
    said = settings.rule
    inferred: list[Inference] = []
    metric, margin = said.metric, said.margin
    if metric is None:
        metric, because = infer_metric(kind, outputs)
        inferred.append(Inference("metric", metric, because, 'metric = "..." under [rule] in scenario.toml'))
    if margin == "pays":
        stated = settings.advice
        margin = MARGINS[kind] if stated is None or stated.margin_that_pays is None else stated.margin_that_pays
        because = f"the smallest gain that pays within a year, worked out by advise on {stated.date if stated else ''}"
        inferred.append(Inference("margin", f"{margin:g}", because, "margin = 0.05 under [rule] in scenario.toml"))
    if margin is None:
        margin = MARGINS[kind]
        because = f"the usual smallest difference worth having for {kind}: {margin * 100:g} points"
        inferred.append(Inference("margin", f"{margin:g}", because, "margin = ... under [rule] in scenario.toml"))
    rule = DecisionRule(
        metric=metric,
        margin=float(margin),
        alpha=0.05 if said.alpha is None else said.alpha,
        fewest_cases=said.fewest_cases or FEWEST_CASES,
        target=said.target,
        resamples=said.resamples or 10_000,
        seed=settings.seed or 0,
    )
    return rule, tuple(inferred)
