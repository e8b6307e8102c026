"""Writes the advice into a scenario as a dated hypothesis that a bake-off can confirm or refute."""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.errors import UserError
from advisor.records import Answer, Hypothesis
from harness.given import CannotRead, parse_toml, read_whole

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

    path = folder if folder.suffix == ".toml" else folder / "scenario.toml"
    created = not path.exists()
    text, newline = (f"# {_HEAD}\n\n", "\n") if created else _read(path)
    document = _parsed(path, text)
    kept = _own_arms(document)
    if "arms" in document and not kept:  # ours: changed where it stands
        document["arms"] = _arms(hypothesis.arms)
    advice = _put_advice(document, _advice(hypothesis, band, answers))
    text = tomlkit.dumps(document)
    text = text if "arms" in document else _with_arms(text, hypothesis.arms)
    text = f"{text.rstrip()}\n\n{advice}".lstrip() if advice else text
    _replace(path, text.replace("\n", newline))
    return TrialFile(path, created, kept)


def _read(path: Path) -> tuple[str, str]:
    """The file's text, and how its lines end."""
    try:
        text = read_whole(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read as TOML ({error}); mend it, and run advise again") from None
    except CannotRead as error:
        raise UserError(f"{path} {error}; mend that, and run advise again") from None
    return text.replace("\r\n", "\n"), "\r\n" if "\r\n" in text else "\n"


def _parsed(path: Path, text: str) -> Any:
    """The document with its comments; what the standard parser refuses is refused, with its words."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        parse_toml(text)
        return tomlkit.parse(text)
    except (tomllib.TOMLDecodeError, TOMLKitError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as TOML ({error}); mend it, and run advise again") from None


def _own_arms(document: Any) -> tuple[str, ...]:
    """The arms that the user named; empty where there are none, or where the line is ours."""
    if "arms" not in document:
        return ()
    arms: Any = document["arms"]
    if not isinstance(arms, list):
        return (str(arms),)  # a fault: the bake-off says so
    return () if MARK in document["arms"].trivia.comment else tuple(str(arm) for arm in arms)


def _arms(arms: Sequence[str]) -> Any:
    import tomlkit

    item = tomlkit.array()
    item.extend(arms)
    item.comment(MARK)
    return item


def _with_arms(text: str, arms: Sequence[str]) -> str:
    """Put the line in below the opening comments: above all else it belongs to no table."""
    rows = [f"{row}\n" for row in text.removesuffix("\n").split("\n")]
    place = next((i for i, row in enumerate(rows) if row.strip() and not row.startswith("#")), len(rows))
    names = ", ".join(f'"{arm}"' for arm in arms)
    return "".join([*rows[:place], f"arms = [{names}] # {MARK}\n", *rows[place:]])


def _put_advice(document: Any, advice: Any) -> str:
    """Put the table where the old one stands, the user's comments in it at its end; the text of a new one, to add."""
    import tomlkit
    from tomlkit.items import Table

    old = document.get("advice")
    if isinstance(old, Table):
        comments = [item.as_string().strip() for item in _comments(old)]
        last = advice["sources"]
        for number, comment in enumerate(comments):
            if number == 0:
                last.add(tomlkit.nl())
            last.add(tomlkit.comment(comment.removeprefix("#").removeprefix(" ")))
        document["advice"] = advice
        return ""
    document.pop("advice", None)
    alone = tomlkit.document()
    alone["advice"] = advice
    return tomlkit.dumps(alone)


def _comments(table: Any) -> Iterator[Any]:
    """Comments on lines of their own, in a table and the tables in it."""
    from tomlkit.items import Comment, Table

    for _, item in table.value.body:
        if isinstance(item, Comment):
            yield item
        elif isinstance(item, Table):
            yield from _comments(item)


def _advice(hypothesis: Hypothesis, band: str, answers: Sequence[Answer]) -> Any:
    import tomlkit

    table = tomlkit.table()
    table.comment("what was advised; `bakeoff run` confirms or refutes it")
    table["date"] = hypothesis.date
    table["approach"] = hypothesis.approach
    if hypothesis.runner_up:
        table["runner_up"] = hypothesis.runner_up
    table["band"] = band
    table["hypothesis"] = hypothesis.text
    if hypothesis.margin_that_pays is not None:
        table["margin_that_pays"] = hypothesis.margin_that_pays
    known = [answer for answer in answers if answer.value is not None]
    table["answers"] = {answer.key: answer.value for answer in known}
    table["sources"] = {answer.key: answer.source.value for answer in known}
    return table


def _replace(path: Path, text: str) -> None:
    """All or nothing; a link stays a link, and who may read the file stays as it was."""
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path} cannot be written ({error.strerror}); the advice was not put into it") from None
