"""An index on disk is built once, whoever asks, and opened only as it was written."""

import threading
import time

import pytest

from harness.errors import UserError
from harness.retrieval.kept import kept_index

pytestmark = pytest.mark.usefixtures("own_cache")


class Builds:
    """Writes one file; notes how often."""

    def __init__(self, fault=None):
        self.count, self.fault = 0, fault

    def __call__(self, home):
        self.count += 1
        time.sleep(0.05)
        (home / "data").write_text("words")
        if self.fault:
            raise self.fault
        return {"size": 3}


def kept(build):
    return kept_index("one", dict[str, int], what="The index of 3 passages", build=build)


def test_many_at_once_build_it_once_and_all_see_it():
    build, found = Builds(), []
    threads = [threading.Thread(target=lambda: found.append(kept(build))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.count == 1
    assert [one.about for one in found] == [{"size": 3}] * 6
    assert (found[0].folder / "data").read_text() == "words"


@pytest.mark.parametrize("name", ["data", "about.json"])
def test_it_is_made_again_where_it_was_damaged(name):
    build = Builds()
    folder = kept(build).folder
    path = folder / name
    path.write_bytes(path.read_bytes()[:-2] + b"??")
    assert kept(build).about == {"size": 3}
    assert build.count == 2
    assert (folder / "data").read_text() == "words"


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), RuntimeError("write error")])
def test_a_disk_that_is_full_is_a_sentence_and_leaves_nothing_behind(fault, own_cache):
    with pytest.raises(UserError, match=r"The index of 3 passages cannot be kept in .*\. Make room there"):
        kept(Builds(fault))
    assert [path.name for path in (own_cache / "indexes").iterdir()] in (["one.lock"], [])
    assert kept(Builds()).about == {"size": 3}
