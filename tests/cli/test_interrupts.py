"""Ctrl-C that a library's C code turned into an error of its own is a stop all the same."""

import os
import signal

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
