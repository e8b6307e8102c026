"""Answers kept between runs, under a key made of everything that determines them.

A SQLite file in the user's cache directory: safe against kill -9 and against two processes at once. A cache that
cannot be used is passed over, never an error.
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
                query = f"SELECT key, text, tokens_in, tokens_out, finish FROM answers WHERE key IN ({marks})"
                found.update({row[0]: Completion(*row[1:]) for row in self._db.execute(query, part)})
        self.hits += len(found)
        return found

    def put(self, answers: dict[str, Completion]) -> None:
        """Remember these."""
        if self._db is None or not answers:
            return
        with contextlib.suppress(sqlite3.Error), self._db:
            rows = [(key, *completion) for key, completion in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", rows)


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=10)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS answers "
            "(key TEXT PRIMARY KEY, text TEXT, tokens_in INT, tokens_out INT, finish TEXT)"
        )
    except (sqlite3.Error, OSError):
        return None
    return db
