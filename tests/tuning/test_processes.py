"""Several processes that share a model tune it to what one process makes of it, and none outlives the others."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.errors import ArmFailed, shortage
from harness.tuning.checkpoint import FOLDER as CHECKPOINT
from harness.tuning.examples import TrainingText
from harness.tuning.full import MARKER, tune_all_weights
from harness.tuning.lora import WEIGHTS_FILE, TuningSettings, merged, tune
from harness.tuning.processes import FOLDER, tune_together

pytestmark = [pytest.mark.model, pytest.mark.skipif(os.name == "nt", reason="needs signals")]

SETTINGS = TuningSettings(rank=2, alpha=4, learning_rates=(5e-3, 2e-3), epochs=6, rows=4, trial_steps=2, processes=2)
HEAD = "<|system|>Name the colour of the thing, in one word and nothing else.<|end|>"
TRAIN = [TrainingText(f"{HEAD}<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(14)]
DEV = [TrainingText(f"{HEAD}<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(20, 25)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """In float32, from a folder that says the same to the last bit."""
    folder = save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    loaded = load_tiny_llama(folder)
    loaded.network.save_pretrained(folder)
    return loaded


@pytest.fixture(scope="module")
def together(tiny, tmp_path_factory):
    """Undisturbed, by two."""
    return tune_together(tiny, TRAIN, dev=DEV, settings=SETTINGS, out=tmp_path_factory.mktemp("two") / "a", key="k")


def weights(result):
    from safetensors.torch import load_file

    return load_file(result.folder / WEIGHTS_FILE)


def same(found, expected, *, tolerance=1e-4):
    """Losses, choices and weights, as far as float32 goes."""
    assert found.dev_losses == pytest.approx(expected.dev_losses, rel=1e-4)
    assert [rate for rate, _ in found.trials] == [rate for rate, _ in expected.trials]
    assert [loss for _, loss in found.trials] == pytest.approx([loss for _, loss in expected.trials], rel=1e-4)
    assert (found.learning_rate, found.epochs, found.tokens) == (
        expected.learning_rate,
        expected.epochs,
        expected.tokens,
    )
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert float((ours[name] - tensor).abs().max()) < tolerance, name


def test_two_make_the_adapter_that_one_makes(tiny, together, tmp_path):
    alone = tune(tiny, TRAIN, dev=DEV, settings=SETTINGS, out=tmp_path / "one")
    assert len(alone.trials) == 2
    assert alone.dev_losses[-1] < 0.9 * alone.dev_losses[0]
    same(together, alone)
    before = weights(alone)
    assert max(float(tensor.abs().max()) for name, tensor in before.items() if "lora_B" in name) > 1e-2
    with merged(tiny, together.folder):
        pass  # PEFT reads it
    assert sorted(p.name for p in together.folder.iterdir()) == sorted(p.name for p in alone.folder.iterdir())


def test_the_base_weights_are_read_only(tiny, tmp_path):
    fresh = load_tiny_llama(tiny.folder)
    for (name, ours), (_, theirs) in zip(
        tiny.network.named_parameters(), fresh.network.named_parameters(), strict=True
    ):
        assert bool((ours == theirs).all()), name


def test_weights_are_read_alike_whether_the_library_translates_their_names_or_not(tiny):
    from contextlib import ExitStack

    from harness.tuning.sharded import Source, _by_parameter

    source, wanted = Source(tiny.folder), _by_parameter(tiny.network)
    translated = source._converted(tiny.network, wanted)
    with ExitStack() as files:
        direct = source.tensors(tiny.network, files)
        assert direct.keys() == translated.keys() == set(tiny.network.parameters())
        for parameter, read in direct.items():
            assert bool((read() == parameter).all())
            assert bool((translated[parameter]() == parameter).all())


def workers():
    found = psutil.Process().children()
    return [child for child in found if any("sharded.work" in part for part in child.cmdline())]


def test_a_killed_worker_is_a_sentence_and_the_tuning_goes_on_to_the_same_adapter(tiny, together, tmp_path):
    seen = []

    def kill_one(what, share):
        if what == "tuning" and share >= 0.4 and not seen:
            seen.extend(workers())
            seen[1].kill()

    out = tmp_path / "a"
    with pytest.raises(ArmFailed, match=r"^process 2 of 2 .* was killed from outside, most likely because .* memory$"):
        tune_together(tiny, TRAIN, dev=DEV, settings=SETTINGS, out=out, key="k", progress=kill_one)
    assert not any(worker.is_running() for worker in seen)
    assert (out / CHECKPOINT).is_dir()
    assert not (out / FOLDER).exists()

    shares = []
    made = tune_together(
        tiny, TRAIN, dev=DEV, settings=SETTINGS, out=out, key="k", progress=lambda *now: shares.append(now)
    )
    assert ("learning rates", 0.0) not in shares  # not from the start
    assert not (out / CHECKPOINT).exists()
    assert made.digest == together.digest
    assert made.dev_losses == together.dev_losses


@pytest.mark.slow
def test_a_torn_checkpoint_is_not_used(tiny, together, tmp_path):
    out = tmp_path / "a"
    (out / CHECKPOINT).mkdir(parents=True)
    (out / CHECKPOINT / f"{'0' * 64}.safetensors").write_bytes(b"torn")
    made = tune_together(tiny, TRAIN, dev=DEV, settings=SETTINGS, out=out, key="k")
    assert made.digest == together.digest
    assert any("was not used" in note for note in made.notes)


def test_a_worker_that_raises_says_why_and_the_others_do_not_wait_for_it(tiny, tmp_path):
    (tmp_path / "a" / WEIGHTS_FILE).mkdir(parents=True)  # the first cannot write, and the second waits for it
    settings = replace(SETTINGS, epochs=1, learning_rates=(1e-3,))
    with pytest.raises(ArmFailed, match=r"^process 1 of 2 that tune together failed: \w+: .*[Ii]s a directory"):
        tune_together(tiny, TRAIN, dev=(), settings=settings, out=tmp_path / "a")
    assert not workers()


def test_weights_that_are_gone_are_a_sentence(tiny, tmp_path):
    away = replace(tiny, folder=tmp_path / "away")
    with pytest.raises(ArmFailed, match=r"^process [12] of 2 that tune together failed: \w+: .*away"):
        tune_together(away, TRAIN, dev=(), settings=SETTINGS, out=tmp_path / "a")


def test_what_runs_out_of_memory_is_known_as_such(tmp_path):
    from harness.tuning.processes import _why, last_word

    said = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    last_word(tmp_path, 1).write_text(said)
    why = _why([1, 1], tmp_path)
    assert why == f"process 2 of 2 that tune together failed: {said}"
    assert shortage(ArmFailed(why)) == "memory"
    assert "process 1 of 2" in _why([-signal.SIGKILL, 1], tmp_path)


ORPHANS = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = ["tests", "tests/tuning"]
from tiny_llama import load_tiny_llama
from test_processes import SETTINGS, TRAIN
from harness.tuning.processes import tune_together
tiny = load_tiny_llama(sys.argv[1])
tune_together(tiny, TRAIN, dev=(), settings=replace(SETTINGS, epochs=5000), out=Path(sys.argv[2]),
              progress=lambda *now: print(*now, flush=True))
"""


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_no_worker_outlives_the_one_who_started_it(tiny, tmp_path, how):
    command = [sys.executable, "-c", ORPHANS, str(tiny.folder), str(tmp_path / "a")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as parent:
        assert parent.stdout.readline().startswith(b"tuning")
        started = psutil.Process(parent.pid).children()
        assert len(started) == 2
        parent.send_signal(how)
        parent.wait()
    _, left = psutil.wait_procs(started, timeout=60)
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_three_and_uneven_shares(tiny, tmp_path, monkeypatch, full, recompute, flat):
    from harness.generation import attention

    monkeypatch.setattr(tiny.network, "_bakeoff_flat", flat and attention.ready(tiny.network), raising=False)
    settings = replace(SETTINGS, full=full, recompute=recompute, processes=3, learning_rates=(1e-3,), epochs=2)
    alone = (tune_all_weights if full else tune)(tiny, TRAIN, dev=DEV, settings=settings, out=tmp_path / "one")
    made = tune_together(tiny, TRAIN, dev=DEV, settings=settings, out=tmp_path / "three", key="k")
    same(made, alone, tolerance=1e-3)
    assert (made.folder / MARKER).exists() is full


END_TO_END = """
arms = ["prompt", "lora"]
model = "{model}"
[tuning]
epochs = 1
rank = 2
learning_rate = 0.005
processes = 2
"""


@pytest.mark.slow
def test_a_whole_run_by_the_command(tiny, tmp_path):
    from fakes import tiny_scenario, write_scenario_files

    from harness.store import open_run

    text = END_TO_END.format(model=tiny.folder)
    folder = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=20), toml=text)
    root = Path(__file__).resolve().parents[2]
    start = "from harness.cli.main import main; main()"
    command = [sys.executable, "-c", start, "run", str(folder), "--out", str(tmp_path / "run"), "--quick"]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    recipe = open_run(tmp_path / "run").recipe("lora")
    assert "Tuned by 2 processes, each of which held a share of the model (FSDP)." in recipe.notes
    assert "2 processes" in "".join(p.read_text() for p in (tmp_path / "run").glob("report.md"))
