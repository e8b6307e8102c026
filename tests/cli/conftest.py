"""The entry point called in this process, on fakes."""

import sys
from functools import partial

import pytest
from fakes import FakeEmbedder, FakeEngine, fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.cli.main import main
from harness.scenario_file.read import Overrides


@pytest.fixture
def bakeoff(monkeypatch, capsys, tmp_path):
    """Calls the entry point in an empty working folder; gives exit code, standard output and standard error."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bakeoff", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def faked(monkeypatch):
    """Commands run on fakes: no model and no embedder is loaded."""
    own = partial(api.prepare, engine_for=lambda name: FakeEngine(), load_embedder=lambda name: FakeEmbedder())
    monkeypatch.setattr(api, "prepare", own)
    monkeypatch.setattr(api, "SentenceEmbedder", lambda name: FakeEmbedder())
    monkeypatch.setattr("harness.models.local.window_and_counter", lambda name: (2048, lambda text: len(text.split())))


@pytest.fixture
def scenario(tmp_path):
    return write_scenario_files(tmp_path / "capitals", tiny_scenario(cases=14))


@pytest.fixture
def small(tmp_path):
    """Fewer cases than the rule asks for: no verdict can be reached."""
    return write_scenario_files(tmp_path / "small", tiny_scenario(cases=4))


@pytest.fixture
def finished(scenario, tmp_path):
    out = tmp_path / "run"
    fake_run(scenario, out, quick=True, overrides=Overrides(arms=("prompt", "rag")))
    return out
