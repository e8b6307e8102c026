"""What is asked of other storage, where it does what was not asked for."""

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from harness.errors import RemoteError
from harness.remote.storage import Storage, open_storage, trouble
from harness.remote.url import remote_url


@pytest.fixture
def local(tmp_path):
    return remote_url(f"file://{tmp_path / 'storage' / 'run'}")


def test_a_file_that_is_gone_is_not_fetched_and_not_an_error(url, tmp_path):
    storage = open_storage(url)
    storage.put("one.json", b"{}")
    assert storage.get("one.json", tmp_path / "new" / "one.json")
    assert (tmp_path / "new" / "one.json").read_bytes() == b"{}"
    assert not storage.get("two.json", tmp_path / "new" / "two.json")
    assert storage.read("two.json") is None
    storage.delete("two.json")


def test_a_file_is_created_once(url):
    storage = open_storage(url)
    assert storage.create("sub/.lease", b"mine")
    assert not storage.create("sub/.lease", b"yours")
    assert storage.read("sub/.lease") == b"mine"


def test_a_file_that_could_not_be_put_whole_leaves_nothing_behind(local, tmp_path, monkeypatch):
    storage = open_storage(local)
    storage.put("one.json", b"old")

    def broken(self, old, new, **how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalFileSystem, "mv", broken)
    with pytest.raises(RemoteError, match=r"cannot be written \(OSError: .*No space left.*\)\. Check the address and"):
        storage.put("one.json", b"new")
    assert [one.name for one in (tmp_path / "storage" / "run").iterdir()] == ["one.json"], "no part of it"
    assert storage.read("one.json") == b"old"


class Unconditional(MemoryFileSystem):
    """Says of a file that exists already only that its condition failed, as some stores do."""

    protocol = "unconditional"
    lost = False

    def pipe_file(self, path, value, mode="overwrite", **how):
        if mode == "create" and (self.lost or self.exists(path)):
            raise OSError("PreconditionFailed: at least one of the conditions did not hold")
        return super().pipe_file(path, value, mode="overwrite", **how)


def test_a_condition_that_failed_without_a_name_is_told_from_another_fault():
    system = Unconditional()
    storage = Storage(remote_url("s3://bucket/unconditional"), system, "/unconditional")
    assert storage.create(".lease", b"mine")
    assert not storage.create(".lease", b"yours")
    system.lost = True
    with pytest.raises(RemoteError, match=r"s3://bucket/unconditional cannot be written \(OSError: PreconditionFailed"):
        storage.create(".other", b"mine")


def test_an_object_store_gets_a_file_as_it_is_and_under_its_own_name(monkeypatch):
    asked = []
    monkeypatch.setattr(MemoryFileSystem, "mv", lambda self, *names, **how: asked.append(names))
    storage = Storage(remote_url("s3://bucket/whole"), MemoryFileSystem(), "/whole")
    storage.put("one.json", b"{}")
    assert storage.read("one.json") == b"{}"
    assert asked == [], "nothing is moved into place: each object appears whole"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            FileNotFoundError("The specified bucket does not exist"),
            " cannot be listed: there is no such bucket or folder (FileNotFoundError: The specified bucket does not "
            "exist). Check the address.",
        ),
        (
            OSError("SignatureDoesNotMatch"),
            " cannot be listed: access was refused (OSError: SignatureDoesNotMatch). Credentials are read from the "
            "environment, as the storage's own library does it; check them, and what they may do there.",
        ),
        (TimeoutError("late"), " cannot be listed (TimeoutError: late). Check the address and the network."),
    ],
)
def test_trouble_is_said_with_what_to_do_about_it(error, said):
    url = remote_url("s3://bucket/run")
    assert trouble(url, error, "listed") == f"{url}{said}"


def test_an_address_that_its_library_does_not_open_is_said(monkeypatch):
    def broken(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("fsspec.core.url_to_fs", broken)
    with pytest.raises(RemoteError, match=r"s3://bucket/run cannot be opened \(ConnectionError: no route to host\)"):
        open_storage(remote_url("s3://bucket/run"))


@pytest.mark.parametrize("name", ["a\\b.json", "a\nb.json"])
def test_a_file_that_no_run_folder_has_is_refused(name):
    system = MemoryFileSystem()
    system.pipe_file(f"/odd/{name}", b"")
    try:
        with pytest.raises(RemoteError, match="holds a file that no run folder has"):
            Storage(remote_url("memory://odd"), system, "/odd").files()
    finally:
        system.rm("/odd", recursive=True)
