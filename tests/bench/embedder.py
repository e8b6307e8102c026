"""What bf16 does to the embedder: python tests/bench/embedder.py DATA... [--passages N]

For each data folder (corpus.jsonl, and eval.jsonl with `context_id`): seconds in float32 and in bf16, the share of
questions whose document is among the nearest 1, 2 and 4 passages in either, and how many of the two nearest agree.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np


def main() -> None:
    """One block a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--passages", type=int, default=1_000)
    args = parser.parse_args()
    models = {name: _model(name) for name in ("float32", "bfloat16")}
    for folder in args.data:
        _compare(folder, models, passages=args.passages)


def _model(dtype: str):
    from harness.models import bundled
    from harness.models.device import machine
    from harness.models.local import keep_quiet

    keep_quiet()
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(machine().threads)
    folder = str(bundled.require(bundled.EMBEDDER).parent)
    return SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": getattr(torch, dtype)})


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _unit(model, texts: list[str]) -> np.ndarray:
    found = np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _compare(folder: Path, models: dict, *, passages: int) -> None:
    corpus, cases = _rows(folder / "corpus.jsonl")[:passages], _rows(folder / "eval.jsonl")
    names = [row["id"] for row in corpus]
    asked = [case for case in cases if case.get("context_id") in set(names)]
    print(f"{folder.name}: {len(corpus)} passages, {len(asked)} questions")
    nearest = {}
    for dtype, model in models.items():
        start = time.perf_counter()
        vectors = _unit(model, [row["text"] for row in corpus])
        seconds = time.perf_counter() - start
        order = np.argsort(-(_unit(model, [case["input"] for case in asked]) @ vectors.T), axis=1)[:, :4]
        nearest[dtype] = order
        hits = [
            np.mean([case["context_id"] in [names[j] for j in row[:k]] for case, row in zip(asked, order, strict=True)])
            for k in (1, 2, 4)
        ]
        print(f"  {dtype:9s} {seconds:6.1f} s   recall at 1, 2, 4: " + ", ".join(f"{hit:.3f}" for hit in hits))
    pairs = zip(nearest["float32"], nearest["bfloat16"], strict=True)
    print(f"  of the two nearest {np.mean([len(set(a[:2]) & set(b[:2])) / 2 for a, b in pairs]):.1%} agree")


if __name__ == "__main__":
    main()
