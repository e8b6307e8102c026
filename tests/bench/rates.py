"""How near the machine's limits prefill, tuning and decoding come: python tests/bench/rates.py [--json]

All in one process, one after the other: the peak of a large bf16 (or float32) matrix product, then tokens per second of
rows of 1,000 tokens and of batches of 32, with transformers' own `generate` beside ours. The share of the peak counts
two operations a parameter and token forwards (and twice that backwards where only adapters learn), attention left out.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable


def measured_rates() -> dict:
    """Everything, on the bundled model."""
    from harness.generation import attention
    from harness.models.local import load_model

    loaded = load_model()
    assert attention.ready(loaded.network)
    peak = gemm_peak(loaded.machine.dtype)
    body = sum(p.numel() for n, p in loaded.network.named_parameters() if "embed" not in n and "lm_head" not in n)
    prefill, tuned = prefill_rate(loaded), tuning_rate(loaded)
    plain, flat32, flat128 = plain_decode(loaded), flat_decode(loaded, 32), flat_decode(loaded, 128)
    return {
        "device": f"{loaded.machine.device_name}, {loaded.machine.threads} threads, {loaded.machine.dtype}",
        "gemm_peak_gflops": round(peak),
        "prefill_tokens_per_s": round(prefill),
        "prefill_share_of_peak": round(prefill * 2 * body / 1e9 / peak, 3),
        "tuning_tokens_per_s": round(tuned),
        "tuning_share_of_peak": round(tuned * 4 * body / 1e9 / peak, 3),
        "plain_generate_tokens_per_s_batch_32": round(plain),
        "decode_tokens_per_s_batch_32": round(flat32),
        "decode_tokens_per_s_batch_128": round(flat128),
        "decode_ratio_batch_32": round(flat32 / plain, 2),
        "weights_read_gb_per_s_batch_32": round(flat32 / 32 * loaded.description.parameters * 2 / 1e9, 1),
        "memory_read_gb_per_s": round(memory_rate(), 1),
    }


def _median(work: Callable[[], object], *, times: int = 7) -> float:
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[times // 2]


def gemm_peak(dtype: str) -> float:
    """Giga-operations per second of a square product of 2,048."""
    import torch

    matrix = torch.randn(2048, 2048).to(getattr(torch, dtype))
    return 2 * 2048**3 / 1e9 / _median(lambda: matrix @ matrix)


def memory_rate() -> float:
    """Gigabytes per second of summing up 400 MB."""
    import torch

    numbers = torch.ones(100_000_000)
    return 0.4 / _median(lambda: numbers.sum())


def _tokens(n: int, *, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(5, 40_000) for _ in range(n)]


def prefill_rate(loaded) -> float:
    """Tokens per second of one row of 1,024 tokens."""
    import torch

    from harness.generation.flat import known_run
    from harness.generation.lean import lean_layers

    row = _tokens(1024)
    with torch.inference_mode(), lean_layers(loaded.network):
        return 1024 / _median(lambda: known_run(loaded.network, row))


def tuning_rate(loaded) -> float:
    """Tokens per second, forwards and backwards, of 32 examples packed behind a prefix of 560 tokens."""
    from harness.tuning import lora
    from harness.tuning.examples import Row
    from harness.tuning.packing import packed_loss

    head = _tokens(560)
    rows = [Row((*head, *_tokens(24, seed=k)), tuple(_tokens(6, seed=k))) for k in range(1, 33)]
    with lora._adapter(loaded, lora.TuningSettings()) as trainer:

        def step() -> None:
            packed_loss(trainer.model, rows)[0].backward()

        seconds = _median(step, times=3)
    return (560 + 30 * 32) / seconds


def plain_decode(loaded) -> float:
    """Tokens per second of transformers' generate, batch 32, 32 tokens in and 64 out."""
    import torch

    ids = torch.tensor([_tokens(32, seed=k) for k in range(32)])
    options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "pad_token_id": 0}
    start = time.perf_counter()
    loaded.network.generate(ids, max_new_tokens=64, min_new_tokens=64, **options)
    return 32 * 64 / (time.perf_counter() - start)


def flat_decode(loaded, rows: int) -> float:
    """Tokens per second of ours on as many rows, the same lengths; no row stops early."""
    from harness.generation.flat import decode
    from harness.generation.lean import lean_layers

    prompts = [_tokens(32, seed=k) for k in range(rows)]

    def work() -> None:
        decode(loaded.network, prompts, root=None, start=0, max_new_tokens=64, stop_ids=frozenset())

    with lean_layers(loaded.network):
        return rows * 64 / _median(work, times=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    found = measured_rates()
    print(json.dumps(found) if as_json else "\n".join(f"{name:44s} {value}" for name, value in found.items()))
