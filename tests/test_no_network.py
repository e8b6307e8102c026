"""Without an endpoint nothing asks for the network: the whole way is gone with it cut, and nothing even tries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import tiny_scenario, write_scenario_files

ROOT = Path(__file__).parents[1]

CUT = """
import socket

def refused(*given, **named):
    with open({log!r}, "a") as stream:
        stream.write(f"{{given[1:] or given}}\\n")
    raise OSError("the network is cut")

socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refused
"""

RUN = """
import sys
from pathlib import Path
from fakes import fake_run
from harness.scenario_file.read import Overrides
fake_run(Path(sys.argv[1]), Path(sys.argv[2]), overrides=Overrides(arms=("prompt", "rag"), seeds=1))
"""


@pytest.fixture
def cut(tmp_path):
    """Calls Python in a process whose sockets are cut before anything is imported; gives output and attempts."""
    (tmp_path / "site").mkdir()
    log = tmp_path / "attempts"
    (tmp_path / "site" / "sitecustomize.py").write_text(CUT.format(log=str(log)))
    places = os.pathsep.join(map(str, (tmp_path / "site", ROOT, ROOT / "tests")))
    hidden = {name for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_")) and name != "HF_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"PYTHONPATH": places}

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300, check=False,
        )  # fmt: skip
        attempts = log.read_text() if log.exists() else ""
        assert (done.returncode, attempts) == (0, ""), f"{arguments}: {attempts}{done.stdout}{done.stderr}"
        return done.stdout

    return call


ADVISE = "import sys; sys.argv[0] = 'advise'; from advisor.cli.main import main; main()"
BAKEOFF = "import sys; sys.argv[0] = 'bakeoff'; from harness.cli.main import main; main()"


def test_the_sockets_are_cut(cut):
    with pytest.raises(AssertionError, match="the network is cut"):
        cut("-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')")


def test_advise_a_run_score_and_report_need_no_network(cut, tmp_path):
    folder = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=6, train=14))
    cut("-c", ADVISE, "--no-input", "--set", "task=facts_qa", "--data", folder, "--out", tmp_path / "advice")
    cut("-c", RUN, folder, tmp_path / "run")
    cut("-c", BAKEOFF, "score", tmp_path / "run")
    cut("-c", BAKEOFF, "compare", tmp_path / "run")
    formats = "html,pdf,docx,pptx,md"
    advice = tmp_path / "advice" / "advice.json"
    cut("-c", BAKEOFF, "report", tmp_path / "run", "--format", formats, "--advice", advice, "--redact")
    assert (tmp_path / "run" / "report.pdf").exists()


@pytest.mark.model
def test_check_and_plan_need_no_network(cut, tmp_path):
    folder = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=6, train=14))
    assert "No errors" in cut("-c", BAKEOFF, "check", folder)
    assert "Plan: " in cut("-c", BAKEOFF, "plan", folder)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_the_kernel_agrees(tmp_path):
    """The same in a network namespace that has not even a loopback, where this machine allows one."""
    folder = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=6, train=14))
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace may be made here")
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    for code, *rest in ((RUN, folder, tmp_path / "run"), (BAKEOFF, "report", tmp_path / "run")):
        done = subprocess.run(
            [*alone, sys.executable, "-c", code, *map(str, rest)],
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": places}, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
