"""Pictures: a `Picture` of the tree -> SVG or PNG, in one style, by matplotlib."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape

from harness.publish.blocks import Picture
from harness.publish.figures.base import DARK_TONES, TONES, Canvas
from harness.publish.figures.draw import drawn
from harness.publish.text import one_line

__all__ = ["DARK_TONES", "TONES", "Look", "png", "svg"]

_NAMES = ("ink", "muted", "line", "accent", "page", *(f"tone-{i}" for i in range(len(TONES))))
_STAND_INS = {name: f"#0{i:x}fe{i:x}d" for i, name in enumerate(_NAMES)}
"""Colours that nobody uses, drawn in place of CSS variables and replaced by them afterwards."""
_ON_WHITE = {"ink": "#1b1f24", "muted": "#57606a", "line": "#d5dae0", "page": "#ffffff"}
_HEAD = re.compile(r"^.*?<svg [^>]*>", re.DOTALL)
_SIZE = re.compile(r'viewBox="([^"]*)"')
_IDS = re.compile(r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|xtick|ytick|legend|\w+Collection)_\d+"')
_STYLE = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", re.DOTALL)
"""A rule for all elements of whatever page the picture stands in; its two settings go to the picture's own element."""
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is drawn: its width and colours. The same in every format but for these."""

    inches: float = 6.9
    """Width; heights follow from what is in the picture. Below 4.5 words stand above what they name."""
    accent: str = "#1a5a96"
    """Colour of what is marked."""
    css: bool = False
    """Whether colours are CSS variables for a page of two schemes: `--ink`, `--muted`, `--line`, `--accent`, `--page`
    and `--tone-0` to `--tone-7`."""


def svg(picture: Picture, look: Look, *, outlines: bool = False) -> str:
    """The picture as SVG without an XML head; the same picture gives the same bytes.

    With `look.css` it is as wide as its surroundings and has no ground of its own. `outlines`: letters as shapes, for
    readers that have not the font; else as text.
    """
    salt = hashlib.sha256(repr((picture, look.inches)).encode("utf-8", "replace")).hexdigest()[:12]
    with _settings({"svg.fonttype": "path" if outlines else "none", "svg.hashsalt": salt}):
        figure = drawn(picture, _canvas(look))
        if look.css:
            figure.set_facecolor("none")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _tidied(buffer.getvalue(), picture.alt or picture.caption, css=look.css)


def png(picture: Picture, look: Look, *, dots_per_inch: int = 200) -> bytes:
    """The picture as PNG on white."""
    with _settings({}):
        buffer = io.BytesIO()
        drawn(picture, _canvas(look)).savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()


def _canvas(look: Look) -> Canvas:
    if look.css:
        return Canvas(look.inches, _STAND_INS)
    tones = {f"tone-{i}": colour for i, colour in enumerate(TONES)}
    return Canvas(look.inches, {**_ON_WHITE, **tones, "accent": look.accent})


@contextmanager
def _settings(more: dict[str, str]) -> Iterator[None]:
    """The library's own settings, whatever the user's are; text as text, never formulae; missing letters are boxes."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": ["DejaVu Sans"], "font.size": 9, "text.parse_math": False, **more})
        yield


def _tidied(text: str, words: str, *, css: bool) -> str:
    """One element with its description; names of CSS variables for stand-ins; no ids but those that are pointed at."""
    box = _SIZE.search(text)
    view = box[1] if box else "0 0 1 1"
    width, height = view.split()[2:]
    size = 'width="100%"' if css else f'width="{width}pt" height="{height}pt"'
    label = escape(one_line(words))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view}" {size} '
        f'role="img" aria-label="{label}" stroke-linejoin="round" stroke-linecap="butt">'
    )
    body = _STYLE.sub("", _METADATA.sub("", _IDS.sub("", _HEAD.sub("", text, count=1))))
    if css:
        for name, colour in _STAND_INS.items():
            body = body.replace(colour, f"var(--{name})")
    return head + body
