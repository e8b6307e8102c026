"""Verdicts are remembered between bake-offs, as numbers only, so that advice can learn how often it was borne out.

One small JSON file a run in the user's data directory: traits and scores, no text of the user's data, no path.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from harness import provenance
from harness.disk import write_whole
from harness.experiment.advice import approach_of
from harness.store import RunFolder

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RememberedVerdict:
    """What is kept of a run."""

    remembered: str
    """ISO 8601, UTC."""
    name: str
    kind: str
    verdict: str
    arm: str | None
    approach: str | None
    """The approach of the recommended arm."""
    advised: str | None
    relation: str | None
    answers: dict[str, str | int | bool]
    """The questionnaire's answers that the advice rested on."""
    metric: str
    margin: float
    scores: dict[str, float]
    cases: int
    train_examples: int
    documents: int
    model: str
    quick: bool
    schema_version: int = SCHEMA_VERSION


def verdicts_folder() -> Path:
    """`$BAKEOFF_DATA_DIR/verdicts`, else the user's data directory."""
    home = os.environ.get("BAKEOFF_DATA_DIR") or platformdirs.user_data_dir("bakeoff-advisor")
    return Path(home) / "verdicts"


def wanted() -> bool:
    """Whether `BAKEOFF_REMEMBER` leaves remembering on."""
    return os.environ.get("BAKEOFF_REMEMBER", "1").casefold() not in ("0", "no", "false", "off")


def remember(folder: RunFolder) -> str | None:
    """Keep a finished run's verdict; a repeated run replaces its own. A sentence where it could not be kept."""
    path = verdicts_folder() / f"{folder.key().key[:32]}.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = msgspec.json.format(msgspec.json.encode(_record(folder)), indent=1)
        write_whole(path, data + b"\n", private=True)
    except OSError as error:
        return f"The verdict was not remembered: {path.parent}: {error.strerror or error}."
    return None


def _without_path(model: str) -> str:
    """The last part of a folder's path; a Hugging Face id (`owner/name`) stays whole."""
    is_path = model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model
    return model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else model


def _record(folder: RunFolder) -> RememberedVerdict:
    verdict, scenario, advice = folder.verdict(), folder.scenario(), folder.advice()
    return RememberedVerdict(
        remembered=provenance.now(),
        name=scenario.name,
        kind=scenario.kind,
        verdict=verdict.kind.value,
        arm=verdict.arm,
        approach=approach_of(verdict.arm or "", documents=scenario.documents > 0),
        advised=verdict.advice.advised,
        relation=verdict.advice.relation,
        answers=dict(advice.answers) if advice else {},
        metric=verdict.metric,
        margin=verdict.margin,
        scores={score.arm: score.value for score in verdict.scores},
        cases=scenario.eval_cases,
        train_examples=scenario.train_examples,
        documents=scenario.documents,
        model=_without_path(folder.provenance().model),
        quick=scenario.quick,
    )
