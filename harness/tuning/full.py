"""Full fine-tuning: every weight tuned, with LoRA's loop, choice of the rate and stopping.

The network itself is trained (there is no adapter to take off), so its weights are kept aside and put back bit for bit.
The optimizer's copies are float32; what is saved is what the network computed with on dev: bf16 where it computes in
bf16.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from harness.errors import ArmFailed
from harness.generation.lean import forget
from harness.models.base import ModelDescription
from harness.models.local import LoadedModel, in_four_bits
from harness.tuning.examples import TrainingText
from harness.tuning.lora import WEIGHTS_FILE, Progress, Trainer, TuningResult, TuningSettings, recomputing, tune

FULL_TUNING = "full_tuning"
"""The arm whose tuning changes every weight."""

RATES = (1e-4, 2e-5)
"""Lower than LoRA's: the best rates of full fine-tuning are about a tenth (Biderman et al. 2024, arXiv 2405.09673;
Schulman et al. 2025, "LoRA Without Regret"). The first suits the bundled model: on dev of 200 rows each of XQuAD and
banking77 it was ahead of 5e-5, and on XQuAD that of 2e-5. The second is what larger models are usually tuned with."""

BYTES = 16
"""Memory a parameter while tuning: float32 copy, its gradient and AdamW's two moments (ZeRO, arXiv 1910.02054, 3.1).
With gradients and weights kept aside in bf16 and the passing values of a batch, 29 to 32 were measured for the bundled
model: hence half of the free memory."""

MARKER = "full_weights.json"
"""Stands in a folder whose weights file is a whole set, not an adapter."""


def tune_all_weights(
    loaded: LoadedModel,
    examples: Sequence[TrainingText],
    *,
    dev: Sequence[TrainingText],
    settings: TuningSettings,
    out: Path,
    progress: Progress = lambda what, share: None,
    key: str = "",
) -> TuningResult:
    """Train all weights and save them to `out`; the network comes out with the weights that it had.

    Raises:
        ArmFailed: the machine has too little free memory, or the weights are in four bits.
    """
    if in_four_bits(loaded.network):
        raise ArmFailed("weights that are held in four bits cannot all be tuned; LoRA can, or take bits = 4 out")
    check_memory(loaded.network)
    return tune(loaded, examples, dev=dev, settings=settings, out=out, progress=progress, opened=_all_weights, key=key)


def check_memory(network: Any) -> None:
    """Whether tuning all weights leaves the machine room to work.

    Raises:
        ArmFailed: it would take more than half of the free memory.
    """
    wanted, free = BYTES * sum(p.numel() for p in network.parameters()), _free_memory(network)
    if wanted > free / 2:
        raise ArmFailed(
            f"tuning all weights takes about {wanted / 2**30:.1f} GiB beside the model, and that is more than half of "
            f"the {free / 2**30:.1f} GiB that are free; LoRA needs a fraction of it"
        )


def _free_memory(network: Any) -> int:
    import torch

    device = next(network.parameters()).device
    return int(torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available)


class FullTrainer(Trainer):
    """Trains the network's own weights."""

    def optimizer(self, rate: float) -> Any:
        """AdamW in one pass over memory: with all weights, each further pass takes as long as a small batch."""
        import torch

        return torch.optim.AdamW(self.masters, lr=rate, weight_decay=0.0, fused=True)

    def save(self, out: Path) -> None:
        """The weights, and the marker that tells them from an adapter."""
        from safetensors.torch import save_file

        out.mkdir(parents=True, exist_ok=True)
        tensors = {name: p.detach().contiguous() for name, p in self.model.named_parameters()}
        save_file(tensors, out / WEIGHTS_FILE, metadata={"format": "pt"})
        write_marker(out, self.loaded.description)


def write_marker(out: Path, described: ModelDescription) -> None:
    """Say that a folder holds a whole set of weights, and of which model."""
    text = json.dumps({"base": described.name, "base_digest": described.digest, "dtype": described.dtype})
    (out / MARKER).write_text(text + "\n", encoding="utf-8")


@contextmanager
def _all_weights(loaded: LoadedModel, settings: TuningSettings) -> Iterator[Trainer]:
    import torch

    torch.manual_seed(settings.seed)
    network = loaded.network
    forget(network)
    network.requires_grad_(True)
    try:
        trainer = FullTrainer(loaded, network)
        try:
            with recomputing(network, wanted=settings.recompute):
                yield trainer
        finally:
            trainer.restore(trainer.initial)
    finally:
        network.zero_grad(set_to_none=True)
        network.requires_grad_(False)
        forget(network)


def is_full(folder: Path) -> bool:
    """Whether a folder holds a whole set of weights."""
    return (folder / MARKER).is_file()


@contextmanager
def swapped(loaded: LoadedModel, folder: Path) -> Iterator[None]:
    """The network with a tuned set of weights for a while; afterwards it is what it was, bit for bit.

    Raises:
        ArmFailed: the set is not of this network.
    """
    from safetensors.torch import load_file

    parameters = dict(loaded.network.named_parameters())
    tuned = load_file(folder / WEIGHTS_FILE)
    if {n: t.shape for n, t in tuned.items()} != {n: p.shape for n, p in parameters.items()}:
        raise ArmFailed(f"the weights in {folder} are not of the model {loaded.description.name}")
    before = {name: p.detach().clone() for name, p in parameters.items()}
    try:
        _set(parameters, tuned)
        del tuned
        forget(loaded.network)
        yield
    finally:
        forget(loaded.network)
        _set(parameters, before)


def _set(parameters: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        parameters[name].data.copy_(value)
