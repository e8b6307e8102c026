"""Texts to unit vectors with sentence-transformers; vectors are kept on disk by content, so a text is embedded once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.errors import MissingModel
from harness.holds import Held, mark
from harness.models import bundled
from harness.models.device import device_kind, has_bf16_units, machine
from harness.models.local import fetch, keep_quiet, weights_digest
from harness.retrieval.stores.base import Vectors as Vectors
from harness.retrieval.texts import texts_digest


class Embedder(Protocol):
    """Texts in, unit vectors out."""

    name: str
    digest: str

    def encode(self, texts: Sequence[str], *, fresh: bool = False) -> Vectors:
        """One unit vector a text, shape (len(texts), dimension), float32; `fresh` computes even what is cached."""


class SentenceEmbedder:
    """A sentence-transformers model; loaded when the first text is not in the cache."""

    def __init__(self, name: str | None = None) -> None:
        self._folder, self.name, self.digest = _resolve(name)
        self._model: Any = None

    def __reduce__(self) -> tuple[type[SentenceEmbedder], tuple[str | None]]:
        """Travels to another process as its name: the weights are loaded there."""
        return SentenceEmbedder, (None if self.name == bundled.EMBEDDER.name else self.name,)

    def encode(self, texts: Sequence[str], *, fresh: bool = False) -> Vectors:
        """One unit vector a text; known texts come from the cache unless `fresh` (to time the real work)."""
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        if fresh:
            return self._encode(texts)
        return cached_encode(self._encode, texts, folder=vectors_folder(self.digest))

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if self._model is None:
            self._model = _load(self._folder, self.name)
        found = self._model.encode(
            list(texts), batch_size=32, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        vectors = np.asarray(found, dtype=np.float32)
        # Unit length to float32's precision, whatever the network computed in.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def precision(device: str) -> str:
    """What texts are embedded in: bf16 on a processor that has bf16 units, else float32 (as on a GPU).

    About three times as fast there, with the same recall to half a point (`tests/bench/embedder.py` measures both).
    """
    return "bfloat16" if device == "cpu" and has_bf16_units() else "float32"


def vectors_folder(digest: str, *, kind: str = "") -> Path:
    """Where an embedder's vectors are kept: those of another device or precision are others."""
    device = device_kind()
    return bundled.cache_folder() / "vectors" / f"{digest[:16]}-{device}-{precision(device)}{kind}"


def cached_encode(encode: Any, texts: Sequence[str], *, folder: Path) -> Vectors:
    """Encode a list of texts once; the same list later comes from `folder`.

    One file a list (named by the list's digest, written beside and renamed), so it is whole or absent; after the array
    stands a digest of it and of the list, and a file that it does not fit is made again.
    """
    path, digest = _place(texts, folder)
    kept = _kept(path, digest)
    if kept is not None and len(kept) == len(texts):
        return kept
    made = _encoded(encode, texts)
    _save(made, path, digest)
    return made


def cached_file(encode: Any, texts: Sequence[str], *, folder: Path, dtype: type[np.floating[Any]]) -> Held | None:
    """The file that holds the vectors of this list, made where it is missing or damaged; None where it cannot be."""
    path, digest = _place(texts, folder)
    held = _held(path)
    kept = _kept(path, digest)
    if held is not None and kept is not None and len(kept) == len(texts) and kept.dtype == dtype:
        return held
    path.unlink(missing_ok=True)
    _save(_encoded(encode, texts).astype(dtype), path, digest)
    return _held(path)


def _held(path: Path) -> Held | None:
    try:
        return Held(path)
    except OSError:
        return None


def _place(texts: Sequence[str], folder: Path) -> tuple[Path, str]:
    digest = texts_digest(texts)
    return folder / f"{digest[:32]}.npy", digest


def _encoded(encode: Any, texts: Sequence[str]) -> Vectors:
    unique = list(dict.fromkeys(texts))
    vectors = dict(zip(unique, encode(unique), strict=True))
    return np.stack([vectors[text] for text in texts]).astype(np.float32)


def _kept(path: Path, digest: str) -> Vectors | None:
    """The vectors of this list of texts; None where there are none, or not as they were written."""
    with contextlib.suppress(ValueError, OSError, EOFError):
        data = path.read_bytes()
        array, seal = data[:-_SEAL], data[-_SEAL:]
        if seal == _seal(array, digest):
            found: Vectors = np.load(io.BytesIO(array), allow_pickle=False)
            mark(path)
            return found
    return None


_SEAL = hashlib.sha256().digest_size


def _seal(array: bytes, digest: str) -> bytes:
    return hashlib.sha256(digest.encode() + array).digest()


def _save(vectors: npt.NDArray[np.floating[Any]], path: Path, digest: str) -> None:
    """A cache that cannot be written is no reason to stop."""
    array = io.BytesIO()
    np.save(array, vectors, allow_pickle=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
            try:
                stream.write(array.getvalue() + _seal(array.getvalue(), digest))
                stream.flush()
                Path(stream.name).replace(path)
            except BaseException:
                Path(stream.name).unlink(missing_ok=True)
                raise


def _resolve(name: str | None) -> tuple[Path, str, str]:
    if name is None:
        weights = bundled.require(bundled.EMBEDDER)
        return weights.parent, bundled.EMBEDDER.name, bundled.EMBEDDER.sha256
    path = Path(name).expanduser()
    folder = path if path.is_dir() else fetch(name)
    return folder, name, weights_digest(folder, nested=True)


def _load(folder: Path, name: str) -> Any:
    keep_quiet()
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    here = machine()
    torch.set_num_threads(here.threads)
    try:
        return SentenceTransformer(
            str(folder),
            device=here.device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, precision(here.device))},
        )
    except (ValueError, OSError, KeyError, ImportError, SafetensorError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise MissingModel(f"The embedder {name!r} could not be loaded: {first}") from error
