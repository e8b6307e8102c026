"""Whatever stands in the files, a command ends with 0, 2 or 3 and a sentence: no traceback, nothing elsewhere."""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
from fakes import FakeEmbedder, FakeEngine, fake_run, tiny_scenario, write_scenario_files
from fuzz_seeds import (
    ANSWERS_TOML,
    CLIENT,
    EDITS,
    FUZZ,
    HTML,
    MARKS,
    PRICES,
    SCENARIO,
    damaged,
    damaged_part,
    in_time,
    pdf,
    word,
    workbook,
)
from hypothesis import given
from hypothesis import strategies as st
from test_fuzz_settings import ADVICE

from advisor.cli.main import main as advise_main
from harness import api
from harness.cli.main import main as bakeoff_main
from harness.scenario_file.read import Overrides

pytestmark = MARKS


@pytest.fixture(autouse=True, scope="module")
def _on_fakes(tmp_path_factory):
    own = partial(api.prepare, engine_for=lambda name: FakeEngine(), load_embedder=lambda name: FakeEmbedder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_READ_SECONDS", "3")
        patch.setenv("BAKEOFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(api, "prepare", own)
        patch.setattr(api, "SentenceEmbedder", lambda name: FakeEmbedder())
        patch.setattr("harness.models.local.window_and_counter", lambda name: (2048, lambda text: len(text.split())))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder, to be copied."""
    home = tmp_path_factory.mktemp("run")
    scenario = write_scenario_files(home / "scenario", tiny_scenario(cases=6))
    fake_run(scenario, home / "run", quick=True, overrides=Overrides(arms=("prompt", "rag")))
    return home / "run"


class Typed:
    """A command typed in a folder of its own, beside which nothing may appear."""

    def __init__(self, entry, *words):
        self.entry, self.words = entry, [str(word) for word in words]

    def ends(self, place):
        """Its exit code; fails for a traceback, for what is written beside `place`, and for a refusal without words."""
        before = sorted(place.parent.iterdir())
        out, err = io.StringIO(), io.StringIO()
        argv, folder = sys.argv, Path.cwd()
        sys.argv = [self.entry.__module__.split(".")[0], *self.words]
        os.chdir(place)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), in_time(self.words[0], 20.0):
                self.entry()
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.argv = argv
            os.chdir(folder)
        assert sorted(place.parent.iterdir()) == before
        assert code in (0, 2, 3), err.getvalue()
        assert "Traceback" not in err.getvalue() + out.getvalue()
        if code == 2:
            assert len((err.getvalue() + out.getvalue()).split()) > 3, "a sentence"
        return code


@contextlib.contextmanager
def a_place():
    with tempfile.TemporaryDirectory() as home:
        place = Path(home) / "place"
        place.mkdir()
        yield place


@FUZZ
@given(
    edits=EDITS,
    name=st.sampled_from(["eval.jsonl", "train.jsonl", "corpus.jsonl", "scenario.toml", "d.pdf", "d.docx", "d.html"]),
)
def test_check_of_a_damaged_folder(edits, name):
    with a_place() as place:
        write_scenario_files(place, tiny_scenario(cases=4))
        (place / "scenario.toml").write_bytes(SCENARIO)
        (place / "corpus").mkdir()
        for file, data in {"d.pdf": pdf(), "d.docx": word(), "d.html": HTML}.items():
            (place / "corpus" / file).write_bytes(data)
        path = place / ("corpus" if name.startswith("d.") else "") / name
        path.write_bytes(damaged(path.read_bytes(), edits))
        Typed(bakeoff_main, "check", place).ends(place)


@FUZZ
@given(edits=EDITS, kind=st.sampled_from(["t.csv", "t.xlsx"]))
def test_init_of_a_damaged_table(edits, kind):
    data = workbook() if kind == "t.xlsx" else b"input,output\na,b\nc,d\ne,f\n"
    with a_place() as place:
        (place / kind).write_bytes(damaged(data, edits))
        Typed(bakeoff_main, "init", kind).ends(place)


RUN_FILES = [
    "run.json",
    "scenario.json",
    "cases.jsonl",
    "rule.json",
    "provenance.json",
    "plan.json",
    "predictions.jsonl",
    "passages.jsonl",
    "measurements.jsonl",
    "latency.jsonl",
    "usage.jsonl",
    "scores.json",
    "verdict.json",
]


@FUZZ
@given(edits=EDITS, name=st.sampled_from(RUN_FILES), command=st.sampled_from(["report", "compare", "score"]))
def test_commands_on_a_damaged_run_folder(finished, edits, name, command):
    with a_place() as place:
        run = place / "run"
        shutil.copytree(finished, run)
        path = run / name
        if path.exists():
            path.write_bytes(damaged(path.read_bytes(), edits))
        Typed(bakeoff_main, command, run).ends(place)


@pytest.mark.parametrize("name", RUN_FILES)
@pytest.mark.parametrize(
    "kind",
    [
        "gone",
        "empty",
        "folder",
        "brackets",
        "circle",
    ],
)
def test_a_report_of_a_run_folder_with_an_odd_file(finished, name, kind):
    with a_place() as place:
        run = place / "run"
        shutil.copytree(finished, run)
        path = run / name
        path.unlink(missing_ok=True)
        if kind == "empty":
            path.touch()
        elif kind == "folder":
            path.mkdir()
        elif kind == "brackets":
            path.write_bytes(b"[" * 100_000 + b"\n")
        elif kind == "circle":
            path.symlink_to(path)
        Typed(bakeoff_main, "report", run).ends(place)


@FUZZ
@given(
    edits=EDITS,
    part=st.integers(0, 30),
    what=st.sampled_from(["advice.json", "client.toml", "house.docx"]),
    packed=st.booleans(),
)
def test_a_report_with_damaged_extras(finished, edits, part, what, packed):
    with a_place() as place:
        run = place / "run"
        shutil.copytree(finished, run)
        whole = {"advice.json": ADVICE, "client.toml": CLIENT.replace(b'logo = "logo.png"', b""), "house.docx": word()}
        for name, data in whole.items():
            bad = damaged_part(data, part, edits) if packed and name == "house.docx" else damaged(data, edits)
            (place / name).write_bytes(bad if name == what else data)
        Typed(
            bakeoff_main,
            *["report", run, "--advice", "advice.json", "--for", "client.toml"],
            *["--template", "house.docx", "--format", "md,docx"],
        ).ends(place)


@FUZZ
@given(edits=EDITS, what=st.sampled_from(["answers.toml", "prices.toml", "client.toml", "data/eval.jsonl"]))
def test_advice_from_damaged_files(edits, what):
    with a_place() as place:
        write_scenario_files(place / "data", tiny_scenario(cases=4))
        whole = {
            "answers.toml": ANSWERS_TOML,
            "prices.toml": PRICES,
            "client.toml": CLIENT.replace(b'logo = "logo.png"', b""),
            "data/eval.jsonl": (place / "data" / "eval.jsonl").read_bytes(),
        }
        for name, data in whole.items():
            (place / name).write_bytes(damaged(data, edits) if name == what else data)
        Typed(
            advise_main,
            *["--answers", "answers.toml", "--prices", "prices.toml", "--for", "client.toml", "--data", "data"],
            *["--no-input", "--out", "out"],
        ).ends(place)


@FUZZ
@given(edits=EDITS, command=st.sampled_from(["explain", "report"]))
def test_commands_on_a_damaged_advice(edits, command):
    with a_place() as place:
        (place / "advice.json").write_bytes(damaged(ADVICE, edits))
        Typed(advise_main, command, "advice.json").ends(place)
