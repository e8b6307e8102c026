"""A working copy: what arrives there and here, which copy counts where both changed, and who may write."""

import json
import stat
import sys
import time

import pytest
from fsspec.registry import _registry
from machines import here, there

from harness.errors import RemoteError
from harness.remote import lease, working
from harness.remote.lease import LeaseLost, Writer
from harness.remote.storage import Storage, open_storage
from harness.remote.url import remote_url

LINES = b'{"a":1}\n{"a":2}\n'


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def begin(folder):
    write(folder, run_json=b"{}", predictions_jsonl=b"", recipes__rag_json=b'{"r":1}')
    (folder / "predictions.jsonl").write_bytes(LINES)
    (folder / "predictions_jsonl").unlink(missing_ok=True)


def failing(machine, url, happens, error=None):
    """A command in which something happens, and which ends with an error."""
    with machine.open(url) as folder:
        begin(folder)
        happens()
        if error:
            raise error


# to and fro


def test_what_is_written_on_one_machine_is_there_on_the_other(url, one, other):
    with one.open(url) as folder:
        begin(folder)
        (folder / ".lock").touch()
        (folder / "adapters" / ".checkpoint").mkdir(parents=True)
        (folder / "adapters" / ".checkpoint" / "state").write_bytes(b"not sent")
        wanted = here(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert there(url) == wanted
    assert open_storage(url).read(".lease") is None, "given back"
    with other.open(url, writing=False, new=False) as folder:
        assert here(folder) == wanted
    assert one.said == other.said == []


def test_changes_additions_and_deletions_follow(url, one, other):
    with one.open(url) as folder:
        begin(folder)
    with other.open(url) as folder:
        with (folder / "predictions.jsonl").open("ab") as stream:
            stream.write(b'{"a":3}\n')
        write(folder, recipes__rag_json=b'{"r":2}', verdict_json=b"{}")
    with one.open(url) as folder:
        assert here(folder)["recipes/rag.json"] == b'{"r":2}'
        assert here(folder)["predictions.jsonl"].count(b"\n") == 3
        (folder / "verdict.json").unlink()
    assert "verdict.json" not in there(url)
    assert one.said == other.said == []


def test_only_what_changed_is_sent(url, one, monkeypatch):
    sent = []
    real = Storage.put
    monkeypatch.setattr(Storage, "put", lambda self, name, content: (sent.append(name), real(self, name, content)))
    with one.open(url) as folder:
        begin(folder)
    assert [name for name in sent if name != ".lease"] == ["run.json", "recipes/rag.json", "predictions.jsonl"]
    sent.clear()
    with one.open(url) as folder:
        write(folder, recipes__lora_json=b"{}")
        (folder / "run.json").touch()
    assert sorted({*sent} - {".lease"}) == ["recipes/lora.json", "run.json"]


def test_a_line_in_flight_is_not_sent(url, one):
    with one.open(url) as folder:
        begin(folder)
        with (folder / "predictions.jsonl").open("ab") as stream:
            stream.write(b'{"a":')
    assert there(url)["predictions.jsonl"] == LINES


def test_whole_json_is_away_while_the_rest_is_sent(url, one, monkeypatch):
    with one.open(url) as folder:
        begin(folder)
        write(folder, whole_json=b'{"w":1}', verdict_json=b'{"v":1}')
    seen = []
    real = Storage.put

    def put(self, name, content):
        if name != ".lease":
            seen.append((name, "whole.json" in self.files()))
        real(self, name, content)

    monkeypatch.setattr(Storage, "put", put)
    with one.open(url) as folder:
        write(folder, whole_json=b'{"w":2}', left_out_json=b"[]", verdict_json=b'{"v":2}')
    assert seen == [("left_out.json", False), ("verdict.json", False), ("whole.json", False)]
    assert there(url)["whole.json"] == b'{"w":2}'


def test_a_large_file_is_sent_from_the_disk(url, one, other, monkeypatch):
    monkeypatch.setattr("harness.remote.copy.IN_MEMORY", 10)
    with one.open(url) as folder:
        begin(folder)
        write(folder, adapters__rag__weights_json=b"w" * 1000)
        wanted = here(folder)
    assert there(url) == wanted
    with other.open(url) as folder:
        assert here(folder) == wanted


def test_a_thread_sends_while_the_command_works(url, one, monkeypatch):
    monkeypatch.setenv("BAKEOFF_UPLOAD_SECONDS", "0.01")
    with one.open(url) as folder:
        begin(folder)
        deadline = time.monotonic() + 60
        while "predictions.jsonl" not in there(url):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert json.loads(open_storage(url).read(".lease"))["pid"] > 0


def test_what_was_made_is_sent_when_the_command_fails(url, one):
    with pytest.raises(KeyboardInterrupt):
        failing(one, url, lambda: None, KeyboardInterrupt)
    assert there(url)["predictions.jsonl"] == LINES


@pytest.mark.parametrize("said", ["0", "-1", "soon", "nan"])
def test_a_time_between_uploads_that_is_none_is_refused(url, one, monkeypatch, said):
    monkeypatch.setenv("BAKEOFF_UPLOAD_SECONDS", said)
    with pytest.raises(RemoteError, match="must be a number of seconds above 0"), one.open(url):
        pass


def test_reading_where_nothing_is_says_so_and_leaves_nothing(url, one):
    for writing in (True, False):
        with pytest.raises(RemoteError, match="There is nothing at"), one.open(url, new=False, writing=writing):
            pass
    assert there(url) == {}


def test_a_name_that_leads_out_of_the_folder_is_refused(one, monkeypatch):
    from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

    url = remote_url("memory://attack/run")
    path = "/attack/run/../../../evil"
    monkeypatch.setitem(MemoryFileSystem.store, path, MemoryFile(MemoryFileSystem(), path, b"x"))
    with pytest.raises(RemoteError, match="holds a file that no run folder has"), one.open(url):
        pass


# which copy counts


def grow(folder, *lines):
    with (folder / "predictions.jsonl").open("ab") as stream:
        for line in lines:
            stream.write(line + b"\n")


def test_what_was_made_here_after_the_last_upload_is_sent_the_next_time(url, one):
    with one.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        grow(copy.folder, b'{"a":3}')
    assert there(url)["predictions.jsonl"] == LINES
    with one.open(url) as folder:
        assert here(folder)["predictions.jsonl"] == LINES + b'{"a":3}\n'
    assert there(url)["predictions.jsonl"] == LINES + b'{"a":3}\n'
    assert one.said == []


def test_where_both_changed_what_lies_there_counts_and_the_other_is_kept(url, one, other):
    with one.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        grow(copy.folder, b'{"mine":1}')
        write(copy.folder, recipes__lora_json=b'{"mine":1}')
        mine = here(copy.folder)
    with other.open(url) as folder:
        grow(folder, b'{"theirs":1}')
        theirs = here(folder)
    with one.open(url) as folder:
        assert here(folder) == theirs, "nothing is mixed"
    (said,) = one.said
    assert "was changed elsewhere (predictions.jsonl)" in said
    assert "and so was the copy here (predictions.jsonl, recipes/lora.json)" in said
    (kept,) = (one.cache / "remote" / "set-aside").iterdir()
    assert said.endswith(f"What lay here is kept in {kept}.")
    assert here(kept) == mine, "nothing is lost"
    assert there(url) == theirs


def test_a_copy_that_only_continues_the_other_counts(url, one, other):
    with one.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        grow(copy.folder, b'{"a":3}', b'{"a":4}')
        mine = here(copy.folder)
    with other.open(url) as folder:
        grow(folder, b'{"a":3}')
    with one.open(url) as folder:
        assert here(folder) == mine
    assert there(url) == mine
    assert one.said == []


FILES = ("run.json", "predictions.jsonl", "recipes/rag.json")


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("gone", [FILES, FILES[:1]])
@pytest.mark.parametrize("more", [True, False])
def test_the_last_copy_is_kept_where_what_lay_there_is_gone(url, one, *, writing, gone, more):
    with one.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        if more:
            grow(copy.folder, b'{"a":3}')
        mine = here(copy.folder)
        for name in gone:
            copy.storage.delete(name)
    left = there(url)
    with pytest.raises(RemoteError, match="where 3 files were") as told, one.open(url, writing=writing):
        pass
    assert str(copy.folder) in str(told.value)
    assert here(copy.folder) == mine
    assert there(url) == left, "nothing that was deleted comes back by itself"


def test_what_is_gone_there_can_be_put_back_or_begun_afresh(url, one, tmp_path):
    with one.open(url) as folder:
        begin(folder)
    storage, mine = open_storage(url), here(folder)
    for name in FILES:
        storage.delete(name)
    for name, content in mine.items():
        storage.put(name, content)
    with one.open(url) as folder:
        assert here(folder) == mine
    for name in FILES:
        storage.delete(name)
    folder.rename(tmp_path / "away")
    with one.open(url) as folder:
        assert here(folder) == {}


def test_a_folder_that_is_emptied_while_it_is_fetched_takes_nothing_along(url, one, other, monkeypatch):
    with one.open(url) as folder:
        begin(folder)
    mine = here(folder)
    with other.open(url) as elsewhere:
        write(elsewhere, left_out_json=b"[]")
    real = Storage.get

    def emptied(self, name, target):
        found = real(self, name, target)
        for one_of in list(self.files()):
            self.delete(one_of)
        return found

    monkeypatch.setattr(Storage, "get", emptied)
    with pytest.raises(RemoteError, match="Nothing lies any more"), one.open(url, writing=False):
        pass
    assert here(folder) == mine


def test_answers_that_are_gone_there_are_set_aside_here(url, one):
    with one.open(url) as folder:
        begin(folder)
    mine = here(folder)
    open_storage(url).delete("predictions.jsonl")
    with one.open(url, writing=False) as folder:
        assert "predictions.jsonl" not in here(folder)
    assert "predictions.jsonl is less than here" in one.said[0]
    (kept,) = (one.cache / "remote" / "set-aside").iterdir()
    assert here(kept) == mine


def test_a_copy_that_was_between_two_names_when_its_process_died_is_found(url, one):
    with one.dies(url) as copy:
        begin(copy.folder)
        mine = here(copy.folder)
    (copy.folder.parent / ".work").mkdir()
    copy.folder.rename(copy.folder.parent / ".work" / f"{copy.folder.name}-old")
    with one.open(url) as folder:
        assert here(folder) == mine


def test_without_its_record_a_copy_is_compared_by_content(url, one):
    with one.open(url) as folder:
        begin(folder)
    (folder.parent / f".{folder.name}.json").write_bytes(b"torn")
    with one.open(url) as folder:
        grow(folder, b'{"a":3}')
    (folder.parent / f".{folder.name}.json").unlink()
    with one.open(url) as folder:
        assert here(folder)["predictions.jsonl"] == LINES + b'{"a":3}\n'
    assert one.said == []


class Cut(BaseException):
    """The process is gone."""


def cut_at(monkeypatch, number):
    """Every write there from the `number`-th on does not happen."""
    done = []

    def counted(real):
        def call(self, name, *given):
            if name != ".lease":
                done.append(name)
                if len(done) >= number:
                    raise Cut
            return real(self, name, *given)

        return call

    for name in ("put", "delete"):
        monkeypatch.setattr(Storage, name, counted(getattr(Storage, name)))
    return done


@pytest.mark.parametrize("number", range(1, 8))
def test_an_upload_that_was_cut_is_our_own_work_and_no_conflict(url, one, number):
    with one.open(url) as folder:
        begin(folder)
        write(folder, left_out_json=b"[1]", whole_json=b'{"w":1}', stopped_json=b"[]")
    with one.dies(url) as copy, pytest.MonkeyPatch.context() as patched:
        grow(copy.folder, b'{"a":3}')
        write(copy.folder, left_out_json=b"[2]", whole_json=b'{"w":2}', scores_json=b"[]")
        (copy.folder / "stopped.json").unlink()
        mine = here(copy.folder)
        cut_at(patched, number)
        if number < 7:
            with pytest.raises(Cut):
                copy.send()
        else:
            copy.send()
    with one.open(url) as folder:
        write(folder, recipes__lora_json=b"{}")
    assert one.said == []
    assert there(url) == mine | {"recipes/lora.json": b"{}"}


# who may write


def test_a_second_machine_is_refused_while_one_writes(url, one, other):
    with one.open(url) as folder:
        begin(folder)
        with pytest.raises(RemoteError, match=r"Another bakeoff \(.*\) is writing to .*Wait for it"), other.open(url):
            pass
        with other.open(url, writing=False, new=True) as seen:
            assert here(seen) == {}, "who only reads needs no lease"
    with other.open(url) as folder:
        assert here(folder)["predictions.jsonl"] == LINES


def test_two_on_one_machine_are_refused_by_the_lock(url, one):
    with one.open(url), pytest.raises(RemoteError, match="Another bakeoff on this machine works on"), one.open(url):
        pass


def aged(url, seconds):
    storage = open_storage(url)
    held = json.loads(storage.read(".lease"))
    storage.put(".lease", json.dumps(held | {"time": held["time"] - seconds}).encode())


def test_a_lease_that_is_not_renewed_for_five_minutes_is_taken_over(url, one, other, monkeypatch):
    monkeypatch.setattr(lease, "SETTLES", 0.0)
    with one.here():
        Writer(open_storage(url)).take()
    aged(url, 290)
    with pytest.raises(RemoteError, match=r"29\d s ago"), other.open(url):
        pass
    aged(url, 20)
    with other.open(url) as folder:
        begin(folder)
    assert there(url)["run.json"] == b"{}"


def test_a_lease_of_this_machine_is_a_dead_ones(url, one):
    with one.here():
        Writer(open_storage(url)).take()
    with one.open(url) as folder:
        begin(folder)
    assert there(url)["run.json"] == b"{}"


def test_a_lease_is_made_once(url):
    storage = open_storage(url)
    assert storage.create(".lease", b"first")
    assert not storage.create(".lease", b"second")
    assert storage.read(".lease") == b"first"


def test_a_lease_that_cannot_be_read_is_not_passed_over(url, one):
    open_storage(url).put(".lease", b"{")
    with pytest.raises(RemoteError, match="says who writes there and cannot be read"), one.open(url):
        pass


def test_after_another_has_taken_over_nothing_is_sent(url, one, other, monkeypatch):
    monkeypatch.setattr(lease, "SETTLES", 0.0)
    with one.dies(url) as copy:
        begin(copy.folder)
        copy.send()
        aged(url, 400)
        with other.open(url) as folder:
            grow(folder, b'{"theirs":1}')
            grow(copy.folder, b'{"mine":1}')
            with pytest.raises(LeaseLost, match=r"Another bakeoff \(.*\) has taken over"):
                copy.send()
    assert there(url)["predictions.jsonl"] == LINES + b'{"theirs":1}\n'


def test_a_command_that_lost_its_lease_says_what_lies_where(url, one):
    storage = open_storage(url)

    def another_takes_over():
        storage.put(".lease", json.dumps(json.loads(storage.read(".lease")) | {"token": "another"}).encode())

    with pytest.raises(RemoteError) as lost:
        failing(one, url, another_takes_over)
    with one.here():
        folder = url.folder()
    assert f"What was made here lies in {folder}; the same command says which of the two counts." in str(lost.value)
    assert there(url) == {}
    assert storage.read(".lease"), "it is the other's"


# what goes wrong


@pytest.fixture
def network(monkeypatch):
    """A switch for the storage; names it as lost while it is off."""
    state = {"on": True}
    real = Storage._asked

    def asked(self, doing, call):
        def lost():
            raise ConnectionResetError("the line is dead")

        return real(self, doing, call if state["on"] else lost)

    monkeypatch.setattr(Storage, "_asked", asked)
    monkeypatch.setattr(working, "AT_THE_END", (0.0, 0.0))
    monkeypatch.setattr(working, "WHEN_STOPPED", (0.0,))
    return state


def until(seen):
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lost_network_is_said_once_and_made_up_for(url, one, network, monkeypatch):
    monkeypatch.setenv("BAKEOFF_UPLOAD_SECONDS", "0.01")
    with one.open(url) as folder:
        network["on"] = False
        begin(folder)
        until(lambda: one.said)
        grow(folder, b'{"a":3}')
        network["on"] = True
        until(lambda: len(one.said) > 1)
    behind, again = one.said
    assert behind.startswith(f"The upload is behind: {url} cannot be ")
    assert "the line is dead" in behind
    assert again == f"{url} is up to date again."
    assert there(url)["predictions.jsonl"].endswith(b'{"a":3}\n')


def test_what_could_not_be_sent_is_named_and_sent_by_the_same_command(url, one, network):
    with pytest.raises(RemoteError) as refused:
        failing(one, url, lambda: network.update(on=False))
    with one.here():
        folder = url.folder()
    assert f"the whole copy lies in {folder}, and the same command uploads it" in str(refused.value)
    network["on"] = True
    with one.open(url):
        pass
    assert there(url)["predictions.jsonl"] == LINES


def test_the_first_error_is_not_hidden_by_the_storage(url, one, network):
    with pytest.raises(ZeroDivisionError):
        failing(one, url, lambda: network.update(on=False), ZeroDivisionError)
    with one.here():
        folder = url.folder()
    assert f"the whole copy lies in {folder}" in one.said[-1]


def test_a_file_that_arrived_cut_is_noticed_and_sent_again(url, one, monkeypatch):
    real, cut = Storage._put, []

    def put(self, target, content):
        short = target.endswith("predictions.jsonl") and not cut
        if short:
            cut.append(target)
        real(self, target, content[:-3] if short else content)

    monkeypatch.setattr(Storage, "_put", put)
    monkeypatch.setattr(working, "AT_THE_END", (0.0, 0.0))
    with one.open(url) as folder:
        begin(folder)
    assert cut
    assert there(url)["predictions.jsonl"] == LINES


@pytest.mark.parametrize(
    ("address", "module", "install"),
    [
        ("s3://bucket/run", "s3fs", "pip install 'bakeoff-advisor[object-storage]'"),
        ("gs://bucket/run", "gcsfs", "pip install gcsfs"),
        ("az://bucket/run", "adlfs", "pip install adlfs"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, address, module, install):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(_registry, address.partition(":")[0], raising=False)
    with pytest.raises(RemoteError, match="needs a package that is not installed") as refused:
        open_storage(remote_url(address))
    assert str(refused.value).endswith(install)


def test_an_unknown_protocol_is_named():
    with pytest.raises(RemoteError, match=r"floppy:// is not known\. Expected s3://"):
        open_storage(remote_url("floppy://disk/run"))


def test_an_error_names_no_secret(url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-hush")
    storage = open_storage(url)

    def refused():
        raise PermissionError("signed with hush-hush-hush")

    with pytest.raises(RemoteError, match="access was refused") as told:
        storage._asked("read", refused)
    assert "hush" not in str(told.value)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path, one, monkeypatch):
    url = remote_url(f"file://{tmp_path / 'storage' / 'run'}")
    with one.open(url) as folder:
        begin(folder)
    system = type(open_storage(url)._system)

    def refused(self, path, **how):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(system, "ls", refused)
    with pytest.raises(RemoteError, match="access was refused"), one.open(url, writing=False):
        pass
    assert here(folder)["predictions.jsonl"] == LINES
