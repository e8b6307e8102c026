"""Addresses: which are taken for one, which are refused, and where their working copies lie."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import RemoteError
from harness.remote.url import remote_url


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/runs/one", "gs://bucket/one", "az://container/one", "abfs://container@account.dfs.net/one",
     "sftp://me@host/home/me/one", "memory://one", "file:///mnt/one"],
)  # fmt: skip
def test_an_address_is_one(text):
    assert str(remote_url(text)) == text
    assert str(remote_url(f"{text}/")) == text


@pytest.mark.parametrize("text", ["runs/one", "/mnt/one", "C:\\runs\\one", "s3:/bucket/one", "one", ""])
def test_a_path_is_none(text):
    assert remote_url(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s3://bucket", "expected a bucket and a folder in it, as in s3://bucket/run"),
        ("https://host/one", "nothing can be written to https://"),
        ("file://one/two", "expected a whole path, as in file:///mnt/shared/run"),
        ("s3://bucket/../one", "a part of its path is empty or begins with a dot"),
        ("s3://bucket//one", "a part of its path is empty or begins with a dot"),
        ("s3://bucket/.one", "a part of its path is empty or begins with a dot"),
        ("memory://", "a part of its path is empty or begins with a dot"),
        ("s3://bucket/one?X-Amz-Signature=abc", "expected a plain address"),
        ("simplecache::s3://bucket/one", None),
    ],
)
def test_an_address_that_cannot_be_a_folder_is_refused(text, why):
    if why is None:
        assert remote_url(text) is None
        return
    with pytest.raises(RemoteError) as refused:
        remote_url(text)
    assert why in str(refused.value)
    assert "Signature" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["s3://AKIAKEY:hush@bucket/one", "s3://AKIAhush@bucket/one", "sftp://me:hush@host/one"]
)
def test_a_password_is_refused_and_not_repeated(text):
    with pytest.raises(RemoteError, match="must not hold a user or a password") as refused:
        remote_url(text)
    assert "hush" not in str(refused.value)


def test_working_copies_lie_in_the_cache_one_beside_the_other(own_cache):
    first, second = remote_url("s3://bucket/runs/one"), remote_url("s3://bucket/runs/two")
    assert first.folder().parent == second.folder().parent
    assert first.folder() != remote_url("s3://bucket/more/one").folder()
    assert first.folder().is_relative_to(own_cache / "remote")
    assert remote_url("s3://bucket/runs").child("one") == first


def test_a_folder_for_several_runs_names_each(own_cache):
    base = remote_url("memory://base")
    assert base.child("one").folder() == base.child("two").folder().parent / "one"
    assert Path(base.child("one").folder().name) == Path("one")


def test_fsspec_is_imported_when_an_address_is_opened_and_not_before():
    code = "import sys, harness.api, harness.cli.run; print('fsspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
