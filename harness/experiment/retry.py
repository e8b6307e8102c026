"""`--retry-errors`: what failed in an existing run is tried again, and nothing else.

A failed prediction stays in the folder until its retry has succeeded; then the later line counts
(`RunFolder.predictions`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from harness.errors import RunFolderError, UserError
from harness.experiment.budget import over_budget
from harness.experiment.options import RunOptions
from harness.publish import numbers
from harness.records import Prediction
from harness.store import RunFolder, RunKey


def folder_to_retry(key: RunKey, options: RunOptions) -> RunFolder:
    """The run that was named, else the latest one with this key.

    Raises:
        UserError: there is none.
    """
    if options.out is not None:
        if not RunFolder(options.out).has("run.json"):
            raise UserError(
                f"--retry-errors goes on with a run that was made, and {options.out} is none (no run.json). Name its "
                "folder with --out, or leave --retry-errors out to begin a run."
            )
        return RunFolder(options.out)
    found = [path.parent for path in options.runs_folder.glob("*/run.json") if _has_key(path.parent, key)]
    if not found:
        raise UserError(
            f"--retry-errors goes on with a run that was made, and {options.runs_folder} holds none of this scenario "
            "with these settings. Name its folder with --out, or leave --retry-errors out to begin a run."
        )
    return RunFolder(max(found, key=lambda path: RunFolder(path).key().created))


def _has_key(path: Path, key: RunKey) -> bool:
    with contextlib.suppress(RunFolderError):
        return RunFolder(path).key().key == key.key
    return False


def to_retry(folder: RunFolder) -> bool:
    """Whether anything of a finished run failed: a prediction, an arm that was stopped for its errors, or one that
    could not be prepared."""
    arms = set(folder.scenario().arms)
    failed = any(p.error for arm, found in folder.predictions().items() if arm in arms for p in found.values())
    return failed or bool(over_budget(folder)) or any(left.arm in arms for left in folder.left_out())


def kept(predictions: Mapping[str, Prediction], *, retry: bool) -> Mapping[str, Prediction]:
    """Predictions of an arm that are not made (again)."""
    if not retry:
        return predictions
    return {name: made for name, made in predictions.items() if not (retry and made.error)}


def retried_note(folder: RunFolder) -> tuple[str, ...]:
    """What the verdict says where failed predictions were made again."""
    failed: set[tuple[str, str]] = set()
    mended = 0
    for made in folder.lines("predictions.jsonl", Prediction):  # a retry is always appended after what failed
        if made.error:
            failed.add((made.arm, made.case_id))
        else:
            mended += (made.arm, made.case_id) in failed
    if not mended:
        return ()
    return (
        f"{numbers.counted(mended, 'prediction')} that had failed "
        f"{'was' if mended == 1 else 'were'} made again with --retry-errors and counted as answered.",
    )
