"""Whether rows and rule fit the kind that was settled: what no arm could ever get right is said before the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.scenario import Case, Kind, Problem
from harness.scenario_file.infer import json_object
from harness.scenario_file.settle import Settled
from harness.scenario_file.toml_file import Settings, did_you_mean, line_of


def row_problems(cases: Sequence[Case], settled: Settled, *, name: str, settings: Settings) -> Iterator[Problem]:
    """Find outputs that are no JSON object or none of the labels given: errors in eval, warnings in train."""
    level = "error" if name == (settings.files.eval or "eval.jsonl") else "warning"
    for case in cases:
        fault = _fault(case.output, settled.kind, labels=settings.labels or ())
        if fault:
            yield Problem("error" if level == "error" else "warning", fault, name, case.line)


def metric_problem(
    settings: Settings, kind: Kind, *, toml: Path | None, known_metrics: Mapping[Kind, tuple[str, ...]]
) -> Iterator[Problem]:
    """Find a metric that is unknown or made for another kind."""
    metric, known = settings.rule.metric, known_metrics[kind]
    if metric is None or toml is None or metric in known:
        return
    elsewhere = [other for other, names in known_metrics.items() if metric in names]
    if elsewhere:
        hint = f"the metric {metric!r} is for {' and '.join(elsewhere)}; for {kind} there are {', '.join(known)}"
    else:
        every = {name for names in known_metrics.values() for name in names}
        close = did_you_mean(metric, every)
        hint = f"unknown metric {metric!r}{close if 'mean' in close else did_you_mean(metric, known)}"
    yield Problem("error", hint, toml.name, line_of(toml.read_text("utf-8-sig"), "metric", table="rule"))


def _fault(output: str, kind: Kind, *, labels: tuple[str, ...]) -> str | None:
    if kind is Kind.JSON and json_object(output) is None:
        message = f"the output must be a JSON object, because the kind is json; got {output[:40]!r}"
        return f'{message}. Correct it, or set kind = "free_text" in scenario.toml'
    if kind is Kind.LABELS and labels and output not in labels:
        return f"the output {output[:60]!r} is none of the labels in scenario.toml{did_you_mean(output, labels[:20])}"
    return None
