"""A bake-off over a real server: `transformers serve` with the bundled weights, against the same weights here."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fakes import FakeEmbedder, tiny_scenario, write_scenario_files
from loopback import Loopback

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


class Served:
    """`transformers serve`, on the same port each time it is started."""

    def __init__(self, weights, log):
        self.weights, self.log, self.process = weights, log, None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        """Come back once it is up."""
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [COMMAND, "serve", *place, "--device", "cpu", "--dtype", "bfloat16", self.weights],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
        _wait(self.process, f"http://127.0.0.1:{self.port}/health", self.log)

    def stop(self):
        """Without a chance to end what it does."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(weights, tmp_path_factory):
    """The server, once it is up."""
    made = Served(weights, tmp_path_factory.mktemp("serve") / "log")
    try:
        made.start()
        yield made
    finally:
        made.stop()


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


def test_the_arms_answer_behind_a_real_server_much_as_they_do_here(server, weights, tmp_path, monkeypatch):
    """Not alike to the letter: batches and kernels differ, and in bfloat16 the likeliest two tokens are often level."""
    settings = EndpointSettings(
        url=server.url, key_variable="", concurrency=2, timeout=120.0, price_in=1.0, price_out=2.0
    )
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


class BadLine(Loopback):
    """A line to the real server: it spoils requests as it is told to, and hands the others on."""

    def __init__(self, server, trouble):
        super().__init__(trouble)
        self.server_behind = server

    def answer(self, body, text):
        """What the real server says; None: it does not answer."""
        data = json.dumps(body).encode()
        address = f"{self.server_behind.url}/chat/completions"
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as found:
                return found.read()
        except OSError:
            return None


TROUBLES = [429, 500, "cut", "garbage", "slow", None, None, None, None, None]
CASES = 500


def test_500_cases_at_concurrency_16_by_a_bad_line_to_a_real_server_that_dies_half_way(
    server, weights, tmp_path, monkeypatch
):
    """Five in ten first requests go wrong; the server is killed and started again in the middle."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    died = threading.Event()

    def trouble(count, number):
        if number == CASES and not died.is_set():
            died.set()
            threading.Thread(target=again, daemon=True).start()
        return TROUBLES[(number * 7) % 10] if number > 5 and count < 3 else None

    def again():
        server.stop()
        time.sleep(2)
        server.start()

    line = BadLine(server, trouble).start()
    try:
        made = tiny_scenario(cases=CASES, train=12, documents=False)
        path = write_scenario_files(tmp_path / "s", made)
        settings = EndpointSettings(url=line.url, key_variable="", concurrency=16, timeout=120.0, retries=6)
        asked = Overrides(arms=("prompt",), model=str(weights), endpoint=settings)
        options = RunOptions(out=tmp_path / "run", use_cache=False, remember=False, quick=True, overrides=asked)
        ready = prepare(path, options=options, load_embedder=lambda _: FakeEmbedder())
        start = time.monotonic()
        folder = run_prepared(ready, options=options, watcher=Silent()).folder
        seconds = time.monotonic() - start
    finally:
        line.stop()
    assert died.is_set()
    found = folder.predictions()["prompt"]
    failed = [one for one in found.values() if one.error]
    lost = len(failed)
    print(f"{len(found) - lost} answered, {lost} counted as errors, {line.number} requests, {seconds:.0f} s")
    assert len(found) == CASES
    assert lost < CASES / 4
    assert all(one.text or one.error for one in found.values())
    assert folder.provenance().spent.requests >= CASES - lost
