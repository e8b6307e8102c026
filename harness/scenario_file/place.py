"""Where a scenario's files are: a folder, or the folder of a `scenario.toml`."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.errors import InputProblems
from harness.scenario import Problem
from harness.scenario_file.hugging_face import columns_of, is_saved_dataset

TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".arrow", ".json", ".jsonl")
SETTINGS_FILE = "scenario.toml"


def locate(path: Path) -> tuple[Path, Path | None]:
    """Give (folder, settings file or None). Raises InputProblems where `path` is neither a folder nor a TOML file."""
    try:
        if path.is_dir():
            settings = path / SETTINGS_FILE
            return path, settings if settings.exists() else None
        if path.suffix.lower() == ".toml" and path.is_file():
            return path.parent, path
        refusal = _refusal(path)
    except (OSError, ValueError) as error:  # a name that the system refuses, a folder that may not be entered
        refusal = f"this cannot be opened ({getattr(error, 'strerror', None) or error})"
    raise InputProblems([Problem("error", refusal, str(path))])


def missing_file(folder: Path, name: str) -> Problem:
    """Say that a needed file is not there, and what to do: a table in the folder may be what it could be made from."""
    message = f"there is no {name} in {folder}"
    if name != "eval.jsonl":
        return Problem(
            "error", f"{message}, and {SETTINGS_FILE} names it under [files]; bring it or correct the name", name
        )
    if is_saved_dataset(folder):
        columns = columns_of(folder)
        named = f" (its columns: {', '.join(columns)})" if columns else ""
        message = f"{message}, but a saved dataset; {init_command(folder)} makes a scenario of it{named}"
        return Problem("error", message, name)
    own = ("train.jsonl", "corpus.jsonl")
    entries = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in TABLES and entry.name not in own)
    tables = [entry for entry in entries if not entry.name.startswith(".")]
    if tables:
        return Problem("error", f"{message}; {init_command(tables[0])} can make one", name)
    return Problem("error", f'{message}; write one {{"input": ..., "output": ...}} object a line', name)


def init_command(table: Path) -> str:
    """The command that makes a scenario of a table or a saved dataset, ready to be pasted but for the columns."""
    return f"`bakeoff init {shlex.quote(str(table))} --input COLUMN --output COLUMN`"


def _refusal(path: Path) -> str:
    if not path.exists():
        return "there is no such folder or file; give a folder with an eval.jsonl, or a scenario.toml"
    if path.name == "eval.jsonl":
        return f"give the folder, not the file in it: {path.parent}"
    if path.suffix.lower() in TABLES:
        return f"a table is not a scenario yet; {init_command(path)} makes one of it"
    return "this is neither a folder with an eval.jsonl nor a scenario.toml"
