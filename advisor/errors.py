"""What can go wrong in the advisor, as one tree. The advisor's rooms are laid out in CONTRIBUTING.md.

AdvisorError      anything raised on purpose
  UserError       the user's to mend: a sentence, no traceback, exit code 2
    AnswerProblems    every problem found in a file of answers or in the flags, at once
"""

from __future__ import annotations

from collections.abc import Iterable


class AdvisorError(Exception):
    """Root of everything the advisor raises on purpose."""


class UserError(AdvisorError):
    """The user can mend this: one clear sentence, exit code 2."""


class AnswerProblems(UserError):
    """Answers that were given have problems; all of them are listed at once, a sentence a line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
