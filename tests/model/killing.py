"""Run a bake-off undisturbed, then kill runs of it at random moments and continue each until it is done.

A script of its own, because the children are forked: the libraries are imported once, and nothing is computed before.
Usage: killing.py SCENARIO OUT KILLS. Prints JSON: seconds of the undisturbed run, and how each attempt ended.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path


def import_everything():
    """What a run would import on its way, without computing anything."""
    import faiss  # noqa: F401
    import peft  # noqa: F401
    import sentence_transformers  # noqa: F401
    import sklearn.cluster  # noqa: F401
    import statsmodels.stats.multitest  # noqa: F401
    import torch
    import transformers.models.llama.modeling_llama  # noqa: F401

    import harness.experiment.run  # noqa: F401

    torch.set_num_threads(1)


def attempt(scenario: Path, out: Path) -> None:
    """One `bakeoff run`, the same every time. Never returns."""
    from harness.experiment.options import RunOptions
    from harness.experiment.run import run

    try:
        run(scenario, options=RunOptions(out=out, quick=True, use_cache=False))
    except BaseException as error:  # noqa: BLE001 - the child must not unwind into the parent's code
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def forked(scenario: Path, out: Path) -> int:
    child = os.fork()
    if child == 0:
        attempt(scenario, out)
    return child


def ended(child: int) -> int:
    """How it ended: 0, 1, or -9."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(child: int, seconds: float) -> int:
    """Kill -9 after so many seconds, unless it has ended by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return ended(child)


def main() -> None:
    scenario, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    import_everything()
    took, codes = [], []
    for name in ("warm", "whole"):  # the first fills the cache of vectors
        start = time.monotonic()
        codes.append(ended(forked(scenario, out / name)))
        took.append(time.monotonic() - start)
    seconds = min(took)
    rng = random.Random(20)
    ends, run, left = [], 0, kills
    while left:  # a run that survives its kills is finished, and another one is begun
        run += 1
        code = -9
        while code == -9:
            patience = rng.uniform(0, seconds) if left else 3600.0
            code = killed_after(forked(scenario, out / f"killed{run}"), patience)
            left -= code == -9
            ends.append((run, round(patience, 3), code))
    print(json.dumps({"seconds": seconds, "undisturbed": max(codes), "runs": run, "ends": ends}))


if __name__ == "__main__":
    main()
