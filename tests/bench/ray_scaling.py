"""How a sweep scales over Ray workers: python -m tests.bench.ray_scaling [--cases 40] [--train 60] [--json FILE]

Measured: the three scenarios of this repository, cut to a few cases, on the bundled model, filled by one and by two
workers of one thread on this machine (in one call, in the order 1, 2, 2, 1; the better time of each counts, for other
work on the machine), and once by the local engine, whose answers must be the same.

Simulated: the tasks recorded with one worker, as if the sweep were so many times as large, by discrete events for any
number of workers: the most urgent task first to whoever is free, as the engine does; loading the weights before a
worker's first task; one driver that takes each result in turn. Not simulated: the network, and cores or disks shared
by workers of one machine.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

ARMS = ("prompt", "nearest_shots", "rag", "lora")
WORKERS = (1, 2, 8, 64, 512)
LOAD = """
import time
start = time.perf_counter()
from harness.engines.local import LocalEngine
LocalEngine().model
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Task:
    """One recorded task: which run, what, and how long; `here`: seconds of the driver."""

    run: int
    what: str
    seconds: float
    here: float


def main() -> None:
    """Measure, then simulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--train", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--times", type=int, default=64, help="so many times the sweep is simulated (default 64)")
    parser.add_argument("--json", type=Path, help="keep the recorded tasks here; where it is there already, read it")
    args = parser.parse_args()
    if args.json and args.json.exists():
        found = json.loads(args.json.read_text())
    else:
        found = _measured(args)
        if args.json:
            args.json.write_text(json.dumps(found, indent=1))
    best = {workers: min(walls) for workers, walls in found["wall"].items()}
    for workers, walls in found["wall"].items():
        both = " and ".join(f"{wall:.1f}" for wall in walls)
        print(
            f"measured, {workers} worker(s): {both} s, {best['1'] / best[workers]:.2f} times as fast as one (the best)"
        )
    print(f"local engine: {found['local']:.1f} s; the same answers: {found['same']}; load average {found['load']}")
    tasks = [Task(**one) for one in found["tasks"]]
    print(f"weights and libraries load in {found['loading']:.1f} s; {len(tasks)} tasks recorded, x {args.times}")
    print(f"{'workers':>8s} {'seconds':>9s} {'speed-up':>9s} {'busy':>6s}  longest chain {_chain(tasks):.1f} s")
    first = None
    for workers in WORKERS:
        wall, busy, driver = simulated(tasks, workers=workers, times=args.times, loading=found["loading"])
        first = first or wall
        print(f"{workers:8,d} {wall:9.1f} {first / wall:9.1f} {busy:6.0%}  driver busy {driver / wall:.1%}")


def simulated(tasks: list[Task], *, workers: int, times: int, loading: float) -> tuple[float, float, float]:
    """(wall seconds, share of the workers' time in tasks, seconds of the driver)."""
    waiting: list[tuple[int, int, Task, int]] = []
    order = 0

    def put(some: list[Task], copy: int) -> None:
        nonlocal order
        for task in some:
            heapq.heappush(waiting, (-_urgency(task), order, task, copy))
            order += 1

    for copy in range(times):
        put([task for task in tasks if task.what.startswith("settle")], copy)
    left: dict[tuple[int, int, str], int] = defaultdict(int)
    free = [(0.0, number) for number in range(workers)]
    running: list[tuple[float, int, int, Task, int]] = []
    loaded: set[int] = set()
    now = driver_free = driver = busy = 0.0
    while waiting or running:
        while waiting and free and free[0][0] <= now:
            _, worker = heapq.heappop(free)
            _, number, task, copy = heapq.heappop(waiting)
            ends = now + task.seconds + (0.0 if worker in loaded else loading)
            loaded.add(worker)
            busy += task.seconds
            heapq.heappush(running, (ends, number, worker, task, copy))
        ends, _, worker, task, copy = heapq.heappop(running)
        # The driver takes results in turn; the worker's next task is sent after its result was taken.
        driver_free = max(driver_free, ends) + task.here
        driver += task.here
        now = driver_free
        heapq.heappush(free, (now, worker))
        put(_after(task, tasks, left, copy), copy)
    return now, busy / (workers * now), driver


def _after(task: Task, tasks: list[Task], left: dict, copy: int) -> list[Task]:
    """What a result makes possible: all preparing after settling, an arm's answering after its preparing."""
    word, _, which = task.what.partition(" ")
    same = [one for one in tasks if one.run == task.run]
    if word == "settle":
        return [one for one in same if one.what.startswith("prepare")]
    return [one for one in same if one.what == f"answer {which}"] if word == "prepare" else []


def _urgency(task: Task) -> int:
    from harness.experiment.cluster_runs import ANSWER, PREPARE, SETTLE, TUNE

    word, _, which = task.what.partition(" ")
    return {"settle": SETTLE, "answer": ANSWER}.get(word, TUNE if "lora" in which else PREPARE)


def _chain(tasks: list[Task]) -> float:
    """The longest settle, prepare, answer of any run: no number of workers is faster."""
    longest = 0.0
    for settle in (task for task in tasks if task.what.startswith("settle")):
        for prepare in _after(settle, tasks, {}, 0):
            shares = [one.seconds for one in _after(prepare, tasks, {}, 0)]
            longest = max(longest, settle.seconds + prepare.seconds + max(shares, default=0.0))
    return longest


def _measured(args: argparse.Namespace) -> dict:
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    loading = float(subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as place:
        walls, answers, tasks = {"1": [], "2": []}, [], []
        for turn, workers in enumerate((1, 2, 2, 1)):
            out = Path(place) / str(turn)
            wall, made = _filled(out, args, workers=workers)
            walls[str(workers)].append(wall)
            answers.append(_answers(out))
            tasks = _tasks(made, loading=loading) if workers == 1 and wall == min(walls["1"]) else tasks
        start = time.perf_counter()
        _local(Path(place) / "local", args)
        local = time.perf_counter() - start
        expected = _answers(Path(place) / "local")
        same = all(one == expected for one in answers)
    return {
        "wall": walls,
        "local": local,
        "same": same,
        "load": [round(one, 1) for one in os.getloadavg()],
        "loading": loading,
        "tasks": [asdict(task) for task in tasks],
    }


def _asked(place: Path, args: argparse.Namespace) -> list:
    from harness import api

    root = Path(__file__).resolve().parents[2] / "scenarios"
    wish = api.Overrides(arms=ARMS, eval_limit=args.cases, train_limit=args.train, seeds=args.seeds)
    options = api.RunOptions(out=place, quick=True, overrides=wish, use_cache=False, remember=False)
    found = api.prepare_many(sorted(path for path in root.iterdir() if path.is_dir()), options=options)
    return [one for one in found if not isinstance(one, Exception)]


def _filled(place: Path, args: argparse.Namespace, *, workers: int) -> tuple[float, list]:
    """Seconds of the cluster's part, its workers started and not yet loaded, and what each task took."""
    import contextlib

    import ray

    from harness.engines.ray_cluster import cluster
    from harness.experiment.cluster_runs import _fill, _Filling
    from harness.experiment.options import Silent
    from harness.experiment.run import opened

    asked = _asked(place, args)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with contextlib.ExitStack() as held:
        fillings = [
            _Filling(one, held.enter_context(opened(one.ready, options=one.options, watcher=Silent()))) for one in asked
        ]
        with cluster(None) as there:
            start = time.perf_counter()
            _fill(fillings, there, Silent())
            wall = time.perf_counter() - start
    ray.shutdown()
    return wall, [(fillings, took) for took in there.took]


def _tasks(made: list, *, loading: float) -> list[Task]:
    """The recorded tasks; loading, which the first one of a worker had in it, is taken out."""
    seen: set[int] = set()
    tasks = []
    for _, took in made:
        seconds = took.seconds if took.worker in seen else max(0.0, took.seconds - loading)
        seen.add(took.worker)
        run, _, what = took.name.partition(": ")
        tasks.append((run, what, seconds, took.here))
    names = list(dict.fromkeys(run for run, *_ in tasks))
    return [Task(names.index(run), *rest) for run, *rest in tasks]


def _local(place: Path, args: argparse.Namespace) -> None:
    from harness import api

    for one in api.run_many(_asked(place, args)):
        if isinstance(one, Exception):
            raise one


def _answers(place: Path) -> dict:
    found = {}
    for file in place.rglob("predictions.jsonl"):
        for row in map(json.loads, file.read_text().splitlines()):
            found[str(file.parent.relative_to(place)), row["arm"], row["case_id"]] = row["text"], row["error"]
    return found


if __name__ == "__main__":
    main()
