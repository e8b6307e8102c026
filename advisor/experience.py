"""Earlier verdicts read back as measured evidence: how often advice like this was borne out, and a bounded nudge.

`bakeoff run` leaves one small JSON file a run in the data directory; nothing here writes. The files are the user's:
`advise experience` shows and deletes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.records import APPROACH_NAMES, APPROACHES, Experience, Value
from harness.given import read_whole

POINTS_A_VERDICT = 0.5
"""Points of evidence that one fully similar verdict gives the approach that it recommended."""
MOST_POINTS = 1.5
"""Bound of the sum, either way: experience may tip a close call, never overrule the published evidence."""
SIMILAR = 0.5
"""Least share of agreeing answers, over those that both gave, to count as a similar use case."""
LEAST_SHARED = 2
"""Answers that both must have given; `task` has to be one of them."""

_COUNTS = frozenset(("labelled_examples", "corpus_tokens", "requests_per_day", "classes", "input_tokens"))
_IGNORED = frozenset(("eval_examples", "weeks_to_launch"))


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """What is remembered of one bake-off."""

    file: Path
    remembered: str
    name: str
    verdict: str
    approach: str | None
    """The approach of the arm that it recommended; None where it recommended none."""
    advised: str | None
    relation: str | None
    answers: Mapping[str, Value]
    quick: bool


def verdicts_folder() -> Path:
    """Where verdicts are remembered: `$BAKEOFF_DATA_DIR/verdicts`, else the user's data directory."""
    import platformdirs

    home = os.environ.get("BAKEOFF_DATA_DIR") or platformdirs.user_data_dir("bakeoff-advisor")
    return Path(home) / "verdicts"


def past_verdicts(folder: Path | None = None) -> tuple[PastVerdict, ...]:
    """All readable remembered verdicts, oldest first; damaged files are passed over, they are only a memory."""
    found = (_read(path) for path in sorted((folder or verdicts_folder()).glob("*.json")))
    return tuple(sorted((one for one in found if one), key=lambda one: one.remembered))


def experience(values: Mapping[str, Value], past: Sequence[PastVerdict], *, advised: str | None = None) -> Experience:
    """How often advice like this was borne out, and points of evidence from similar use cases.

    `advised`: the approach whose relations are counted; None: any. Of several verdicts on one scenario the newest
    counts. A verdict that recommended an approach speaks for it, one that refuted it speaks against it; each by its
    similarity (half as much where the run was a quick one), in all at most `MOST_POINTS` either way.
    """
    newest = {one.name: one for one in sorted(past, key=lambda one: one.remembered)}
    similar = [(one, similarity(values, one.answers)) for one in newest.values()]
    similar = [(one, alike) for one, alike in similar if alike >= SIMILAR]
    points = dict.fromkeys(APPROACHES, 0.0)
    for one, alike in similar:
        worth = POINTS_A_VERDICT * alike * (0.5 if one.quick else 1.0)
        if one.approach in points:
            points[one.approach] += worth
        if one.relation == "refuted" and one.advised in points:
            points[one.advised] -= worth
    shifts = {name: max(-MOST_POINTS, min(MOST_POINTS, value)) for name, value in points.items() if value}
    like = [one.relation for one, _ in similar if advised is None or one.advised == advised]
    counts = {kind: like.count(kind) for kind in ("confirmed", "refuted", "undecided")}
    return Experience(len(similar), **counts, shifts=shifts, sentence=_sentence(len(similar), counts, shifts))


def similarity(values: Mapping[str, Value], other: Mapping[str, Value]) -> float:
    """Share of the answers given in both that agree, 0..1; counts agree within a factor of 3. 0 for another task."""
    shared = [key for key in values if key in other and key not in _IGNORED]
    if "task" not in shared or len(shared) < LEAST_SHARED or values["task"] != other["task"]:
        return 0.0
    return sum(_agree(key, values[key], other[key]) for key in shared) / len(shared)


def _agree(key: str, one: Value, other: Value) -> bool:
    if key in _COUNTS and isinstance(one, int) and isinstance(other, int):
        small, large = sorted((one, other))
        return large <= 3 * small
    return one == other


def _sentence(n: int, counts: Mapping[str, int], shifts: Mapping[str, float]) -> str:
    if not n:
        return "No earlier bake-off of yours is like this use case."
    runs = "1 earlier bake-off of yours is" if n == 1 else f"{n} earlier bake-offs of yours are"
    same = ", ".join(f"{kind} in {count}" for kind, count in counts.items() if count)
    borne = f"The same advice was {same}" if same else "The same advice was in none of them put to the test"
    moved = ", ".join(f"{APPROACH_NAMES[name]} {points:+.1f}" for name, points in shifts.items())
    weight = f" Points of evidence that this adds: {moved} (bound: {MOST_POINTS})." if moved else ""
    return f"{runs} like this use case. {borne}.{weight}"


def _read(path: Path) -> PastVerdict | None:
    try:
        raw = json.loads(read_whole(path))
        return PastVerdict(
            file=path,
            remembered=str(raw["remembered"]),
            name=str(raw["name"]),
            verdict=str(raw["verdict"]),
            approach=raw["approach"] if raw.get("approach") in APPROACHES else None,
            advised=raw["advised"] if raw.get("advised") in APPROACHES else None,
            relation=raw.get("relation"),
            answers={str(key): value for key, value in raw["answers"].items() if isinstance(value, str | int)},
            quick=bool(raw.get("quick")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
