"""`advise` at a real pseudo-terminal: typing, going back, not knowing, interrupting, going on."""

import json
import os
import pty
import re
import select
import signal
import sys
import time

import pytest

START = [sys.executable, "-c", "from advisor.cli.main import main; main()"]
PATIENCE = 60  # seconds; only a hung program waits so long


class Terminal:
    """A program at a pseudo-terminal of 80 columns."""

    def __init__(self, folder, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test runner in the background ignores it
            os.chdir(folder)
            os.environ |= {"TERM": "dumb", "COLUMNS": "80", "BAKEOFF_DATA_DIR": str(folder / "data")}
            os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            os.execv(START[0], [*START, *map(str, words)])
        self.seen = ""

    def read(self, until):
        """What is printed up to a text."""
        start, end = len(self.seen), time.monotonic() + PATIENCE
        while until not in self.seen[start:]:
            assert time.monotonic() < end, f"{until!r} never came; seen: {self.seen[start:]}"
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # the program is gone
                    data = b""
                assert data or until in self.seen[start:], f"ended before {until!r}: {self.seen[start:]}"
                self.seen += data.decode(errors="replace").replace("\r", "")
        return " ".join(self.seen[start:].split())

    def say(self, text, until="> "):
        os.write(self.fd, text.encode() + b"\n")
        return self.read(until)

    def interrupt(self):
        """Ctrl-C, again where the first fell between the prompt and the wait for a line, as a person would."""
        for _ in range(10):
            time.sleep(0.5)
            os.write(self.fd, b"\x03")
            if select.select([self.fd], [], [], 3)[0]:
                return

    def ended(self):
        """The exit code, after what is still printed."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def saved(folder):
    return {one["key"]: one["value"] for one in json.loads((folder / "advise-session.json").read_text())["answers"]}


def test_an_interview_is_left_and_goes_on_where_it_was(tmp_path):
    first = Terminal(tmp_path, "--title", "Acme")
    assert "What should the AI model do?" in first.read("> ")
    assert "Example:" in first.say("?")
    assert "is no answer here. Type a number from 1 to 9" in first.say("fish")
    assert "Type a number from 1 to 9" in first.say("99")
    assert "Question 2" in first.say("1")
    assert "Question 3" in first.say("d")
    assert "now: don't know (typed); Enter keeps it" in first.say("b")
    assert "Question 3" in first.say("2m")
    assert saved(tmp_path) == {"task": "facts_qa", "corpus_tokens": 2_000_000}
    first.interrupt()
    assert "Answers given so far are kept" in first.read("from there.")
    assert first.ended() == 130

    second = Terminal(tmp_path, "--title", "Acme")
    assert "Going on with 2 answers" in second.read("> ")
    assert "Answer questions about facts (earlier session)" in second.say("c", until="Enter: none\n> ")
    assert "What should the AI model do?" in second.say("task")
    second.say("")
    shown = second.say("s", until="advice.json.")
    assert "Advice: Retrieval (RAG)" in shown
    assert second.ended() == 0
    assert json.loads((tmp_path / "advise-session.json").read_text())["finished"] is True
    assert (tmp_path / "advice.md").exists()
    assert (tmp_path / "advise-session.json").stat().st_mode & 0o777 == 0o600


def test_the_end_of_an_interview_says_why_and_leaving_is_no_advice(tmp_path):
    terminal = Terminal(tmp_path, "--set", "task=summarisation", "--set", "gap=none", "--set", "explicit_rules=few")
    shown = terminal.read("> ")
    for _ in range(30):
        if "Enough asked" in shown:
            break
        shown = terminal.say("d")
    assert re.search(r"Enough asked: .* likely to change the advice", shown)
    terminal.say("c", until="Enter: none\n> ")
    assert "There is no answer zzz" in terminal.say("zzz")
    assert "goes on from there" in terminal.say("q", until="there.")
    assert terminal.ended() == 0
    assert not (tmp_path / "advice.json").exists()


def test_the_end_of_input_is_no_traceback(tmp_path):
    terminal = Terminal(tmp_path)
    terminal.read("> ")
    os.write(terminal.fd, b"\x04")
    shown = terminal.read("from there.")
    assert "Traceback" not in shown
    assert terminal.ended() == 130


@pytest.mark.parametrize("flag", [(), ("--new",)])
def test_a_damaged_session_is_named_and_kept(tmp_path, flag):
    (tmp_path / "advise-session.json").write_text("{")
    terminal = Terminal(tmp_path, *flag)
    if flag:
        assert "The earlier session is kept as" in terminal.read("> ")
        terminal.say("q", until="there.")
        assert terminal.ended() == 0
    else:
        assert "--new" in terminal.read("--new")
        assert terminal.ended() == 2
    assert "{" in [path.read_text() for path in tmp_path.glob("advise-session*.json")]
