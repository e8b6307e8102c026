"""What can go wrong in the advisor, as one tree. The advisor's rooms are laid out in CONTRIBUTING.md.

AdvisorError      anything raised on purpose
  UserError       the user's to mend: a sentence, no traceback, exit code 2
"""

from __future__ import annotations


class AdvisorError(Exception):
    """Root of everything the advisor raises on purpose."""


class UserError(AdvisorError):
    """The user can mend this: one clear sentence, exit code 2."""
