"""Pictures: a `Picture` of the tree -> SVG or PNG, in one style, by matplotlib."""

from __future__ import annotations

from dataclasses import dataclass

from harness.publish.blocks import Picture


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is drawn: its width and colours. The same in every format but for these."""

    inches: float = 6.9
    """Width; heights follow from what is in the picture."""
    accent: str = "#1a5a96"
    """Colour of what is marked."""
    css: bool = False
    """Whether colours are CSS variables (`--ink`, `--muted`, `--line`, `--accent`, ...) for a page of two schemes."""


def svg(picture: Picture, look: Look, *, outlines: bool = False) -> str:
    """The picture as SVG without an XML head; the same picture gives the same bytes.

    `outlines`: letters as shapes, for readers that have not the font; else as text.
    """
    raise NotImplementedError


def png(picture: Picture, look: Look, *, dots_per_inch: int = 200) -> bytes:
    """The picture as PNG on white."""
    raise NotImplementedError
