"""The lock on what decides: metric, margin, alpha and cases stand from the first eval prediction on.

A rule that is changed after answers were seen can be bent to the answer that one would like. So a run looks for earlier
runs on the same cases (in the same runs folder, and those of the same scenario folder that this machine knows of); the
earliest that was not exploratory fixed the rule. What differs is named and refused, unless the run is declared
exploratory, and then its report says so. A cut (`--eval-limit`) of cases that were answered before is let through and
marked. So are more cases, other arms and other seeds: they change no rule, but each verdict on the same cases is one
more chance to be fooled, and how many there were stands beside it (`earlier_looks`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import RunFolderError, UserError
from harness.experiment.again import known_runs
from harness.experiment.options import RunOptions
from harness.experiment.prepared import Prepared
from harness.records import Look
from harness.scenario import Case, DecisionRule, Scenario
from harness.store import RunFolder

FIELDS = ("metric", "margin", "alpha", "fewest_cases", "target")
SHARED = 0.5
"""Runs that share at least this part of the smaller set of cases are runs on the same cases."""


class RuleChanged(UserError):
    """What decides was changed after the first eval prediction."""


def changes_since_first_look(ready: Prepared, runs: Sequence[RunFolder], options: RunOptions) -> tuple[str, ...]:
    """What was changed since answers to these cases were first made; nothing where this is the first look.

    `runs`: `runs_on_these_cases`.

    Raises:
        RuleChanged: something was changed and the run is not declared exploratory.
    """
    earlier = _first(runs)
    if earlier is None:
        return ()
    rule, cases = (tuple(found) for found in _changes(earlier, ready.scenario))
    changes = (*rule, *cases)
    # A cut is no bending of the rule, but its cases were seen: such a verdict is exploratory and need not be refused.
    refused = rule if options.overrides.eval_limit is not None else changes
    if refused and not options.explore:
        raise RuleChanged(
            f"What decides was changed after answers to these eval cases had been made (in {earlier.path}): "
            f"{'; '.join(changes)}. Put it back, or run with --explore: the report will then say that its verdict is "
            "exploratory. New eval cases that nobody has seen start afresh."
        )
    return changes


def _changes(earlier: RunFolder, scenario: Scenario) -> tuple[Iterator[str], Iterator[str]]:
    return _rule_changes(earlier, scenario.rule), _case_changes(earlier, scenario)


def runs_on_these_cases(ready: Prepared, folder: RunFolder, options: RunOptions) -> tuple[RunFolder, ...]:
    """Other runs that have answers to these cases, the earliest first."""
    found = []
    for path in _candidates(ready, options):
        other = RunFolder(path)
        with contextlib.suppress(RunFolderError, OSError):  # a damaged run has fixed nothing
            another = path.resolve() != folder.path.resolve() and other.has("predictions.jsonl")
            if another and _same_cases(other.cases(), ready.scenario.cases):
                found.append((other.key().created, str(path), other))
    return tuple(other for _, _, other in sorted(found, key=lambda one: one[:2]))


def earlier_looks(runs: Sequence[RunFolder], *, key: str) -> tuple[Look, ...]:
    """Verdicts that `runs` came to, the earliest first; a run of the same `key` is the same look."""
    looks: dict[str, Look] = {}
    for one in runs:
        with contextlib.suppress(RunFolderError, OSError):  # a damaged run tells nothing, and stops no other
            own = one.key()
            if own.key != key and one.has("verdict.json"):
                stored = one.scenario()
                looks.setdefault(own.key, Look(own.created, stored.eval_cases, len(stored.arms), stored.quick))
    return tuple(looks.values())


def _first(runs: Sequence[RunFolder]) -> RunFolder | None:
    """The run that fixed what decides."""
    return next((one for one in runs if not one.has("exploratory.json")), None)


def _candidates(ready: Prepared, options: RunOptions) -> Iterator[Path]:
    here = options.out.parent if options.out is not None else options.runs_folder
    seen = [file.parent for file in sorted(here.glob("*/run.json"))] if here.is_dir() else []
    yield from seen
    place = str(ready.scenario.folder.resolve())
    for path in known_runs():
        with contextlib.suppress(RunFolderError, OSError):
            if path not in seen and (path / "run.json").is_file() and RunFolder(path).key().place == place:
                yield path


def _same_cases(old: Sequence[Case], new: Sequence[Case]) -> bool:
    first, second = ({_mark(c.input) for c in cases} for cases in (old, new))
    return len(first & second) >= SHARED * max(1, min(len(first), len(second)))


def _mark(text: str) -> bytes:
    """Stands for a text in a set of many."""
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def _rule_changes(earlier: RunFolder, rule: DecisionRule) -> Iterator[str]:
    old = earlier.rule().rule
    for name in FIELDS:
        was, now = getattr(old, name), getattr(rule, name)
        if was != now:
            yield f"{name.replace('_', ' ')} was {_shown(was)}, now it is {_shown(now)}"


def _case_changes(earlier: RunFolder, scenario: Scenario) -> Iterator[str]:
    """Cases that stand as they were are matched by content; the rest by input and, where ids stayed, by id."""
    old, new = earlier.cases(), scenario.cases
    unchanged = Counter(_content(case) for case in new)
    unmatched = []
    for case in old:
        if unchanged[_content(case)] > 0:
            unchanged[_content(case)] -= 1
        else:
            unmatched.append(case)
    left_over = {content[0] for content, count in unchanged.items() if count > 0}
    by_id = {case.id: case for case in new}
    shown = {case.input for case in old}
    changed: list[str] = []
    gone: list[str] = []
    for case in unmatched:
        moved = by_id.get(case.id)
        same = case.input in left_over or (moved is not None and moved.input not in shown)
        (changed if same else gone).append(case.id)
    if changed:
        yield f"{_counted(changed)} changed ({_some(changed)})"
    if gone:
        yield f"{_counted(gone)} taken out ({_some(gone)})"


def _content(case: Case) -> tuple[str, tuple[str, ...], str | None]:
    """What decides of a case; its group says what counts as one observation."""
    return case.input, case.accepted, case.group


def _counted(names: list[str]) -> str:
    return f"{len(names)} eval case{' was' if len(names) == 1 else 's were'}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _shown(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
