"""Answers kept between runs, under a key made of everything that determines them.

A SQLite file in the user's cache directory: safe against kill -9 and against two processes at once. A cache that
cannot be used is passed over, never an error; so is an answer that is not, to the last bit, what was put under its key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from harness.models.base import AT_END, Completion, ModelDescription, Stop

CODE_VERSION = 2
"""Raise it when a change of the code may change answers (prompt builder, decoding, tokenisation)."""


def answer_key(
    model: ModelDescription,
    prompt: str,
    *,
    adapter_digest: str,
    max_new_tokens: int,
    stop: Stop = AT_END,
    temperature: float = 0.0,
    seed: int = 0,
) -> str:
    """SHA-256 (hex) of what determines an answer: weights, adapter, precision, device, prompt, settings, code."""
    how = f"drawn at {float(temperature)!r} with seed {seed}" if temperature else "greedy"
    parts = [
        model.digest,
        adapter_digest,
        model.dtype,
        model.runtime,
        model.device,
        prompt,
        max_new_tokens,
        f"{how} until {stop.name}",
        CODE_VERSION,
        *([stop.schema] if stop.schema else []),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class AnswerCache:
    """Completions by key. `AnswerCache(None)` remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._db = _opened(path) if path else None
        self.hits = 0
        """Answers that came from here so far."""

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The known ones among these keys."""
        if self._db is None:
            return {}
        found: dict[str, Completion] = {}
        with contextlib.suppress(sqlite3.Error):
            for start in range(0, len(keys), 500):
                part = list(keys[start : start + 500])
                marks = ",".join("?" * len(part))
                query = f"SELECT key, text, tokens_in, tokens_out, finish, digest FROM kept WHERE key IN ({marks})"
                rows = self._db.execute(query, part)
                found.update({key: Completion(*rest) for key, *rest, digest in rows if _digest(key, *rest) == digest})
        self.hits += len(found)
        return found

    def put(self, answers: dict[str, Completion]) -> None:
        """Remember these."""
        if self._db is None or not answers:
            return
        with contextlib.suppress(sqlite3.Error), self._db:
            rows = [(key, *completion, _digest(key, *completion)) for key, completion in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)", rows)


def _digest(*row: object) -> str:
    return hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=10)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS kept "
            "(key TEXT PRIMARY KEY, text TEXT, tokens_in INT, tokens_out INT, finish TEXT, digest TEXT)"
        )
        db.execute("DROP TABLE IF EXISTS answers")  # as they were kept before, without a digest
    except (sqlite3.Error, OSError):
        return None
    return db
