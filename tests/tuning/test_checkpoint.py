"""An interrupted tuning goes on from its last checkpoint, and ends with the weights of an undisturbed one."""

import errno
import os
import random
import shutil
import signal
from dataclasses import replace

import pytest
from tiny_llama import load_tiny_llama, save_tiny_llama

from harness.tuning import checkpoint
from harness.tuning.checkpoint import FOLDER, NO_ROOM, NOT_USED, Checkpoints, Reached
from harness.tuning.examples import TrainingText
from harness.tuning.full import tune_all_weights
from harness.tuning.lora import WEIGHTS_FILE, TuningSettings, tune

pytestmark = pytest.mark.model

SETTINGS = TuningSettings(rank=2, alpha=4, learning_rates=(5e-3, 2e-3), epochs=3, rows=4, trial_steps=2)
TRAIN = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(14)]
DEV = [TrainingText(f"<|user|>thing {k}<|assistant|>", "red" if k % 2 else "blue") for k in range(20, 25)]
STEPS = 2 * 2 + 3 * 4
"""Of the optimizer: two trials of two steps, three passes of four."""
KINDS = {"lora": (tune, SETTINGS), "full": (tune_all_weights, replace(SETTINGS, full=True))}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_tiny_llama(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    """A checkpoint after each step, whatever it costs."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


class Interrupted(Exception):
    """Stands for whatever ends a tuning."""


@pytest.fixture
def interrupt(monkeypatch):
    """Makes the n-th optimizer step from now on the last."""
    from harness.tuning.lora import Trainer

    plain = Trainer.update

    def after(steps, how=lambda: None):
        left = [steps]

        def update(self, optimizer):
            if not left[0]:
                how()
                raise Interrupted
            left[0] -= 1
            plain(self, optimizer)

        monkeypatch.setattr(Trainer, "update", update)

    return after


def tuned(tiny, out, *, kind="lora", key="k", dev=DEV, **changes):
    train, settings = KINDS[kind]
    return train(tiny, TRAIN, dev=dev, settings=replace(settings, **changes), out=out, key=key)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Undisturbed tunings without checkpoints."""
    return {kind: tuned(tiny, tmp_path_factory.mktemp(kind), kind=kind, key="") for kind in KINDS}


def same(found, expected):
    """All of the result that does not depend on time or place."""
    told = ("digest", "learning_rate", "epochs", "dev_losses", "trials", "tokens")
    return [getattr(found, name) for name in told] == [getattr(expected, name) for name in told]


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_after_any_number_of_steps_it_ends_with_the_same_weights(tiny, whole, tmp_path, interrupt, kind):
    assert len(whole[kind].trials) == 2
    for done in range(0, STEPS, 1 if kind == "lora" else 3):
        out = tmp_path / str(done)
        interrupt(done)
        with pytest.raises(Interrupted):
            tuned(tiny, out, kind=kind)
        left = STEPS - done
        interrupt(left)  # not one step is made twice
        assert same(tuned(tiny, out, kind=kind), whole[kind]), f"after {done} steps"
        assert not (out / FOLDER).exists()


def test_interrupted_again_and_again_it_ends_with_the_same_weights(tiny, whole, tmp_path, interrupt):
    rng, made = random.Random(3), None
    while made is None:
        interrupt(rng.randint(1, 4))
        try:
            made = tuned(tiny, tmp_path)
        except Interrupted:
            assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert same(made, whole["lora"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_a_random_step_it_ends_with_the_same_weights(tiny, tmp_path, interrupt):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked child has none of the parent's others
    try:
        expected = tuned(tiny, tmp_path / "whole", key="")
        for seed in range(3):
            interrupt(random.Random(seed).randrange(1, STEPS), how=lambda: os.kill(os.getpid(), signal.SIGKILL))
            child = os.fork()
            if not child:
                tuned(tiny, tmp_path / str(seed))
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
            assert (tmp_path / str(seed) / FOLDER).is_dir()
            interrupt(STEPS)
            assert same(tuned(tiny, tmp_path / str(seed)), expected)
    finally:
        torch.set_num_threads(threads)


def test_without_dev_rows_it_goes_on_too(tiny, tmp_path, interrupt):
    expected = tuned(tiny, tmp_path / "whole", key="", dev=())
    interrupt(7)
    with pytest.raises(Interrupted):
        tuned(tiny, tmp_path / "a", dev=())
    interrupt(12 - 7)
    assert same(tuned(tiny, tmp_path / "a", dev=()), expected)


def cut(file):
    file.write_bytes(file.read_bytes()[:-9])


def flipped(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "key"), [(cut, "k"), (flipped, "k"), (lambda file: file.write_bytes(b""), "k"), (None, "other")]
)
def test_a_damaged_or_foreign_checkpoint_is_not_used_and_that_is_noted(tiny, whole, tmp_path, interrupt, damage, key):
    interrupt(9)
    with pytest.raises(Interrupted):
        tuned(tiny, tmp_path)
    if damage:
        (file,) = (tmp_path / FOLDER).iterdir()
        damage(file)
    interrupt(STEPS)  # all of them again
    made = tuned(tiny, tmp_path, key=key)
    assert same(made, whole["lora"])
    assert made.notes == (NOT_USED,)


def test_of_two_whole_ones_the_later_is_taken(tmp_path):
    import torch

    kept = Checkpoints(tmp_path, "k")
    for step in (1, 2):
        kept.write(Reached(step=step), lambda: {"a": torch.ones(3)})
        (file,) = kept.folder.iterdir()
        shutil.copy(file, tmp_path / file.name)
    for file in tmp_path.glob("*.safetensors"):
        shutil.copy(file, kept.folder / file.name)
    assert len(list(kept.folder.iterdir())) == 2
    assert Checkpoints(tmp_path, "k").read().reached.step == 2


def test_a_full_disk_costs_the_checkpoints_not_the_tuning(tiny, whole, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    made = tuned(tiny, tmp_path)
    assert same(made, whole["lora"])
    assert made.notes == (NO_ROOM,)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == []


def test_a_disk_with_little_room_left_is_left_alone(tmp_path, monkeypatch):
    import torch

    kept = Checkpoints(tmp_path, "k")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 79))
    kept.write(Reached(), lambda: {"a": torch.ones(10)})
    assert kept.notes == [NO_ROOM]
    assert not list(kept.folder.iterdir())


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint, "EVERY", 60.0)
    monkeypatch.setattr(checkpoint, "SHARE", 0.02)
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now[0])
    kept = Checkpoints(tmp_path, "k")

    def slow():
        now[0] += 3.0
        return {}

    assert (kept.due(at_end=False), kept.due(at_end=True)) == (False, True)
    kept.write(Reached(), slow)
    assert kept.writing == 3.0
    for seconds, is_due in ((149.0, False), (151.0, True)):
        now[0] = 3.0 + seconds
        assert kept.due(at_end=True) is is_due
        assert kept.due(at_end=False) is is_due


def test_a_disk_that_is_full_when_the_adapter_is_saved_keeps_the_checkpoint(tiny, whole, tmp_path, monkeypatch):
    from harness.tuning.lora import Trainer

    def full(self, out):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save", full)
        with pytest.raises(OSError, match="No space left"):
            tuned(tiny, tmp_path)
    assert (tmp_path / FOLDER).is_dir()
    monkeypatch.setattr(Trainer, "update", lambda *_: pytest.fail("no step is left"))
    assert same(tuned(tiny, tmp_path), whole["lora"])
    assert (tmp_path / WEIGHTS_FILE).is_file()
