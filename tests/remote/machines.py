"""Machines that share a storage: each has a cache of its own."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.remote.copy import WorkingCopy
from harness.remote.lease import Writer
from harness.remote.storage import open_storage
from harness.remote.working import working_copy


@dataclass
class Machine:
    """Opens working copies with its own cache, and hears what is said."""

    cache: Path
    said: list[str] = field(default_factory=list)

    @contextmanager
    def here(self):
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("BAKEOFF_CACHE", str(self.cache))
            yield

    @contextmanager
    def open(self, url, **how):
        """The working copy, opened as commands do it."""
        with self.here(), working_copy(url, say=self.said.append, **{"new": True, **how}) as folder:
            yield folder

    @contextmanager
    def dies(self, url):
        """The working copy without a thread: what is sent is said, and at the end nothing is, as after kill -9."""
        with self.here():
            storage = open_storage(url)
            copy = WorkingCopy(storage, Writer(storage), self.said.append)
            copy._writer.take()
            copy.bring_up_to_date()
            copy.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield copy
            storage.delete(".lease")  # as its message says; otherwise it is free after five minutes


def there(url):
    """What lies on the storage, hidden files aside."""
    storage = open_storage(url)
    return {name: storage.read(name) for name in storage.files()}


def here(folder):
    """What lies in a folder, hidden files aside."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
