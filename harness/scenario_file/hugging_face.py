"""Hugging Face datasets: a folder written by `save_to_disk`, or an id on the hub (`hf://owner/name[/config]`).

A saved folder is read with pyarrow alone, in a helper process with limits; the package `datasets` is needed only to
fetch an id, and code that comes with a dataset is never run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from harness.apart import Apart, Refused
from harness.errors import InputProblems, MissingModel, UserError
from harness.given import CannotRead, read_whole
from harness.scenario import Problem
from harness.scenario_file.tables import LARGEST_TABLE, Table, TableRow, arrow_rows

SCHEME = "hf:"
HELD_OUT = ("test", "validation", "dev", "eval")
"""Splits that serve as the eval set, the first that is there."""


@dataclass(frozen=True, slots=True)
class SavedDataset:
    """The tables of a saved dataset."""

    splits: dict[str, Table]

    @property
    def held_out(self) -> str | None:
        """The split to judge by, where there is one beside `train`."""
        return next((name for name in HELD_OUT if name in self.splits), None) if "train" in self.splits else None


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def columns_of(folder: Path) -> tuple[str, ...]:
    """The columns of a saved dataset (of its first split); none where it does not say."""
    try:
        home = next(iter(_splits(folder).values()))[0].parent
        return tuple(map(str, json.loads(read_whole(home / "dataset_info.json"))["features"]))
    except (CannotRead, OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError):
        return ()


def read_saved_dataset(folder: Path) -> SavedDataset:
    """All splits, their labels as names. Raises InputProblems where one is missing, damaged, too large or empty."""
    try:
        splits = _splits(folder)
        size = sum(file.stat().st_size for files in splits.values() for file in files)
        if size > LARGEST_TABLE:
            raise CannotRead(f"is larger than {LARGEST_TABLE // 1_000_000} MB; take a part of it")
        with Apart() as apart:
            tables = {name: _table(files, apart) for name, files in splits.items()}
    except (CannotRead, Refused) as error:
        _refuse(folder, str(error))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _refuse(folder, f"is no dataset as save_to_disk writes it ({type(error).__name__}: {str(error)[:100]})")
    filled = {name: one for name, one in tables.items() if one.rows and not _is_untold(one, splits[name][0].parent)}
    if not filled:
        _refuse(folder, "the dataset has no rows with labels that are told")
    return SavedDataset(filled)


def _is_untold(table: Table, folder: Path) -> bool:
    """Whether a column of labels is empty in every row, as in test splits whose labels are kept secret."""
    return any(all(row.cells.get(name) is None for row in table.rows) for name in _label_names(folder))


def _refuse(folder: Path, message: str) -> NoReturn:
    raise InputProblems([Problem("error", message, folder.name)])


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Split -> its Arrow files; a dataset without splits counts as one named `train`."""
    if not (folder / "dataset_dict.json").is_file():
        return {"train": list(_files(folder))}
    names = json.loads(read_whole(folder / "dataset_dict.json"))["splits"]
    return {name: list(_files(folder / _plain(name))) for name in names}


def _files(folder: Path) -> Iterator[Path]:
    for one in json.loads(read_whole(folder / "state.json"))["_data_files"]:
        yield folder / _plain(one["filename"])


def _plain(name: str) -> str:
    """Names of files come from the folder itself: none may lead out of it."""
    if Path(name).name != name or name in ("", ".", ".."):
        raise CannotRead(f"names the file {name!r}, which is not in it")
    return name


def _table(files: list[Path], apart: Apart) -> Table:
    parts = [apart.call(arrow_rows, path) for path in files]
    columns = parts[0][0] if parts else ()
    rows = [row for _, part in parts for row in part]
    names = _label_names(files[0].parent) if files else {}
    for row in rows:
        row |= {column: _labelled(row[column], labels) for column, labels in names.items() if column in row}
    return Table(columns, tuple(TableRow(number, row) for number, row in enumerate(rows, start=1)))


def _label_names(folder: Path) -> dict[str, list[str]]:
    """Column -> its labels, where the dataset holds their numbers (`ClassLabel`)."""
    features = json.loads(read_whole(folder / "dataset_info.json")).get("features") or {}
    return {name: list(one["names"]) for name, one in features.items() if one.get("_type") == "ClassLabel"}


def _labelled(value: object, labels: Sequence[str]) -> object:
    """The label of a number; None for -1, by which datasets say that the label is not told; the rest stays."""
    if value == -1:
        return None
    return labels[value] if isinstance(value, int) and 0 <= value < len(labels) else value


def fetch_dataset(source: str, into: Path) -> None:
    """Fetch `hf://owner/name[/config]` from the hub and save it into a folder. The only part that needs a network.

    Raises:
        MissingModel: the package `datasets` is not installed.
        UserError: there is no such dataset, or it cannot be fetched.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets
    except ImportError as error:
        raise MissingModel(
            "Datasets of the hub are fetched by the package datasets: pip install 'bakeoff-advisor[datasets]'."
        ) from error
    parts = source.removeprefix(SCHEME).strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UserError(f"A dataset of the hub is named hf://OWNER/NAME or hf://OWNER/NAME/CONFIG; got {source!r}.")
    config = parts[2] if len(parts) == 3 else None
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it tells of each of its retries
    try:
        found = datasets.load_dataset("/".join(parts[:2]), config)
        found.save_to_disk(str(into))
    except (OSError, ValueError, RuntimeError) as error:  # ConnectionError and all that `datasets` raises are of these
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
        raise UserError(
            f"The dataset {'/'.join(parts)} could not be fetched: {said}. Check its name and the network, or save it "
            "elsewhere with save_to_disk and name that folder."
        ) from error
