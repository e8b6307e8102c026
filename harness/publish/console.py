"""The terminal that both products write to."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.errors import leave_unread
from harness.publish.text import visible


class SafeConsole(Console):
    """A `Console` on which no text can act: names, paths and answers of others may hold terminal escapes.

    It inherits, because everything that is printed, tables and progress bars included, passes through this one method.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable` with every acting character replaced by a sign for it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Whoever read the output is gone (`| head`): what is under way goes on, and says no more."""
        self.quiet = True
        leave_unread(self.file)
