"""Whether a sweep that loses a machine half way is the local engine's: python -m tests.bench.ray_lost_node

    [--scenarios claims-intake,customer-name,harbour-handbook] [--cases 8] [--train 12] [--seeds 3] [--model PATH]

The scenarios of this repository, cut to a few cases, `quick`, with every arm that `bakeoff run` takes by itself and
three training seeds, on the bundled model. First the local engine runs them; then a cluster of two of Ray's own nodes
on this machine does, one worker of one thread each, and one node is taken away without warning when half of all
answers have come. Compared are texts, errors and passages of every answer (further seeds too), what every arm settled
on dev, adapters to the bit, scores of every case, and verdicts, all but what is measured in seconds. Exit code 1:
something differs, or no node was taken away.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("claims-intake", "customer-name", "harbour-handbook")
UNLIKE = ("train_seconds", "checksum")
"""Of a recipe: what is measured in seconds."""


@dataclass(frozen=True)
class Asked:
    """What is run."""

    scenarios: tuple[str, ...] = NAMES
    cases: int = 8
    train: int = 12
    seeds: int = 3
    model: str | None = None


@dataclass
class Killer:
    """A watcher that takes a machine away once half of all answers have come."""

    kill: Callable[[], object]
    notes: list[str] = field(default_factory=list)
    at: str = ""
    """When the machine was taken away: answers that had come, of how many."""
    began: float = 0.0
    seconds: float = 0.0
    """Of the cluster's part."""

    def stage(self, name: str, detail: str = "") -> None:
        if name == "cluster":
            self.began = time.perf_counter()
        elif self.began and not self.seconds:
            self.seconds = time.perf_counter() - self.began

    def progress(self, done: int, total: int, *, score: float | None = None) -> None:
        if self.began and not self.seconds and not self.at and 0 < total <= 2 * done:
            self.at = f"{done} of {total}"
            self.kill()

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Compared:
    """A scenario's two runs beside each other."""

    name: str
    arms: int
    adapters: int
    answers: int
    texts: str
    differs: tuple[str, ...]
    """What is not the same."""


@dataclass(frozen=True)
class Found:
    """What came of it."""

    rows: tuple[Compared, ...]
    local: float
    there: float
    cluster: float
    """Seconds of all, and of the cluster's part."""
    at: str
    notes: tuple[str, ...]


def main() -> int:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(NAMES))
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--train", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model")
    parser.add_argument("--keep", type=Path, help="put the runs here, to look at them later")
    said = parser.parse_args()
    asked = Asked(tuple(said.scenarios.split(",")), said.cases, said.train, said.seeds, said.model)
    with tempfile.TemporaryDirectory() as place:
        found = both(said.keep or Path(place), asked)
    print(f"{'scenario':18s} {'arms':>4s} {'adapters':>8s} {'answers':>7s} {'the same':>9s}  what differs")
    for row in found.rows:
        differs = ", ".join(row.differs) or "nothing"
        print(f"{row.name:18s} {row.arms:4d} {row.adapters:8d} {row.answers:7d} {row.texts:>9s}  {differs}")
    print(f"local engine {found.local:.0f} s; cluster {found.there:.0f} s, of which {found.cluster:.0f} s on two nodes")
    print(f"a node was taken away after {found.at} answers; load average {os.getloadavg()[0]:.1f}")
    for note in found.notes:
        print(f"  said: {note}")
    return 1 if any(row.differs for row in found.rows) or not found.at else 0


def both(place: Path, asked: Asked) -> Found:
    """Run the scenarios with both engines, each with a cache of its own."""
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ.setdefault("RAY_worker_niceness", "0")  # as the local engine, beside other work
    os.environ |= {"BAKEOFF_DATA_DIR": str(place / "data"), "TOKENIZERS_PARALLELISM": "false"}
    models = _models()
    _own_cache(place / "cache-local", models)
    start = time.perf_counter()
    _run(place / "local", asked)
    local = time.perf_counter() - start
    _own_cache(place / "cache-there", models)
    start = time.perf_counter()
    killer = _on_two_nodes(place / "there", asked)
    there = time.perf_counter() - start
    rows = tuple(compared(name, place / "local" / name, place / "there" / name) for name in asked.scenarios)
    return Found(rows, local, there, killer.seconds, killer.at, tuple(killer.notes))


def _models() -> Path:
    """The unpacked models, which are large and never change."""
    from harness.models.bundled import cache_folder

    return (cache_folder() / "models").resolve()


def _own_cache(folder: Path, models: Path) -> None:
    folder.mkdir(parents=True)
    models.mkdir(parents=True, exist_ok=True)
    (folder / "models").symlink_to(models, target_is_directory=True)
    os.environ["BAKEOFF_CACHE"] = str(folder)


def _run(place: Path, asked: Asked, **how: Any) -> None:
    from harness import api

    wish = api.Overrides(model=asked.model, eval_limit=asked.cases, train_limit=asked.train, seeds=asked.seeds)
    options = api.RunOptions(out=place, quick=True, overrides=wish, use_cache=False, remember=False)
    # Also a single scenario goes into a folder of its own.
    made = [
        api.prepare_many([ROOT / "scenarios" / name], options=replace(options, out=place / name))
        for name in asked.scenarios
    ]
    for one in api.run_many([_good(one) for (one,) in made], **how):
        _good(one)


def _good(one: Any) -> Any:
    if isinstance(one, Exception):
        raise one
    return one


def _on_two_nodes(place: Path, asked: Asked) -> Killer:
    import ray
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = nodes.add_node(num_cpus=1)
    killer = Killer(lambda: nodes.remove_node(second, allow_graceful=False))
    try:
        _run(place, asked, engine="ray", address=nodes.address, watcher=killer)
    finally:
        ray.shutdown()
        nodes.shutdown()
    return killer


def compared(name: str, local: Path, there: Path) -> Compared:
    """What the two runs of a scenario have in common."""
    ours, theirs = answers(local), answers(there)
    same = sum(ours[one] == theirs.get(one) for one in ours)
    parts = {
        "answers": (ours, theirs),
        "texts of passages": (_passages(local), _passages(there)),
        "what arms settled": (settled(local), settled(there)),
        "scores of cases": (_scores(local), _scores(there)),
        **{f"verdict: {key}": pair for key, pair in _verdicts(local, there).items()},
    }
    recipes = settled(local)
    return Compared(
        name,
        arms=len({arm for _, arm, _ in ours}),
        adapters=sum(bool(one["adapter_digest"]) for one in recipes.values()),
        answers=len(ours),
        texts=f"{same}/{len(ours)}",
        differs=tuple(key for key, (one, other) in parts.items() if one != other),
    )


def _rows(folder: Path, file: str) -> list[tuple[str, dict[str, Any]]]:
    """Rows of this file in the main run and in every further seed's folder, with the place."""
    return [
        (path.parent.relative_to(folder).as_posix(), json.loads(line))
        for path in sorted(folder.rglob(file))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def answers(folder: Path) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """(place, arm, case) -> all that follows from the prompt."""
    kept = ("text", "error", "passages", "tokens_in", "tokens_out", "finish", "key")
    rows = _rows(folder, "predictions.jsonl")
    found = {(place, row["arm"], row["case_id"]): tuple(row.get(one) for one in kept) for place, row in rows}
    if len(found) != len(rows):
        raise RuntimeError(f"{folder}: {len(rows) - len(found)} answers were made twice")
    return found


def _passages(folder: Path) -> set[str]:
    return {json.dumps([place, row], sort_keys=True) for place, row in _rows(folder, "passages.jsonl")}


def settled(folder: Path) -> dict[str, dict[str, Any]]:
    """Every arm's recipe, its time taken out."""
    files = [file for file in sorted(folder.rglob("*.json")) if file.parent.name == "recipes"]
    found = {file.relative_to(folder).as_posix(): json.loads(file.read_bytes()) for file in files}
    return {key: {name: one[name] for name in one if name not in UNLIKE} for key, one in found.items()}


def _scores(folder: Path) -> Sequence[Any]:
    from harness import api

    data = api.report_data(folder)
    return sorted(map(repr, (*data.scores, *data.case_scores)))


def _verdicts(local: Path, there: Path) -> dict[str, tuple[Any, Any]]:
    """Field by field; of several criteria what follows from the answers."""
    one, other = (json.loads((folder / "verdict.json").read_bytes()) for folder in (local, there))
    for verdict in (one, other):
        verdict["standing"] = _without_seconds(verdict.get("standing"))
    return {key: (one.get(key), other.get(key)) for key in {**one, **other} if key != "checksum"}


def _without_seconds(standing: dict[str, Any] | None) -> list[Any] | None:
    """What is weighed; totals have seconds in them, which differ between any two runs."""
    if standing is None:
        return None
    values = [value for value in standing["values"] if value["criterion"] != "latency"]
    return [standing["weights"], standing["unmeasured"], values]


if __name__ == "__main__":
    sys.exit(main())
