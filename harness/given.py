"""Files as people hand them over, read so that none of them can keep us waiting or fill the memory.

Below everything that reads settings: a pipe is refused before it is opened, a file has a largest size, and TOML has a
depth, because the standard parser takes minutes over some files of a megabyte.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

LARGEST_SETTINGS = 1 << 20
"""Bytes of a file that people write by hand."""
DEEPEST = 40
"""Tables and lists inside each other."""
_TOO_DEEP = "brackets are nested too deeply"

_KEY = r"""(?:(?<![\w-])[\w-]++|"(?:[^"\\\n]|\\.){0,200}+"|'[^'\n]{0,200}+')"""
_LONG_CHAIN = re.compile(rf"(?:{_KEY}[ \t]*+\.[ \t]*+){{{DEEPEST}}}")


class CannotRead(ValueError):
    """Why a file cannot be read, as half a sentence: "is a folder", "is larger than 1 MB"."""


def refuse_odd_file(path: Path) -> None:
    """Refuse what is there and is no ordinary file: a folder, or a pipe that could keep us waiting for ever.

    Raises CannotRead. What is not there at all is left to whoever opens it.
    """
    try:
        if path.is_dir():
            raise CannotRead("is a folder; name a file")
        if path.exists() and not path.is_file():
            raise CannotRead("is no ordinary file; save it as a file first")
    except OSError as error:
        raise CannotRead(f"cannot be read ({error.strerror or error})") from None


def read_whole(path: Path, *, most: int = LARGEST_SETTINGS) -> bytes:
    """The content of an ordinary file of at most `most` bytes. Raises CannotRead for anything else."""
    refuse_odd_file(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        raise CannotRead(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > most:
        raise CannotRead(f"is larger than {max(1, most >> 20)} MB")
    return data


def parse_toml(text: str) -> dict[str, object]:
    """What `tomllib.loads` gives, in little time whatever the text.

    Raises TOMLDecodeError, also for what the parser itself does not name: nesting beyond `DEEPEST`, impossible numbers.
    Whole numbers may have any size: `str` and `float` refuse those of thousands of digits.
    """
    if _LONG_CHAIN.search(text):
        raise tomllib.TOMLDecodeError(f"more than {DEEPEST} names are joined with dots")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError(_TOO_DEEP) from None
    except ValueError:
        raise tomllib.TOMLDecodeError("a number or date is impossible") from None
    _refuse_depth(table)
    return table


def _refuse_depth(table: Mapping[str, object]) -> None:
    """Look at every table and list without recursion."""
    todo: list[tuple[object, int]] = [(table, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > DEEPEST:
            raise tomllib.TOMLDecodeError(_TOO_DEEP)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        todo.extend((one, depth + 1) for one in inner if isinstance(one, dict | list))
