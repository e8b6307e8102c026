"""A full disk and a process that was killed: a sentence, and nothing left behind."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness import spool
from harness.errors import shortage
from harness.scenario import Document
from harness.spool import Spooled, kept

pytestmark = pytest.mark.usefixtures("own_cache")


def documents(count=300):
    return tuple(Document(f"d{n}", "", f"text {n} " * 20, "corpus.jsonl") for n in range(count))


def started(code):
    """Another process, with as few records counting as many."""
    lines = ["from harness import spool", "spool.MANY = 50", textwrap.dedent(code)]
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_where_the_temporary_folder_is_full_it_is_a_sentence():
    """No file may grow beyond 4 MB: SQLite sees what it sees on a full disk."""
    child = started(
        """
        import resource
        from harness.errors import UserError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
        with spool.Firsts() as first:
            try:
                for n in range(20_000):
                    first.setdefault(f"{n}" * 200, "here")
            except UserError as error:
                print(error)
        """
    )
    said = child.communicate()[0]
    assert child.returncode == 0
    assert "too many names to be held in memory" in said
    assert "Make room there, or name another folder with TMPDIR" in said


def test_what_sqlite_says_of_a_full_disk_is_a_full_disk():
    import sqlite3

    assert shortage(sqlite3.OperationalError("database or disk is full")) == "disk"


@pytest.mark.parametrize("limit", [400, 1_500], ids=["the records", "their offsets"])
def test_a_full_disk_leaves_nothing_behind_whichever_file_finds_no_room(limit, own_cache):
    child = started(
        f"""
        import resource
        from harness.errors import UserError
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            spool.kept(iter([1] * 300), int)  # two bytes each, and eight for where each begins
        except UserError as error:
            print(error)
        """
    )
    assert "name another folder with BAKEOFF_CACHE" in child.communicate()[0]
    assert names(own_cache / "spool") == []


def test_what_is_on_disk_for_now_has_no_name_and_a_full_disk_is_a_sentence(own_cache):
    child = started(
        """
        import resource
        from harness.errors import UserError
        three = spool.for_now(iter([1, 2, 3]), int)
        none = spool.for_now(iter([]), int)
        print(list(three), list(none), [path.name for path in spool.folder().glob("*.tmp*")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
        try:
            spool.for_now(iter([1] * 300), int)
        except UserError as error:
            print(error)
        """
    )
    shown, said = child.communicate()[0].splitlines()
    assert shown == "[1, 2, 3] [] []"
    assert "name another folder with BAKEOFF_CACHE" in said
    assert names(own_cache / "spool") == []


KILLED = """
import time
from harness.scenario import Document
def records():
    for n in range(200):
        yield Document(f"d{n}", "", "text", "")
    print("half", flush=True)
    time.sleep(600)
spool.kept(records(), Document)
"""


def test_what_a_killed_process_left_goes_at_the_next_use_and_what_a_living_one_writes_stays(own_cache, monkeypatch):
    monkeypatch.setattr(spool, "MANY", 50)
    killed, living = started(KILLED), started(KILLED)
    for child in (killed, living):
        assert child.stdout.readline() == "half\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    try:
        folder = own_cache / "spool"
        assert len(list(folder.glob("*.tmp"))) == 2
        (folder / "gone.tmp.offsets").write_bytes(b"of a process that was killed between the two")
        found = kept(iter(documents()), Document)
        assert len(list(folder.glob("*.tmp"))) == 1
        assert not (folder / "gone.tmp.offsets").exists()
        assert isinstance(found, Spooled)
        assert tuple(found) == documents()
    finally:
        living.kill()
        living.communicate()


def test_a_spool_closes_its_file_with_its_end(monkeypatch):
    monkeypatch.setattr(spool, "MANY", 50)
    files = Path("/proc/self/fd")
    if not files.is_dir():
        pytest.skip("no /proc")
    before = len(list(files.iterdir()))
    for _ in range(5):
        kept(iter(documents()), Document)
    assert len(list(files.iterdir())) <= before + 1
