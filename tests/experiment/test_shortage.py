"""A full disk or too little memory while an arm is prepared ends the run with a sentence; the same command goes on."""

import errno
import os
from dataclasses import dataclass

import pytest
from fakes import FakeEngine, fake_run

from harness.errors import RunStopped, shortage
from harness.scenario_file.read import Overrides

ARMS = Overrides(arms=("prompt", "lora"), seeds=2)


class FromALibrary(Exception):
    """Says what the system said, in its own words."""


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SHORT = {
    "disk": (FULL, "The disk is full (while the arm lora was prepared). Make room"),
    "library": (FromALibrary("I/O error: No space left on device (os error 28)"), "The disk is full"),
    "memory": (MemoryError(), "There was not enough memory (while the arm lora was prepared)"),
    "torch": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "There was not enough memory"),
    "gpu": (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "There was not enough memory"),
}


@dataclass
class Short(FakeEngine):
    """Tuning with these seeds raises."""

    error: Exception = FULL
    seeds: tuple[int, ...] = (0,)

    def tuner(self, folder, **named):
        made = super().tuner(folder, **named)

        def fails(*given, **options):
            raise self.error

        return fails if named["seed"] in self.seeds else made


@pytest.mark.parametrize("name", SHORT)
def test_it_ends_the_run_which_goes_on_later(scenario, out, name):
    error, said = SHORT[name]
    with pytest.raises(RunStopped) as stopped:
        fake_run(scenario, out, quick=True, overrides=ARMS, engine=Short(error=error))
    assert str(stopped.value).startswith(said)
    assert str(stopped.value).endswith("what is done is kept, and the same command goes on.")
    assert not (out / "verdict.json").exists()
    finished = fake_run(scenario, out, quick=True, overrides=ARMS)
    assert finished.folder.left_out() == ()


def test_in_an_experiment_too(scenario, out):
    with pytest.raises(RunStopped, match="while lora was prepared for an experiment"):
        fake_run(scenario, out, overrides=ARMS, engine=Short(seeds=(1,)))
    assert fake_run(scenario, out, overrides=ARMS).folder.left_out() == ()


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), RuntimeError("a bug"), ValueError()])
def test_any_other_failure_costs_only_the_arm(scenario, out, error):
    assert shortage(error) == ""
    finished = fake_run(scenario, out, quick=True, overrides=ARMS, engine=Short(error=error))
    assert [left.arm for left in finished.folder.left_out()] == ["lora"]
