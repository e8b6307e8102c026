"""What memory does as eval cases and passages grow, on synthetic data: each stage at a tenth of the size and at it.

    python -m tests.bench.streaming [--rows 100000] [--passages 1000000] [--stages read-eval,bm25]

Every measurement is a process of its own. `above` is the peak over what the process held before the stage began; where
a stage streams, ten times the rows take the same. `own` is the part of that which is the process's own memory: the rest
is files that are mapped, which the system takes back when it needs the room. Vectors are drawn from each text around
5,000 centres, because the real embedder would take hours; `embedder` measures that on 2,000 texts.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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
    asked.add_argument("--stages", default=",".join(USUAL))
    asked.add_argument("--one", nargs=2, metavar=("STAGE", "SIZE"))
    said = asked.parse_args()
    if said.one:
        print(json.dumps(measured(said.one[0], int(said.one[1]))))
        return
    heads = f"{'seconds':>8} {'above MiB':>10} {'own MiB':>8} {'bytes a row':>12}"
    print(f"{'stage':14} {'size':>10} {heads}  said")
    for name in said.stages.split(","):
        largest = said.rows if STAGES[name][1] == "rows" else said.passages
        for size in (largest // 10, largest):
            row = in_a_process(name, size)
            each = row["above"] * 2**20 / size
            figures = f"{row['seconds']:8.1f} {row['above']:10.0f} {row['own']:8.0f} {each:12.0f}"
            print(f"{name:14} {size:10,} {figures}  {row['said']}", flush=True)


def in_a_process(name: str, size: int) -> dict[str, Any]:
    """One measurement, from a fresh process."""
    command = [sys.executable, "-m", "tests.bench.streaming", "--one", name, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(name: str, size: int) -> dict[str, Any]:
    """Seconds of a stage and MiB of its peak above what was held before; making its data is no part of it."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["BAKEOFF_CACHE"] = f"{place}/cache"
        work = STAGES[name][0](Path(place), size)
        before, own_before = psutil.Process().memory_info().rss / 2**20, own_memory()
        with Watched() as watched:
            start = time.perf_counter()
            said = work()
            seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "above": max(0.0, peak - before), "own": max(0.0, watched.peak - own_before)}
    return {**found, "said": said if isinstance(said, str) else ""}


def own_memory() -> float:
    """MiB of memory that is no file's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) / 1024


class Watched:
    """The peak of a process's own memory, looked at 20 times a second."""

    def __enter__(self):
        self.peak, self._over = 0.0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self):
        while not self._over.wait(0.05):
            self.peak = max(self.peak, own_memory())

    def __exit__(self, *error):
        self._over.set()
        self._watch.join()
        self.peak = max(self.peak, own_memory())


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


def passages_of(place: Path, size: int) -> Any:
    """So many passages of 20 words, on disk as a run has them."""
    from harness.records import Passage
    from harness.spool import kept

    chosen = random.Random(0)
    made = (Passage(f"d{n}", f"d{n}", "", text(chosen, 20)) for n in range(size))
    return kept(made, Passage)


def chunk(place: Path, size: int) -> Work:
    """Cutting documents into passages."""
    from harness.retrieval.chunks import chunk_documents
    from harness.scenario import Document
    from harness.spool import kept

    chosen = random.Random(0)
    held = kept((Document(f"d{n}", "", text(chosen, 20)) for n in range(size)), Document)
    return lambda: chunk_documents(held)


def bm25(place: Path, size: int) -> Work:
    """Indexing passages of 20 words and 1,000 searches."""
    from harness.retrieval.lexical import build_lexical
    from harness.retrieval.texts import Texts

    chosen = random.Random(1)
    queries = [text(chosen, 5) for _ in range(1_000)]
    held = passages_of(place, size)

    def work() -> str:
        start = time.perf_counter()
        found = build_lexical(Texts(held))
        built = time.perf_counter()
        found.search(queries, k=3)
        return f"built in {built - start:.0f} s, 1,000 searches in {time.perf_counter() - built:.1f} s"

    return work


class Drawn:
    """An embedder that draws its vectors: each text's own, around one of 5,000 centres."""

    name, digest = "drawn", "0" * 64

    def __init__(self):
        self.centres = np.random.default_rng(0).standard_normal((5_000, DIMENSION), dtype=np.float32)

    def encode(self, texts, *, fresh=False):
        """Unit vectors."""
        made = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, own in zip(made, texts, strict=True):
            seed = zlib.crc32(own.encode())
            row[:] = np.random.default_rng(seed).standard_normal(DIMENSION, dtype=np.float32)
            row += self.centres[seed % 5_000]
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made


def dense(place: Path, size: int) -> Work:
    """Embedding (drawn), indexing and 1,000 searches for the nearest passages."""
    from harness.retrieval.index import build_index
    from harness.retrieval.texts import Texts

    held = passages_of(place, size)
    embedder = Drawn()
    import faiss  # noqa: F401 - its own size is no part of the work

    def work() -> str:
        start = time.perf_counter()
        found = build_index(embedder, Texts(held))
        built = time.perf_counter()
        found.search([f"query {n}" for n in range(1_000)], k=3)
        return f"built in {built - start:.0f} s, 1,000 searches in {time.perf_counter() - built:.1f} s. {found.note}"

    return work


def pgvector(place: Path, size: int) -> Work:
    """Filling a table of a PostgreSQL server that is started for it, and 1,000 searches; vectors are drawn before."""
    from harness.retrieval.index import build_index
    from harness.retrieval.shards import embedded
    from harness.retrieval.texts import Texts
    from tests import postgres

    texts, embedder = Texts(passages_of(place, size)), Drawn()
    queries = embedder.encode([f"query {n}" for n in range(1_000)])
    embedded(embedder, texts)
    server = postgres.Server(postgres.programs())
    atexit.register(server.remove)

    def work() -> str:
        start = time.perf_counter()
        found = build_index(embedder, texts, vector_store=f"pgvector:{server.address()}")
        filled = time.perf_counter()
        found.nearest(queries, k=3)
        searched = time.perf_counter()
        found.store.search_width(0)
        found.nearest(queries[:100], k=3)
        exact = time.perf_counter() - searched
        said = f"filled in {filled - start:.0f} s, 1,000 searches in {searched - filled:.1f} s, 100 exact ones in"
        return f"{said} {exact:.1f} s. {found.note}"

    return work


def embedder(place: Path, size: int) -> Work:
    """The bundled embedder on 2,000 passages of 20 made-up words, whatever the size."""
    from harness.retrieval.embed import SentenceEmbedder

    chosen = random.Random(0)
    texts = [text(chosen, 20) for _ in range(2_000)]
    real = SentenceEmbedder()
    real.encode(texts[:2], fresh=True)

    def work() -> str:
        start = time.perf_counter()
        real.encode(texts, fresh=True)
        return f"{2_000 / (time.perf_counter() - start):.0f} texts a second"

    return work


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


def score_folder(place: Path, size: int) -> Work:
    """Reading five arms' predictions from a run folder, scoring and comparing them."""
    from harness.experiment.compare import compare_arms
    from harness.experiment.score import arm_scores, score_cases
    from harness.records import Prediction
    from harness.scenario import Case, DecisionRule, Kind
    from harness.store import RunFolder

    chosen, folder = random.Random(0), RunFolder(place)
    arms = (*ARMS, "few_shot", "lora")
    folder.write_lines("cases.jsonl", [Case(f"e{n}", text(chosen, 20), text(chosen, 2)) for n in range(size)])
    for arm in arms:
        for start in range(0, size, 10_000):
            made = [
                Prediction(f"e{n}", arm, text(chosen, 4), 40, 4, 0.1, key="0" * 64)
                for n in range(start, start + 10_000)
            ]
            folder.append("predictions.jsonl", made)
    rule = DecisionRule("token_f1", 0.05, resamples=1_000)

    def work() -> object:
        cases = folder.cases()
        found = score_cases(cases, folder.predictions(), kind=Kind.SHORT_ANSWER, labels=())
        arm_scores(found, cases, rule=rule, kind=Kind.SHORT_ANSWER)
        return compare_arms(found, cases, rule=rule, metric=rule.metric, arms=arms)

    return work


def whole_run(place: Path, size: int) -> Work:
    """A whole run by fakes: audit, four arms and the control answered, timed, scored, decided."""
    from harness.experiment.options import RunOptions, Silent
    from harness.experiment.run import run_prepared
    from tests.fakes import FakeEmbedder, FakeEngine, FakeJob, FakeModel, prepared

    class Model(FakeModel):
        """Keeps nothing of what it answered."""

        def start(self, prompts, *, max_new_tokens, stop=None, temperature=0.0, seed=0):
            return FakeJob(self, tuple(prompts), max_new_tokens, stop, temperature, seed)

        def reply(self, prompt):
            return WORDS[zlib.crc32(prompt.encode()) % len(WORDS)]

    def work(home: Path = place) -> object:
        model = Model(rows=32)
        model.answered = Forgetful()
        options = RunOptions(out=home / "run", use_cache=False, quick=True)
        ready = prepared(home, options=options, engine=FakeEngine(model), embedder=FakeEmbedder(size=DIMENSION))
        return run_prepared(ready, options=options, watcher=Silent())

    write_scenario(place, size)
    write_scenario(place / "small", 50)
    work(place / "small")  # libraries are loaded by it
    return work


def finished_runs(place: Path, size: int) -> tuple[Path, Path]:
    """A run over 50 cases and one over so many, made by a process of its own."""
    code = "import sys; from pathlib import Path; from tests.bench import streaming as s; "
    code += "s.whole_run(Path(sys.argv[1]), int(sys.argv[2]))()"
    subprocess.run([sys.executable, "-c", code, str(place), str(size)], capture_output=True, check=True)
    return place / "small" / "run", place / "run"


def report(place: Path, size: int, *, redact: bool = False) -> Work:
    """The reports of a finished run in all five formats."""
    from harness import api

    small, large = finished_runs(place, size)
    options = api.ReportOptions(formats=("html", "md", "pdf", "docx", "pptx"), redact=redact)

    def work(folder: Path = large) -> object:
        return api.report(folder, options=options)

    work(small)  # libraries are loaded by it
    return work


def export(place: Path, size: int, *, redact: bool = False) -> Work:
    """A finished run as Parquet and as CSV."""
    from harness import api

    small, large = finished_runs(place, size)
    asked = [api.ExportOptions(to=to, out=place / to, redact=redact) for to in ("parquet", "csv")]

    def work(folder: Path = large) -> object:
        return [api.export(folder, options=options) for options in asked]

    work(small)  # libraries are loaded by it
    return work


def write_scenario(place: Path, size: int) -> None:
    """So many eval cases, 200 training rows and 200 documents, for four arms."""
    place.mkdir(exist_ok=True)
    write_lines(place / "eval.jsonl", rows(size))
    chosen = random.Random(1)
    made = ({"input": text(chosen, 20), "output": text(chosen, 2)} for _ in range(200))
    write_lines(place / "train.jsonl", (json.dumps(row).encode() + b"\n" for row in made))
    made = ({"id": f"d{n}", "text": text(chosen, 20)} for n in range(200))
    write_lines(place / "corpus.jsonl", (json.dumps(row).encode() + b"\n" for row in made))
    arms = '["prompt", "nearest_shots", "rag", "lora"]'
    toml = f'kind = "short_answer"\ninstruction = "Answer."\nmax_new_tokens = 8\narms = {arms}\n'
    (place / "scenario.toml").write_text(toml + "[rule]\nresamples = 2000\n")


class Forgetful(list[Any]):
    """A list that stays empty."""

    def append(self, item: Any) -> None:
        """Nothing is kept."""


STAGES: dict[str, tuple[Callable[[Path, int], Work], str]] = {
    "read-eval": (read_eval, "rows"),
    "predict": (predict, "rows"),
    "score": (score, "rows"),
    "score-folder": (score_folder, "rows"),
    "whole-run": (whole_run, "rows"),
    "report": (report, "rows"),
    "export": (export, "rows"),
    "masked-report": (partial(report, redact=True), "rows"),
    "masked-export": (partial(export, redact=True), "rows"),
    "read-corpus": (read_corpus, "passages"),
    "chunk": (chunk, "passages"),
    "bm25": (bm25, "passages"),
    "dense": (dense, "passages"),
    "embedder": (embedder, "passages"),
    "pgvector": (pgvector, "passages"),
}
"""Name -> (what makes its data and returns the work, what its size counts)."""
USUAL = [name for name in STAGES if name != "pgvector"]
"""All that need no server's programs."""


if __name__ == "__main__":
    main()
