"""`bakeoff cache` and working copies of run folders."""

import math
import os
import time

import pytest
from click.testing import CliRunner
from machines import there

from harness.cli.cache import cache
from harness.engines.cached import LEFT, overview, remove
from harness.engines.doctor import findings
from harness.publish.numbers import storage
from harness.remote.kept import COPIES, FOLDERS, NOT_UPLOADED, SET_ASIDE
from harness.remote.storage import open_storage
from harness.remote.url import remote_url

LINES = b'{"a":1}\n' * 1_000
DAY = 86_400


@pytest.fixture
def url():
    return remote_url("memory://cache/runs/one")


@pytest.fixture
def one(one, own_cache):
    open_storage(remote_url("memory://cache/runs/one"))._system.store.clear()
    one.cache = own_cache
    return one


def said(*arguments, answer=""):
    """What `bakeoff cache` prints."""
    done = CliRunner().invoke(cache, arguments, input=answer)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def begin(folder):
    (folder / "run.json").write_bytes(b"{}")
    (folder / "predictions.jsonl").write_bytes(LINES)


def uploaded(machine, url):
    with machine.open(url) as folder:
        begin(folder)
    return folder


def not_uploaded(machine, url):
    with machine.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        (copy.folder / "predictions.jsonl").write_bytes(LINES * 2)
    return copy.folder


def set_aside(machine, url, other):
    folder = not_uploaded(machine, url)
    with other.open(url) as elsewhere:
        (elsewhere / "run.json").write_bytes(b'{"other":1}')
    with machine.open(url):
        pass
    (kept,) = (machine.cache / "remote" / "set-aside").iterdir()
    return folder, kept


def kinds(**asked):
    return {shelf.kind: (shelf.count, shelf.stays) for shelf in overview(folders=FOLDERS, **asked)}


def old(folder, days=40):
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_one_that_was_uploaded_is_shown_and_goes_and_comes_back(one, url):
    folder = uploaded(one, url)
    wanted = there(url)
    assert kinds() == {COPIES: (1, False)}
    assert sum(shelf.size for shelf in overview(folders=FOLDERS)) > len(LINES)
    assert COPIES in said()
    assert "1 thing removed" in said("--all", "--yes")
    assert not folder.exists()
    assert kinds() == {}
    assert there(url) == wanted
    with one.open(url) as folder:
        assert (folder / "predictions.jsonl").read_bytes() == LINES
    assert one.said == []


def test_one_that_was_not_uploaded_is_shown_and_stays_and_why(one, url):
    folder = not_uploaded(one, url)
    assert kinds() == {NOT_UPLOADED: (1, True)}
    assert NOT_UPLOADED in said()
    words = said("--all", "--yes")
    assert "Nothing there is to be removed. 1 working copy of a run folder is kept, for not everything" in words
    assert (folder / "predictions.jsonl").read_bytes() == LINES * 2
    assert remove(before=math.inf, folders=FOLDERS).count == 0
    with one.open(url):
        pass
    assert there(url)["predictions.jsonl"] == LINES * 2
    assert kinds() == {COPIES: (1, False)}


def test_one_without_a_record_counts_as_not_uploaded(one, url):
    folder = uploaded(one, url)
    folder.with_name(f".{folder.name}.json").unlink()
    assert kinds() == {NOT_UPLOADED: (1, True)}


def test_one_that_is_open_stays(one, url):
    with one.open(url, writing=False, new=True) as folder:
        pass
    uploaded(one, url)
    with one.open(url, writing=False) as folder:
        gone = remove(before=math.inf, folders=FOLDERS)
        assert (gone.count, gone.held) == (0, 1)
        assert (folder / "run.json").exists()


def test_what_was_not_uploaded_in_the_meantime_stays(one, url, monkeypatch):
    from harness.engines import cached

    folder, real = uploaded(one, url), cached._is_old
    looks = []

    def meanwhile(item, before):
        looks.append(item)
        if len(looks) == 2:
            (folder / "predictions.jsonl").write_bytes(LINES * 2)
        return real(item, before)

    monkeypatch.setattr(cached, "_is_old", meanwhile)
    assert remove(before=math.inf, folders=FOLDERS).count == 0
    assert (folder / "predictions.jsonl").read_bytes() == LINES * 2


def test_reading_one_counts_as_its_use(one, url):
    folder = uploaded(one, url)
    old(folder.parent)
    before = time.time() - 30 * DAY
    assert kinds(before=before) == {COPIES: (1, False)}
    with one.open(url, writing=False):
        pass
    assert kinds(before=before) == {}


def test_one_that_was_set_aside_goes_only_when_asked_and_that_is_said(one, other, url):
    folder, kept = set_aside(one, url, other)
    assert kinds() == {COPIES: (1, False), SET_ASIDE: (1, False)}
    old(folder.parent, 40)
    assert "1 thing removed" in said("--older-than", "30d", "--yes")
    assert kept.exists()
    assert not folder.exists()
    out = said("--all", answer="n\n")
    assert "Nothing makes again 1 run folder that was set aside" in out
    assert kept.exists()
    assert "1 thing removed" in said("--all", "--yes")
    assert not kept.exists()


def test_one_that_was_set_aside_and_is_worked_in_stays(one, other, url):
    from harness.store import RunFolder

    _, kept = set_aside(one, url, other)
    (kept / "run.json").unlink()
    with RunFolder(kept).locked():
        gone = remove(before=math.inf, folders=FOLDERS)
        assert (gone.count, gone.held) == (1, 1)
        assert kept.exists()


def test_what_is_half_fetched_goes_after_a_day_but_not_the_last_copy(one, url):
    folder = uploaded(one, url)
    work = folder.parent / ".work"
    work.mkdir(exist_ok=True)
    (work / "one-coming").mkdir()
    folder.rename(work / "one-old")
    assert remove(before=math.inf, folders=FOLDERS).count == 0
    old(work)
    assert remove(before=math.inf, folders=FOLDERS).count == 1
    assert [path.name for path in work.iterdir()] == ["one-old"]


def test_what_could_not_be_deleted_to_its_end_is_shown_and_goes(one, url):
    folder = uploaded(one, url)
    rest = folder.parent / ".gone-1234"
    rest.mkdir()
    (rest / "predictions.jsonl").write_bytes(LINES)
    old(rest)
    assert kinds()[LEFT] == (1, False)
    assert remove(before=time.time() - DAY, folders=FOLDERS).count == 1
    assert not rest.exists()
    assert folder.exists()


def test_doctor_counts_them(one, url):
    uploaded(one, url)
    kept = sum(shelf.size for shelf in overview(folders=FOLDERS))
    (found,) = (one.text for one in findings(FOLDERS) if one.subject == "cache")
    assert kept > len(LINES)
    assert f"{storage(kept)} are kept there" in found
