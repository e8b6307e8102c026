"""Which revision of the code and the data a run was made with."""

import subprocess

import pytest

from harness.provenance import git_revision


@pytest.fixture
def git(tmp_path):
    def call(*arguments):
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *who, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        call("init")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    return call


def test_the_revision_is_that_of_the_repository_with_a_sign_where_a_tracked_file_was_changed(git, tmp_path):
    assert git_revision(tmp_path) == "", "nothing was committed yet"
    (tmp_path / "eval.jsonl").write_text("{}\n")
    git("add", "eval.jsonl")
    git("commit", "-m", "one")
    head = git("rev-parse", "HEAD")
    assert len(head) == 40
    (tmp_path / "notes.txt").write_text("not tracked")
    (tmp_path / "sub").mkdir()
    assert git_revision(tmp_path) == git_revision(tmp_path / "sub") == head
    (tmp_path / "eval.jsonl").write_text("{}\n{}\n")
    assert git_revision(tmp_path) == f"{head}+changes"


def test_outside_a_repository_there_is_no_revision(tmp_path):
    assert git_revision(tmp_path / "nowhere") == ""
