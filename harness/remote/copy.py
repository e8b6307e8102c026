"""The working copy of a folder on other storage: brought up to date from there, and what changed sent there.

What lies there is at any moment a folder that the same command goes on with: what changed is taken as it was at one
moment and sent in the order of `record.in_order`, `whole.json` taken away first and put back last. Where both copies
changed, the one there counts unless the one here only continues it; the other is kept, and nothing is ever mixed.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import RemoteError
from harness.remote.lease import Writer
from harness.remote.record import (
    GONE,
    Known,
    Moment,
    Stamp,
    appended,
    changed_here,
    derived,
    digest_of,
    in_order,
    is_changed,
    look,
    moment,
    must_fit,
    names,
    passing,
    read_record,
    whole_lines,
    write_record,
)
from harness.remote.storage import Entry, Storage
from harness.store import WHOLE

RUN = "run.json"

IN_MEMORY = 64 << 20
"""Bytes of a file that is sent from memory; larger ones are sent from the disk."""
_TRIES = 5
Say = Callable[[str], None]


class WorkingCopy:
    """One folder here and there. Its home must be held while it is used."""

    def __init__(self, storage: Storage, writer: Writer | None, say: Say) -> None:
        self.storage, self._writer, self._say = storage, writer, say
        self.folder = storage.url.folder()
        home = storage.url.home()
        self._beside = home / f".{self.folder.name}.json"
        self._work = home / ".work"
        self._kept = home.parent / "set-aside"
        self._old = self._work / f"{self.folder.name}-old"
        self._known = read_record(self._beside, str(storage.url))
        self._turn = threading.Lock()

    # from there

    def bring_up_to_date(self) -> None:
        """Have here what lies there.

        Raises:
            RemoteError: the storage cannot be reached, is written all the time, or has lost what lies here.
        """
        if self._old.exists() and not self.folder.exists():  # the process died between two renames
            self._old.rename(self.folder)
        there = self.storage.files()
        if not look(self.folder):
            self._known.files = {}
        theirs = self._changed_there(there)
        if not theirs:
            return
        mine = changed_here(self.folder, self._known)
        if mine and self._continues(theirs, there):
            return
        self._require_run(there)
        shorter = self._shorter(theirs, there)
        if mine or shorter:
            here = f" and so was the copy here ({names(mine)})" if mine else f", and {names(shorter)} is less than here"
            kept = self._set_aside()
            self._say(
                f"{self.storage.url} was changed elsewhere ({names(theirs)}){here}: what lies there counts now. What "
                f"lay here is kept in {kept}."
            )
        self._fetch(there)

    def _require_run(self, there: Mapping[str, Entry]) -> None:
        """Keep the copy here where what lay there is gone: it may be the last one.

        Raises:
            RemoteError: it is gone.
        """
        known = {name for name, one in self._known.files.items() if one.mark is not None}
        lost = bool(known) and (not there or (RUN in known and RUN not in there))
        count = len(look(self.folder)) if lost else 0
        if count:
            what = f"{RUN} is gone from" if there else "Nothing lies any more at"
            raise RemoteError(
                f"{what} {self.storage.url}, where {len(known):,} files were. The copy here is kept, with {count:,} "
                f"files, in {self.folder}, and nothing was changed. That folder can be read in place of the address. "
                "To go on with it, copy its files there and give the same command; to start afresh, move it away or "
                "name another address."
            )

    def _shorter(self, theirs: set[str], there: Mapping[str, Entry]) -> set[str]:
        """Files that only grow and of which more lies here than there."""
        here = look(self.folder)
        grown = (name for name in theirs if appended(name) and not passing(name) and name in here)
        return {name for name in grown if name not in there or there[name].size < here[name].size}

    def require_something(self) -> None:
        """Refuse an address where nothing is.

        Raises:
            RemoteError: there is no file here or there.
        """
        if not look(self.folder):
            raise RemoteError(f"There is nothing at {self.storage.url}. Check the address.")

    def _changed_there(self, there: Mapping[str, Entry]) -> set[str]:
        known = self._known.files
        new = {name for name, entry in there.items() if name not in known or known[name].mark != entry.mark}
        gone = {name for name, one in known.items() if one.mark is not None and name not in there}
        return new | gone

    def _continues(self, theirs: set[str], there: Mapping[str, Entry]) -> bool:
        """Whether what changed there is what was sent from here, or the beginning of what is here."""
        found: dict[str, Known | None] = {}
        for name in sorted(theirs):
            known, entry = self._known.files.get(name), there.get(name)
            if entry is None:
                if not derived(name) and (known is None or known.sending != GONE):
                    return False
                found[name] = None
            elif derived(name):  # it is written over, or deleted there, with the next upload
                found[name] = Known(None, "", entry.mark)
            else:
                digest = self._digest_if_ours(name, known)
                if digest is None:
                    return False
                found[name] = Known(None, digest, entry.mark)
        self._known.files = {name: one for name, one in (self._known.files | found).items() if one is not None}
        write_record(self._beside, self._known)
        return True

    def _digest_if_ours(self, name: str, known: Known | None) -> str | None:
        """The digest of what lies there, where it was sent from here or is the beginning of what is here."""
        content = self._work / f"{self.folder.name}-compared"
        if not self.storage.get(name, content):
            return None
        digest = digest_of(content)
        ours = known is not None and digest in (known.sending, known.digest)
        ours = ours or _begins(self.folder / name, content, may_go_on=appended(name))
        content.unlink()
        return digest if ours else None

    def _set_aside(self) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        target, number = self._kept / f"{self.folder.name}-{stamp}", 2
        self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        while target.exists():
            target, number = self._kept / f"{self.folder.name}-{stamp}-{number}", number + 1
        self.folder.rename(target)
        return target

    def _fetch(self, there: dict[str, Entry]) -> None:
        """Make the copy here anew; what did not change is taken from the old one. The old one stays until then."""
        coming = self._work / f"{self.folder.name}-coming"
        shutil.rmtree(coming, ignore_errors=True)
        coming.mkdir(mode=0o700, parents=True)
        have: dict[str, Entry] = {}
        for _ in range(_TRIES):
            for name in there:
                if have.get(name) != there[name] and self._fetched(name, there[name], coming / name):
                    have[name] = there[name]
            now = self.storage.files()
            if now == have:  # nobody wrote meanwhile, so these files belong together
                break
            for name in set(have) - set(now):
                (coming / name).unlink(missing_ok=True)
                del have[name]
            there = now
        else:
            raise RemoteError(f"{self.storage.url} is being written all the time. Try again later.")
        self._require_run(have)
        for name, entry in have.items():
            must_fit(name, expected=entry.size, got=(coming / name).stat().st_size, url=str(self.storage.url))
        self._replace(coming, have)

    def _fetched(self, name: str, entry: Entry, target: Path) -> bool:
        own, known = self.folder / name, self._known.files.get(name)
        if known and known.mark == entry.mark and own.is_file() and digest_of(own) == known.digest:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(own, target)
            return True
        return self.storage.get(name, target)

    def _replace(self, coming: Path, there: Mapping[str, Entry]) -> None:
        shutil.rmtree(self._old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(self._old)
        coming.rename(self.folder)
        stamps = look(self.folder)
        self._known.files = {
            name: Known(stamp, digest_of(self.folder / name), there[name].mark) for name, stamp in stamps.items()
        }
        write_record(self._beside, self._known)
        shutil.rmtree(self._old, ignore_errors=True)

    # to there

    def send(self, *, now: bool = False) -> bool:
        """Send what changed, as it is at this moment; False where the folder is written all the time.

        `now`: look at the lease whether or not there is something to send.

        Raises:
            LeaseLost: another writes there now.
            RemoteError: the storage cannot be reached.
        """
        with self._turn:
            return self._writer is None or self._send(self._writer, now=now)

    def _send(self, writer: Writer, *, now: bool) -> bool:
        found = moment(self.folder, self._known, largest=IN_MEMORY)
        if found is None:
            return False
        changed = {name: stamp for name, stamp in found.stamps.items() if is_changed(self._known, name, stamp)}
        gone = set(self._known.files) - set(found.stamps)
        if not changed and not gone:
            if now:
                writer.check()
            return True
        writer.check()
        if WHOLE in self._known.files and WHOLE not in gone:
            self.storage.delete(WHOLE)
            changed |= {WHOLE: found.stamps[WHOLE]}
        self._delete(gone, writer)
        self._note_sent({name: self._sent(name, found, writer) for name in in_order(changed)})
        return True

    def _delete(self, gone: set[str], writer: Writer) -> None:
        """Take away there what is gone here: what names others first."""
        if not gone:
            return
        self._known.files |= {name: replace(self._known.files[name], sending=GONE) for name in gone}
        write_record(self._beside, self._known)
        for name in sorted(gone, key=lambda name: (name != WHOLE, not name.endswith(".json"), name)):
            writer.check()
            self.storage.delete(name)
        self._known.files = {name: one for name, one in self._known.files.items() if name not in gone}

    def _sent(self, name: str, found: Moment, writer: Writer) -> Sent:
        """Send one file as it was at that moment."""
        content = found.held[name] if name in found.held else self._now(name, found.stamps[name].size)
        digest = digest_of(content)
        before = self._known.files.get(name, Known(None, "", None))
        self._known.files[name] = replace(before, sending=digest)
        write_record(self._beside, self._known)
        writer.check()
        self.storage.put(name, content)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        return Sent(found.stamps[name], digest, size)

    def _now(self, name: str, size: int) -> bytes | Path:
        """A file as it was at that moment: the beginning of one that grows, up to its last whole line."""
        path = self.folder / name
        if not appended(name):
            return path if size > IN_MEMORY else path.read_bytes()
        with path.open("rb") as stream:
            if size <= IN_MEMORY:
                return whole_lines(stream.read(size))
            beginning = self._work / f"{self.folder.name}-sent"
            self._work.mkdir(mode=0o700, exist_ok=True)
            with beginning.open("wb") as target:
                shutil.copyfileobj(stream, target, 1 << 20)
                target.truncate(size)
        return beginning

    def _note_sent(self, sent: Mapping[str, Sent]) -> None:
        """See that it arrived, and keep how it looks there."""
        there = self.storage.files()
        for name, one in sent.items():
            entry = there.get(name, Entry(0, ""))
            must_fit(name, expected=one.size, got=entry.size, url=str(self.storage.url))
            self._known.files[name] = Known(one.stamp, one.digest, entry.mark)
        write_record(self._beside, self._known)


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that was sent."""

    stamp: Stamp
    digest: str
    size: int


def _begins(own: Path, content: Path, *, may_go_on: bool) -> bool:
    """Whether a file is this content, or begins with it."""
    if not own.is_file() or (own.stat().st_size != content.stat().st_size and not may_go_on):
        return False
    with own.open("rb") as here, content.open("rb") as there:
        while block := there.read(1 << 20):
            if here.read(len(block)) != block:
                return False
    return True
