"""`client.toml` -> `Brand` and prices, and every problem in it at once."""

from __future__ import annotations

import io
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError
from harness.publish.brand import PLAIN, Brand, Logo

MOST_LOGO_BYTES = 2 * 2**20
LONGEST = 400
"""Characters of a line."""
CONTRAST = 4.5
"""Least contrast of text against its ground (WCAG 2.2, success criterion 1.4.3, level AA)."""

T = TypeVar("T")

_TEXTS = ("client", "firm", "title", "confidentiality", "date")
_KEYS = (*_TEXTS, "contact", "accent", "logo", "prices")
_PRICES = ("currency", "input", "output")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_SIZE = re.compile(rb'\b(width|height)\s*=\s*["\']\s*([\d.]+)')
_BOX = re.compile(rb'viewBox\s*=\s*["\']\s*[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)')


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
    problems: list[str] = [f"no setting is called {key!r}; there are {', '.join(_KEYS)}" for key in _unknown(table)]
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
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); --for takes a client.toml") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {str(error) or 'nested too deeply'}") from None


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
        if path.stat().st_size > MOST_LOGO_BYTES:
            raise _Wrong(f"{path} is larger than 2 MB; make it smaller")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, _Wrong):
            raise
        raise _Wrong(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return _picture(path, data)


def _picture(path: Path, data: bytes) -> Logo:
    if b"<svg" in data[:2000].lower():
        return Logo(data, "svg", *_svg_size(data))
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            picture.load()
            return Logo(data, (picture.format or "").lower(), *picture.size)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        raise _Wrong(f"{path} is not a PNG, JPEG or SVG picture that can be opened") from None


def _svg_size(data: bytes) -> tuple[int, int]:
    sizes = {name: float(number) for name, number in _SIZE.findall(data[:5000])}
    box = _BOX.search(data)
    if box and float(box[1]) > 0 and float(box[2]) > 0:
        return math.ceil(float(box[1])), math.ceil(float(box[2]))
    return math.ceil(sizes.get(b"width", 300)) or 300, math.ceil(sizes.get(b"height", 100)) or 100


def _prices(value: Any) -> TokenPrices:
    if not isinstance(value, dict) or set(value) != set(_PRICES):
        raise _Wrong(f"needs currency, input and output (for a million tokens), nothing else; got {_shown(value)}")
    for key in ("input", "output"):
        price = value[key]
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < 1e6:
            raise _Wrong(f"{key} must be a number from 0 to a million; got {_shown(price)}")
    if not re.fullmatch(r"[A-Z]{3}", str(value["currency"])):
        raise _Wrong(f'currency must be three capital letters such as "USD"; got {_shown(value["currency"])}')
    return TokenPrices(value["currency"], float(value["input"]), float(value["output"]))


def _shown(value: object) -> str:
    text = repr(value)
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
