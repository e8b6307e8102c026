"""What can go wrong, as one tree.

BakeoffError                  anything this product raises on purpose
  UserError                   the user's to mend: shown as a sentence, no traceback, exit code 2
    InputProblems             every problem found in the input files, at once
    MissingModel              a model, embedder or package that is not on this machine
    RunFolderError            a run folder that is missing, damaged, busy or belongs to another rule
  ArmFailed                   an arm that cannot answer at all; recorded in the run, never the end of it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.scenario import Problem


class BakeoffError(Exception):
    """Root of everything raised on purpose."""


class UserError(BakeoffError):
    """The user can mend this: one clear sentence, exit code 2."""


class InputProblems(UserError):
    """The input files have problems; all of them are listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingModel(UserError):
    """A model, an embedder or a package is not on this machine."""


class RunFolderError(UserError):
    """The run folder is missing, damaged, busy or was made under another rule."""


class ArmFailed(BakeoffError):
    """An arm could not be prepared or could not answer anything."""
