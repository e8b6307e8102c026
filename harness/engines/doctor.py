"""What a run needs, looked for on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from harness import provenance
from harness.engines.cached import Folders, overview
from harness.errors import MissingModel
from harness.models import bundled
from harness.models.device import machine
from harness.publish.numbers import storage

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "gguf",
    "scikit-learn",
    "sacrebleu",
    "rouge-score",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a run needs: there or not, and what to do."""

    subject: str
    ok: bool
    text: str
    remedy: str = ""


def findings(folders: Folders | None = None) -> tuple[Finding, ...]:
    """Packages, device, memory, disk (with these folders of the cache), the two default models."""
    packages = tuple(_package(name) for name in PACKAGES)
    models = (_bundled("language model", bundled.LANGUAGE_MODEL), _bundled("embedder", bundled.EMBEDDER))
    here = _machine() if packages[0].ok else ()
    return (Finding("python", True, provenance.python_version()), *packages, *here, *models, _cache(folders))


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install {name}")


def _machine() -> tuple[Finding, ...]:
    here = machine()
    return (
        Finding("device", True, f"{here.device} ({here.device_name})"),
        Finding("precision", True, f"{here.dtype}: {here.why}"),
        Finding("threads", True, f"{here.threads} of {here.cores} cores (set OMP_NUM_THREADS to change it)"),
        Finding("memory", here.memory_mb > 3_000, f"{here.memory_mb / 1024:.1f} GiB", "a run needs about 3 GiB"),
    )


def _bundled(what: str, file: bundled.BundledFile) -> Finding:
    subject = f"default {what}"
    try:
        bundled.require(file)
    except MissingModel as error:
        return Finding(subject, False, file.name, str(error))
    return Finding(subject, True, f"{file.name}, sha256 {file.sha256[:12]}… as published")


def _cache(folders: Folders | None) -> Finding:
    folder = bundled.cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    held = storage(sum(shelf.size for shelf in overview(folders=folders)))
    text = f"{folder} ({free:.0f} GiB free; {held} are kept there: bakeoff cache)"
    return Finding(
        "cache", free > 2, text, "bakeoff cache --older-than 30d, free 2 GiB, or set BAKEOFF_CACHE elsewhere"
    )
