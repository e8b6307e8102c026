"""What memory does as eval cases and passages grow, on synthetic data: each stage at a tenth of the size and at it.

    python -m tests.bench.streaming [--rows 100000] [--passages 1000000] [--stages read-eval,bm25]

Every measurement is a process of its own. `above` is the peak over what the process held before the stage began; where
a stage streams, ten times the rows take the same. What is held on purpose (the eval cases, the passages' texts, one
vector a passage) is shown as bytes a row, so that its growth can be told from a leak.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

WORDS = [f"word{n}" for n in range(20_000)]
DIMENSION = 384
ARMS = ("dummy", "prompt", "rag")


def main() -> None:
    """Measure all stages, or run one of them (`--one`, in a process of its own)."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=100_000)
    asked.add_argument("--passages", type=int, default=1_000_000)
    asked.add_argument("--stages", default=",".join(STAGES))
    asked.add_argument("--one", nargs=2, metavar=("STAGE", "SIZE"))
    said = asked.parse_args()
    if said.one:
        print(json.dumps(measured(said.one[0], int(said.one[1]))))
        return
    print(f"{'stage':14} {'size':>10} {'seconds':>8} {'above MiB':>10} {'bytes a row':>12}")
    for name in said.stages.split(","):
        largest = said.rows if STAGES[name][1] == "rows" else said.passages
        for size in (largest // 10, largest):
            row = in_a_process(name, size)
            each = row["above"] * 2**20 / size
            print(f"{name:14} {size:10,} {row['seconds']:8.1f} {row['above']:10.0f} {each:12.0f}", flush=True)


def in_a_process(name: str, size: int) -> dict[str, float]:
    """One measurement, from a fresh process."""
    command = [sys.executable, "-m", "tests.bench.streaming", "--one", name, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(name: str, size: int) -> dict[str, float]:
    """Seconds of a stage and MiB of its peak above what was held before; making its data is no part of it."""
    with tempfile.TemporaryDirectory() as place:
        work = STAGES[name][0](Path(place), size)
        before = psutil.Process().memory_info().rss / 2**20
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "above": max(0.0, peak - before)}


Work = Callable[[], object]


def text(chosen: random.Random, words: int) -> str:
    """So many words."""
    return " ".join(chosen.choices(WORDS, k=words))


def rows(size: int) -> Iterator[bytes]:
    """Eval rows of 20 words."""
    chosen = random.Random(0)
    for n in range(size):
        yield json.dumps({"id": f"e{n}", "input": text(chosen, 20), "output": text(chosen, 2)}).encode() + b"\n"


def write_lines(path: Path, lines: Iterator[bytes]) -> None:
    """Write line by line."""
    with path.open("wb") as stream:
        stream.writelines(lines)


def read_eval(place: Path, size: int) -> Work:
    """Reading `eval.jsonl` and settling what was not said."""
    from harness.scenario_file.read import read_scenario

    write_lines(place / "eval.jsonl", rows(size))
    (place / "scenario.toml").write_text('kind = "short_answer"\ninstruction = "Answer."\n')
    return lambda: read_scenario(place)


def read_corpus(place: Path, size: int) -> Work:
    """Reading `corpus.jsonl`, rows of 20 words."""
    from harness.documents import read_documents

    chosen = random.Random(0)
    lines = (json.dumps({"id": f"d{n}", "text": text(chosen, 20)}).encode() + b"\n" for n in range(size))
    write_lines(place / "corpus.jsonl", lines)
    return lambda: read_documents(place)


def bm25(place: Path, size: int) -> Work:
    """Indexing passages of 20 words and 100 searches."""
    from harness.retrieval.lexical import build_lexical

    chosen = random.Random(0)
    texts = [text(chosen, 20) for _ in range(size)]
    queries = [text(chosen, 5) for _ in range(100)]
    return lambda: build_lexical(texts).search(queries, k=3)


class Drawn:
    """An embedder that draws its vectors."""

    name, digest = "drawn", "0" * 64

    def encode(self, texts, *, fresh=False):
        """Unit vectors."""
        made = np.random.default_rng(0).standard_normal((len(texts), DIMENSION), dtype=np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made


def faiss_(place: Path, size: int) -> Work:
    """Indexing one vector a passage and 100 searches."""
    from harness.retrieval.index import build_index

    texts = ["x"] * size
    return lambda: build_index(Drawn(), texts).search(["q"] * 100, k=3)


def predict(place: Path, size: int) -> Work:
    """Appending predictions batch by batch and reading them back."""
    from harness.records import Prediction
    from harness.store import RunFolder

    folder = RunFolder(place)

    def work() -> None:
        for start in range(0, size, 32):
            made = [Prediction(f"e{n}", "rag", "an answer of words", 40, 4, 0.1) for n in range(start, start + 32)]
            folder.append("predictions.jsonl", made)

    return work


def score(place: Path, size: int) -> Work:
    """Scoring three arms' answers and comparing them in pairs."""
    from harness.experiment.compare import compare_arms
    from harness.experiment.score import score_cases
    from harness.records import Prediction
    from harness.scenario import Case, DecisionRule, Kind

    chosen = random.Random(0)
    cases = [Case(f"e{n}", text(chosen, 20), text(chosen, 2)) for n in range(size)]
    answers = {arm: {c.id: Prediction(c.id, arm, text(chosen, 2), 40, 4, 0.1) for c in cases} for arm in ARMS}
    rule = DecisionRule("token_f1", 0.05)

    def work() -> object:
        found = score_cases(cases, answers, kind=Kind.SHORT_ANSWER, labels=())
        return compare_arms(found, cases, rule=rule, metric=rule.metric, arms=ARMS)

    return work


STAGES: dict[str, tuple[Callable[[Path, int], Work], str]] = {
    "read-eval": (read_eval, "rows"),
    "predict": (predict, "rows"),
    "score": (score, "rows"),
    "read-corpus": (read_corpus, "passages"),
    "bm25": (bm25, "passages"),
    "faiss": (faiss_, "passages"),
}
"""Name -> (what makes its data and returns the work, what its size counts)."""


if __name__ == "__main__":
    main()
