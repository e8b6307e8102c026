"""Adapters kept between runs, under a key made of everything that determines them."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import msgspec

from harness import provenance
from harness.disk import write_whole
from harness.models.base import ModelDescription
from harness.models.bundled import cache_folder, file_digest
from harness.records import Recipe
from harness.tuning.examples import TrainingText
from harness.tuning.lora import WEIGHTS_FILE, TuningSettings

MOST = 30
"""Adapters kept, the latest ones."""

TRAINS = ("tuning", "generation", "engines", "models")
"""Packages whose code decides what an adapter becomes."""

DIGESTS = "digests.json"
"""File -> SHA-256 of everything else in an adapter's folder."""

SERVED_FILE = "served.json"
"""In the place of weights, where a server answers with what was trained elsewhere: the model's name there."""

TAKEN = "The adapter was trained in an earlier run on the same examples with the same settings; its times are shown."


def adapter_key(
    model: ModelDescription,
    examples: Sequence[TrainingText],
    *,
    dev: Sequence[TrainingText],
    settings: TuningSettings,
) -> str:
    """SHA-256 (hex) of weights, precision, libraries, examples, dev examples, settings and code."""
    libraries = [model.runtime, provenance.versions().get("peft"), provenance.code_digest(*TRAINS)]
    parts = [model.digest, model.dtype, model.device, *libraries, asdict(settings)]
    return hashlib.sha256(msgspec.json.encode([*parts, list(examples), list(dev)])).hexdigest()


def known_adapter(key: str, *, out: Path) -> Recipe | None:
    """Put a kept adapter into `out` and give its recipe; None where there is none, or it is damaged."""
    kept = _folder() / key
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        if not _files_are_whole(kept):
            shutil.rmtree(kept, ignore_errors=True)
            return None
        recipe = msgspec.json.decode((kept / "recipe.json").read_bytes(), type=Recipe)
        shutil.copytree(kept, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("recipe.json", DIGESTS))
        if file_digest(out / WEIGHTS_FILE) != recipe.adapter_digest:
            return None
        with contextlib.suppress(OSError):
            kept.touch()
        return replace(recipe, notes=(*recipe.notes, TAKEN))
    return None


def keep_adapter(key: str, recipe: Recipe, *, out: Path) -> None:
    """Keep an adapter; a cache that cannot be written is no reason to stop."""
    with contextlib.suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=_folder()))
        shutil.copytree(out, work, dirs_exist_ok=True)
        (work / "recipe.json").write_bytes(msgspec.json.encode(recipe))
        (work / DIGESTS).write_bytes(msgspec.json.encode(_digests(work)))
        with contextlib.suppress(OSError):  # another process was faster: its adapter is as good
            work.rename(_folder() / key)
        shutil.rmtree(work, ignore_errors=True)
        _prune()


def seal(folder: Path) -> None:
    """Write down, beside an adapter, what its files are."""
    write_whole(folder / DIGESTS, msgspec.json.encode(_digests(folder)))


def is_whole(root: Path, recipe: Recipe) -> bool:
    """Whether the adapter that a recipe names is there, file by file, as it was trained (or the recipe names none).

    Folders of earlier versions, and of tuners from elsewhere, say of the weights alone what they are.
    """
    if recipe.adapter is None:
        return True
    folder = root / recipe.adapter
    if (folder / SERVED_FILE).exists():
        return file_digest(folder / SERVED_FILE) == recipe.adapter_digest
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        if file_digest(folder / WEIGHTS_FILE) == recipe.adapter_digest:
            return not (folder / DIGESTS).exists() or _files_are_whole(folder)
    return False


def _files_are_whole(kept: Path) -> bool:
    """Whether every file is, to the last bit, what was kept."""
    return _digests(kept) == msgspec.json.decode((kept / DIGESTS).read_bytes(), type=dict[str, str])


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def _prune() -> None:
    """Drop the oldest, and what a killed process left half made a day ago or earlier."""
    found = sorted(_folder().iterdir(), key=lambda path: path.stat().st_mtime)
    whole = [path for path in found if not path.name.startswith(".")]
    left = [path for path in found if path.name.startswith(".") and path.stat().st_mtime < time.time() - 86_400]
    for old in (*whole[:-MOST], *left):
        shutil.rmtree(old, ignore_errors=True)


def _folder() -> Path:
    return cache_folder() / "adapters"
