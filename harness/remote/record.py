"""What is known of a working copy: each file as it lies here, and as it lies on the other storage."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.disk import write_whole
from harness.errors import RemoteError
from harness.store import APPENDED, DERIVED, WHOLE

FIRST = ("rule.json", "cases.jsonl", "advice.json", "plan.json", "scenario.json", "provenance.json")
"""Written before the first answer."""
_REPORTS = "report."
_PASSING = "judged.jsonl"
_LOOKS = 200
"""How often a folder that is being written is looked at until two looks agree."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as a look at it shows."""

    size: int
    changed: int
    """Nanoseconds."""
    node: int
    """Another one where the file was replaced."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file that was the same here and there."""

    stamp: Stamp | None
    """What it was here; None where that is not known."""
    digest: str
    mark: str | None
    """What the storage showed of it; None where it was not there."""
    sending: str = ""
    """The digest of what was on its way when this was written, `GONE` where it was to be deleted there."""


GONE = "gone"


@dataclass(slots=True)
class Record:
    """The file beside a working copy."""

    url: str
    files: dict[str, Known] = field(default_factory=dict)


def read_record(path: Path, url: str) -> Record:
    """What was known; nothing where there is no record or it cannot be read: contents are then compared."""
    record = kept_record(path)
    return record if record.url == url else Record(url)


def kept_record(path: Path) -> Record:
    """What was known of whatever address; nothing as in `read_record`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return Record("")


def write_record(path: Path, record: Record) -> None:
    """Keep it."""
    write_whole(path, msgspec.json.encode(record), private=True)


def look(folder: Path) -> dict[str, Stamp]:
    """All files in a folder by relative name, but for hidden ones."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        try:
            status = path.stat()
            if path.is_file():
                found[name.as_posix()] = Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:  # replaced or deleted meanwhile: the next look differs
            continue
    return found


@dataclass(frozen=True, slots=True)
class Moment:
    """A folder at one moment: what was appended later is left out, and what is written whole is held."""

    stamps: dict[str, Stamp]
    held: dict[str, bytes]


def moment(folder: Path, known: Record, *, largest: int) -> Moment | None:
    """The folder as it is between two writes; None where it was written all the time.

    Changed files that are written whole are held, those above `largest` bytes aside.
    """
    for _ in range(_LOOKS):
        stamps = look(folder)
        try:
            held = {
                name: (folder / name).read_bytes()
                for name, stamp in stamps.items()
                if name == WHOLE or (stamp.size <= largest and not appended(name) and is_changed(known, name, stamp))
            }
        except FileNotFoundError:
            continue
        if look(folder) == stamps:
            return Moment(stamps, held)
        time.sleep(0.005)
    return None


def is_changed(known: Record, name: str, stamp: Stamp) -> bool:
    """Whether a file is not what was last sent or fetched."""
    one = known.files.get(name)
    return one is None or one.stamp != stamp or one.sending != ""


def changed_here(folder: Path, known: Record) -> set[str]:
    """Files whose content is not what was last sent or fetched, those aside that are made anew on reading."""
    stamps = look(folder)
    found = {name for name, stamp in stamps.items() if is_changed(known, name, stamp)}
    found = {name for name in found if not _is_as_known(folder / name, known.files.get(name))}
    gone = set(known.files) - set(stamps) if stamps else set()
    return {name for name in found | gone if not derived(name)}


def _is_as_known(path: Path, known: Known | None) -> bool:
    return known is not None and known.mark is not None and digest_of(path) == known.digest


def appended(name: str) -> bool:
    """Whether a file only grows."""
    return name.rpartition("/")[2] in APPENDED


def passing(name: str) -> bool:
    """Whether a file that grows is deleted once another holds what was in it."""
    return name.rpartition("/")[2] == _PASSING


def derived(name: str) -> bool:
    """Whether a file is made anew from the others."""
    last = name.rpartition("/")[2]
    return last in DERIVED or last.startswith(_REPORTS)


def in_order(stamps: dict[str, Stamp]) -> list[str]:
    """Names so that each comes after what it needs: a folder cut anywhere in this order is one that goes on."""
    return sorted(stamps, key=lambda name: (_rank(name), stamps[name].changed, name))


def _rank(name: str) -> int:
    parts = name.split("/")
    ranks = (
        name == "run.json",
        name in FIRST,
        "adapters" in parts,
        "recipes" in parts or appended(name),
        not derived(name),
        name != WHOLE,
        True,
    )
    return ranks.index(True)


def whole_lines(data: bytes) -> bytes:
    """Without a torn last line."""
    return data[: data.rfind(b"\n") + 1]


def digest_of(content: bytes | Path) -> str:
    """SHA-256 in hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def must_fit(name: str, *, expected: int, got: int, url: str) -> None:
    """Whether a file that was copied has the size it should.

    Raises:
        RemoteError: it has not.
    """
    if expected != got:
        raise RemoteError(f"{url}/{name} did not arrive whole: expected {expected:,} bytes, got {got:,}. Try again.")


def names(files: Iterable[str]) -> str:
    """A few names for a sentence."""
    found = sorted(files)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
