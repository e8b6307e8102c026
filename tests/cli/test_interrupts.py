"""Ctrl-C that a library's C code turned into an error of its own is a stop all the same; shortages are sentences."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.cli import main as advise
from harness.cli import main as bakeoff


def swallowed(*_, **__):
    """As pybind11 does: the interrupt comes while it converts arguments, and it says that they do not fit."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise TypeError("incompatible function arguments") from None


def broken(*_, **__):
    raise TypeError("an error of ours")


@pytest.fixture
def command(request, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", [bakeoff, advise], indirect=True, ids=["bakeoff", "advise"])
def test_an_interrupt_in_disguise_is_a_stop_and_an_error_of_ours_stays_one(command, monkeypatch, capsys):
    monkeypatch.setattr(command.cli, "main", swallowed)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("\nStopped.")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(command.cli, "main", broken)
    with pytest.raises(TypeError, match="an error of ours"):
        command.main()


def test_too_little_memory_is_a_sentence(monkeypatch, capsys):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr(bakeoff.cli, "main", greedy)
    with pytest.raises(SystemExit) as ended:
        bakeoff.main()
    said = "bakeoff: not enough memory. Close other programs or take fewer cases; what was done is kept.\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("asked", ["--help", "cache"])
@pytest.mark.usefixtures("own_cache")
def test_a_full_disk_under_the_output_is_a_sentence(asked):
    command = [sys.executable, "-c", "from harness.cli.main import main; main()", asked]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = (
        "bakeoff: a disk is full (No space left on device): the one that the output, the temporary files or the cache"
    )
    said += " go to. Make room; what was done is kept.\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("of", ["harness", "advisor"])
def test_a_reader_that_is_gone_is_no_failure(of):
    command = [sys.executable, "-c", f"from {of}.cli.main import main; main()", "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("of", ["harness", "advisor"])
def test_another_pipe_that_breaks_is_a_failure(of, tmp_path):
    code = f"""
import click, errno
from {of}.cli import main
@click.command()
def broken():
    raise BrokenPipeError(errno.EPIPE, "Broken pipe")
main.cli.get_command = lambda ctx, name: broken
main.main()
"""
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(
            [sys.executable, "-c", code, "break"], stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "A pipe or a connection was closed by the other side. What was done is kept; try again.\n"


@pytest.mark.parametrize("command", [bakeoff, advise], ids=["bakeoff", "advise"])
def test_an_error_of_the_system_that_nobody_can_place_stays_one(command, monkeypatch):
    def lost(*_, **__):
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(command.cli, "main", lost)
    with pytest.raises(OSError, match="Bad file descriptor"):
        command.main()
