"""A lease lives as long as its holder, and whoever lost it neither uploads nor pays any more."""

import json
import time

import pytest
from machines import there

from harness.errors import RunStopped
from harness.models.base import Message
from harness.models.endpoint import EndpointModel, EndpointState
from harness.models.endpoint_ledger import Ledger, Prices
from harness.remote import lease, working
from harness.remote.lease import LeaseLost
from harness.remote.storage import Storage, open_storage
from harness.store import ELSEWHERE, HELD, RunFolder

LINE = b'{"a":1}\n'


@pytest.fixture
def quick(monkeypatch):
    """A lease that is looked after all the time, and uploads only at the end."""
    monkeypatch.setattr(lease, "BEAT", 0.01)
    monkeypatch.setattr(lease, "SETTLES", 0.0)
    monkeypatch.setenv("BAKEOFF_UPLOAD_SECONDS", "3600")


def until(seen):
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def change(url, **fields):
    storage = open_storage(url)
    storage.put(".lease", json.dumps(json.loads(storage.read(".lease")) | fields).encode())


def is_renewed(url):
    """Whether the lease, made old, becomes young again; a renewal under way may overtake the first try."""
    change(url, time=0.0)
    until(lambda: json.loads(open_storage(url).read(".lease"))["time"] > 0)
    return True


def begin(folder):
    (folder / "run.json").write_bytes(b"{}")
    (folder / "predictions.jsonl").write_bytes(LINE)


def taken_over(url, machine):
    """Done again until it is noticed: a renewal under way may write over it."""
    until(lambda: machine.said or change(url, token="another", host="elsewhere", pid=7))


@pytest.mark.usefixtures("quick")
def test_it_is_renewed_while_nothing_is_sent(url, one):
    with one.open(url):
        assert is_renewed(url)
    assert open_storage(url).read(".lease") is None, "and not written again after it was given back"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("slow", ["put", "get"])
def test_it_is_renewed_while_one_file_takes_long(url, one, other, monkeypatch, slow):
    if slow == "get":
        with other.open(url) as folder:
            begin(folder)
    real, renewed = getattr(Storage, slow), []

    def takes_long(self, name, *given):
        if name == "predictions.jsonl":
            renewed.append(is_renewed(url))
        return real(self, name, *given)

    monkeypatch.setattr(Storage, slow, takes_long)
    with one.open(url) as folder:
        begin(folder)
    assert renewed


def test_it_is_looked_at_before_each_file(url, one, monkeypatch):
    real = Storage.put

    def put(self, name, content):
        real(self, name, content)
        if name == "run.json":
            change(url, token="another")

    with one.dies(url) as copy:
        begin(copy.folder)
        monkeypatch.setattr(Storage, "put", put)
        with pytest.raises(LeaseLost, match="has taken over"):
            copy.send()
    assert set(there(url)) == {"run.json"}


def test_it_is_looked_at_before_each_file_is_deleted(url, one, monkeypatch):
    real = Storage.delete

    def delete(self, name):
        real(self, name)
        if name == "a.json":
            change(url, token="another")

    with one.dies(url) as copy:
        begin(copy.folder)
        for name in ("a.json", "b.json"):
            (copy.folder / name).write_bytes(b"{}")
        copy.send()
        for name in ("a.json", "b.json"):
            (copy.folder / name).unlink()
        with monkeypatch.context() as patched:
            patched.setattr(Storage, "delete", delete)
            with pytest.raises(LeaseLost):
                copy.send()
    assert "b.json" in there(url)


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_it_asks_no_endpoint_any_more(url, one):
    def works():
        with one.open(url) as path:
            folder = RunFolder(path)
            ledger = Ledger(Prices(1.0, 1.0), limit=1.0)
            ledger.open(folder)
            ledger.require_held()
            taken_over(url, one)
            model = EndpointModel("http://127.0.0.1:9/v1", "m", api_key_env="", state=EndpointState(ledger=ledger))
            with pytest.raises(RunStopped, match="both would pay"):
                model.start([model.render([Message("user", "Question")])], max_new_tokens=7).answer((0,))
            assert (ledger.spent.requests, folder.has("requests.jsonl")) == (0, False)
            for ask in (ledger.require_held, folder.publish, RunFolder(path / "experiments" / "judge").publish):
                with pytest.raises(RunStopped, match=r"\(elsewhere, process 7\) has taken over .* both would pay"):
                    ask()
            ledger.require_held()

    with pytest.raises(RunStopped):
        works()
    assert len([said for said in one.said if "where it asks no endpoint" in said]) == 1
    assert there(url) == {}


@pytest.mark.usefixtures("quick")
def test_a_lease_that_was_deleted_is_lost_too(url, one):
    def works():
        with one.open(url) as path:
            until(lambda: one.said or open_storage(url).delete(".lease"))
            RunFolder(path).publish()

    with pytest.raises(RunStopped, match="was deleted, so another bakeoff may be writing there"):
        works()


def test_where_it_may_have_run_out_it_is_renewed_or_nothing_is_paid(url, one, monkeypatch):
    with one.open(url) as path:
        folder, real = RunFolder(path), Storage._asked
        monkeypatch.setattr(lease, "LASTS", 0.0)
        change(url, time=0.0)
        folder.require_held()
        assert json.loads(open_storage(url).read(".lease"))["time"] > 0
        with monkeypatch.context() as patched:

            def dead(self, doing, call):
                def lost():
                    raise ConnectionResetError("the line is dead")

                return real(self, doing, lost)

            patched.setattr(Storage, "_asked", dead)
            with pytest.raises(RunStopped, match=r"the line is dead.*no more is asked of the endpoint"):
                folder.require_held()
        folder.require_held()


# published before money is spent


@pytest.mark.usefixtures("quick")
def test_what_was_noted_lies_there_before_the_request(url, one, tmp_path):
    (tmp_path / "machine-1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "machine-1", target_is_directory=True)
    one.cache = tmp_path / "link"
    with one.open(url) as path:
        begin(path)
        for number, same in enumerate((path, path.resolve(), path / "experiments" / "judge" / "rag"), start=1):
            (path / "batches.jsonl").write_bytes(LINE * number)
            RunFolder(same).publish()
            assert there(url)["batches.jsonl"] == LINE * number
        (path / "batches.jsonl").write_bytes(LINE * 9)
        RunFolder(path.parent).publish()
        assert there(url)["batches.jsonl"] == LINE * 3, "another folder"
    assert not ELSEWHERE
    assert not HELD
    RunFolder(path).publish()


@pytest.mark.usefixtures("quick")
def test_a_folder_named_from_where_one_stands_is_known(url, one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one.cache = one.cache.relative_to(tmp_path)
    with one.open(url) as path:
        begin(path)
        RunFolder(path).publish()
        assert there(url)["predictions.jsonl"] == LINE


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_published_is_not_begun(url, one, monkeypatch):
    monkeypatch.setattr(working, "AT_ONCE", (0.0, 0.0))

    def lost(self, target, content):
        raise ConnectionResetError("the line is dead")

    with one.open(url) as path:
        begin(path)
        with monkeypatch.context() as patched:
            patched.setattr(Storage, "_put", lost)
            with pytest.raises(RunStopped, match=r"the line is dead.*it was not begun"):
                RunFolder(path).publish()
        RunFolder(path).publish()
        assert there(url)["predictions.jsonl"] == LINE
