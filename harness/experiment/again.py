"""The same run again: what a finished run of the same key found is taken over, and no model is loaded.

A list in the cache folder says where finished runs are. Taken over are answers, adapters and measured times, never the
verdict: that is drawn anew. Nothing is taken from another machine, code or libraries, where a case or an arm failed, or
where an adapter is not what it was.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from harness import provenance
from harness.disk import write_whole
from harness.engines.adapters import is_whole
from harness.errors import RunFolderError
from harness.experiment.experiments import wanted
from harness.experiment.finish import unanswered
from harness.experiment.prepared import Prepared
from harness.models.bundled import cache_folder
from harness.records import Provenance
from harness.store import RunFolder

FOLDERS = ("recipes", "adapters", "experiments")
FILES = (
    "framing.json",
    "retrieval.json",
    "schema.json",
    "left_out.json",
    "stopped.json",
    "usage.jsonl",
    "passages.jsonl",
    "measurements.jsonl",
    "latency.jsonl",
)
"""Beside `scenario.json`, `provenance.json` and, last of all, `predictions.jsonl`."""
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
        write_whole(_list(), msgspec.json.encode(latest), private=True)


def known_runs() -> list[Path]:
    """Folders of finished runs on the list, whether or not they are still there."""
    return [Path(place) for place in _known().values()]


def take_over(folder: RunFolder, ready: Prepared, *, command: str) -> Path | None:
    """Fill a begun folder from a finished run of the same key; its path, or None where there is none to be used."""
    key = folder.key().key
    place = _known().get(key)
    if place is None:
        return None
    other = RunFolder(Path(place))
    with contextlib.suppress(RunFolderError, OSError):
        if other.path != folder.path.resolve() and _usable(other, key=key):
            try:
                _copy(other, folder, ready, command=command)
            except BaseException:
                _undo(folder)
                raise
            return other.path
    return None


def _known() -> dict[str, str]:
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(_list().read_bytes(), type=dict[str, str])
    return {}


def _list() -> Path:
    return cache_folder() / "runs.json"


def _usable(other: RunFolder, *, key: str) -> bool:
    """Whether a run is whole and undamaged, without failures, and made here by this code with these libraries."""
    if not other.has("verdict.json") or other.key().key != key or unanswered(other):
        return False
    other.check()
    made = other.provenance()
    if made.code_digest != provenance.code_digest() or made.versions != provenance.versions() or not _made_here(made):
        return False
    unprepared = {left.arm for left in other.left_out()} & set(other.scenario().arms)
    if unprepared or any(p.error for arm in other.predictions().values() for p in arm.values()):
        return False
    return all(is_whole(other.path, recipe) for recipe in other.recipes())


def _made_here(made: Provenance) -> bool:
    """Whether this is the machine, as far as can be seen without a model library; times are taken over too."""
    here = (provenance.python_version(), provenance.system(), *provenance.size_of_machine())
    return here == (made.python, made.platform, made.cores, made.memory_total_mb)


def _copy(other: RunFolder, folder: RunFolder, ready: Prepared, *, command: str) -> None:
    """Every file whole or not at all, predictions last: what is said of the input is this run's own."""
    for part in FOLDERS:
        if (other.path / part).is_dir():
            shutil.copytree(other.path / part, folder.path / part, dirs_exist_ok=True)
    scenario = ready.scenario
    said = replace(
        other.scenario(),
        name=scenario.name,
        keys=scenario.keys,
        inferred=scenario.inferred,
        warnings=tuple(str(w) for w in scenario.warnings),
        removed=scenario.removed,
        criteria=scenario.criteria,
        experiments=wanted(scenario, ready.places.arms, quick=other.scenario().quick),
    )
    made = replace(
        other.provenance(),
        command=command,
        started=provenance.now(),
        input_digests=dict(scenario.digests),
        git_revision=provenance.git_revision(scenario.folder),
        taken_from=str(other.path),
    )
    folder.write("scenario.json", said)
    folder.write("provenance.json", made)
    for part in (*FILES, "predictions.jsonl"):
        if other.has(part):
            write_whole(folder.path / part, (other.path / part).read_bytes(), private=True)


def _undo(folder: RunFolder) -> None:
    """Take back what was copied before a copy failed; the run then makes its own."""
    for part in FOLDERS:
        shutil.rmtree(folder.path / part, ignore_errors=True)
    for part in (*FILES, "scenario.json", "provenance.json", "predictions.jsonl"):
        with contextlib.suppress(OSError):
            (folder.path / part).unlink(missing_ok=True)
