"""What is asked of other storage: list, get, put, delete, and create what is not there yet. fsspec does it.

fsspec and the storage's library are imported when a URL is opened; whatever they raise comes out as a sentence.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import RemoteError
from harness.generation.isolation import attempt, said
from harness.remote.url import OBJECT_STORES, RemoteUrl

T = TypeVar("T")

PACKAGES = {
    "s3": "'bakeoff-advisor[object-storage]'",
    "s3a": "'bakeoff-advisor[object-storage]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
"""What to install for a protocol."""
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created")
"""What tells one content of an object from the next, the best first."""
_REFUSED = ("Credential", "AccessKeyId", "SignatureDoesNotMatch", "Forbidden", "AccessDenied", "Unauthorized")
_SECRET = re.compile(r"SECRET|KEY|TOKEN|PASSWORD|CREDENTIAL|CONNECTION_STRING", re.IGNORECASE)
_PART = ".part"
LONGEST_NAME = 240
"""Bytes of a file's or folder's name; Linux and macOS have 255, and a few are for what is written beside."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file on the storage."""

    size: int
    mark: str
    """Another one after every change."""


class Storage:
    """A folder on other storage."""

    def __init__(self, url: RemoteUrl, system: Any, root: str) -> None:
        self.url = url
        self._system, self._root = system, root.rstrip("/")
        self._all_or_nothing = url.protocol in OBJECT_STORES

    def files(self, *, skip_odd: bool = False) -> dict[str, Entry]:
        """All files in the folder by relative name, but for hidden ones; none where there is no folder.

        Names that no folder here could have are refused, or, with `skip_odd`, passed over.

        Raises:
            RemoteError: it cannot be listed, or there is such a name.
        """
        found = {}
        for path, info in self._asked("listed", self._found).items():
            name = str(path)[len(self._root) :].lstrip("/")
            parts = name.split("/")
            if (
                not name
                or info.get("type") == "directory"
                or any(part.startswith(".") and part != ".." for part in parts)
            ):
                continue
            if _is_odd(name, parts):
                if skip_odd:
                    continue
                raise RemoteError(f"{self.url} holds a file that no run folder has ({name!r}). Name another folder.")
            mark = next((f"{key} {info[key]}" for key in _MARKS if info.get(key) is not None), "")
            size = int(info["size"])
            found[name] = Entry(size, f"{size} {mark}")
        return found

    def _found(self) -> dict[str, Any]:
        from fsspec import AbstractFileSystem

        self._system.invalidate_cache()
        plain = type(self._system).find is AbstractFileSystem.find
        try:
            # The plain one passes over what it cannot list, and an empty folder is another thing than a lost network.
            found = self._system.find(self._root, detail=True, **({"on_error": "raise"} if plain else {}))
            if not found:
                self._system.ls(self._root)
        except FileNotFoundError:
            return {}
        return dict(found)

    def read(self, name: str) -> bytes | None:
        """A small file's content; None where it is not there."""

        def content() -> bytes | None:
            try:
                return bytes(self._system.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

        return self._asked("read", content)

    def get(self, name: str, target: Path) -> bool:
        """Copy a file from there; False where it is gone."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        def copied() -> bool:
            try:
                self._system.get_file(self._at(name), str(target))
            except FileNotFoundError:
                return False
            return True

        return self._asked("read", copied)

    def put(self, name: str, content: bytes | Path) -> None:
        """Copy a file there, all or nothing."""
        self._asked("written", lambda: self._put(self._at(name), content))

    def _put(self, target: str, content: bytes | Path) -> None:
        if self._all_or_nothing:
            self._send(target, content)
            return
        folder, _, name = target.rpartition("/")
        self._system.makedirs(folder, exist_ok=True)
        beside = f"{folder}/.{name}-{secrets.token_hex(4)}{_PART}"
        try:
            self._send(beside, content)
            self._system.mv(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self._system.rm_file(beside)
            raise

    def _send(self, target: str, content: bytes | Path) -> None:
        if isinstance(content, Path):
            self._system.put_file(str(content), target)
        else:
            self._system.pipe_file(target, content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file that is not there yet; False where it is."""

        def made() -> bool:
            try:
                self._create(self._at(name), content)
            except FileExistsError:
                return False
            except OSError:
                if self._system.exists(self._at(name)):  # a failed condition is not everywhere named as such
                    return False
                raise
            return True

        return self._asked("written", made)

    def _create(self, target: str, content: bytes) -> None:
        from fsspec import AbstractFileSystem

        if not self._all_or_nothing:
            self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
        own = hasattr(self._system, "_pipe_file") or type(self._system).pipe_file is not AbstractFileSystem.pipe_file
        if own:
            self._system.pipe_file(target, content, mode="create")
        else:
            with self._system.open(target, "xb") as stream:
                stream.write(content)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

        def gone() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._system.rm_file(self._at(name))

        self._asked("deleted", gone)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _asked(self, doing: str, call: Callable[[], T]) -> T:
        found = attempt(call)
        if isinstance(found, Exception):
            raise RemoteError(trouble(self.url, found, doing)) from found
        return found


def _is_odd(name: str, parts: list[str]) -> bool:
    """Whether no folder here could have it."""
    long = any(len(part.encode("utf-8", "replace")) > LONGEST_NAME for part in parts)
    return long or not all(parts) or ".." in parts or bool(re.search(r"[\\\x00-\x1f]", name))


def open_storage(url: RemoteUrl, *, shared: bool = True) -> Storage:
    """The folder behind an address; the network is not asked yet.

    `shared`: its connections may be those of others, which is not so for one that another thread asks.

    Raises:
        RemoteError: the package for it is not installed, or nobody knows the protocol.
    """
    package = PACKAGES.get(url.protocol, "'bakeoff-advisor[object-storage]'")
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise RemoteError(_not_installed(url, package, error)) from error
    made = attempt(lambda: url_to_fs(url.text, skip_instance_cache=not shared))
    if isinstance(made, ImportError):
        raise RemoteError(_not_installed(url, package, made)) from made
    if isinstance(made, ValueError) and "not known" in str(made):
        raise RemoteError(f"{url}: {url.protocol}:// is not known. Expected s3://, gs://, az://, sftp:// or file:///.")
    if isinstance(made, Exception):
        raise RemoteError(trouble(url, made, "opened")) from made
    return Storage(url, *made)


def _not_installed(url: RemoteUrl, package: str, error: ImportError) -> str:
    return f"{url} needs a package that is not installed ({error}). Install it: pip install {package}"


def trouble(url: RemoteUrl, error: Exception, doing: str) -> str:
    """Why the storage did not do it, and what to do about it; no secret of the environment is in it."""
    words = without_secrets(said(error))
    if isinstance(error, PermissionError) or any(sign in words for sign in _REFUSED):
        return (
            f"{url} cannot be {doing}: access was refused ({words}). Credentials are read from the environment, as the "
            "storage's own library does it; check them, and what they may do there."
        )
    if isinstance(error, FileNotFoundError):
        return f"{url} cannot be {doing}: there is no such bucket or folder ({words}). Check the address."
    return f"{url} cannot be {doing} ({words}). Check the address and the network."


def without_secrets(text: str) -> str:
    """A text without the values of environment variables that are named like secrets."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, "***")
    return text
