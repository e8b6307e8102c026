"""Writes the advice into a scenario as a dated hypothesis that a bake-off can confirm or refute."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.errors import UserError
from advisor.records import Answer, Hypothesis

MARK = "the arms worth running, by advise"
"""The comment on an `arms` line that is ours to change."""

_HEAD = "What a bake-off needs to know beside the rows; whatever is missing here is inferred from the data."


@dataclass(frozen=True, slots=True)
class TrialFile:
    """What was written."""

    path: Path
    created: bool
    arms_kept: tuple[str, ...] = ()
    """The user's own `arms`, where that line was left as it is."""


def write_hypothesis(folder: Path, hypothesis: Hypothesis, *, band: str, answers: Sequence[Answer]) -> TrialFile:
    """Write or update `scenario.toml` in a folder (or the named one): its `arms` and its `[advice]`; all else stays.

    Raises UserError: the file cannot be read as TOML, or not be written; it is then as it was.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = folder if folder.suffix == ".toml" else folder / "scenario.toml"
    created = not path.exists()
    try:
        document = tomlkit.parse(f"# {_HEAD}\n\n" if created else path.read_text(encoding="utf-8-sig"))
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as TOML ({error}); mend it, and run advise again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); mend that, and run advise again") from None
    document.pop("advice", None)
    kept = _own_arms(document)
    if not kept:
        document.pop("arms", None)
    text = tomlkit.dumps(document)
    text = text if kept else _with_arms(text, hypothesis.arms)
    _replace(path, f"{text.rstrip()}\n\n{tomlkit.dumps(_advice(hypothesis, band, answers))}".lstrip())
    return TrialFile(path, created, kept)


def _own_arms(document: Any) -> tuple[str, ...]:
    """The arms that the user named; empty where there are none, or where the line is ours."""
    arms = document.get("arms")
    return () if arms is None or MARK in arms.trivia.comment else tuple(str(arm) for arm in arms)


def _with_arms(text: str, arms: Sequence[str]) -> str:
    """Put the line in below the opening comments: above all else it belongs to no table."""
    rows = text.splitlines(keepends=True)
    place = next((i for i, row in enumerate(rows) if row.strip() and not row.startswith("#")), len(rows))
    names = ", ".join(f'"{arm}"' for arm in arms)
    return "".join([*rows[:place], f"arms = [{names}] # {MARK}\n", *rows[place:]])


def _advice(hypothesis: Hypothesis, band: str, answers: Sequence[Answer]) -> Any:
    import tomlkit

    document, table = tomlkit.document(), tomlkit.table()
    table.comment("what was advised; `bakeoff run` confirms or refutes it")
    table["date"] = hypothesis.date
    table["approach"] = hypothesis.approach
    if hypothesis.runner_up:
        table["runner_up"] = hypothesis.runner_up
    table["band"] = band
    table["hypothesis"] = hypothesis.text
    known = [answer for answer in answers if answer.value is not None]
    table["answers"] = {answer.key: answer.value for answer in known}
    table["sources"] = {answer.key: answer.source.value for answer in known}
    document["advice"] = table
    return document


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written ({error.strerror}); the advice was not put into it") from None
