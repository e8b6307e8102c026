"""Seconds and memory of tuning an adapter by one process, and by two that hold the model in shares.

Usage: python -m tests.bench.sharded [SCENARIO] [ROWS] [--recompute]. Memory is a process's anonymous
memory (mapped files, which the system may drop, are left out; Linux only), the largest of looks 20 ms apart.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

DEV = 8


def tuned(processes, scenario, rows, recompute):
    """One tuning, in this process or by others; prints what came of it."""
    from harness.models.local import load_model
    from harness.scenario_file.read import read_scenario
    from harness.tuning.examples import TrainingText
    from harness.tuning.lora import TuningSettings, tune
    from harness.tuning.processes import tune_together

    cases = read_scenario(Path(scenario)).train[: rows + DEV]
    texts = [TrainingText(f"<|im_start|>user\n{c.input}<|im_end|>\n<|im_start|>assistant\n", c.output) for c in cases]
    settings = TuningSettings(learning_rates=(5e-4,), epochs=2, rows=8, processes=processes, recompute=recompute)
    loaded = load_model()
    print("loaded", flush=True)
    with tempfile.TemporaryDirectory() as out:
        how = tune if processes == 1 else tune_together
        start = time.perf_counter()
        made = how(loaded, texts[DEV:], dev=texts[:DEV], settings=settings, out=Path(out) / "a")
        whole = time.perf_counter() - start
    print(json.dumps({"losses": made.dev_losses, "seconds": made.seconds, "whole": whole}), flush=True)


def anonymous(pid):
    """KiB; nothing of a process that has just ended."""
    try:
        said = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"RssAnon:\s+(\d+)", said)
    return int(found[1]) if found else 0


def measured(processes, *rest):
    """Its result, and the largest memory of the process and of each worker, MiB."""
    command = [sys.executable, "-m", "tests.bench.sharded", "--one", str(processes), *rest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        own, peaks = psutil.Process(child.pid), {}
        while child.poll() is None:
            for process in (own, *own.children()):
                peaks[process.pid] = max(peaks.get(process.pid, 0), anonymous(process.pid))
            time.sleep(0.02)
        result = json.loads(child.stdout.read().splitlines()[-1])
    first, *workers = (round(peak / 1024) for peak in peaks.values())
    return {"processes": processes, "command": first, "workers": workers, **result}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        count, place, number, *more = sys.argv[2:]
        tuned(int(count), place, int(number), bool(more))
    else:
        chosen = [a for a in sys.argv[1:] if not a.startswith("--")]
        scenario_and_rows = [*chosen, *("scenarios/claims-intake", "24")[len(chosen) :]]
        flags = [a for a in sys.argv[1:] if a.startswith("--")]
        for count in (1, 2):
            print(json.dumps(measured(count, *scenario_and_rows, *flags)), flush=True)
