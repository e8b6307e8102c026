"""A bake-off over a real server: `transformers serve` with the bundled weights, against the same weights here."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fakes import FakeEmbedder

from harness.experiment.options import RunOptions, Silent
from harness.experiment.run import prepare, run_prepared
from harness.models import bundled
from harness.models.local import unpacked_gguf
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.read import Overrides

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(bundled.locate(bundled.LANGUAGE_MODEL) is None, reason="the bundled weights are not installed"),
]

SCENARIO = Path(__file__).parents[2] / "scenarios" / "customer-name"
COMMAND = Path(sys.executable).with_name("transformers")
PATIENCE = 180


@pytest.fixture(scope="module")
def weights():
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    pytest.importorskip("openai")
    if not COMMAND.exists():
        pytest.skip("the command transformers is not installed")
    file = bundled.LANGUAGE_MODEL
    return unpacked_gguf(bundled.require(file), digest=file.sha256)


@pytest.fixture(scope="module")
def url(weights, tmp_path_factory):
    """Address of the server, once it is up."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [COMMAND, "serve", *place, "--device", "cpu", "--dtype", "bfloat16", weights],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process, address, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
        try:
            opener.open(address, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the server is not up after {PATIENCE} s: {log.read_text(errors='replace')[-2_000:]}")


def ran(out, monkeypatch, *, model=None, endpoint=None):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    limits = {"eval_limit": 20, "train_limit": 24}
    more = {"endpoint": endpoint} if endpoint else {}
    overrides = Overrides(
        arms=("prompt", "nearest_shots", "lora")[: 3 if endpoint else 2], model=model, **limits, **more
    )
    options = RunOptions(out=out, use_cache=False, remember=False, quick=True, overrides=overrides)
    scenario = shutil.copytree(SCENARIO, out.with_name(f"{out.name}-scenario"))
    ready = prepare(scenario, options=options, load_embedder=lambda _: FakeEmbedder())
    return run_prepared(ready, options=options, watcher=Silent()).folder


def test_the_arms_answer_behind_a_real_server_much_as_they_do_here(url, weights, tmp_path, monkeypatch):
    """Not alike to the letter: batches and kernels differ, and in bfloat16 the likeliest two tokens are often level."""
    settings = EndpointSettings(url=url, key_variable="", concurrency=2, timeout=120.0, price_in=1.0, price_out=2.0)
    there = ran(tmp_path / "there", monkeypatch, model=str(weights), endpoint=settings)
    here = ran(tmp_path / "here", monkeypatch)
    for arm in ("prompt", "nearest_shots"):
        ours, theirs = here.predictions()[arm], there.predictions()[arm]
        assert len(theirs) == 20
        assert not [one for one in theirs.values() if one.error]
        alike = sum(ours[name].text.strip() == theirs[name].text.strip() for name in ours)
        print(f"{arm}: {alike} of 20 answers are the same")
        assert alike >= 12
    assert [left.arm for left in there.left_out()] == ["lora"]
    spent = there.provenance().spent
    assert spent.estimated == 0, "the server counts tokens"
    assert spent.money == pytest.approx((spent.tokens_in * 1.0 + spent.tokens_out * 2.0) / 1e6)
    timed = [one for one in there.latency() if one.arm == "prompt"]
    assert timed
    assert all(0 < one.first_token_seconds < one.seconds for one in timed)
