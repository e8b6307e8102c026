"""Whose document it is: names, logo, colour and the lines that a firm puts on its papers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture as it was given."""

    data: bytes
    kind: str
    """`png`, `jpeg` or `svg`."""
    width: int
    """Pixels (or units of an SVG's own)."""
    height: int


@dataclass(frozen=True, slots=True)
class Brand:
    """What `client.toml` says. Every text is plain; each renderer escapes it for its own format."""

    client: str = ""
    """Who receives the document."""
    firm: str = ""
    """Who sends it."""
    title: str = ""
    """The document's title; empty: one is made."""
    contact: tuple[str, ...] = ()
    """Lines: a name, an address, a telephone number."""
    confidentiality: str = ""
    """A line at the foot of every page."""
    accent: str = "#1a5a96"
    """Colour of headings, rules and the recommended arm, `#rrggbb`; at least 4.5 to 1 against white."""
    logo: Logo | None = None
    date: str = ""
    """As it is to be printed; empty: the day of the run."""


PLAIN = Brand()
"""What is used without a `client.toml`."""
