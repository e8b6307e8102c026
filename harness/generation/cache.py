"""Answers kept between runs, under a key made of everything that determines them.

A SQLite file in the user's cache directory: safe against kill -9 and against two processes at once. A cache that
cannot be used is passed over, never an error; so is an answer that is not, to the last bit, what was put under its key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
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


DAY = 86_400
"""Seconds: use is noted to the day, so that an answer which is read often is not written as often."""


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
        stale: list[str] = []
        now = int(time.time())
        with contextlib.suppress(sqlite3.Error):
            for start in range(0, len(keys), 500):
                part = list(keys[start : start + 500])
                marks = ",".join("?" * len(part))
                query = (
                    f"SELECT used, digest, key, text, tokens_in, tokens_out, finish FROM kept WHERE key IN ({marks})"
                )
                for used, digest, key, *rest in self._db.execute(query, part):
                    if _digest(key, *rest) == digest:
                        found[key] = Completion(*rest)
                        stale += [key] if used < now - DAY else []
            with self._db:
                self._db.executemany("UPDATE kept SET used = ? WHERE key = ?", [(now, key) for key in stale])
        self.hits += len(found)
        return found

    def put(self, answers: dict[str, Completion]) -> None:
        """Remember these."""
        if self._db is None or not answers:
            return
        with contextlib.suppress(sqlite3.Error), self._db:
            now = int(time.time())
            rows = [(key, *completion, _digest(key, *completion), now) for key, completion in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def last_used(path: Path) -> list[int]:
    """When each kept answer was used last, to the day (seconds since 1970); none where they cannot be read."""
    with _database(path) as db:
        return [] if db is None else [used for (used,) in db.execute("SELECT used FROM kept")]
    return []


def forget(path: Path, *, before: float) -> int:
    """Remove the answers that were not used since; their number. Whoever is using the file meanwhile may go on."""
    with _database(path) as db:
        if db is not None:
            with db:
                count = db.execute("DELETE FROM kept WHERE used < ?", (before,)).rowcount
            with contextlib.suppress(sqlite3.Error):  # in use, or no room to write it anew: the room is used again
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return int(count)
    return 0


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The answers in a file; None where it is not there."""
    db = _opened(path) if path.is_file() else None
    try:
        with contextlib.suppress(sqlite3.Error):
            yield db
    finally:
        if db is not None:
            db.close()


def _digest(*row: object) -> str:
    return hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()


def _used() -> str:
    """The column that says when an answer was used last; of those kept before there was one: now."""
    return f"used INT NOT NULL DEFAULT {int(time.time())}"


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=10)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS kept "
            "(key TEXT PRIMARY KEY, text TEXT, tokens_in INT, tokens_out INT, finish TEXT, digest TEXT, "
            f"{_used()})"
        )
        if "used" not in {column for _, column, *_ in db.execute("PRAGMA table_info(kept)")}:
            with contextlib.suppress(sqlite3.OperationalError):  # another process was faster
                db.execute(f"ALTER TABLE kept ADD COLUMN {_used()}")
        db.execute("DROP TABLE IF EXISTS answers")  # as they were kept before, without a digest
    except (sqlite3.Error, OSError):
        return None
    return db
