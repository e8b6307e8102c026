"""A checksum inside a JSON object, as its last field: what was flipped, cut, moved or mixed up later is found.

The checksum (CRC-32) is taken over the object's own bytes and over its place: the run, the file in it and, in a file
that is written whole, the line's number of how many. It finds accidents; it is no protection against a forger.
"""

from __future__ import annotations

import re
import zlib

_SEAL = re.compile(rb',?\s*"checksum":\s*"([0-9a-f]{8})"\s*\}\s*\Z')
_LONGEST = 80
"""More bytes than a seal takes at the end of an object."""


def sealed(data: bytes, place: str, *, line: str = "") -> bytes:
    """A JSON object with its checksum as one more field, laid out as the rest is; other JSON comes back as it is.

    `line`: such as `3/10` in a file that is written whole.
    """
    text = data.rstrip()
    if not text.startswith(b"{"):
        return data
    body = text[:-1].rstrip()
    comma = b"" if body == b"{" else b","
    found = f"{_checksum(body, place, line):08x}".encode()
    if b"\n" in text:
        return body + comma + b'\n "checksum": "' + found + b'"\n}'
    return body + comma + b'"checksum":"' + found + b'"}'


def fits(data: bytes, place: str, *, line: str = "") -> bool | None:
    """Whether an object is the one that was sealed for this place; None where it has no checksum."""
    seal = _SEAL.search(data, max(0, len(data) - _LONGEST))
    if seal is None:
        return None
    return _checksum(data[: seal.start()], place, line) == int(seal.group(1), 16)


def _checksum(body: bytes, place: str, line: str) -> int:
    return zlib.crc32(line.encode(), zlib.crc32(body, zlib.crc32(place.encode())))
