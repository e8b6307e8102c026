"""How time and memory grow: python tests/bench/scaling.py [--json]

    cases         20 -> 200 prompts behind one instruction of 300 tokens
    instruction   100 -> 1,000 tokens in front of 32 prompts
    training      32 -> 320 examples behind an instruction of 300 tokens, one pass
    passages      1,000 -> 100,000 vectors searched by 100 questions (embedding grows in proportion; its rate is shown)

Each pair runs in a process of its own. `times` is the larger one's seconds over the smaller one's; `memory` the peak of
the process in MiB, the libraries' own 600 or so included.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable

PAIRS = {"cases": (20, 200), "instruction": (100, 1_000), "training": (32, 320), "passages": (1_000, 100_000)}


def main() -> None:
    """All pairs, or one measurement where a child is asked for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(_one(args.one[0], int(args.one[1]))))
        return
    found = {what: [_child(what, size) for size in sizes] for what, sizes in PAIRS.items()}
    if args.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'what':12s} {'sizes':>18s} {'seconds':>18s} {'times':>6s} {'memory MiB':>14s}")
    for what, (small, large) in found.items():
        sizes, seconds = f"{small['size']:,} -> {large['size']:,}", f"{small['seconds']:.3f} -> {large['seconds']:.3f}"
        memory = f"{small['memory_mb']:,} -> {large['memory_mb']:,}"
        print(f"{what:12s} {sizes:>18s} {seconds:>18s} {large['seconds'] / small['seconds']:6.1f} {memory:>14s}")


def _child(what: str, size: int) -> dict:
    command = [sys.executable, __file__, "--one", what, str(size)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def _one(what: str, size: int) -> dict:
    work = {"cases": _cases, "instruction": _instruction, "training": _training, "passages": _passages}[what](size)
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"size": size, "seconds": round(seconds, 4), "memory_mb": memory}


def _tokens(n: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(5, 40_000) for _ in range(n)]


def _decoding(*, head: int, prompts: int) -> Callable[[], object]:
    from harness.generation import attention
    from harness.generation.flat import decode, known_run
    from harness.generation.lean import lean_layers
    from harness.models.local import load_model

    loaded = load_model()
    attention.ready(loaded.network)
    shared, rows = _tokens(head, 0), [_tokens(30, seed) for seed in range(1, prompts + 1)]

    def work() -> None:
        with lean_layers(loaded.network):
            root = known_run(loaded.network, shared)
            decode(loaded.network, rows, root=root, start=head, max_new_tokens=12, stop_ids=frozenset())

    decode(loaded.network, rows[:2], root=None, start=0, max_new_tokens=2, stop_ids=frozenset())  # warm up
    return work


def _cases(n: int) -> Callable[[], object]:
    return _decoding(head=300, prompts=n)


def _instruction(n: int) -> Callable[[], object]:
    return _decoding(head=n, prompts=32)


def _training(n: int) -> Callable[[], object]:
    from harness.generation import attention
    from harness.models.local import load_model
    from harness.tuning import lora
    from harness.tuning.examples import Row, row_set, shuffled_batches

    loaded = load_model()
    attention.ready(loaded.network)
    head = _tokens(300, 0)
    rows = row_set([Row((*head, *_tokens(24, k)), tuple(_tokens(6, k))) for k in range(1, n + 1)])

    def work() -> None:
        with lora._adapter(loaded, lora.TuningSettings()) as trainer:
            optimizer = trainer.optimizer(1e-4)
            for batch in shuffled_batches(rows.rows, size=16, seed=0):
                lora._step(trainer, optimizer, rows, batch)

    return work


def _passages(n: int) -> Callable[[], object]:
    import faiss
    import numpy as np

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n, 384), dtype=np.float32)
    index = faiss.IndexFlatIP(384)
    index.add(vectors)
    questions = rng.standard_normal((100, 384), dtype=np.float32)
    return lambda: index.search(questions, 4)


if __name__ == "__main__":
    main()
