"""A folder that is written here and put on other storage, and a cache that cannot take a working copy."""

from pathlib import Path

import pytest

from harness.errors import RemoteError
from harness.remote.storage import Storage
from harness.remote.working import sent_to, working_copy


def test_what_could_not_be_sent_lies_here_and_is_named(url, monkeypatch):
    def dead(self, name, content):
        raise RemoteError("the line is dead.")

    monkeypatch.setattr(Storage, "put", dead)
    said = r"^the line is dead\. What was to be written there lies in ."
    with pytest.raises(RemoteError, match=said) as told, sent_to(url) as folder:
        (folder / "report.md").write_text("x")
    assert str(told.value).endswith(f"{folder}; a part of it may be there already.")
    assert (folder / "report.md").read_text() == "x"


def test_what_was_sent_and_what_ended_in_an_error_leaves_nothing_here(url):
    with sent_to(url) as folder:
        (folder / "report.md").write_text("x")
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), sent_to(url) as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_a_cache_that_cannot_be_written_is_named(url, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file in its place")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    said = r"cannot be written \(.+\)\. Make room or allow it\.$"
    with pytest.raises(RemoteError, match=said) as told, working_copy(url, say=print, new=True):
        pass
    assert Path(str(told.value).partition(" cannot")[0]).is_relative_to(tmp_path / "cache")
