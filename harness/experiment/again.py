"""The same run again: what a finished run of the same key found is taken over, and no model is loaded.

A list in the cache folder says where finished runs are. Taken over are answers, adapters and measured times, never the
verdict: that is drawn anew. Nothing is taken where code, libraries or files have changed, or where a case failed.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from harness import provenance
from harness.errors import RunFolderError
from harness.experiment.finish import unanswered
from harness.models.bundled import cache_folder, file_digest
from harness.store import RunFolder, write_whole

FOLDERS = ("recipes", "adapters")
FILES = ("framing.json", "left_out.json", "usage.jsonl", "passages.jsonl", "measurements.jsonl", "latency.jsonl")
MOST = 200
"""Runs that the list keeps, the latest ones."""


def note_finished(folder: RunFolder) -> None:
    """Put a finished run on the list; a list that cannot be written is no reason to stop."""
    known = _known()
    key = folder.key().key
    known.pop(key, None)
    known[key] = str(folder.path.resolve())
    latest = dict(list(known.items())[-MOST:])
    with contextlib.suppress(OSError):
        _list().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_list(), msgspec.json.encode(latest))


def take_over(folder: RunFolder, *, name: str) -> Path | None:
    """Fill a begun folder from a finished run of the same key; its path, or None where there is none to be used.

    Args:
        name: what this run's scenario is called.
    """
    place = _known().get(folder.key().key)
    if place is None:
        return None
    other = RunFolder(Path(place))
    with contextlib.suppress(RunFolderError, OSError):
        if other.path != folder.path.resolve() and _usable(other, key=folder.key().key):
            _copy(other, folder, name=name)
            return other.path
    return None


def _known() -> dict[str, str]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(_list().read_bytes(), type=dict[str, str])
    return {}


def _list() -> Path:
    return cache_folder() / "runs.json"


def _usable(other: RunFolder, *, key: str) -> bool:
    """Whether a run is whole, without failures, and made by this code with these libraries."""
    if not other.has("verdict.json") or other.key().key != key or unanswered(other):
        return False
    made = other.provenance()
    if made.code_digest != provenance.code_digest() or made.versions != provenance.versions():
        return False
    if any(p.error for arm in other.predictions().values() for p in arm.values()):
        return False
    return all(
        file_digest(other.path / recipe.adapter / "adapter_model.safetensors") == recipe.adapter_digest
        for recipe in other.recipes()
        if recipe.adapter
    )


def _copy(other: RunFolder, folder: RunFolder, *, name: str) -> None:
    """Predictions come last: a copy that is cut short is a run that goes on."""
    for part in FOLDERS:
        if (other.path / part).is_dir():
            shutil.copytree(other.path / part, folder.path / part, dirs_exist_ok=True)
    for part in FILES:
        if other.has(part):
            shutil.copy2(other.path / part, folder.path / part)
    folder.write("scenario.json", replace(other.scenario(), name=name))
    folder.write("provenance.json", replace(other.provenance(), taken_from=str(other.path)))
    write_whole(folder.path / "predictions.jsonl", (other.path / "predictions.jsonl").read_bytes())
