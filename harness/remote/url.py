"""The address of a folder on other storage, and the place of its working copy on this machine."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from harness.disk import cache_folder
from harness.errors import RemoteError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""A put there is all or nothing, and a bucket comes first in the path."""
_HERE = ("file", "local")
_READ_ONLY = ("http", "https", "data", "github", "git", "zip", "tar")
_USER_IS_NO_SECRET = ("az", "abfs", "abfss", "sftp", "ssh")
"""What stands before the @ is a container, or the name to log in with."""


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """Such as `s3://bucket/path/run`; it holds no password."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def protocol(self) -> str:
        """Such as `s3`."""
        return self.text.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.text.rpartition("/")[2]

    def child(self, name: str) -> RemoteUrl:
        """A folder in this one.

        Raises:
            RemoteError: no folder there can have this name.
        """
        found = remote_url(f"{self.text}/{name}")
        assert found is not None
        return found

    def home(self) -> Path:
        """The folder of this machine's cache that holds the working copy and what belongs to it."""
        parent = self.text.rpartition("/")[0]
        return cache_folder() / "remote" / hashlib.sha256(parent.encode()).hexdigest()[:16]

    def folder(self) -> Path:
        """The working copy."""
        return self.home() / self.name


def remote_url(text: str) -> RemoteUrl | None:
    """The address, where a text is one; None where it is a path.

    Raises:
        RemoteError: it is an address that cannot be used, or one with a password in it.
    """
    match = _URL.fullmatch(text)
    if match is None:
        return None
    protocol, rest = match.group(1).lower(), match.group(2).rstrip("/")
    shown = f"{protocol}://{re.split('[?#]', rest.rpartition('@')[2])[0]}"  # a signature stands behind the ?
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if at and (":" in user or protocol not in _USER_IS_NO_SECRET):
        raise RemoteError(
            f"An address must not hold a user or a password; got one for {shown}. Leave it out: credentials are read "
            "from the environment, as the storage's own library does it (AWS_ACCESS_KEY_ID and the like)."
        )
    trouble = _trouble(protocol, rest)
    if trouble:
        raise RemoteError(f"{shown} cannot be used as a folder: {trouble}.")
    return RemoteUrl(f"{protocol}://{rest}")


def _trouble(protocol: str, rest: str) -> str:
    parts = rest.removeprefix("/").split("/")
    if protocol in _READ_ONLY:
        return f"nothing can be written to {protocol}://; expected s3://, gs://, az://, sftp:// or file:///"
    if re.search(r"[?#\x00-\x1f\\]|::", rest):
        return "expected a plain address, without ?, #, :: or backslashes"
    if protocol in _HERE and not rest.startswith("/"):
        return "expected a whole path, as in file:///mnt/shared/run"
    if protocol in OBJECT_STORES and len(parts) < 2:
        return f"expected a bucket and a folder in it, as in {protocol}://bucket/run"
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        return "a part of its path is empty or begins with a dot"
    return ""
