"""`client.toml` -> `Brand` and prices, and every problem in it at once."""

from __future__ import annotations

import io
import math
import re
import struct
import tomllib
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError
from harness.given import CannotRead, parse_toml, read_whole
from harness.publish.brand import PLAIN, Brand, Logo

MOST_LOGO_BYTES = 2 * 2**20
MOST_PIXELS = 30_000_000
MOST_STRETCHED = 40
LONGEST = 400
"""Characters of a line."""
CONTRAST = 4.5
"""Least contrast of text against its ground (WCAG 2.2, success criterion 1.4.3, level AA)."""

T = TypeVar("T")

_BROKEN_PICTURE = (OSError, ValueError, SyntaxError, LookupError, TypeError, EOFError, struct.error, zlib.error)
"""What Pillow raises over a damaged file."""

_TEXTS = ("client", "firm", "title", "confidentiality", "date")
_KEYS = (*_TEXTS, "contact", "accent", "logo", "prices")
_PRICES = ("currency", "input", "output")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_SIZE = re.compile(rb'\b(width|height)\s{0,9}=\s{0,9}["\']\s{0,9}(\d{1,6}(?:\.\d{1,6})?)')
_NUMBER = rb"(-?\d{1,6}(?:\.\d{1,6})?)"
_BOX = re.compile(rb'viewBox\s{0,9}=\s{0,9}["\']\s{0,9}' + rb"[ ,]{1,9}".join([_NUMBER] * 4))
_HEAD = 5000
"""Bytes of an SVG in which its size stands."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What a provider charges for a million tokens."""

    currency: str
    """ISO 4217, such as `USD`."""
    read: float
    written: float


@dataclass(frozen=True, slots=True)
class ClientFile:
    """Everything in a `client.toml`."""

    brand: Brand = PLAIN
    prices: TokenPrices | None = None


def read_client(path: Path) -> ClientFile:
    """Read `client.toml`; paths in it are relative to its folder.

    Raises:
        UserError: it cannot be read, or has problems; all of them are listed.
    """
    table = _table(path)
    problems: list[str] = [
        f"no setting is called {_shown(key)}; there are {', '.join(_KEYS)}" for key in _unknown(table)[:20]
    ]
    texts = {key: _checked(table, key, _text, problems) or "" for key in _TEXTS}
    brand = Brand(
        **texts,
        contact=_checked(table, "contact", _lines, problems) or (),
        accent=_checked(table, "accent", _colour, problems) or PLAIN.accent,
        logo=_checked(table, "logo", lambda value: _logo(value, path.parent), problems),
    )
    prices = _checked(table, "prices", _prices, problems)
    if problems:
        raise UserError("\n".join(f"{path}: {problem}" for problem in problems))
    return ClientFile(brand, prices)


class _Wrong(ValueError):
    """What is wrong with a value, without the name of the setting."""


def _table(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_whole(path).decode("utf-8-sig"))
    except CannotRead as error:
        raise UserError(f"{path} {error}; --for takes a client.toml") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from None


def _unknown(table: dict[str, Any]) -> list[str]:
    return [key for key in table if key not in _KEYS]


def _checked(table: dict[str, Any], key: str, check: Callable[[Any], T], problems: list[str]) -> T | None:
    if key not in table:
        return None
    try:
        return check(table[key])
    except _Wrong as wrong:
        problems.append(f"{key} {wrong}")
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"must be text in quotes; got {_shown(value)}")
    if len(value) > LONGEST:
        raise _Wrong(f"is longer than {LONGEST} characters")
    return " ".join(value.split())


def _lines(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > 12:
        raise _Wrong(f"must be a list of at most 12 texts; got {_shown(value)}")
    return tuple(_text(one) for one in values)


def _colour(value: Any) -> str:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise _Wrong(f'must be a colour such as "#1a5a96"; got {_shown(value)}')
    found = contrast(value, "#ffffff")
    if found < CONTRAST:
        raise _Wrong(
            f"{value} is too light to be read on white: its contrast is {math.floor(found * 10) / 10:.1f} to 1 and "
            f"must be {CONTRAST} to 1 or more; take a darker one"
        )
    return value.lower()


def _logo(value: Any, folder: Path) -> Logo:
    path = folder / _text(value)
    try:
        data = read_whole(path, most=MOST_LOGO_BYTES)
    except CannotRead as error:
        raise _Wrong(f"{path} {error}") from None
    return _picture(path, data)


def _picture(path: Path, data: bytes) -> Logo:
    logo = Logo(data, "svg", *_svg_size(data)) if b"<svg" in data[:2000].lower() else _photograph(path, data)
    if max(logo.width, logo.height) > MOST_STRETCHED * min(logo.width, logo.height):
        raise _Wrong(f"{path} is more than {MOST_STRETCHED} times as long in one direction as in the other; cut it")
    return logo


def _photograph(path: Path, data: bytes) -> Logo:
    import PIL.Image

    try:
        with warnings.catch_warnings(), PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            warnings.simplefilter("ignore")  # its own limit on size is told below
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise _Wrong(f"{path} has more than {MOST_PIXELS // 10**6} million pixels; make it smaller")
            picture.load()
            return Logo(data, (picture.format or "").lower(), width, height)
    except _Wrong:
        raise
    except PIL.Image.DecompressionBombError:
        raise _Wrong(f"{path} has more than {MOST_PIXELS // 10**6} million pixels; make it smaller") from None
    except _BROKEN_PICTURE:
        raise _Wrong(f"{path} is not a PNG, JPEG or SVG picture that can be opened") from None


def _svg_size(data: bytes) -> tuple[int, int]:
    sizes = {
        name: float(number) for name, number in reversed(_SIZE.findall(data[:_HEAD]))
    }  # the first are the SVG's own
    box = _BOX.search(data[:_HEAD])
    if box and float(box[3]) > 0 and float(box[4]) > 0:
        return math.ceil(float(box[3])), math.ceil(float(box[4]))
    return math.ceil(sizes.get(b"width", 300)) or 300, math.ceil(sizes.get(b"height", 100)) or 100


def _prices(value: Any) -> TokenPrices:
    if not isinstance(value, dict) or set(value) != set(_PRICES):
        raise _Wrong(f"needs currency, input and output (for a million tokens), nothing else; got {_shown(value)}")
    for key in ("input", "output"):
        price = value[key]
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < 1e6:
            raise _Wrong(f"{key} must be a number from 0 to a million; got {_shown(price)}")
    if not re.fullmatch(r"[A-Z]{3}", _currency(value["currency"])):
        raise _Wrong(f'currency must be three capital letters such as "USD"; got {_shown(value["currency"])}')
    return TokenPrices(value["currency"], float(value["input"]), float(value["output"]))


def _currency(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def contrast(first: str, second: str) -> float:
    """Contrast of two colours `#rrggbb`, 1..21 (WCAG 2.2, "contrast ratio")."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
