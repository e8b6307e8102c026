"""The bake-off against the libraries people wire up today, on one cut of one data folder:

    python tests/bench/peers.py DATA --peer PEER_PIPELINE [--eval-limit N] [--train-limit N] [--epochs E] [--json OUT]

PEER_PIPELINE is a script that does the same work with lm-evaluation-harness, TRL, sentence-transformers and FAISS; it
is run with `--peer-python` (default: this Python), which must have them. Both get the same rows, instruction, arms,
epochs, rank 16, longest answer and passages; both run alone, one after the other, with nothing in a cache except
the unpacked weights.

ratio_total    the peer's whole command divided by ours, imports included (with --peer-result: its stages, added up)
ratio_tuning   the peer's training stages divided by ours
memory_ratio   our peak resident memory divided by theirs
scores         exact match of both per arm, and the 95 % interval of ours minus theirs over the same cases
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = {"prompt": "prompt", "fewshot": "few_shot", "rag": "rag", "lora": "lora", "rag_lora": "rag_lora"}
"""The peer's name of an arm -> ours."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What both are given."""

    data: Path
    arms: tuple[str, ...]
    """The peer's names."""
    instruction: str
    eval_limit: int | None
    train_limit: int | None
    epochs: int
    passages: int
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two took."""

    total: float
    """Seconds."""
    stages: dict[str, float]
    memory_mb: float
    right: dict[str, list[bool]]
    """Exact match by our arm name, case by case."""


def main() -> None:
    """Run both and print the table."""
    args = _arguments()
    cut = _cut(args)
    with tempfile.TemporaryDirectory(prefix="peers-") as work:
        folder = Path(work)
        print(f"{cut.data.name}: arms {', '.join(cut.arms)}; instruction of {len(cut.instruction)} characters")
        ours = run_ours(cut, folder)
        print(f"ours: {ours.total:.1f} s, {ours.memory_mb:,.0f} MiB")
        theirs = read_peer(args.peer_result, cut) if args.peer_result else run_peer(cut, args, folder)
        print(f"peer: {theirs.total:.1f} s, {theirs.memory_mb:,.0f} MiB")
    found = compared(cut, ours, theirs)
    if args.rates:
        from rates import measured_rates

        found["rates"] = measured_rates()
    _show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with eval.jsonl, train.jsonl, perhaps corpus.jsonl")
    parser.add_argument("--peer", type=Path, help="the peer's script")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the peer's libraries")
    parser.add_argument("--peer-result", type=Path, help="the peer's JSON of an earlier run on this machine instead")
    parser.add_argument("--arms", help="the peer's arm names (default: all that the data allow)")
    parser.add_argument("--instruction", help="default: the task's own, and the labels where there are labels")
    parser.add_argument("--eval-limit", type=int)
    parser.add_argument("--train-limit", type=int)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--passages", type=int, default=2)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--no-rates", dest="rates", action="store_false", help="leave tokens per second out")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    args = parser.parse_args()
    if not args.peer and not args.peer_result:
        parser.error("name the peer's script (--peer) or its result (--peer-result)")
    return args


def _rows(path: Path, limit: int | None = None) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()][:limit]


def _cut(args: argparse.Namespace) -> Cut:
    data = args.data.resolve()
    documents = (data / "corpus.jsonl").exists()
    arms = args.arms or ("prompt,fewshot,rag,lora,rag_lora" if documents else "prompt,fewshot,lora")
    return Cut(
        data=data,
        arms=tuple(arms.split(",")),
        instruction=args.instruction or _instruction(data),
        eval_limit=args.eval_limit,
        train_limit=args.train_limit,
        epochs=args.epochs,
        passages=args.passages,
        max_new_tokens=args.max_new_tokens,
    )


def _instruction(data: Path) -> str:
    task = json.loads((data / "task.json").read_text(encoding="utf-8")) if (data / "task.json").exists() else {}
    said = task.get("instruction") or "Answer with the expected output only."
    labels = task.get("labels")
    return f"{said} Labels: {', '.join(labels)}. Answer with the label only." if labels else said


def run_ours(cut: Cut, work: Path) -> Side:
    """`bakeoff run` on the cut, as a user types it."""
    scenario, out = work / "scenario", work / "run"
    scenario.mkdir()
    for name, limit in (("eval.jsonl", cut.eval_limit), ("train.jsonl", cut.train_limit), ("corpus.jsonl", None)):
        if (cut.data / name).exists():
            lines = [json.dumps(row) for row in _rows(cut.data / name, limit)]
            (scenario / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = [f"max_new_tokens = {cut.max_new_tokens}", "[tuning]", f"epochs = {cut.epochs}", "rank = 16"]
    (scenario / "scenario.toml").write_text("\n".join(settings) + "\n", encoding="utf-8")
    arms = ",".join(NAMES[name] for name in cut.arms)
    command = [sys.executable, "-c", "from harness.cli.main import main; main()"]  # what `bakeoff` is
    command += ["run", str(scenario), "--out", str(out), "--quick"]
    command += ["--arms", arms, "--instruction", cut.instruction]
    seconds, memory = _timed(command, _environment(work), work / "ours.log")
    stages = {f"{u['arm']}.{u['stage']}": u["seconds"] for u in _rows(out / "usage.jsonl")}
    expected = {row["id"]: row["output"] for row in _rows(scenario / "eval.jsonl")}
    arms_seen = dict.fromkeys(row["arm"] for row in _rows(out / "predictions.jsonl"))
    return Side(seconds, stages, memory, {name: _in_order(out, name, expected) for name in arms_seen})


def _in_order(out: Path, arm: str, expected: dict[str, str]) -> list[bool]:
    texts = {row["case_id"]: row["text"] for row in _rows(out / "predictions.jsonl") if row["arm"] == arm}
    return [_same(texts.get(name, ""), output) for name, output in expected.items()]


def _environment(work: Path) -> dict[str, str]:
    """Nothing cached but the unpacked weights, which the peer is given too."""
    cache = work / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(model_folder().parent)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "BAKEOFF_CACHE": str(cache), "BAKEOFF_REMEMBER": "0", "PYTHONPATH": path}


def model_folder() -> Path:
    """The bundled language model as a plain folder (unpacked if need be)."""
    from harness.models import bundled
    from harness.models.local import unpacked_gguf

    gguf = bundled.require(bundled.LANGUAGE_MODEL)
    return unpacked_gguf(gguf, digest=bundled.LANGUAGE_MODEL.sha256)


def run_peer(cut: Cut, args: argparse.Namespace, work: Path) -> Side:
    """The peer's script on the cut."""
    from harness.models import bundled

    out = work / "peer.json"
    command = [args.peer_python, str(args.peer), str(cut.data), "--model", str(model_folder()), "--out", str(out)]
    command += ["--embedder", str(bundled.require(bundled.EMBEDDER).parent), "--arms", ",".join(cut.arms)]
    command += ["--epochs", str(cut.epochs), "--passages", str(cut.passages), "--instruction", cut.instruction]
    command += ["--max-new-tokens", str(cut.max_new_tokens)]
    for flag, limit in (("--eval-limit", cut.eval_limit), ("--train-limit", cut.train_limit)):
        command += [flag, str(limit)] if limit else []
    seconds, memory = _timed(command, dict(os.environ), work / "peer.log")
    return replace(read_peer(out, cut, memory_mb=memory), total=seconds)


def read_peer(path: Path, cut: Cut, *, memory_mb: float = 0.0) -> Side:
    """The peer's own JSON."""
    found = json.loads(path.read_text(encoding="utf-8"))
    expected = [row["output"] for row in _rows(cut.data / "eval.jsonl", cut.eval_limit)]
    right = {NAMES[a]: [_same(t, e) for t, e in zip(ts, expected, strict=True)] for a, ts in found["outputs"].items()}
    memory = memory_mb or found.get("peak_rss_gb", 0.0) * 1024
    return Side(found["total_seconds"], found["seconds"], memory, right)


def _same(text: str, expected: str) -> bool:
    return text.strip().lower() == expected.strip().lower()


def _timed(command: list[str], environment: dict[str, str], log: Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of a command; its output goes to a file that is shown where it fails."""
    start = time.perf_counter()
    with log.open("w") as stream:
        child = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{Path(command[0]).name} ended with {child.returncode}:\n{log.read_text()[-3000:]}")
    scale = 1024 if sys.platform == "linux" else 1024 * 1024
    return time.perf_counter() - start, used.ru_maxrss / scale


def compared(cut: Cut, ours: Side, theirs: Side) -> dict:
    """Everything that is reported."""
    train = sum(s for name, s in theirs.stages.items() if name.endswith(".train"))
    tuned = sum(s for name, s in ours.stages.items() if name in ("lora.prepare", "rag_lora.prepare"))
    return {
        "data": cut.data.name,
        "cases": len(next(iter(ours.right.values()))),
        "ours_seconds": round(ours.total, 1),
        "peer_seconds": round(theirs.total, 1),
        "ratio_total": round(theirs.total / ours.total, 2),
        "ratio_tuning": round(train / tuned, 2) if tuned and train else None,
        "memory_ratio": round(ours.memory_mb / theirs.memory_mb, 3) if theirs.memory_mb else None,
        "ours_memory_mb": round(ours.memory_mb),
        "peer_memory_mb": round(theirs.memory_mb),
        "ours_stages": {name: round(s, 1) for name, s in ours.stages.items()},
        "peer_stages": theirs.stages,
        "scores": {name: _score(ours.right[name], right) for name, right in theirs.right.items() if name in ours.right},
    }


def _score(ours: list[bool], theirs: list[bool]) -> dict:
    import numpy as np

    difference = np.array(ours, float) - np.array(theirs, float)
    draws = np.random.default_rng(0).choice(difference, (10_000, len(difference))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    means = {"ours": float(np.mean(ours)), "peer": float(np.mean(theirs))}
    interval = {"difference": float(difference.mean()), "low": float(low), "high": float(high)}
    return {k: round(v, 3) for k, v in (means | interval).items()} | {"not_worse": bool(high >= 0)}


def _show(found: dict) -> None:
    print(f"\n{'stage':28s} seconds")
    for side in ("peer", "ours"):
        for name, seconds in found[f"{side}_stages"].items():
            print(f"{side + ' ' + name:28s} {seconds:8.1f}")
    print(f"\n{'arm':12s} {'ours':>6s} {'peer':>6s}   95 % of the difference")
    for arm, s in found["scores"].items():
        print(f"{arm:12s} {s['ours']:6.2f} {s['peer']:6.2f}   {s['low']:+.2f} to {s['high']:+.2f}")
    for name in ("ratio_total", "ratio_tuning", "memory_ratio"):
        print(f"{name:14s} {found[name]}")
    for name, value in found.get("rates", {}).items():
        print(f"{name:44s} {value}")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]
    main()
