"""What `bakeoff init` does: a table or a dataset -> a scenario folder, or a folder with rows -> its `scenario.toml`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InputProblems
from harness.scenario import Case, Problem, Scenario
from harness.scenario_file.columns import ColumnMap, resolve_columns, table_cases
from harness.scenario_file.hugging_face import SavedDataset, is_saved_dataset, read_saved_dataset
from harness.scenario_file.place import SETTINGS_FILE
from harness.scenario_file.read import Overrides, read_scenario
from harness.scenario_file.split import eval_target, split
from harness.scenario_file.tables import read_table
from harness.scenario_file.write import write_scenario_file

ROW_FILES = ("eval.jsonl", "train.jsonl")


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was made of a table or a folder."""

    scenario: Scenario
    written: tuple[Path, ...]
    n_train: int
    n_eval: int
    skipped: int
    """Rows of the table that were left out; `problems` has a warning for each, beside the scenario's own."""
    sentences: tuple[str, ...]
    """What was done, for the user."""
    problems: tuple[Problem, ...] = ()


def init_folder(
    source: Path,
    *,
    into: Path,
    columns: ColumnMap,
    eval_share: float | None = None,
    eval_size: int | None = None,
    seed: int = 0,
    force: bool = False,
) -> InitResult:
    """Write `eval.jsonl`, `train.jsonl` and `scenario.toml` into `into` from a table, split in two.

    A dataset written by `save_to_disk` keeps its own split into train and test where it has one. Where `source` is
    another folder (with an `eval.jsonl`), only its `scenario.toml` is written and `into` is that folder.
    Files that exist are overwritten only with `force`. Raises InputProblems, and OSError where `into` is not writable.
    """
    if _is_folder(source) and not is_saved_dataset(source):
        return _init_existing(source, force=force)
    faults = list(_option_faults(eval_share, eval_size))
    if faults:
        raise InputProblems(faults)
    if source.is_dir():
        saved = read_saved_dataset(source)
        if saved.held_out is not None:
            return _init_of_splits(saved, source, into=into, columns=columns, size=eval_size, seed=seed, force=force)
        table = next(iter(saved.splits.values()))
    else:
        table = read_table(source)
    cases, problems = table_cases(table, resolve_columns(columns, table, name=source.name), name=source.name)
    _refuse_overwriting([into / name for name in (*ROW_FILES, SETTINGS_FILE)], source=source, force=force)
    train, held_out = split(cases, eval_target(len(cases), share=eval_share, size=eval_size), seed=seed)
    if not held_out:
        message = "the rows cannot be split: nearly all have one group or one input; check the columns"
        raise InputProblems([Problem("error", message, source.name)])
    scenario = _write(into, train=train, held_out=held_out, seed=seed)
    skipped = table.skipped + len(table.rows) - len(cases)
    return InitResult(
        scenario=scenario,
        written=tuple(into / name for name in (*ROW_FILES, SETTINGS_FILE)),
        n_train=len(train),
        n_eval=len(held_out),
        skipped=skipped,
        sentences=tuple(_sentences(train, held_out, skipped=skipped, seed=seed)),
        problems=(*table.warnings, *problems, *scenario.warnings),
    )


def _init_of_splits(
    saved: SavedDataset,
    source: Path,
    *,
    into: Path,
    columns: ColumnMap,
    size: int | None,
    seed: int,
    force: bool,
) -> InitResult:
    """A dataset that was split by whoever made it: its own splits stand."""
    _refuse_overwriting([into / name for name in (*ROW_FILES, SETTINGS_FILE)], source=None, force=force)
    eval_name = saved.held_out or ""
    made: dict[str, list[Case]] = {}
    problems: list[Problem] = []
    skipped = 0
    for name in (eval_name, "train"):
        table, place = saved.splits[name], f"{source.name}/{name}"
        found, said = table_cases(table, resolve_columns(columns, table, name=place), name=place)
        made[name] = [replace(case, id=f"{name}-{case.id}") for case in found] if columns.id is None else list(found)
        problems += [*table.warnings, *said]
        skipped += table.skipped + len(table.rows) - len(found)
    held_out = made[eval_name]
    if size is not None and size < len(held_out):
        held_out = [held_out[i] for i in sorted(random.Random(seed).sample(range(len(held_out)), size))]
    scenario = _write(into, train=made["train"], held_out=held_out, seed=seed)
    of = f" ({len(held_out)} of its {len(made[eval_name])} rows)" if len(held_out) < len(made[eval_name]) else ""
    sentence = f"The dataset's own splits were taken: {eval_name!r} for eval{of}, 'train' for training."
    written = tuple(into / name for name in (*ROW_FILES, SETTINGS_FILE))
    said_all = (*problems, *scenario.warnings)
    return InitResult(scenario, written, len(made["train"]), len(held_out), skipped, (sentence,), said_all)


def _is_folder(source: Path) -> bool:
    try:
        return source.is_dir()
    except OSError as error:  # a name that the system refuses, a folder that may not be entered
        message = f"this cannot be opened ({error.strerror or error})"
        raise InputProblems([Problem("error", message, str(source)[:200])]) from None


def _init_existing(folder: Path, *, force: bool) -> InitResult:
    path = folder / SETTINGS_FILE
    _refuse_overwriting([path], source=None, force=force)
    scenario = read_scenario(folder)
    write_scenario_file(scenario, path)
    n_eval, n_train = len(scenario.cases), len(scenario.train)
    sentence = f"{SETTINGS_FILE} was written for the {n_eval} eval and {n_train} training rows that are there."
    return InitResult(scenario, (path,), n_train, n_eval, skipped=0, sentences=(sentence,), problems=scenario.warnings)


def _option_faults(share: float | None, size: int | None) -> Iterator[Problem]:
    if share is not None and not 0 < share < 1:
        message = f"must lie between 0 and 1 (0.2 is one row in five); got {share}"
        yield Problem("error", message, "--eval-share")
    if size is not None and size < 1:
        yield Problem("error", f"must be a whole number, 1 or more; got {size}", "--eval-size")


def _refuse_overwriting(paths: Sequence[Path], *, source: Path | None, force: bool) -> None:
    if source is not None and any(path.exists() and path.samefile(source) for path in paths):
        raise InputProblems(
            [Problem("error", "the table itself would be overwritten; choose another folder", str(source))]
        )
    there = [path for path in paths if path.exists()]
    if there and not force:
        message = "the file is there already; choose another folder, or overwrite it with --force"
        raise InputProblems([Problem("error", message, str(path)) for path in there])


def _write(into: Path, *, train: Sequence[Case], held_out: Sequence[Case], seed: int) -> Scenario:
    """Write the rows, and the settings as they are inferred from them."""
    into.mkdir(parents=True, exist_ok=True)
    (into / SETTINGS_FILE).unlink(missing_ok=True)
    for name, cases in zip(ROW_FILES, (held_out, train), strict=True):
        (into / name).write_text("".join(f"{_json_row(case)}\n" for case in cases), encoding="utf-8")
    scenario = read_scenario(into, overrides=Overrides(seed=seed))
    write_scenario_file(scenario, into / SETTINGS_FILE)
    return scenario


def _json_row(case: Case) -> str:
    row: dict[str, object] = {"id": case.id, "input": case.input, "output": case.output}
    optional = {"references": list(case.references), "context_id": case.context_id, "group": case.group}
    return json.dumps(row | {name: value for name, value in optional.items() if value}, ensure_ascii=False)


def _sentences(train: Sequence[Case], held_out: Sequence[Case], *, skipped: int, seed: int) -> Iterator[str]:
    n = len(train) + len(held_out)
    yield f"{n} rows were split with seed {seed}: {len(held_out)} for eval, {len(train)} for training."
    groups = {case.group for case in (*train, *held_out) if case.group is not None}
    if groups:
        here = len({case.group for case in held_out})
        yield f"Rows of one group stayed together: {here} of {len(groups)} groups are in eval."
    if skipped:
        yield f"{skipped} rows were skipped because they lack an input or an output, or do not fit the header."
