"""A key comes from the environment and reaches nothing: no file, no report, no error, no line on the terminal."""

import json
import os
import pickle
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes import FakeWatcher, fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.errors import MissingModel
from harness.models.local import load_model, weights_digest
from harness.scenario_file.read import Overrides

KEY = "sk-MARKER-of-the-key-7f3a9c"
STATUSES = (400, 401, 403, 404, 422)
"""Refusals that the client does not try again, so that the test takes no minute."""


@pytest.fixture(params=STATUSES)
def endpoint(request):
    """A server that refuses every request and repeats the key in its answer, as some do."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers["Authorization"])
            body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "type": "x"}}).encode()
            self.send_response(request.param)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_key_of_a_judge_that_fails_is_written_and_said_nowhere(endpoint, tmp_path, monkeypatch, capfd):
    address, seen = endpoint
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    folder = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=6, train=14))
    with (folder / "scenario.toml").open("a") as stream:
        stream.write(f'[judge]\nmodel = "m"\nendpoint = "{address}"\n')
    watcher = FakeWatcher()
    asked = Overrides(arms=("prompt", "rag"), experiments=("judge",), seeds=1)
    fake_run(folder, tmp_path / "run", overrides=asked, watcher=watcher)
    api.report(tmp_path / "run", options=api.ReportOptions(("md", "html")))
    assert f"Bearer {KEY}" in seen, "the endpoint was asked"
    said = "".join(capfd.readouterr()) + "".join(watcher.notes) + "".join(watcher.stages)
    assert KEY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert "[key]" in (tmp_path / "run" / "report.md").read_text().replace("\\", ""), (
        "the cause is told without the key"
    )


def test_a_run_folder_can_be_read_by_its_owner_only(tmp_path):
    folder = write_scenario_files(tmp_path / "scenario", tiny_scenario(cases=6, train=14))
    before = os.umask(0)
    try:
        fake_run(folder, tmp_path / "run", overrides=Overrides(arms=("prompt",)), remember=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


class Trap:
    """Opens a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "model.ckpt"])
def test_pickled_weights_are_refused_unopened(name, tmp_path):
    folder, trap = tmp_path / "model", tmp_path / "sprung"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / name).write_bytes(pickle.dumps(Trap(trap)))
    for read in (weights_digest, lambda path: load_model(str(path))):
        with pytest.raises(MissingModel, match="Only safetensors and GGUF are read"):
            read(folder)
    assert not trap.exists()


def test_a_pickle_under_the_name_of_safetensors_runs_nothing(tmp_path):
    folder, trap = tmp_path / "model", tmp_path / "sprung"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap(trap)))
    with pytest.raises(MissingModel):
        load_model(str(folder))
    assert not trap.exists()


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    folder, trap = tmp_path / "model", tmp_path / "sprung"
    folder.mkdir()
    code = f"open({str(trap)!r}, 'w')\n"
    (folder / "own.py").write_text(code)
    auto = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model", "AutoTokenizer": ["own.T", None]}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["own.T", None]}}))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(MissingModel):
        load_model(str(folder))
    assert not trap.exists()
